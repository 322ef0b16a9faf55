"""The answer outlasts trouble: rate limits, cut connections, closed ways, restarts and kills.

Discord is the stand-in on real sockets, the queue is real (SQLite, nats-server), the worker paints plain pictures.
"""

from __future__ import annotations

import asyncio
import io
import sys
from pathlib import Path

import pytest
from botkit import Easel, a_bot, a_queue, a_worker, in_state, told, until
from PIL import Image
from standin.driver import StandIn
from standin.world import Channel, Member

from daguerre.queue.control.queue import Queue
from daguerre.queue.records.jobs import JobState

pytest_plugins = ("botfixtures",)
ORIGINAL = "PATCH /webhooks/*/*/messages/@original"


# ---- Discord in trouble


@pytest.mark.parametrize("trouble", ["429", "500", "cut before", "cut after"])
async def test_the_answer_outlasts_trouble(
    trouble: str, standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """Rate limits, server errors and cut connections delay the finished message; it still arrives once."""
    easel.go.clear()
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        asked = await standin.slash(ada, studio, "imagine", prompt="a red apple")
        await asked.saw(lambda seen: "step" in seen.content)
        match trouble:
            case "429":
                fault = standin.rate_limit(ORIGINAL, retry_after=0.2)
            case "500":
                fault = standin.fail(ORIGINAL, status=500)
            case _:
                fault = standin.drop(ORIGINAL, after=trouble == "cut after")
        easel.go.set()
        await asked.wait_for(lambda seen: bool(seen.attachments))
        await told(queue)
    assert fault.hits == 1
    assert len(standin.messages(studio)) == 1
    assert len((await asked.message()).attachments) == 1


async def test_a_first_answer_whose_connection_is_cut_is_given_again(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """Whether or not Discord heard the first try, there is one message in the end."""
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        for after in (False, True):
            standin.drop("POST /interactions/*/*/callback", after=after)
            asked = await standin.slash(ada, studio, "imagine", prompt="a red apple")
            await asked.wait_for(lambda seen: bool(seen.attachments))
        await told(queue)
    assert len(standin.messages(studio)) == 2


async def test_a_picture_that_is_too_large_is_made_smaller(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """413 counts, whatever limit Discord named: packed PNG is next, then WebP, then JPEG; the message says which."""
    easel.go.clear()
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        asked = await standin.slash(ada, studio, "imagine", prompt="a red apple", seed=3)
        await asked.saw(lambda seen: "step" in seen.content)
        fault = standin.fail(ORIGINAL, status=413, code=40005, times=3)
        easel.go.set()
        done = await asked.wait_for(lambda seen: bool(seen.attachments))
        await told(queue)
    assert fault.hits == 3
    assert done.attachments[0].filename == "daguerre-3.jpg"
    assert Image.open(io.BytesIO(done.attachments[0].data)).format == "JPEG"
    assert "Sent as JPEG" in done.content


async def test_a_picture_that_never_fits_ends_with_what_to_do(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """Where Discord takes no file at all, the member learns why there is no picture."""
    standin.upload_limit = 10
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        asked = await standin.slash(ada, studio, "imagine", prompt="a red apple")
        ended = await asked.wait_for(lambda seen: "rendered, but" in seen.content)
        await told(queue)
    assert "smaller size" in ended.content


async def test_an_expired_token_is_replaced_by_the_bots_own_edit(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """After 15 minutes Discord answers 401 to the token; the same message is finished all the same."""
    easel.go.clear()
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        asked = await standin.slash(ada, studio, "imagine", prompt="a red apple")
        await asked.saw(lambda seen: "step" in seen.content)
        standin.advance(901)
        easel.go.set()
        await asked.wait_for(lambda seen: bool(seen.attachments))
        await told(queue)
    assert len(standin.messages(studio)) == 1
    assert standin.calls("PATCH /channels/*/messages/*")


async def test_a_deleted_message_is_replaced_by_one_that_mentions_the_member(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """Both ways of editing are closed then. The new message pings the one who asked, and nobody else."""
    easel.go.clear()
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        asked = await standin.slash(ada, studio, "imagine", prompt="a red apple")
        await asked.saw(lambda seen: "step" in seen.content)
        standin.delete(asked)
        easel.go.set()
        answer = await standin.wait_for_message(studio, lambda seen: bool(seen.attachments))
        await told(queue)
    assert answer.mentions == (ada.user.id,)
    assert answer.nonce


async def test_a_new_message_whose_answer_is_lost_is_not_posted_twice(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """It carries a nonce that Discord remembers."""
    easel.go.clear()
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        asked = await standin.slash(ada, studio, "imagine", prompt="a red apple")
        await asked.saw(lambda seen: "step" in seen.content)
        standin.delete(asked)
        fault = standin.drop("POST /channels/*/messages", after=True)
        easel.go.set()
        await told(queue)
    assert fault.hits == 1
    assert len([seen for seen in standin.messages(studio) if not seen.deleted]) == 1


async def test_a_closed_channel_is_replaced_by_a_direct_message(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """The last way."""
    easel.go.clear()
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        asked = await standin.slash(ada, studio, "imagine", prompt="a red apple")
        await asked.saw(lambda seen: "step" in seen.content)
        standin.delete(asked)
        studio.delete()
        easel.go.set()
        answer = await standin.wait_for_message(standin.dm(ada), lambda seen: bool(seen.attachments))
        await told(queue)
    assert answer.mentions == (ada.user.id,)


async def test_when_every_way_is_closed_the_log_says_so(
    standin: StandIn,
    queue: Queue,
    easel: Easel,
    tmp_path: Path,
    studio: Channel,
    ada: Member,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The job counts as told: nobody can be, and no restart will change that."""
    ada.user.accepts_dms = False
    easel.go.clear()
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        asked = await standin.slash(ada, studio, "imagine", prompt="a red apple")
        await asked.saw(lambda seen: "step" in seen.content)
        standin.delete(asked)
        studio.bot_lacks = {"send_messages"}
        easel.go.set()
        await told(queue)
    assert "its answer is given up" in caplog.text


# ---- restarts


async def test_a_restart_in_between_finishes_the_same_message_once(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """The address of the answer lies in the job table."""
    easel.go.clear()
    async with a_worker(queue, easel):
        async with a_bot(standin, queue, tmp_path):
            asked = await standin.slash(ada, studio, "imagine", prompt="a red apple")
            await asked.saw(lambda seen: "step" in seen.content)
        async with a_bot(standin, queue, tmp_path):
            await standin.connected()
            easel.go.set()
            await asked.wait_for(lambda seen: bool(seen.attachments))
            await told(queue)
        async with a_bot(standin, queue, tmp_path):
            await standin.connected()
    assert len(asked.arrivals) == 1
    assert len(standin.messages(studio)) == 1
    assert standin.command_writes == 1


async def test_a_bot_killed_in_mid_render_leaves_no_message_unfinished(
    standin: StandIn, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """kill -9 of the whole control process; the next one finishes the same message, once."""
    here = str(Path(__file__).parents[1] / "support" / "botkit.py")
    where = (str(tmp_path), standin.api_base, standin.gateway, standin.token)
    process = await asyncio.create_subprocess_exec(sys.executable, here, *where)
    try:
        await standin.connected(timeout=60)
        asked = await standin.slash(ada, studio, "imagine", prompt="a red apple")
        await asked.message()
    finally:
        process.kill()
        await process.wait()
    await standin.disconnected()
    async with a_queue(tmp_path) as queue, a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        await asked.wait_for(lambda seen: bool(seen.attachments))
        await told(queue)
    assert len(asked.arrivals) == 1
    assert len(standin.messages(studio)) == 1


async def test_what_was_rendered_while_the_bot_was_away_is_delivered_at_its_start(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """Even more than 15 minutes later."""
    async with a_bot(standin, queue, tmp_path):
        asked = await standin.slash(ada, studio, "imagine", prompt="a red apple")
        await asked.message()
    async with a_worker(queue, easel):
        await until(lambda: in_state(queue, JobState.RENDERED))
    standin.advance(901)
    async with a_bot(standin, queue, tmp_path):
        await asked.wait_for(lambda seen: bool(seen.attachments))
        await told(queue)
    assert len(asked.arrivals) == 1


async def test_a_button_works_after_a_restart(
    standin: StandIn, queue: Queue, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """It carries its job, so the new process needs no memory of it."""
    async with a_bot(standin, queue, tmp_path):
        asked = await standin.slash(ada, studio, "imagine", prompt="a red apple")
        await asked.message()
    async with a_bot(standin, queue, tmp_path):
        await standin.click(ada, asked, "❌")
        await asked.wait_for(lambda seen: "Cancelled" in seen.content)
        again = await standin.click(ada, asked, "❌") if (await asked.message()).buttons else None
    assert again is None


async def test_a_gateway_that_restarts_is_taken_up_again(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """Discord restarts its gateways often: resumed, and commands work again."""
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        standin.reconnect_gateway()
        await standin.resumed(1)
        standin.drop_gateway()
        await standin.resumed(2)
        asked = await standin.slash(ada, studio, "imagine", prompt="a red apple")
        await asked.wait_for(lambda seen: bool(seen.attachments))
