"""When the answer to /imagine takes long: deferred in time, refused in private, taken back when it came too late."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from botkit import Easel, a_bot, a_worker, in_state, told, until
from standin.driver import StandIn
from standin.world import Channel, Member

from daguerre.bot.client import PARALLEL_SUBMITS, Backend
from daguerre.bot.connection import run_bot
from daguerre.bot.imagine.ask import DEFER_AFTER_SECONDS
from daguerre.bot.interaction.lag import Lag
from daguerre.bot.options import DiscordOptions
from daguerre.queue.control.queue import Queue
from daguerre.queue.errors import BrokerUnavailable, QueueFull
from daguerre.queue.records.jobs import JobState
from daguerre.queue.store.table import Ticket

#: Where messages behind the first answer go.
FOLLOWUP = "/webhooks/{webhook_id}/{webhook_token}"
pytest_plugins = ("botfixtures",)


class Held:
    """A queue's `submit`, held back while `go` is not set; counts how many waited inside it at once."""

    def __init__(self, queue: Queue) -> None:
        self.go = asyncio.Event()
        self.go.set()
        self.inside = self.most = 0
        self._submit = queue.submit

    async def __call__(self, *given: Any, **more: Any) -> Ticket:
        self.inside += 1
        self.most = max(self.most, self.inside)
        await self.go.wait()
        self.inside -= 1
        return await self._submit(*given, **more)


@pytest.fixture
def held(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> Held:
    made = Held(queue)
    monkeypatch.setattr(queue, "submit", made)
    return made


async def test_a_slow_disk_costs_no_interaction(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member, held: Held
) -> None:
    """Discord waits three seconds: when queueing takes longer, the answer is deferred first."""
    held.go.clear()
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        asked = await standin.slash(ada, studio, "imagine", prompt="a red apple")
        ack = await asked.ack()
        assert ack.type == 5
        assert ack.after < 3
        held.go.set()
        assert "a red apple" in (await asked.message()).content
        await asked.wait_for(lambda seen: bool(seen.attachments))


async def test_a_refusal_after_a_deferral_is_as_private_as_any(
    standin: StandIn, queue: Queue, tmp_path: Path, studio: Channel, ada: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The placeholder that all could see goes; only the member reads why."""

    async def late(*given: Any, **more: Any) -> Ticket:
        await asyncio.sleep(3 * DEFER_AFTER_SECONDS)
        raise QueueFull(5)

    monkeypatch.setattr(queue, "submit", late)
    async with a_bot(standin, queue, tmp_path):
        asked = await standin.slash(ada, studio, "imagine", prompt="a red apple")
        assert (await asked.ack()).type == 5
        sent = await until(lambda: [each for each in standin.requests if each.route == FOLLOWUP])
        assert [(each.body["flags"] & 64, "5" in each.body["content"]) for each in sent] == [(64, True)]
        assert not standin.messages(studio)


async def test_a_crowd_is_answered_at_once_and_queued_a_few_at_a_time(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member, held: Held
) -> None:
    """While the queue takes no more, those behind get their first answer all the same; then each gets its picture."""
    held.go.clear()
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        crowd = [
            await standin.slash(ada, studio, "imagine", prompt=f"apple {number}")
            for number in range(PARALLEL_SUBMITS + 4)
        ]
        acks = [await asked.ack() for asked in crowd]
        assert all(ack.type == 5 and ack.after < 2 for ack in acks)
        assert held.most == PARALLEL_SUBMITS
        held.go.set()
        for asked in crowd:
            await asked.wait_for(lambda seen: bool(seen.attachments))
        await told(queue)


async def test_one_that_has_waited_its_turn_is_deferred_at_once(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member, held: Held
) -> None:
    """Where many ask at once, Discord's three seconds have begun before the handler has."""
    async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
        await (await standin.slash(ada, studio, "imagine", prompt="a red apple")).message()
        held.go.clear()
        asked = await standin.slash(ada, studio, "imagine", prompt="a green apple", age=1.4)
        ack = await asked.ack()
        assert (ack.type, ack.after < 1.0) == (5, True)
        held.go.set()
        await asked.wait_for(lambda seen: bool(seen.attachments))
        await told(queue)


def test_lag_is_what_others_were_quicker_by() -> None:
    """The two clocks differ by 100 s here; the quickest interaction tells by how much."""
    lag = Lag()
    assert [round(lag.of(1000 + n, 900 + n + late), 3) for n, late in enumerate((0.5, 2.0, 0.1, 0.1, 1.1))] == [
        0, 1.5, 0, 0, 1.0,
    ]  # fmt: skip


async def test_a_queued_job_is_answered_even_when_its_place_is_unknown(
    standin: StandIn,
    queue: Queue,
    easel: Easel,
    tmp_path: Path,
    studio: Channel,
    ada: Member,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once it is queued, no trouble may make the answer say that it is not."""

    async def away(_: str) -> int:
        raise BrokerUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(queue, "position", away)
        async with a_bot(standin, queue, tmp_path):
            asked = await standin.slash(ada, studio, "imagine", prompt="a red apple")
            assert "Queued." in (await asked.message()).content
            async with a_worker(queue, easel):
                await asked.wait_for(lambda seen: bool(seen.attachments))


async def test_an_interaction_answered_too_late_is_taken_back(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """Discord has told the member that it failed, so nothing is rendered behind their back."""
    standin.fail("POST /interactions/*/*/callback", status=404, code=10062)
    async with a_bot(standin, queue, tmp_path):
        await standin.slash(ada, studio, "imagine", prompt="a red apple")
        await until(lambda: in_state(queue, JobState.CANCELLED))
        await told(queue)
    assert standin.messages(studio) == ()


async def test_rendered_before_it_was_answered_too_late_it_comes_as_a_message(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """The picture is there already: it is brought in a message of its own, once."""
    standin.slow("POST /interactions/*/*/callback", 3.0)
    standin.fail("POST /interactions/*/*/callback", status=404, code=10062)
    async with a_bot(standin, queue, tmp_path), a_worker(queue, easel):
        await standin.slash(ada, studio, "imagine", prompt="a red apple", away=True)
        await until(lambda: in_state(queue, JobState.DELIVERED))
        await told(queue)
    (seen,) = standin.messages(studio)
    assert seen.attachments
    assert f"<@{ada.user.id}>" in seen.content


async def test_a_bot_that_goes_leaves_nothing_untrue(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """The message of a job that runs says that the bot restarts, one waits stays; the next bot goes on with both."""
    easel.go.clear()
    async with a_worker(queue, easel):
        async with a_bot(standin, queue, tmp_path):
            runs = await standin.slash(ada, studio, "imagine", prompt="a red apple")
            await runs.saw(lambda seen: "step" in seen.content)
            waits = await standin.slash(ada, studio, "imagine", prompt="a pizza")
            assert "Queued" in (await waits.message()).content
        assert "restarting" in (await runs.message()).content
        assert "step" not in (await runs.message()).content
        assert "Queued" in (await waits.message()).content
        async with a_bot(standin, queue, tmp_path):
            await runs.saw(lambda seen: "step" in seen.content)
            easel.go.set()
            for asked in (runs, waits):
                assert "restarting" not in (await asked.wait_for(lambda seen: bool(seen.attachments))).content


async def test_while_it_stops_nothing_new_is_taken(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """Asked while its workers finish, the bot says privately that it restarts; what was asked before is delivered."""
    easel.go.clear()
    turn_away, leave, ready = asyncio.Event(), asyncio.Event(), asyncio.Event()
    options = DiscordOptions(api_base=standin.api_base, gateway=standin.gateway)
    async with a_worker(queue, easel):
        bot = asyncio.create_task(
            run_bot(options, standin.token, Backend(queue, tmp_path), leave, ready.set, turn_away)
        )
        await asyncio.wait_for(ready.wait(), 30)
        asked = await standin.slash(ada, studio, "imagine", prompt="a red apple")
        await asked.saw(lambda seen: "step" in seen.content)
        turn_away.set()
        late = await (await standin.slash(ada, studio, "imagine", prompt="a pizza")).message()
        assert (late.ephemeral, "restart" in late.content) == (True, True)
        easel.go.set()
        await asked.wait_for(lambda seen: bool(seen.attachments))
        leave.set()
        await bot
    assert len(standin.messages(studio)) == 1
