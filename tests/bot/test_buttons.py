"""Every button and modal, pressed on real sockets, with restarts in between."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from botkit import Easel, a_bot, a_worker, png, told, until
from PIL import Image, ImageDraw
from standin.driver import StandIn
from standin.permissions import bits
from standin.tracks import InteractionRecord
from standin.world import Channel, Member, Upload

from daguerre.bot.message.keys import EMOJI, more_rows
from daguerre.queue.asking import outpainted, upscaled, varied
from daguerre.queue.control.queue import Queue
from daguerre.queue.errors import AsLargeAsCanBe
from daguerre.queue.records.jobs import Job
from daguerre.queue.records.requests import ImageRequest, Source, image_request
from daguerre.queue.records.usual import Usual
from daguerre.queue.store.members import Origin

pytest_plugins = ("botfixtures",)


async def a_grid(standin: StandIn, channel: Channel, who: Member, **options: Any) -> InteractionRecord:
    """A finished request of two pictures."""
    given = {"prompt": "a red apple", "count": 2, "seed": 41, **options}
    asked = await standin.slash(who, channel, "imagine", options=given)
    await asked.wait_for(lambda seen: bool(seen.attachments) and bool(seen.buttons[1:]), timeout=30)
    return asked


async def finished(asked: InteractionRecord) -> Any:
    return await asked.wait_for(lambda seen: bool(seen.attachments) and bool(seen.buttons[1:]), timeout=30)


async def press(standin: StandIn, who: Member, message: Any, label: str) -> InteractionRecord:
    """A button below a message, or one behind its More."""
    seen = await message.message() if isinstance(message, InteractionRecord) else message
    try:
        seen.button(label)
    except LookupError:
        more = await standin.click(who, seen, "More")
        return await standin.click(who, await more.message(), label)
    return await standin.click(who, seen, label)


async def newest(queue: Queue, member: Member) -> Job:
    return (await queue.members.last_requests(str(member.id)))[0]


def public(standin: StandIn, channel: Channel) -> list[Any]:
    """What everybody sees there, without what a test put there to press."""
    return [seen for seen in standin.messages(channel) if not seen.ephemeral and seen.content != "forged"]


async def said(asked: InteractionRecord) -> Any:
    """The private answer to a press, however it came."""
    return await asked.followup() if asked.followups else await asked.message()


async def test_a_grid_is_looked_at_varied_and_taken_on_after_a_restart(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """U shows one picture, V begins from it; what came from what is kept; each press may be in another process."""
    async with a_worker(queue, easel):
        async with a_bot(standin, queue, tmp_path):
            grid = await a_grid(standin, studio, ada)
            await told(queue)
        parent = await newest(queue, ada)
        async with a_bot(standin, queue, tmp_path):
            second = await standin.click(ada, grid, "U2")
            shown = await second.wait_for(lambda seen: bool(seen.attachments))
            assert [file.filename for file in shown.attachments] == ["daguerre-42.png"]
            assert "seed 42" in shown.content
            assert shown.attachments[0].description == "Drawn from the words: a red apple"
            varied = await standin.click(ada, grid, "V1")
            await finished(varied)
            job = await newest(queue, ada)
            assert job.request.source is not None
            assert (job.request.source.use, job.request.source.picture) == ("vary", parent.pictures[0])
            assert (job.request.count, job.request.seed != 41) == (2, True)
            assert await queue.members.origin(job.id) == Origin(job.id, parent.id, 0, "vary")
            await told(queue)
        async with a_bot(standin, queue, tmp_path):
            cases: list[tuple[str, Any]] = [
                ("Vary subtly", lambda r: r.source.strength < 0.5 and r.source.picture == parent.pictures[1]),
                ("Vary strongly", lambda r: r.source.strength > 0.5 and r.source.seed == 42),
                ("Larger", lambda r: (r.width, r.height, r.source.strength, r.seed) == (512, 512, 0.0, 42)),
                ("1.5×", lambda r: r.source.expand == (25, 25, 25, 25) and (r.width, r.count) == (256, 1)),
                ("2×", lambda r: r.source.expand == (50, 50, 50, 50)),
                ("Left", lambda r: r.source.expand == (50, 0, 0, 0) and (r.width, r.height) == (384, 256)),
                ("Down", lambda r: r.source.expand == (0, 0, 0, 50) and (r.width, r.height) == (256, 384)),
                ("Again", lambda r: r.source is None and r.prompt == "a red apple"),
            ]
            for label, fits in cases:
                pressed = await press(standin, ada, shown, label)
                await finished(pressed)
                assert fits((await newest(queue, ada)).request), label
            assert len(await queue.members.children(parent.id)) == len(cases) + 1


def test_variations_know_how_things_were_set_out() -> None:
    """By the picture's own seed; variations of variations by that of the first; not once it was drawn on beyond."""
    request = image_request(prompt="a cat and a dog", seed=5, count=2)
    first = varied(request, "p", 1, 0.5, 900)
    assert first.source is not None
    assert (first.seed, first.source.seed) == (900, 6)
    second = varied(first, "q", 1, 0.5, 901)
    assert second.source is not None
    assert second.source.seed == 6
    guided = first.model_copy(update={"source": Source(picture="sources/p"), "control": "canny"})
    assert not varied(guided, "q", 0, 0.5, 1).control
    assert not upscaled(guided, "q", 0).control
    assert not outpainted(guided, "q", (0, 0, 50, 0), 1, grow=False).control
    assert upscaled(first, "q", 0).source == Source(picture="q", strength=0.0, seed=6)
    wider = varied(outpainted(request, "p", (25, 25, 25, 25), 902, grow=False), "q", 0, 0.5, 903)
    assert wider.source == Source(picture="q", strength=0.5)
    assert "seed" not in wider.model_dump()["source"]


@pytest.mark.parametrize(
    ("size", "most", "larger"),
    [
        ((256, 256), 0, (512, 512)),
        ((768, 512), 0, (1008, 672)),
        ((1024, 1024), 4_200_000, (2048, 2048)),
        ((1024, 1024), 2_000_000, (1408, 1408)),
        ((1024, 1024), 1_121_976, (1056, 1056)),
        ((1216, 832), 4_200_000, (1824, 1248)),  # steps of the shape are 304 × 208
        ((1024, 1024), 0, None),
        ((2048, 2048), 4_200_000, None),
    ],
)
def test_a_picture_grows_as_far_as_the_models_here_draw(
    size: tuple[int, int], most: int, larger: tuple[int, int] | None
) -> None:
    """Twice, up to 2048 pixels a side where they may be asked for, always in its own shape; else 1024 as ever."""
    request = image_request(prompt="a cat", seed=5, width=size[0], height=size[1])
    if larger is None:
        with pytest.raises(AsLargeAsCanBe):
            upscaled(request, "p", 0, most)
        return
    made = upscaled(request, "p", 0, most)
    assert (made.width, made.height) == larger
    ImageRequest.model_validate(made.model_dump())


@pytest.mark.parametrize(
    ("size", "expand", "most", "grown"),
    [
        ((256, 256), (50, 0, 0, 0), 0, (384, 256)),
        ((1024, 1024), (50, 0, 0, 0), 0, (1024, 1024)),
        ((1024, 1024), (50, 0, 0, 0), 4_200_000, (1536, 1024)),
        ((1536, 1024), (0, 0, 50, 0), 4_200_000, (2048, 1024)),
        ((1024, 1024), (0, 50, 0, 0), 1_310_720, (1024, 1280)),
        ((1216, 832), (0, 0, 0, 50), 1_121_976, (1216, 896)),
        ((768, 1024), (50, 0, 0, 0), 900_000, (1024, 1024)),
    ],
)
def test_what_is_drawn_on_beyond_its_edge_grows_as_far_as_it_may(
    size: tuple[int, int], expand: tuple[int, int, int, int], most: int, grown: tuple[int, int]
) -> None:
    """By half, up to 2048 pixels a side and as many pixels as are drawn here; never smaller than it was."""
    request = image_request(prompt="a cat", seed=5, width=size[0], height=size[1])
    made = outpainted(request, "p", expand, 7, grow=True, most=most)
    assert (made.width, made.height) == grown
    ImageRequest.model_validate(made.model_dump())


async def test_larger_follows_what_the_connected_worker_draws(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """A worker that draws 4 megapixels: 1024 becomes 2048. Drawn on: 1536 wide."""
    roomy = {"easel": Usual(size=1024, pixels=4_200_000)}
    async with a_bot(standin, queue, tmp_path), a_worker(queue, easel, models=("easel",), usual=roomy):
        grid = await a_grid(standin, studio, ada)
        shown = await standin.click(ada, grid, "U1")
        one = await shown.wait_for(lambda seen: bool(seen.attachments))
        await finished(await press(standin, ada, one, "Larger"))
        job = await newest(queue, ada)
        assert (job.request.width, job.request.height) == (2048, 2048)
        await finished(await press(standin, ada, one, "Left"))
        job = await newest(queue, ada)
        assert (job.request.width, job.request.height) == (1536, 1024)
        await told(queue)


async def test_a_stranger_presses_every_button_and_nothing_happens(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """No job, no favourite, no deletion, no modal; each press is answered in private."""
    assert studio.guild is not None
    eve = studio.guild.member("Eve", permissions=("manage_expressions",))
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        grid = await a_grid(standin, studio, ada)
        one = await standin.click(ada, grid, "U1")
        single = await one.wait_for(lambda seen: bool(seen.attachments))
        easel.go.clear()
        waiting = await standin.slash(ada, studio, "imagine", prompt="a red apple")
        live = await waiting.message()
        jobs = len(easel.begun)
        before = len(public(standin, studio))
        job = (await queue.members.history(str(ada.id), 1))[0][0]
        pressed: set[str] = set()
        for message in (await grid.message(), single, live):
            for button in message.buttons:
                assert button.custom_id is not None
                pressed.add(button.custom_id.split(":")[1])
                if button.custom_id.split(":")[1] in ("report", "info", "more"):
                    continue  # Those that are for everybody: below, and in tests/bot/test_moderation.py.
                asked = await standin.click(eve, message, custom_id=button.custom_id)
                refusal = await said(asked)
                assert refusal.ephemeral
                assert "Only the member who asked" in refusal.content
        for key in (key for row in more_rows(job.id, 0, theirs=True, report=True) for key in row):
            pressed.add(key.action)
            if key.action in ("report", "info"):
                continue
            refusal = await said(await standin.forge(eve, studio, key.custom_id))
            assert (refusal.ephemeral, "Only the member who asked" in refusal.content) == (True, True), key
        for message in (grid, single):
            panel = await said(await standin.click(eve, message, "More"))
            assert panel.ephemeral
            assert [button.label for button in panel.buttons] == ["Info", "Report"]
            known = await said(await standin.click(eve, panel, "Info"))
            assert (known.ephemeral, "a red apple" in known.content) == (True, True)
        assert pressed == set(EMOJI)
        easel.go.set()
        await finished(waiting)
        await told(queue)
    assert len(public(standin, studio)) == before
    assert len(easel.begun) - jobs <= 1
    assert (await queue.members.favourites(str(eve.id), 9))[1] == 0
    assert await queue.members.last_requests(str(eve.id)) == []


async def test_two_members_fill_in_the_same_modal_across_a_restart(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member, mona: Member
) -> None:
    """Both open it, the bot restarts, both send it in: each gets what they typed."""
    async with a_worker(queue, easel):
        async with a_bot(standin, queue, tmp_path):
            grid = await a_grid(standin, studio, ada, aspect="3:2", no="worm")
            await told(queue)
            first, second = await standin.click(ada, grid, "Remix"), await standin.click(mona, grid, "Remix")
            opened, other = await first.modal(), await second.modal()
            assert opened.custom_id != other.custom_id
            assert opened.inputs[0].component["component"]["value"] == "a red apple --ar 3:2 --no worm --n 2"
        async with a_bot(standin, queue, tmp_path):
            mine = await standin.submit(ada, first, {"prompt": "a red pizza"})
            theirs = await standin.submit(mona, second, {"prompt": "a red rocket --sed 7"})
            refusal = await said(theirs)
            assert refusal.ephemeral
            assert "--seed" in refusal.content
            await finished(mine)
            corrected = await standin.submit(mona, second, {"prompt": "a red rocket --seed 7"})
            await finished(corrected)
    assert (await newest(queue, ada)).request.prompt == "a red pizza"
    job = await newest(queue, mona)
    assert (job.request.prompt, job.request.seed, job.member) == ("a red rocket", 7, str(mona.id))
    origin = await queue.members.origin(job.id)
    assert origin is not None
    assert origin.action == "remix"


async def test_a_part_is_drawn_anew_by_rectangle_or_mask(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """White is where; the rectangle wins over the chosen place, a picture over both."""
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        single = await standin.slash(ada, studio, "imagine", prompt="a red apple", seed=3)
        await finished(single)

        async def mask(values: dict[str, Any]) -> Image.Image:
            form = await press(standin, ada, single, "Redraw a part")
            proposed = await standin.submit(ada, form, {"prompt": "a worm", **values})
            assert (await proposed.wait_for(lambda seen: bool(seen.attachments))).ephemeral
            await finished(await standin.click(ada, proposed, "Redraw it"))
            source = (await newest(queue, ada)).request.source
            assert source is not None
            assert source.use == "inpaint"
            return Image.open(io.BytesIO(await queue._pictures.get(source.mask))).convert("L")

        drawn = await mask({"rectangle": "0 0 50 100"})
        assert (drawn.getpixel((10, 250)), drawn.getpixel((200, 10))) == (255, 0)
        chosen = await mask({"place": ["bottom"]})
        assert (chosen.getpixel((10, 250)), chosen.getpixel((10, 10))) == (255, 0)
        white = io.BytesIO()
        Image.new("RGB", (64, 64), "white").save(white, "PNG")
        uploaded = await mask({"mask": [Upload(white.getvalue(), "mask.png")]})
        assert (uploaded.size, uploaded.getextrema()) == ((256, 256), (255, 255))
        form = await press(standin, ada, single, "Redraw a part")
        bad = await said(await standin.submit(ada, form, {"prompt": "a worm", "rectangle": "50 0 10 100"}))
        assert "four numbers" in bad.content
        assert bad.ephemeral


async def test_favourites_info_and_deletion(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member, mona: Member
) -> None:
    """The heart is a switch; a moderator may delete; what is deleted stays in the history."""
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        grid = await a_grid(standin, studio, ada)
        assert "among your /favourites" in (await said(await standin.click(ada, grid, "❤️"))).content
        assert (await queue.members.favourites(str(ada.id), 9))[1] == 2
        assert "no longer" in (await said(await standin.click(ada, grid, "❤️"))).content
        assert (await queue.members.favourites(str(ada.id), 9))[1] == 0
        info = await said(await press(standin, ada, grid, "ℹ️"))
        assert info.ephemeral
        assert "a red apple --seed 41 --n 2" in info.content
        await standin.click(mona, grid, "🗑️")
        await until(lambda: not [seen for seen in standin.messages(studio) if not seen.deleted])
        assert (await queue.members.history(str(ada.id), 9))[1] == 1


async def test_emoji_and_stickers(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """For those who may, where the bot may and a place is free; in Discord's sizes, by a name that it takes."""
    guild = studio.guild
    assert guild is not None
    zoe = guild.member("Zoe", permissions=("manage_expressions",))
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        theirs = await standin.slash(ada, studio, "imagine", prompt="a red apple")
        await finished(theirs)
        assert "Manage Expressions" in (await said(await press(standin, ada, theirs, "😀"))).content
        single = await standin.slash(zoe, studio, "imagine", prompt="a red apple")
        await finished(single)
        assert "I may not add" in (await said(await press(standin, zoe, single, "😀"))).content
        guild.members[standin.bot_user.id].extra |= bits(["manage_expressions"])
        form = await press(standin, zoe, single, "😀")
        wrong = await said(await standin.submit(zoe, form, {"name": "a b!"}))
        assert "letters, digits or underscores" in wrong.content
        form = await press(standin, zoe, single, "😀")
        added = await standin.submit(zoe, form, {"name": "red_apple"})
        await added.wait_for(lambda seen: "Added" in seen.content)
        assert [emoji["name"] for emoji in guild.emojis] == ["red_apple"]
        form = await press(standin, zoe, single, "🏷️")
        stuck = await standin.submit(zoe, form, {"name": "red_apple"})
        await stuck.wait_for(lambda seen: "Added" in seen.content)
        assert [sticker["description"] for sticker in guild.stickers] == ["a red apple"]
        guild.slots = 1
        form = await press(standin, zoe, single, "😀")
        full = await standin.submit(zoe, form, {"name": "another"})
        await full.wait_for(lambda seen: "places of this server are taken" in seen.content)


async def test_pictures_come_as_svg(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """By --svg beside each picture, for all; by the button for the presser alone, named as its picture is."""
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        asked = await standin.slash(ada, studio, "imagine", prompt="a red apple --svg --seed 41 --n 2")
        both = await finished(asked)
        names = [file.filename for file in both.attachments]
        assert names == ["daguerre-41-grid.png", "daguerre-41.svg", "daguerre-42.svg"]
        plain = await standin.slash(ada, studio, "imagine", prompt="a red apple --seed 7")
        await finished(plain)
        sent = await said(await press(standin, ada, plain, "📐"))
        assert (sent.ephemeral, [file.filename for file in sent.attachments]) == (True, ["daguerre-7.svg"])
        assert b"<svg" in sent.attachments[0].data


async def test_reactions_do_what_buttons_do(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """⭐ and ✉️ for the member who asked, ❌ for moderators too; a stranger's change nothing."""
    assert studio.guild is not None
    eve = studio.guild.member("Eve")
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        grid = await a_grid(standin, studio, ada)
        await told(queue)
        message = await grid.message()
        for emoji in ("⭐", "✉️", "❌"):
            standin.react(eve, message, emoji)
        standin.react(ada, message, "⭐")
        await until(lambda: queue.members.favourites(str(ada.id), 9))

        async def liked() -> bool:
            return (await queue.members.favourites(str(ada.id), 9))[1] == 2

        await until(liked)
        standin.react(ada, message, "✉️")
        sent = await standin.wait_for_message(standin.dm(ada), lambda seen: len(seen.attachments) == 2)
        assert [file.filename for file in sent.attachments] == ["daguerre-41.png", "daguerre-42.png"]
        assert not (await grid.message()).deleted
        standin.react(ada, message, "❌")
        await until(lambda: not [seen for seen in standin.messages(studio) if not seen.deleted])
        assert standin.messages(standin.dm(eve)) == ()


def test_an_emoji_is_small_and_its_background_is_gone() -> None:
    """128 pixels, at most 256 KB, the plain background around the drawing cut off."""
    from daguerre.bot.picture.expressions import EMOJI_BYTES, EMOJI_SIDE, cut_out

    whole = Image.new("RGB", (256, 256), "white")
    whole.paste((200, 0, 0), (64, 64, 192, 192))
    buffer = io.BytesIO()
    whole.save(buffer, "PNG")
    made = cut_out(buffer.getvalue(), EMOJI_SIDE, EMOJI_BYTES)
    emoji = Image.open(io.BytesIO(made)).convert("RGBA")
    assert (emoji.size, len(made) <= EMOJI_BYTES) == ((128, 128), True)
    assert {emoji.getpixel((2, 2)), emoji.getpixel((64, 64))} == {(200, 0, 0, 255)}, "cropped to what is drawn"
    noise = Image.effect_noise((512, 512), 90).convert("RGB")
    buffer = io.BytesIO()
    noise.save(buffer, "PNG")
    assert len(cut_out(buffer.getvalue(), 320, 60_000)) <= 60_000


@pytest.mark.parametrize("ground", [(255, 255, 255), (12, 90, 40)])
def test_a_sticker_has_no_fringe_and_fills_its_square(ground: tuple[int, int, int]) -> None:
    """A disc with soft edges keeps its own colour there, on dark and on light; what is empty around it is cut off."""
    from daguerre.bot.picture.expressions import STICKER_BYTES, STICKER_SIDE, cut_out

    large = Image.new("RGB", (1024, 1024), ground)
    ImageDraw.Draw(large).ellipse((400, 300, 700, 600), fill=(200, 20, 30))
    buffer = io.BytesIO()
    large.resize((256, 256), Image.Resampling.LANCZOS).save(buffer, "PNG")
    sticker = Image.open(io.BytesIO(cut_out(buffer.getvalue(), STICKER_SIDE, STICKER_BYTES))).convert("RGBA")
    box = sticker.getchannel("A").point([0] * 128 + [255] * 128).getbbox()
    assert box is not None
    assert max(box[0], box[1], STICKER_SIDE - box[2], STICKER_SIDE - box[3]) <= 8
    for pixel in sticker.get_flattened_data():
        if pixel[3] > 40:
            assert max(abs(a - b) for a, b in zip(pixel[:3], (200, 20, 30), strict=True)) < 40, pixel


@pytest.mark.parametrize(
    ("typed", "place", "box"),
    [
        ("25 25 75 75", "", (25, 25, 75, 75)),
        ("0,0, 100, 50", "left", (0, 0, 100, 50)),
        ("", "left", (0, 0, 50, 100)),
        ("", "", (25, 25, 75, 75)),
    ],
)
def test_a_rectangle_is_read(typed: str, place: str, box: tuple[int, int, int, int]) -> None:
    """Four percentages in any usual writing."""
    from daguerre.bot.picture.region_form import rectangle

    assert rectangle(typed, place) == box


def test_pictures_stay_what_they_are() -> None:
    """A single picture is the worker's own file, bit for bit."""
    from daguerre.bot.message.layout import laid_out
    from daguerre.queue.records.requests import image_request

    request = image_request(prompt="x", seed=5, count=2)
    files = [png(5, 64, 64), png(6, 64, 64)]
    assert [part.data for part in laid_out(request, files, "single", "en")] == files
    both = laid_out(request, files, "both", "en")
    assert [part.name for part in both] == ["daguerre-5-grid", "daguerre-5", "daguerre-6"]
