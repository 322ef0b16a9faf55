"""From /imagine to the finished message, and what is refused before.

Discord is the stand-in on real sockets, the queue is real (SQLite, nats-server), the worker paints plain pictures.
"""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from botkit import WORDS, Easel, a_bot, a_queue, a_worker, only_job, told
from PIL import Image
from standin.driver import StandIn
from standin.world import Channel, Member

from daguerre.queue.control.queue import Queue
from daguerre.queue.errors import BrokerUnavailable, StorageFull
from daguerre.queue.records.jobs import JobState

pytest_plugins = ("botfixtures",)


# ---- the way of one prompt


async def test_a_prompt_becomes_pictures_on_the_same_message(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """Acknowledged at once, edited while rendering, finished with PNGs, alt texts and seeds; nobody is pinged."""
    easel.go.clear()
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path, WORDS):
        asked = await standin.slash(ada, studio, "imagine", prompt="a *red* apple @everyone", count=2, seed=41)
        ack = await asked.ack()
        assert (ack.type, ack.ephemeral) == (4, False)
        assert ack.after < 3
        assert "Queued" in (await asked.message()).content

        await asked.saw(lambda seen: "step 8 of 16" in seen.content)
        easel.go.set()
        done = await asked.wait_for(lambda seen: bool(seen.attachments))
        await told(queue)

    assert len(asked.arrivals) == 1
    (picture,) = done.attachments
    assert picture.filename == "daguerre-41-grid.png"
    assert picture.description == "2 pictures side by side, drawn from the words: a *red* apple @everyone"
    opened = Image.open(io.BytesIO(picture.data))
    assert (opened.format, opened.size) == ("PNG", (516, 256))
    assert r"a \*red\* apple \@everyone" in done.content
    assert "seeds 41 to 42 · 256 × 256 · 16 steps" in done.content
    assert done.mentions == ()
    assert [button.label for button in done.buttons[:4]] == ["U1", "U2", "V1", "V2"]
    assert len(standin.messages(studio)) == 1


async def test_edits_are_rationed(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """However fast a worker reports, at most one status edit in an interval; the finished message does not wait."""
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path, edit_interval_seconds=30.0):
        for _ in range(3):
            asked = await standin.slash(ada, studio, "imagine", prompt="a red apple")
            await asked.wait_for(lambda seen: bool(seen.attachments))
            assert len(asked.history) <= 3


async def test_a_job_waits_visibly_for_a_worker(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """Without a worker the card says so; when one comes the same message is finished."""
    async with a_bot(standin, queue, tmp_path):
        asked = await standin.slash(ada, studio, "imagine", prompt="a red apple")
        assert "No worker is connected" in (await asked.message()).content
        async with a_worker(queue, easel):
            await asked.wait_for(lambda seen: bool(seen.attachments))


async def test_an_interaction_that_comes_twice_is_one_job(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """Discord may deliver an event again after a lost connection."""
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        asked = await standin.slash(ada, studio, "imagine", prompt="a red apple")
        standin.redeliver(asked)
        await asked.wait_for(lambda seen: bool(seen.attachments))
        standin.redeliver(asked)
        again = await standin.slash(ada, studio, "imagine", prompt="a red apple")
        await again.wait_for(lambda seen: bool(seen.attachments))
    assert len(easel.begun) == 2
    assert len(standin.messages(studio)) == 2
    assert len(asked.arrivals) == 1


async def test_it_works_in_private(standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path) -> None:
    """A direct message to the bot needs no server and no server's settings."""
    zoe = standin.user("Zoe")
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        asked = await standin.slash(zoe, standin.dm(zoe), "imagine", prompt="a red apple")
        await asked.wait_for(lambda seen: bool(seen.attachments))


async def test_unknown_words_are_named_and_the_rest_is_drawn(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """The card and the finished message both say what the model has not learnt."""
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path, WORDS):
        asked = await standin.slash(ada, studio, "imagine", prompt="an appel on a pizza")
        assert "“appel” (do you mean apple?)" in (await asked.message()).content
        done = await asked.wait_for(lambda seen: bool(seen.attachments))
    assert "“appel”" in done.content


# ---- the end of a job that made no picture


async def test_a_refused_job_says_why(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """The worker's code becomes a sentence, not a traceback, and the button goes."""
    easel.refuse("unheard of")
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        asked = await standin.slash(ada, studio, "imagine", prompt="a red apple")
        ended = await asked.wait_for(lambda seen: "Not rendered" in seen.content)
        await told(queue)
    assert "cannot render this request" in ended.content
    assert ended.buttons == ()


async def test_a_job_that_breaks_every_time_is_given_up_honestly(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """Three attempts, then a text with the job's number; nothing of the worker's error reaches the member."""
    easel.error = RuntimeError("inner secret")
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        asked = await standin.slash(ada, studio, "imagine", prompt="a red apple")
        await asked.message()
        job = await only_job(queue)
        ended = await asked.wait_for(lambda seen: "broke 3 times" in seen.content, timeout=20)
    assert job.id[:8] in ended.content
    assert "secret" not in ended.content


async def test_the_owner_cancels_with_the_button(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member, mona: Member
) -> None:
    """The member who asked and a moderator may; a stranger gets a private refusal and nothing happens."""
    assert studio.guild is not None
    eve = studio.guild.member("Eve")
    async with a_bot(standin, queue, tmp_path):
        first = await standin.slash(ada, studio, "imagine", prompt="a red apple")
        second = await standin.slash(ada, studio, "imagine", prompt="a red apple")
        await first.message()
        await second.message()

        stranger = await standin.click(eve, first, "❌")
        refusal = await stranger.followup() if stranger.followups else await stranger.message()
        assert refusal.ephemeral
        assert "Only the member who asked" in refusal.content
        assert (await queue.counts())[JobState.CANCELLED] == 0

        await standin.click(ada, first, "❌")
        await first.wait_for(lambda seen: "Cancelled" in seen.content)
        await standin.click(mona, second, "❌")
        await second.wait_for(lambda seen: "Cancelled" in seen.content)
        await told(queue)
    assert (await queue.counts())[JobState.CANCELLED] == 2


# ---- private refusals


async def test_nothing_is_queued_that_cannot_be_drawn(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """Whoever goes around Discord's own limits gets a private text that says what to change; no job is made."""
    cases = [
        ({"prompt": " \n "}, "prompt is empty"),
        ({"prompt": "x" * 1001}, "at most 1000"),
        ({"prompt": "apple", "count": 0}, "from 1 to 4"),
        ({"prompt": "apple", "count": 99}, "from 1 to 4"),
        ({"prompt": "apple", "seed": -1}, "from 0 to 4294967295"),
        ({"prompt": "zzzzqqqq xxxyyyzzz"}, "I know none of these words"),
    ]
    async with a_bot(standin, queue, tmp_path, WORDS):
        for options, says in cases:
            asked = await standin.slash(ada, studio, "imagine", checked=False, options=options)
            assert (await asked.ack()).ephemeral
            assert says in (await asked.message()).content
    assert await queue.pending_notifications() == []
    assert standin.messages(studio) == ()


async def test_a_bot_that_may_not_attach_files_says_so_before_rendering(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """Not after minutes of GPU time."""
    studio.bot_lacks = {"attach_files"}
    async with a_bot(standin, queue, tmp_path):
        asked = await standin.slash(ada, studio, "imagine", prompt="a red apple")
        assert (await asked.ack()).ephemeral
        assert "Attach Files" in (await asked.message()).content
    assert await queue.pending_notifications() == []


async def test_a_member_with_too_many_waiting_jobs_is_told_the_limit(
    standin: StandIn, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """The refusal is private, and the waiting jobs stay."""
    async with a_queue(tmp_path, max_queued_per_member=2) as queue, a_bot(standin, queue, tmp_path):
        for _ in range(2):
            await (await standin.slash(ada, studio, "imagine", prompt="a red apple")).message()
        asked = await standin.slash(ada, studio, "imagine", prompt="a red apple")
        assert (await asked.ack()).ephemeral
        assert "already have 2 jobs" in (await asked.message()).content
        assert len(await queue.pending_notifications()) == 2


async def test_a_bug_becomes_a_number_for_the_member_and_a_traceback_for_the_log(
    standin: StandIn,
    queue: Queue,
    tmp_path: Path,
    studio: Channel,
    ada: Member,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The prompt is in neither, even when the error quotes it."""

    async def broken(request: object, **_: object) -> None:
        raise RuntimeError(f"cannot store {request!r}")

    monkeypatch.setattr(queue, "submit", broken)
    async with a_bot(standin, queue, tmp_path):
        asked = await standin.slash(ada, studio, "imagine", prompt="a very private apple")
        said = await asked.message()
    number = said.content.split()[-1].strip(".")
    assert number in caplog.text
    assert "RuntimeError: (message withheld" in caplog.text
    assert "private apple" not in caplog.text + said.content


@pytest.mark.parametrize(("error", "says"), [(StorageFull(), "disk"), (BrokerUnavailable(), "cannot be reached")])
async def test_a_queue_in_trouble_is_a_private_refusal(
    error: Exception,
    says: str,
    standin: StandIn,
    queue: Queue,
    tmp_path: Path,
    studio: Channel,
    ada: Member,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Disk full or table away: the member learns that nothing was queued."""

    async def broken(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(queue, "submit", broken)
    async with a_bot(standin, queue, tmp_path):
        asked = await standin.slash(ada, studio, "imagine", prompt="a red apple")
        assert (await asked.ack()).ephemeral
        assert says in (await asked.message()).content
