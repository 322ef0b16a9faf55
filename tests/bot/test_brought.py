"""Pictures that members bring to the bot: their shape, what cannot be read, and the part that will be redrawn."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from botkit import Easel, a_bot, a_worker
from PIL import Image
from standin.driver import StandIn
from standin.tracks import InteractionRecord
from standin.world import Channel, Member, Upload

from daguerre.bot.imagine.wishes import orders
from daguerre.queue.asking import Beginning, like
from daguerre.queue.control.queue import Queue
from daguerre.queue.prompt.grammar import MalformedPrompt, Wish, parse, say
from daguerre.queue.records.jobs import Job
from daguerre.queue.store.server_settings import ServerSettings

pytest_plugins = ("botfixtures",)


def file(picture: Image.Image, kind: str = "PNG", **settings: Any) -> bytes:
    written = io.BytesIO()
    picture.save(written, kind, **settings)
    return written.getvalue()


async def newest(queue: Queue, member: Member) -> Job:
    return (await queue.members.last_requests(str(member.id)))[0]


async def redraw(standin: StandIn, who: Member, message: InteractionRecord) -> InteractionRecord:
    """The form behind More."""
    more = await standin.click(who, message, "More")
    return await standin.click(who, await more.message(), "Redraw a part")


async def finished(asked: InteractionRecord) -> Any:
    return await asked.wait_for(lambda seen: bool(seen.attachments) and bool(seen.buttons[1:]), timeout=30)


@pytest.mark.parametrize(
    ("shape", "ratio"),
    [
        ((300, 200), (300, 200)),
        ((20_000, 16), (4, 1)),
        ((16, 20_000), (1, 4)),
        ((8, 8), (8, 8)),
        ((400, 100), (400, 100)),
    ],
)
def test_the_shape_that_a_picture_asks_for(shape: tuple[int, int], ratio: tuple[int, int]) -> None:
    """Its own, as far as pictures may be wide or tall."""
    assert like(shape) == ratio


def test_a_request_takes_the_shape_of_its_picture() -> None:
    """Unless another shape is asked for; then it is cropped, or padded by choice."""
    settings = ServerSettings()

    def made(typed: str, shape: tuple[int, int]) -> Any:
        return orders([parse(typed)], settings, Beginning(picture="sources/x.webp", shape=shape))[0].request

    wide = made("a cat", (1024, 512))
    assert abs(wide.width / wide.height - 2) < 0.2
    tall = made("a cat", (512, 1024))
    assert (tall.width, tall.height) == (wide.height, wide.width)
    assert wide.source.fit == "crop"
    assert "fit" not in wide.source.model_dump(), "workers of an earlier version do not know it"
    square = made("a cat --fit pad", (1024, 512))
    assert (square.width, square.height, square.source.fit) == (256, 256, "pad")
    assert square.source.model_dump()["fit"] == "pad"
    assert made("a cat --fit crop", (1024, 512)).width == 256
    chosen = made("a cat --ar 1:2", (1024, 512))
    assert (chosen.width < chosen.height, chosen.source.fit) == (True, "crop")


def test_the_flag() -> None:
    """Two words, and nothing else."""
    assert parse("a cat --fit pad") == Wish(prompt="a cat").saying(fit="pad")
    assert parse(say(parse("a cat --fit crop"))).fit == "crop"
    with pytest.raises(MalformedPrompt):
        parse("a cat --fit stretch")


async def test_pictures_of_every_shape_and_kind(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """What a phone or an editor makes is drawn from, in its shape; what cannot be read is named."""

    def grey(size: tuple[int, int]) -> Image.Image:
        return Image.new("L", size, 90)

    sixteen = Image.fromarray(np.full((40, 60), 0x8000, np.uint16))
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        for name, data, wide in (
            ("sixteen.png", file(sixteen), True),
            ("tiny.png", file(grey((8, 8))), None),
            ("panorama.png", file(grey((20_000, 16))), True),
            ("phone.jpg", file(grey((6_048, 8_064)), "JPEG", quality=40), False),
            ("print.jpg", file(Image.new("CMYK", (60, 40)), "JPEG"), True),
            ("new.avif", file(Image.new("RGB", (40, 60)), "AVIF"), False),
        ):
            asked = await standin.slash(ada, studio, "imagine", prompt="a red apple", image=Upload(data, name))
            await finished(asked)
            request = (await newest(queue, ada)).request
            shape = None if request.width == request.height else request.width > request.height
            assert shape is wide, name
            assert request.source is not None
            if name == "sixteen.png":
                with Image.open(io.BytesIO(await queue.source(request.source.picture))) as kept:
                    assert kept.convert("L").getpixel((5, 5)) == 128
        for name, data, words in (
            ("phone.heic", b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(99), "HEIC"),
            ("large.png", file(grey((8_000, 7_000))), "50 million"),
            ("line.png", file(grey((3, 90))), "at least 4 pixels"),
            ("cut.png", file(Image.effect_noise((200, 200), 90))[:3_000], "damaged"),
            ("notes.txt", b"hello", "PNG, JPEG, WebP, GIF and AVIF"),
        ):
            refused = await standin.slash(ada, studio, "imagine", prompt="a red apple", image=Upload(data, name))
            told = await refused.wait_for(lambda seen, words=words: words in seen.content)
            assert told.ephemeral, name


async def test_a_member_sees_what_will_be_redrawn(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member, mona: Member
) -> None:
    """A copy of the picture with a hole in it: the hole is shown in red, privately; turned round, the rest is; only
    then a job is made, once, and by nobody else."""
    async with a_worker(queue, easel):
        async with a_bot(standin, queue, tmp_path):
            single = await standin.slash(ada, studio, "imagine", prompt="a red apple", seed=3)
            await finished(single)
            before = await newest(queue, ada)
            hole = Image.new("RGBA", (512, 512), (9, 9, 9, 255))
            hole.paste((255, 255, 255, 0), (0, 0, 256, 512))
            form = await redraw(standin, ada, single)
            given = {"prompt": "a worm", "mask": [Upload(file(hole), "hole.png")]}
            proposed = await standin.submit(ada, form, given)
            shown = await proposed.wait_for(lambda seen: bool(seen.attachments))
            assert shown.ephemeral
            assert "red" in shown.content
            assert shown.attachments[0].description
            assert [button.label for button in shown.buttons] == ["Redraw it", "The other way round"]
            assert redder(shown.attachments[0].data) == (True, False)
            assert (await newest(queue, ada)).id == before.id, "nothing is drawn before it was seen"

            turned = await standin.click(ada, proposed, "The other way round")
            now = await turned.wait_for(
                lambda seen: bool(seen.attachments) and redder(seen.attachments[0].data) == (False, True)
            )
            assert now.ephemeral
        # The question outlives the process.
        async with a_bot(standin, queue, tmp_path):
            await finished(await standin.click(ada, turned, "Redraw it"))
            job = await newest(queue, ada)
            assert job.request.source is not None
            assert (job.request.prompt, job.request.source.use) == ("a worm", "inpaint")
            with Image.open(io.BytesIO(await queue.source(job.request.source.mask))) as mask:
                assert mask.size == (job.request.width, job.request.height)
                assert (mask.convert("L").getpixel((10, 10)), mask.convert("L").getpixel((250, 10))) == (0, 255)
            again = await standin.click(ada, turned, "Redraw it")
            await again.wait_for(lambda seen: "done already" in seen.content)
            assert (await newest(queue, ada)).id == job.id


async def test_a_mask_that_says_nothing(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """A picture without a hole, or none at all, is refused with what to do."""
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        single = await standin.slash(ada, studio, "imagine", prompt="a red apple", seed=3)
        await finished(single)
        for data, words in ((file(Image.new("RGB", (64, 64))), "Erase that part"), (b"hello", "no picture")):
            form = await redraw(standin, ada, single)
            refused = await standin.submit(ada, form, {"prompt": "a worm", "mask": [Upload(data, "mask.png")]})
            told = await refused.wait_for(lambda seen, words=words: words in seen.content)
            assert told.ephemeral


def redder(data: bytes) -> tuple[bool, bool]:
    """Whether the left and the right half are coloured."""
    with Image.open(io.BytesIO(data)) as picture:
        red = np.asarray(picture.convert("RGB")).astype(int)[..., 0] - np.asarray(picture.convert("RGB"))[..., 1]
    half = red.shape[1] // 2
    return bool(red[:, : half - 8].mean() > 80), bool(red[:, half + 8 :].mean() > 80)
