"""What members have for themselves: previews, many requests at once, lists, preferences, menus, help, languages."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from botkit import WORDS, Easel, a_bot, a_worker, only_job, png, told, until
from PIL import Image
from standin.driver import StandIn
from standin.tracks import InteractionRecord
from standin.world import Channel, Member, Upload

from daguerre.bot.personal.help import topic_lines
from daguerre.bot.text.markup import pages
from daguerre.bot.text.texts import languages, text
from daguerre.queue.control.queue import Queue
from daguerre.queue.records import FLAGS
from daguerre.queue.store.members import Preferences
from daguerre.queue.store.server_settings import ServerSettings

pytest_plugins = ("botfixtures",)


def a_webp(colour: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), colour).save(buffer, "WEBP")
    return buffer.getvalue()


async def done(asked: InteractionRecord) -> Any:
    return await asked.wait_for(lambda seen: bool(seen.attachments) and len(seen.buttons) > 1, timeout=30)


async def answer(standin: StandIn, who: Member, channel: Channel, name: str, **options: Any) -> Any:
    return await (await standin.slash(who, channel, name, options=options)).message(10)


async def test_the_card_shows_the_picture_as_it_comes(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """With its step; a preview that has not changed is not sent again; the end takes its place."""
    easel.go.clear()
    easel.preview = a_webp("red")
    assert studio.guild is not None
    # Where pictures may be held, none is shown before it is done (tests/bot/test_moderation.py).
    await queue.server_settings.put(str(studio.guild.id), ServerSettings(hold_from=0), "mona")
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        asked = await standin.slash(ada, studio, "imagine", prompt="a red apple")
        first = await asked.wait_for(lambda seen: bool(seen.attachments), timeout=20)
        assert first.attachments[0].filename == "preview.webp"
        assert first.attachments[0].data == easel.preview
        assert first.attachments[0].description == "Drawn from the words: a red apple"
        assert "step 8 of 16" in first.content
        easel.preview = a_webp("blue")
        second = await asked.wait_for(lambda seen: seen.attachments[0].data == easel.preview, timeout=20)
        assert [button.emoji for button in second.buttons] == ["❌"]
        easel.go.set()
        end = await done(asked)
        await told(queue)
    assert [file.filename.rsplit(".", 1)[1] for file in end.attachments] == ["png"]
    sent = [state.attachments[0].id for state in asked.history if state.attachments]
    assert len(set(sent)) == 3


async def test_many_requests_of_one_prompt_are_asked_back_about(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """Up to four at once each get a message of their own; more want a yes, which works after a restart, and once."""
    async with a_worker(queue, easel, slots=8):
        async with a_bot(standin, queue, tmp_path):
            asked = await standin.slash(ada, studio, "imagine", prompt="a {red, green} {apple, pizza} --seed 4")
            await done(asked)
            for number in range(3):
                await asked.followup(number, lambda seen: len(seen.buttons) > 1, timeout=30)
            await told(queue)
            prompts = {request.prompt for request in easel.begun}
            assert prompts == {"a red apple", "a red pizza", "a green apple", "a green pizza"}
            assert {request.seed for request in easel.begun} == {4}
            many = await standin.slash(ada, studio, "imagine", prompt="a {red, green} apple", repeat=3)
            question = await many.message()
            assert question.ephemeral
            assert "6 requests" in question.content
        async with a_bot(standin, queue, tmp_path):
            assert len(easel.begun) == 4
            yes = await standin.click(ada, question, "Yes, queue them")
            await done(yes)
            await until(lambda: len(easel.begun) == 10)
            await told(queue)
            again = await standin.click(ada, question, "Yes, queue them")
            assert "done already" in (await again.message()).content
    assert len(easel.begun) == 10


async def test_a_request_begins_from_a_picture(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """Attached, linked, or by the menu of any message; from Discord's own servers alone."""
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        image = Upload(png(9, 64, 64))
        attached = await standin.slash(ada, studio, "imagine", prompt="a red apple --iw 2", image=image)
        seen = await done(attached)
        source = easel.begun[-1].source
        assert source is not None
        assert (source.use, source.strength) == ("vary", 0.36)
        assert Image.open(io.BytesIO(await queue._pictures.get(source.picture))).size == (64, 64)
        linked = await standin.slash(ada, studio, "imagine", prompt=f"{seen.attachments[0].url} a pizza")
        await done(linked)
        assert easel.begun[-1].prompt == "a pizza"
        assert easel.begun[-1].source is not None
        menu = await standin.menu(ada, "Use as image prompt", linked)
        started = await standin.submit(ada, menu, {"prompt": "a rocket --seed 3"})
        await done(started)
        assert (easel.begun[-1].prompt, easel.begun[-1].seed, easel.begun[-1].source is None) == ("a rocket", 3, False)
        for link in ("http://169.254.169.254/latest", "https://example.com/a.png", "http://[bad"):
            refused = await answer(standin, ada, studio, "imagine", prompt=f"{link} apple")
            assert "from Discord only" in refused.content, link
            assert refused.ephemeral
        broken = Upload(b"no picture at all")
        assert "no picture" in (await answer(standin, ada, studio, "imagine", prompt="x", image=broken)).content
        about_it = await standin.menu(ada, "Picture info", started)
        assert "a rocket --seed 3" in (await about_it.message()).content
    assert len(easel.begun) == 3


async def test_a_picture_is_a_prompt_where_the_model_reads_one(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """A model with an IP-Adapter is told how much the picture counts; the card of one without says what was done with
    it, and a request to workers that read none is as it ever was."""
    file = Upload(png(1, 96, 64), "mine.png")
    line = "it has no IP-Adapter"
    models = ("plain", "reading")
    async with a_worker(queue, easel, models=models, image_prompts=("reading",)), a_bot(standin, queue, tmp_path):
        for typed, scale, told_as in (
            ("a red apple --model reading", 0.6, "ip-adapter"),
            ("a red apple --iw 0.5 --model reading", 0.3, "ip-adapter"),
            ("a red apple", None, "begun from"),
        ):
            easel.metadata = {"model": "test", "image_prompt": told_as}
            asked = await standin.slash(ada, studio, "imagine", prompt=typed, image=file)
            seen = await asked.wait_for(lambda seen: bool(seen.attachments), timeout=30)
            source = easel.begun[-1].source
            assert source is not None
            assert (source.use, source.scale) == ("vary", scale)
            assert (line in seen.content) == (told_as == "begun from")
        await told(queue)


async def test_a_picture_says_where_things_are(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """--control with a picture reaches the worker, weighted or not; without a picture, or by another name, it is
    refused at once. /info and the option list what there is."""
    file = Upload(png(1, 96, 64), "mine.png")
    async with a_worker(queue, easel, controls=("canny", "depth")), a_bot(standin, queue, tmp_path):
        for typed, picture, says in (
            ("an apple --control canny", None, "needs a picture"),
            ("an apple --control pose", file, "ControlNet pose. There are: canny, depth"),
        ):
            given = {} if picture is None else {"image": picture}
            refused = await answer(standin, ada, studio, "imagine", prompt=typed, **given)
            assert says in refused.content
        for typed in ("canny", "depth:0.5"):
            asked = await standin.slash(ada, studio, "imagine", prompt=f"an apple --control {typed}", image=file)
            await asked.wait_for(lambda seen: bool(seen.attachments), timeout=30)
            assert easel.begun[-1].control == typed
            assert easel.begun[-1].source is not None
        info = (await answer(standin, ada, studio, "info")).content
        assert "with a picture): canny, depth" in info
        found = await standin.autocomplete(ada, studio, "imagine", focused="control", prompt="x", control="de")
        assert [choice.value for choice in await found.choices()] == ["depth"]
        await told(queue)
    assert len(easel.begun) == 2


async def test_lists_show_what_is_theirs(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """/queue mine, /show, /history with pages, /favourites, /info and what is suggested while typing."""
    assert studio.guild is not None
    eve = studio.guild.member("Eve")
    async with a_worker(queue, easel, slots=4):
        async with a_bot(standin, queue, tmp_path, WORDS):
            assert "no pictures yet" in (await answer(standin, ada, studio, "history")).content
            for number in range(8):
                await done(await standin.slash(ada, studio, "imagine", prompt=f"apple {number} --style noto"))
            await told(queue)
            opened = await standin.slash(ada, studio, "history")
            page = await opened.wait_for(lambda seen: bool(seen.attachments))
            assert page.ephemeral
            assert len(page.attachments) == 6
            assert "Your 8 pictures" in page.text
            assert page.text.index("apple 7") < page.text.index("apple 2")
            assert page.attachments[0].description == "Drawn from the words: apple 7"
        async with a_bot(standin, queue, tmp_path, WORDS):
            await standin.click(ada, page, "Older")
            older = await opened.wait_for(lambda seen: len(seen.attachments) == 2)
            assert "apple 0" in older.text
            one = await standin.click(ada, older, "2")
            shown = await one.wait_for(lambda seen: bool(seen.attachments))
            await standin.click(ada, shown, "❤️")

            async def liked() -> int:
                return (await queue.members.favourites(str(ada.id), 9))[1]

            await until(liked)
            favourites = await (await standin.slash(ada, studio, "favourites")).wait_for(
                lambda seen: bool(seen.attachments)
            )
            assert "apple 0" in favourites.text
            easel.go.clear()
            asked = await standin.slash(ada, studio, "imagine", prompt="a red apple")
            await asked.saw(lambda seen: "step" in seen.content)
            mine = await answer(standin, ada, studio, "queue mine")
            job = await only_job(queue)
            assert job.id[:8] in mine.content
            assert "being drawn" in mine.content
            assert mine.ephemeral
            assert "no jobs" in (await answer(standin, eve, studio, "queue mine")).content
            assert "being drawn" in (await answer(standin, ada, studio, "show", job=job.id[:12])).content
            assert "no job" in (await answer(standin, eve, studio, "show", job=job.id[:12])).content
            info = (await answer(standin, ada, studio, "info")).content
            assert "Requests of yours with pictures: 8" in info
            assert "Workers: 1; jobs at a time: 4" in info
            await standin.click(ada, mine, f"Cancel {job.id[:8]}")
            await asked.wait_for(lambda seen: "Cancelled" in seen.content)
            typed = await standin.autocomplete(ada, studio, "imagine", focused="prompt", prompt="apple 3")
            assert [choice.value for choice in await typed.choices()] == ["apple 3 --style noto"]
            aspects = await standin.autocomplete(ada, studio, "imagine", focused="aspect", prompt="x", aspect="16")
            assert [choice.value for choice in await aspects.choices()] == ["16:9", "9:16"]


async def test_info_lists_what_can_be_named(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """Models, fine-tunes with the words that they listen to, embeddings; a stranger's file writes no markup. The same
    names are suggested while typing."""
    worker = a_worker(
        queue, easel, models=("first", "turbo"), adapters=("ink", "oil"), triggers={"ink": "ink drawing @everyone"},
        embeddings=("easynegative",),
    )  # fmt: skip
    async with worker, a_bot(standin, queue, tmp_path):
        info = (await answer(standin, ada, studio, "info")).content
        assert "Models: first, turbo" in info
        assert "ink (say “ink drawing" in info
        assert "oil" in info.split("ink drawing")[1]
        assert "drawing @everyone" not in info
        assert "Embeddings, to be named in a prompt: easynegative" in info
        for option, typed, expected in (("model", "tur", ["turbo"]), ("lora", "", ["ink", "oil"])):
            asked = {"prompt": "x", option: typed}
            found = await standin.autocomplete(ada, studio, "imagine", focused=option, **asked)
            assert [choice.value for choice in await found.choices()] == expected


async def test_preferences_are_followed(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """Suffix, number, layout, direct message, language; a bad suffix is refused at once."""
    async with a_worker(queue, easel):
        async with a_bot(standin, queue, tmp_path):
            bad = await answer(standin, ada, studio, "prefer", suffix="--styel noto")
            assert "--style" in bad.content
            assert "nothing" in (await answer(standin, ada, studio, "prefer")).content
            set_ = await answer(
                standin, ada, studio, "prefer",
                suffix="at night --ar 3:2", layout="both", count=2, direct=True, language="zh-CN",
            )  # fmt: skip
            assert "你的偏好" in set_.content
        async with a_bot(standin, queue, tmp_path):
            asked = await standin.slash(ada, studio, "imagine", prompt="a red apple", seed=1)
            seen = await done(asked)
            await told(queue)
            assert easel.begun[-1].prompt == "a red apple at night"
            assert (easel.begun[-1].count, easel.begun[-1].width > easel.begun[-1].height) == (2, True)
            assert len(seen.attachments) == 3
            assert "引导强度" in seen.content
            assert seen.attachments[0].description.startswith("并排的 2 张图")
            assert "收藏" in [button.label for button in seen.buttons]
            copy = await standin.wait_for_message(standin.dm(ada), lambda message: bool(message.attachments))
            assert len(copy.attachments) == 3
            await answer(standin, ada, studio, "prefer", reset=True)
            assert queue.members.known(str(ada.id)) == Preferences()


async def test_private_pictures_never_come_into_the_channel(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """Only the member sees the card; after fifteen minutes the pictures come as a direct message."""
    await queue.members.prefer(str(ada.id), Preferences(private=True))
    async with a_worker(queue, easel):
        async with a_bot(standin, queue, tmp_path):
            quick = await standin.slash(ada, studio, "imagine", prompt="a red apple")
            assert (await done(quick)).ephemeral
            easel.go.clear()
            slow = await standin.slash(ada, studio, "imagine", prompt="a red pizza")
            assert (await slow.message()).ephemeral
            await told_but_one(queue)
        job = await only_job(queue)
        await queue.update_reply(job.id, {**job.reply, "received": job.reply["received"] - 960})
        standin.advance(960)
        async with a_bot(standin, queue, tmp_path):
            easel.go.set()
            sent = await standin.wait_for_message(standin.dm(ada), lambda seen: bool(seen.attachments), timeout=30)
            await told(queue)
    assert "a red pizza" in sent.content
    assert standin.messages(studio) == ()


async def told_but_one(queue: Queue) -> None:
    async def one_left() -> bool:
        return len(await queue.pending_notifications()) == 1

    await until(one_left)


async def test_an_archived_thread_gets_a_new_message(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """Discord takes no edits there (50083), but a new message opens it again; the buttons come with it."""
    easel.go.clear()
    async with a_worker(queue, easel):
        async with a_bot(standin, queue, tmp_path):
            asked = await standin.slash(ada, studio, "imagine", prompt="a red apple")
            await asked.saw(lambda seen: "step" in seen.content)
        job = await only_job(queue)
        await queue.update_reply(job.id, {**job.reply, "received": job.reply["received"] - 960})
        standin.advance(960)
        standin.fail("PATCH /channels/*/messages/*", status=400, code=50083, times=None)
        async with a_bot(standin, queue, tmp_path):
            easel.go.set()
            new = await standin.wait_for_message(studio, lambda seen: bool(seen.attachments), timeout=30)
            await told(queue)
            assert new.mentions == (ada.id,)
            assert "Remix" in [button.label for button in new.buttons]
            more = await standin.click(ada, new, "More")
            one = await standin.click(ada, await more.message(), "ℹ️")
            assert job.id[:16] in (await one.message()).content


async def test_a_user_installed_bot_answers_outside_its_servers(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path
) -> None:
    """In a server that it is not in, by the interaction alone; later by direct message."""
    guild = standin.guild("Elsewhere", has_bot=False)
    lobby = guild.channel("lobby")
    zoe = guild.member("Zoe")
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        asked = await standin.slash(zoe, lobby, "imagine", prompt="a red apple")
        await done(asked)
        more = await standin.click(zoe, asked, "More")
        shown = await standin.click(zoe, await more.message(), "ℹ️")
        assert (await shown.message()).ephemeral
        await told(queue)


async def test_it_speaks_the_members_language(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel
) -> None:
    """Card, refusal, buttons and commands in Simplified Chinese."""
    assert studio.guild is not None
    mei = studio.guild.member("Mei", locale="zh-CN")
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path, WORDS):
        easel.go.clear()
        asked = await standin.slash(mei, studio, "imagine", prompt="a red apple")
        assert (await asked.message()).buttons[0].label == "取消"
        await asked.saw(lambda seen: "共 16 步" in seen.content)
        easel.go.set()
        await done(asked)
        refused = await answer(standin, mei, studio, "imagine", prompt="a red apple --sed 3")
        assert "是不是想写 --seed" in refused.content
        assert "^" in refused.content
        command = standin.commands["imagine"]
        assert command["name_localizations"]["zh-CN"] == "画图"
        assert command["description_localizations"]["zh-CN"] == text("command.imagine", "zh-CN")


async def test_help_agrees_with_the_commands(
    standin: StandIn, queue: Queue, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """Every command, every flag and every button is explained, in messages that Discord takes."""
    async with a_bot(standin, queue, tmp_path):
        said = await answer(standin, ada, studio, "help")
        assert f"</imagine:{standin.commands['imagine']['id']}>" in said.content
        mei = ada.guild.member("Mei", locale="zh-CN")
        chinese = (await answer(standin, mei, studio, "help")).content
        assert f"</画图:{standin.commands['imagine']['id']}>" in chinese
        assert f"</队列 我的:{standin.commands['queue']['id']}>" in chinese
        asked = await standin.slash(ada, studio, "help", topic="commands")
        first = await asked.message()
        last = "**Picture info**"
        await until(lambda: last in first.content + "".join(message.content for message in asked.followups))
        whole = first.content + "".join(message.content for message in asked.followups)
        for name, command in standin.commands.items():
            if command["type"] == 1 and not any(option["type"] in (1, 2) for option in command.get("options", [])):
                assert f"</{name}:{command['id']}>" in whole
            elif command["type"] == 3:
                assert f"**{name}**" in whole
            for option in command.get("options", []):
                if option["type"] == 1:
                    assert f"</{name} {option['name']}:{command['id']}>" in whole
        flags = await answer(standin, ada, studio, "help", topic="flags")
        for flag in FLAGS:
            assert all(f"--{name}" in flags.content for name in flag.names)


@pytest.mark.parametrize("language", languages())
def test_help_is_short_enough(language: str) -> None:
    """Each topic in whole lines, each message within 2,000 characters."""
    from sourcekit import command_tree

    for topic in ("tour", "commands", "flags", "buttons"):
        found = pages(topic_lines(topic, command_tree(), language, {}))
        assert all(0 < len(page) <= 2000 for page in found)
        assert len(found) <= 3


async def test_several_shards_serve_their_own_servers(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path
) -> None:
    """Each server's interactions come by its own connection, each once; direct messages come by the first."""
    guilds = [standin.guild(f"G{number}") for number in range(4)]
    places = [(guild.channel("studio"), guild.member("Ada")) for guild in guilds]
    zoe = standin.user("Zoe")
    async with a_worker(queue, easel, slots=4), a_bot(standin, queue, tmp_path, shards=2):
        await standin.identified(2, timeout=30)
        assert sorted(session.shard or [] for session in standin.socket.attached) == [[0, 2], [1, 2]]
        asked = [await standin.slash(who, channel, "imagine", prompt="a red apple") for channel, who in places]
        asked.append(await standin.slash(zoe, standin.dm(zoe), "imagine", prompt="a red apple"))
        for one in asked:
            await done(one)
        await told(queue)
    assert len(easel.begun) == len(asked)
    assert all(len(one.arrivals) == 1 for one in asked)
