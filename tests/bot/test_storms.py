"""Storms: rate limits over many jobs, Discord in trouble for long, sessions that break while a job runs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from botkit import WORDS, Easel, a_bot, a_worker, told, until
from standin.driver import StandIn
from standin.world import Channel, Member

from daguerre.queue.control.queue import Queue

pytest_plugins = ("botfixtures",)
ORIGINAL = "PATCH /webhooks/*/*/messages/@original"


async def finished(asked: Any) -> Any:
    return await asked.wait_for(lambda seen: bool(seen.attachments) and len(seen.buttons) > 1, timeout=30)


@pytest.mark.parametrize("scope", ["global", "shared"])
async def test_every_answer_survives_a_storm_of_rate_limits(
    scope: str, standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """Six jobs end in it: each message is finished, once, and Discord is not asked more often than it allows."""
    easel.go.clear()
    async with a_worker(queue, easel, slots=6), a_bot(standin, queue, tmp_path):
        asked = [await standin.slash(ada, studio, "imagine", prompt="a red apple", seed=seed) for seed in range(6)]
        for one in asked:
            await one.saw(lambda seen: "step" in seen.content)
        storm = standin.rate_limit(ORIGINAL, retry_after=0.3, times=9, scope=scope)
        easel.go.set()
        done = [await finished(one) for one in asked]
        await told(queue)
    assert storm.hits == 9
    assert [seen.attachments[0].filename for seen in done] == [f"daguerre-{seed}.png" for seed in range(6)]
    assert len(standin.messages(studio)) == 6
    assert standin.rest.limits.refusals == 0


async def test_previews_slow_down_for_everyone_and_finals_do_not(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """One global 429 holds the previews of all jobs for as long as it says; what is done goes out before them."""
    easel.go.clear()
    async with a_worker(queue, easel, slots=4), a_bot(standin, queue, tmp_path, WORDS):
        asked = [await standin.slash(ada, studio, "imagine", prompt="a red apple", seed=seed) for seed in range(4)]
        for one in asked:
            await one.saw(lambda seen: "step" in seen.content)
        # The next preview that is sent meets it; its job then waits, and so do the others.
        limit = standin.rate_limit(ORIGINAL, retry_after=2.0, scope="global")
        easel.preview = b"\xff\xd8\xff\xe0preview"
        await limit.hit(timeout=20)
        await asyncio.sleep(0.4)  # Those that were on their way already arrive.
        before = len(standin.calls(ORIGINAL))
        await asyncio.sleep(1.0)
        assert len(standin.calls(ORIGINAL)) == before
        easel.go.set()
        for one in asked:
            await finished(one)
        await told(queue)
    last = {request.path: request for request in standin.calls(ORIGINAL)}
    assert len(last) == 4
    assert all(request.files and not request.files[0].filename.startswith("preview") for request in last.values())


async def test_previews_obey_the_headers_without_ever_being_refused(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """Discord's buckets are small and true here: no request of a whole job meets a 429."""
    easel.go.clear()
    async with a_worker(queue, easel, slots=2), a_bot(standin, queue, tmp_path, WORDS):
        asked = [await standin.slash(ada, studio, "imagine", prompt="a red apple", seed=seed) for seed in range(2)]
        for number in range(3):
            easel.preview = b"\xff\xd8\xff\xe0" + bytes([number])
            await asyncio.sleep(0.9)
        easel.go.set()
        for one in asked:
            await finished(one)
        await told(queue)
    previews = [request for request in standin.calls(ORIGINAL) if request.files]
    assert any(request.files[0].filename == "preview.jpg" for request in previews)
    assert standin.rest.limits.refusals == 0


@pytest.mark.parametrize("status", [500, 503])
async def test_an_answer_outlasts_long_trouble_of_discord(
    status: int, standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """More failures than discord.py itself tries: the answer waits and comes, on the same message."""
    easel.go.clear()
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        asked = await standin.slash(ada, studio, "imagine", prompt="a red apple")
        await asked.saw(lambda seen: "step" in seen.content)
        standin.advance(901)  # discord.py's own pauses are shorter for the bot's edit than for the webhook.
        fault = standin.fail("PATCH /channels/*/messages/*", status=status, times=2)
        easel.go.set()
        await finished(asked)
        await told(queue)
    assert fault.hits == 2
    assert len(standin.messages(studio)) == 1


@pytest.mark.parametrize("how", ["op 7", "op 9, resumable", "op 9", "forgotten"])
async def test_a_session_that_breaks_in_mid_job_costs_nothing(
    how: str, standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """The picture comes while the gateway is away, for answers need REST alone; a press meanwhile is answered after."""
    easel.go.clear()
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        asked = await standin.slash(ada, studio, "imagine", prompt="a red apple", count=2)
        await asked.saw(lambda seen: "step" in seen.content)
        identified, resumed = standin.identifies, standin.resumes
        match how:
            case "op 7":
                standin.reconnect_gateway()
            case "op 9, resumable" | "op 9":
                standin.invalidate_session(resumable=how != "op 9")
            case _:
                standin.socket.forget()
                standin.drop_gateway()
        easel.go.set()
        done = await finished(asked)
        await until(lambda: standin.identifies > identified or standin.resumes > resumed, 30)
        await standin.connected(timeout=30)
        again = how in ("op 9", "forgotten")
        assert (standin.identifies > identified) == again
        await finished(await standin.click(ada, done, "V1"))
        await told(queue)
    assert len(asked.arrivals) == 1
    assert len(standin.messages(studio)) == 2
