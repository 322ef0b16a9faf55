"""/queue for moderators, exactly-once new messages, previews that give way: against the stand-in Discord."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace
from pathlib import Path

import pytest
from botkit import Easel, a_bot, a_worker, only_job, told, until
from PIL import Image
from standin.driver import StandIn
from standin.world import Channel, Member

from daguerre.bot.faults import explain
from daguerre.bot.message.address import Address
from daguerre.bot.message.cards import live_card
from daguerre.bot.message.rate_limit import MOST, YIELD, RateLimiter, bucket_of
from daguerre.queue.control.queue import Queue
from daguerre.queue.dispatch.explain import Why
from daguerre.queue.dispatch.fair import Ahead
from daguerre.queue.errors import QueueFull
from daguerre.queue.records.jobs import JobState

pytest_plugins = ("botfixtures",)


# ---- moderators


async def test_moderators_steer_their_servers_jobs(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member, mona: Member
) -> None:
    """Status, pause and resume, the dead list, retry and cancel; privately, for their own server alone."""
    easel.error = ValueError("broken")
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):

        async def answer(name: str, **options: object) -> str:
            seen = await (await standin.slash(mona, studio, f"queue {name}", options=options)).message()
            assert seen.ephemeral
            return seen.text

        assert "Waiting: 0" in await answer("status")
        assert "Paused" in await answer("pause")
        asked = await standin.slash(ada, studio, "imagine", prompt="a red apple")
        await asked.wait_for(lambda seen: "paused" in seen.text)
        assert "The queue is paused" in await answer("status")
        job = await only_job(queue)
        await answer("resume")
        await asked.wait_for(lambda seen: "given up" in seen.text, 30)
        await told(queue)
        assert job.id[:16] in await answer("dead")
        easel.error = None
        assert "tried again" in await answer("retry", job=job.id[:16])
        await asked.wait_for(lambda seen: bool(seen.attachments), 30)
        await told(queue)
        assert "nothing to try again" in await answer("retry", job=job.id[:16])
        assert "No job of this server" in await answer("cancel", job="ffffffff")
        other = await queue.submit(job.request, key="elsewhere", member="x", server="another", reply={})
        assert "No job of this server" in await answer("cancel", job=other.job.id)
        assert "No connected worker" in await answer("drain", worker="nobody")
        held = await standin.slash(ada, studio, "queue pause", checked=False)
        assert "Manage Messages" in (await held.message()).text
        assert "One worker finishes" in await answer("drain")
        async with asyncio.timeout(20):
            while await queue.workers():  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    assert len(asked.arrivals) == 1


async def test_workers_that_other_servers_use_are_not_for_one_servers_moderators(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, mona: Member
) -> None:
    """Draining them is refused where the bot is in a second server; they go on."""
    standin.guild("Elsewhere")
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        refused = await standin.slash(mona, studio, "queue drain")
        assert "Other servers use these workers" in (await refused.message()).text
        assert len(await queue.workers()) == 1


# ---- exactly once


async def test_a_message_posted_before_a_crash_is_found_and_not_posted_again(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """Posted, then killed before it was noted; hours later Discord has forgotten the nonce. The job id in our own
    recent message says that the member has it."""
    easel.go.clear()
    async with a_worker(queue, easel):
        async with a_bot(standin, queue, tmp_path):
            asked = await standin.slash(ada, studio, "imagine", prompt="a red apple")
            await asked.saw(lambda seen: "step" in seen.content)
            job = await only_job(queue)
            standin.delete(asked)
            easel.go.set()
            answer = await standin.wait_for_message(studio, lambda seen: bool(seen.attachments))
            await told(queue)
            noted = Address.of((await queue.job(job.id)).reply)
            assert noted is not None
            assert (noted.message, noted.posting) == (answer.id, None)
        # As if killed between Discord's answer and the note.
        before = replace(noted, message=None, posting=studio.id)
        async with queue._database.write() as connection:
            from sqlalchemy import text

            await connection.execute(text("UPDATE jobs SET told = 0, state = 'rendered'"))
        await queue.update_reply(job.id, before.reply())
        standin.advance(3600)
        async with a_bot(standin, queue, tmp_path):
            await told(queue)
    with_pictures = [seen for seen in standin.messages(studio) if seen.attachments and not seen.deleted]
    assert [seen.id for seen in with_pictures] == [answer.id]
    assert job.id in answer.content
    assert (await queue.job(job.id)).state is JobState.DELIVERED


async def test_a_posted_message_keeps_its_mention_and_number_when_it_is_edited(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """Posted and noted, then killed before it counted as told: the next process edits that message, and it still says
    for whom it is and which job it shows."""
    easel.go.clear()
    async with a_worker(queue, easel):
        async with a_bot(standin, queue, tmp_path):
            asked = await standin.slash(ada, studio, "imagine", prompt="a red apple")
            await asked.saw(lambda seen: "step" in seen.content)
            number = (await only_job(queue)).id
            standin.delete(asked)
            easel.go.set()
            answer = await standin.wait_for_message(studio, lambda seen: bool(seen.attachments))
            await told(queue)
        job, said = await queue.job(number), answer.content
        noted = Address.of(job.reply)
        assert noted is not None
        assert (noted.message, noted.posted) == (answer.id, True)
        async with queue._database.write() as connection:
            from sqlalchemy import text

            await connection.execute(text("UPDATE jobs SET told = 0, state = 'rendered'"))
        standin.advance(3600)
        async with a_bot(standin, queue, tmp_path):
            await told(queue)
    (kept,) = [seen for seen in standin.messages(studio) if seen.attachments and not seen.deleted]
    assert (kept.id, kept.content) == (answer.id, said)
    assert f"<@{ada.id}>" in kept.content
    assert job.id in kept.content
    assert kept.state, "nobody edited it"


# ---- previews


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


HEADERS = {"X-RateLimit-Remaining": "1", "X-RateLimit-Reset-After": "1.5"}


def test_previews_leave_the_last_request_of_a_bucket_to_the_final() -> None:
    """One left: they wait until the bucket is full again; other buckets are not concerned."""
    clock = Clock()
    pace = RateLimiter(clock)
    pace.heard("/api/v10/webhooks/1/token/messages/@original", 200, HEADERS)
    assert pace.wait("webhooks/1/token") == 1.5
    assert pace.wait("webhooks/1/other") == 0
    clock.now += 1.6
    assert pace.wait("webhooks/1/token") == 0


def test_finals_overtake_previews() -> None:
    """While one is on its way, no preview sets out; finals themselves never ask."""
    pace = RateLimiter(Clock())
    with pace.final():
        assert pace.wait("channels/1") == YIELD
        with pace.final():
            pass
        assert pace.wait("channels/1") == YIELD
    assert pace.wait("channels/1") == 0


def test_all_previews_together_keep_to_a_rate() -> None:
    """So many a second over all jobs; after each complaint half as many, then slowly more again."""
    clock = Clock()
    pace = RateLimiter(clock)

    def sent_in_a_second() -> int:
        end, number = clock.now + 1.0, 0
        while clock.now < end:
            pause = pace.wait(f"channels/{number}")
            number += pause == 0
            clock.now += max(pause, 1e-6)
        return number

    assert sent_in_a_second() == pytest.approx(MOST, abs=2)
    pace.heard("/api/v10/channels/1/messages", 429, {"Retry-After": "0.5", "X-RateLimit-Scope": "user"})
    pace.heard("/api/v10/channels/1/messages", 429, {"Retry-After": "0.5", "X-RateLimit-Scope": "user"})
    assert sent_in_a_second() == pytest.approx(MOST / 4, abs=2)
    clock.now += 60
    assert sent_in_a_second() == pytest.approx(MOST, abs=2)


def test_a_global_limit_holds_all_previews() -> None:
    """A 429 that is not one route's own, or without headers at all, as from Cloudflare."""
    clock = Clock()
    pace = RateLimiter(clock)
    pace.heard("/api/v10/channels/1/messages", 429, {"Retry-After": "3", "X-RateLimit-Global": "true"})
    assert pace.wait("channels/2") == 3.0
    clock.now += 3.1
    assert pace.wait("channels/2") == 0


def test_buckets_are_told_by_the_address() -> None:
    """A token of an interaction, or a channel."""
    assert bucket_of("/api/v10/webhooks/12/abc-D/messages/@original") == "webhooks/12/abc-D"
    assert bucket_of("/api/v10/channels/34/messages/56") == "channels/34"
    assert bucket_of("/api/v10/users/@me") == ""


async def test_the_headers_of_discord_arrive(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """What discord.py hides is heard from its session: buckets of the interaction's token are known."""
    heard: list[str] = []
    original = RateLimiter.heard

    def note(self: RateLimiter, path: str, status: int, headers: object) -> None:
        heard.append(bucket_of(path))
        original(self, path, status, headers)  # type: ignore[arg-type]

    monkeypatch.setattr(RateLimiter, "heard", note)
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        asked = await standin.slash(ada, studio, "imagine", prompt="a red apple")
        await asked.wait_for(lambda seen: bool(seen.attachments))
        await told(queue)
    assert any(bucket.startswith("webhooks/") for bucket in heard)


async def test_many_live_jobs_are_never_refused_by_discord(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel
) -> None:
    """Twelve jobs tell their steps at once, and all pictures come; the stand-in counts no 429."""
    assert studio.guild is not None
    members = [studio.guild.member(f"M{number}") for number in range(12)]
    async with a_worker(queue, easel, slots=12), a_bot(standin, queue, tmp_path):
        easel.go.clear()
        asked = []
        for who in members:
            asked.append(await standin.slash(who, studio, "imagine", prompt="a red apple"))
            await asked[-1].ack(30)
        await asyncio.gather(*(one.saw(lambda seen: "step" in seen.content, 60) for one in asked))
        easel.go.set()
        for one in asked:
            await one.wait_for(lambda seen: bool(seen.attachments), 60)
        await told(queue)
    assert standin.rest.limits.refusals == 0
    picture = (await asked[0].message()).attachments[0]
    assert Image.open(io.BytesIO(picture.data)).format == "PNG"


# ---- texts


def test_the_card_says_why_and_for_how_long() -> None:
    """Place, time and whose jobs by class; a pause and a missing kind of worker too. Never a name."""
    from sourcekit import a_job

    ahead = Ahead(own=1, server=2, others=3, cost=100.0)
    card = live_card(a_job(), place=7, workers=1, why=Why("line", 6, ahead, 130.0, 140.0))
    assert "place 7, about 2 min. Before you: 1 of yours, 2 from this server, 3 from other servers" in card.content
    paused = live_card(a_job(), place=1, workers=1, why=Why("server_paused", 0, Ahead(), None, None))
    assert "paused" in paused.content
    unfit = live_card(a_job(), place=1, workers=1, why=Why("no_fitting_worker", 0, Ahead(), None, None))
    assert "can draw this" in unfit.content


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        (QueueFull(3), "already have 3 jobs"),
        (QueueFull(5, "server"), "5 jobs of this server"),
        (QueueFull(9, "total"), "9 jobs are waiting"),
        (QueueFull(60.0, "daily", resets=1_795_392_000.0), "60 seconds of drawing.*<t:1795392000:R>"),
    ],
)
def test_refusals_name_the_limit_and_when_it_ends(refusal: QueueFull, said: str) -> None:
    """Discord shows the time in the member's own zone."""
    import re

    assert re.search(said, explain(refusal))


async def test_a_relaxed_job_is_in_its_lane(
    standin: StandIn, queue: Queue, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """/imagine relaxed:True."""
    async with a_bot(standin, queue, tmp_path):
        await (await standin.slash(ada, studio, "imagine", prompt="a red apple", relaxed=True)).message()
        job = await until(lambda: only_job(queue))
    assert job.priority == "relax"
