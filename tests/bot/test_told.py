"""What is said of a picture repeats it: Info, details, the history, Remix; and who waits long is told."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import Any

import pytest
from botkit import Easel, a_bot, a_worker, only_job, told, until
from PIL import Image
from standin.driver import StandIn
from standin.records import SeenMessage
from standin.tracks import InteractionRecord
from standin.world import Channel, Member, Upload

from daguerre.queue.control.queue import Queue
from daguerre.queue.records.jobs import Job, Rendered
from daguerre.queue.records.requests import ImageRequest, Source, image_request
from daguerre.queue.store.members import Preferences
from daguerre.queue.store.server_settings import ServerSettings
from daguerre.queue.worker.settings import JobContext

pytest_plugins = ("botfixtures",)


class Drafting(Easel):
    """Says of a draft what a student does."""

    async def __call__(self, request: ImageRequest, context: JobContext) -> Rendered:
        rendered = await super().__call__(request, context)
        about = {"steps": 4, "guidance": 1.0} if request.draft else {}
        return Rendered(rendered.pictures, {**rendered.metadata, **about}, rendered.seconds)


async def finished(asked: InteractionRecord) -> SeenMessage:
    return await asked.wait_for(lambda seen: bool(seen.attachments) and len(seen.buttons) > 1, timeout=30)


async def info(standin: StandIn, who: Member, message: Any) -> str:
    more = await standin.click(who, message, "More")
    return (await (await standin.click(who, await more.message(), "Info")).message()).content


async def newest(queue: Queue, member: Member) -> Job:
    return (await queue.members.last_requests(str(member.id)))[0]


async def test_what_info_says_draws_the_same_picture_again(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """Beside the defaults of the server where it is read, also after those were changed; suggestions likewise."""
    assert studio.guild is not None
    server = str(studio.guild.id)
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        first = await finished(await standin.slash(ada, studio, "imagine", prompt="a red apple", seed=5))
        await queue.server_settings.put(server, ServerSettings(steps=40, guidance=5.0), "mona")
        said = (await info(standin, ada, first)).split("```")[1].strip()
        assert "--steps 16" in said
        again = await finished(await standin.slash(ada, studio, "imagine", prompt=said))
        assert again.attachments[0].data == first.attachments[0].data
        assert easel.begun[0] == easel.begun[1]
        typed = await standin.autocomplete(ada, studio, "imagine", focused="prompt", prompt="a red")
        assert ["--steps 16" in str(choice.value) for choice in await typed.choices()] == [True]
        await told(queue)


async def test_a_draft_says_how_it_was_drawn(
    standin: StandIn, queue: Queue, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """The student's steps and guidance, on the message and in Info, not those that were asked for."""
    async with a_worker(queue, Drafting()), a_bot(standin, queue, tmp_path):
        seen = await finished(await standin.slash(ada, studio, "imagine", prompt="a red apple --draft"))
        assert "4 steps · guidance 1" in seen.content
        assert "4 steps · guidance 1" in await info(standin, ada, seen)
        await told(queue)


async def test_the_history_has_every_picture_of_a_grid(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """Also once its message was deleted; pages count pictures, and none stands on two of them."""
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        for seed in (10, 20):
            asked = await standin.slash(ada, studio, "imagine", prompt="a red apple", count=4, seed=seed)
            await finished(asked)
            await standin.click(ada, asked, "🗑️")
            await until(lambda: not [seen for seen in standin.messages(studio) if not seen.ephemeral])
        await told(queue)
        opened = await standin.slash(ada, studio, "history")
        page = await opened.wait_for(lambda seen: bool(seen.attachments))
        assert ("Your 8 pictures" in page.text, len(page.attachments)) == (True, 6)
        await standin.click(ada, page, "Older")
        older = await opened.wait_for(lambda seen: len(seen.attachments) == 2)
        keys = [str(button.custom_id) for seen in (page, older) for button in seen.buttons if ":use:" in f"{button}"]
        assert len(set(keys)) == len(keys) == 8
        one = await standin.click(ada, older, "2")
        assert (await finished(one)).attachments[0].filename == "daguerre-13.png"


async def test_remix_leaves_nothing_out(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """Braces, --r, --relax, --iw and a link are read in the form as behind /imagine; many are asked back about."""
    picture = io.BytesIO()
    Image.new("RGB", (64, 64), "green").save(picture, "PNG")
    await queue.members.prefer(str(ada.id), Preferences(suffix="--no worm"))
    async with a_worker(queue, easel, slots=4), a_bot(standin, queue, tmp_path):
        shown = await finished(
            await standin.slash(
                ada, studio, "imagine", prompt="a red apple --iw 2 --relax", image=Upload(picture.getvalue(), "p.png")
            )
        )
        await told(queue)
        before = await newest(queue, ada)
        assert before.request.source is not None

        async def remixed(typed: str) -> InteractionRecord:
            form = await standin.click(ada, shown, "Remix")
            return await standin.submit(ada, form, {"prompt": typed})

        opener = await standin.click(ada, shown, "Remix")
        filled = (await opener.modal()).inputs[0].component["component"]["value"]
        assert filled == "a red apple --no worm --iw 2 --relax"
        await finished(await remixed("a {red, green} apple --r 2 --iw 0.5"))
        await until(lambda: len(easel.begun) == 5)
        await told(queue)
        assert sorted(request.prompt for request in easel.begun[1:]) == ["a green apple"] * 2 + ["a red apple"] * 2
        kept = {(one.source.picture, one.source.strength) for one in easel.begun[1:] if one.source is not None}
        assert kept == {(before.request.source.picture, 0.775)}
        assert {one.negative for one in easel.begun[1:]} == {""}, "what was taken out of the form is not put in again"
        await finished(await remixed("a red pizza --relax"))
        assert (await newest(queue, ada)).priority == "relax"
        link = shown.attachments[0].url
        await finished(await remixed(f"{link} a blue pizza"))
        job = await newest(queue, ada)
        assert job.request.source is not None
        assert job.request.source.picture not in (before.request.source.picture, "")
        origin = await queue.members.origin(job.id)
        assert (origin is not None and (origin.parent, origin.action)) == (before.id, "remix")
        question = await (await remixed("a {1, 2, 3} {apple, pizza}")).message()
        assert "6" in question.content
        await standin.click(ada, question, "Yes, queue them")
        await until(lambda: len(easel.begun) == 13)
        await told(queue)
        assert all(one.source == before.request.source for one in easel.begun[-6:])


@pytest.mark.parametrize("minutes", [3, 0, 60])
async def test_who_waited_long_is_mentioned(
    minutes: int, standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """An edited message tells nobody, so a reply to it does, after three minutes or as preferred; once."""
    await queue.members.prefer(str(ada.id), Preferences(mention=minutes))
    easel.go.clear()
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        quick = await standin.slash(ada, studio, "imagine", prompt="a red apple")
        await quick.saw(lambda seen: "step" in seen.content)
        job = await only_job(queue)
        await queue._table._run(_older(job.id), {})
        easel.go.set()
    async with a_bot(standin, queue, tmp_path):
        await finished(quick)
        await told(queue)
    pings = [seen for seen in standin.messages(studio) if seen.mentions == (ada.id,)]
    assert len(pings) == (1 if minutes == 3 else 0)
    if pings:
        assert pings[0].reference == quick.history[0].id
        assert "your picture is ready" in pings[0].content


def _older(job: str) -> Any:
    from sqlalchemy import update

    from daguerre.queue.store.schema import JOBS

    return update(JOBS).where(JOBS.c.id == job).values(created=time.time() - 200)


def test_the_weight_of_a_picture_can_be_said_again() -> None:
    """Of one that was sent; a variation has none, and 1 is what is usual."""
    from daguerre.queue.asking import said_again

    def weight(source: Source) -> float | None:
        return said_again(image_request(prompt="x", seed=1, source=source), ServerSettings()).image_weight

    sent = f"sources/{'0' * 64}.webp"
    assert weight(Source(picture=sent, strength=0.36)) == 2
    assert weight(Source(picture=sent, strength=0.6)) is None
    assert weight(Source(picture=sent, strength=1.0)) == 0
    assert weight(Source(picture=f"{'0' * 32}/0.png", strength=0.35)) is None
