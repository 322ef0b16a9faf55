"""Two bots with one token: the later one is noticed, says so loudly and steps back; no prompt is drawn twice."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import pytest
from botkit import Easel, a_bot, a_queue, a_worker, in_state, until
from standin.driver import StandIn
from standin.world import Channel, Member

from daguerre.bot import token_lease
from daguerre.bot.errors import TokenInUse
from daguerre.bot.token_lease import HOLDER_FILE, TERM, holder_of, name_of, read_name
from daguerre.queue.control.queue import Queue
from daguerre.queue.records.jobs import JobState

pytest_plugins = ("botfixtures",)


def emoji(number: int, name: str) -> dict[str, Any]:
    """As Discord describes one."""
    return {
        "id": str(number), "name": name, "roles": [], "animated": False, "managed": False, "require_colons": True,
        "available": True,
    }  # fmt: skip


def leases(standin: StandIn) -> list[str]:
    return [str(emoji["name"]) for emoji in standin.world.application_emojis.values()]


async def test_the_later_of_two_bots_steps_back(
    standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """On another data folder, while the first one runs: it ends with what to do; the first goes on and draws once.
    When the first has gone, it may come in."""
    (tmp_path / "other").mkdir()
    async with a_queue(tmp_path / "other") as others:
        async with a_worker(queue, easel), a_bot(standin, queue, tmp_path):
            with pytest.raises(TokenInUse, match="token of its own"):
                async with a_bot(standin, others, tmp_path / "other"):
                    pass
            assert others.meters.registry.get_sample_value("daguerre_token_conflicts_total", {"sign": "lease"}) >= 1
            asked = await standin.slash(ada, studio, "imagine", prompt="a red apple")
            await asked.wait_for(lambda seen: bool(seen.attachments))
            assert len(easel.begun) == 1
            assert len(leases(standin)) == 1
        assert leases(standin) == [], "a bot that stops lets go at once"
        async with a_bot(standin, others, tmp_path / "other"):
            assert leases(standin)[0].startswith(f"daguerre_lease_{holder_of(tmp_path / 'other')}_")


async def test_a_restart_takes_over_at_once_and_another_host_when_the_lease_is_old(
    standin: StandIn, queue: Queue, tmp_path: Path
) -> None:
    """After a crash the lease is still there: the same data folder is known by its number, others wait for its end."""
    (tmp_path / "other").mkdir()
    now = time.time()
    standin.world.application_emojis[5] = emoji(5, name_of(holder_of(tmp_path), now - 10))
    async with a_queue(tmp_path / "other") as others:
        with pytest.raises(TokenInUse):
            async with a_bot(standin, others, tmp_path / "other"):
                pass
        async with a_bot(standin, queue, tmp_path):
            assert len(leases(standin)) == 1
        for old in (now - TERM - 1, now + 1e7):
            name = name_of(holder_of(tmp_path), old)
            standin.world.application_emojis[5] = emoji(5, name)
            async with a_bot(standin, others, tmp_path / "other"):
                assert name not in leases(standin)
                assert len(leases(standin)) == 1


async def test_of_two_that_came_together_the_first_stays(
    standin: StandIn, queue: Queue, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both hold a lease, as when Discord was in trouble at the start: at the next look the later one goes, the other
    says that there is another."""
    monkeypatch.setattr(token_lease, "RENEW", 0.1)

    async def both() -> None:
        async with a_bot(standin, queue, tmp_path) as bot:
            (mine,) = standin.world.application_emojis
            fresh = name_of("0badcafe", time.time())
            standin.world.application_emojis[mine + 1] = emoji(mine + 1, fresh)
            await until(lambda: "ANOTHER BOT RUNS WITH THIS TOKEN" in caplog.text)
            assert not bot.done()
            standin.world.application_emojis[mine - 1] = emoji(mine - 1, fresh)
            await until(bot.done)
            assert mine not in standin.world.application_emojis

    with pytest.raises(TokenInUse):
        await both()


@pytest.mark.parametrize("leased", [True, False])
async def test_an_interaction_that_another_bot_answered_is_not_drawn_here(
    leased: bool, standin: StandIn, queue: Queue, easel: Easel, tmp_path: Path, studio: Channel, ada: Member,
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Without a lease both get every interaction: who comes second learns it from Discord (40060), sees a job that is
    not its own in the answer, cancels what it had queued and says so loudly."""
    monkeypatch.setattr(token_lease, "TERM", 0.0)  # neither sees the other's
    (tmp_path / "other").mkdir()
    caplog.set_level(logging.INFO)
    async with (
        a_queue(tmp_path / "other") as others,
        a_worker(queue, easel),
        a_worker(others, easel),
        a_bot(standin, queue, tmp_path, token_lease=leased),
        a_bot(standin, others, tmp_path / "other", token_lease=leased),
    ):
        easel.go.clear()
        asked = await standin.slash(ada, studio, "imagine", prompt="a red apple")
        await until(lambda: "ANOTHER BOT ANSWERS WITH THIS TOKEN" in caplog.text)

        async def cancelled() -> int:
            return await in_state(queue, JobState.CANCELLED) + await in_state(others, JobState.CANCELLED)

        assert await until(cancelled) == 1
        easel.go.set()
        await asked.wait_for(lambda seen: bool(seen.attachments))
    assert len(standin.messages(studio)) == 1
    told = [each.meters.registry.get_sample_value("daguerre_token_conflicts_total", {"sign": "answered"}) or 0
            for each in (queue, others)]  # fmt: skip
    assert sorted(told) == [0, 1]


async def test_discord_in_trouble_keeps_no_bot_away(standin: StandIn, queue: Queue, tmp_path: Path) -> None:
    """Where the application's emojis cannot be read, nothing is known of others, and the bot works."""
    standin.fail("GET /applications/*/emojis", status=403)
    async with a_bot(standin, queue, tmp_path):
        pass


def test_names_and_numbers(tmp_path: Path) -> None:
    """A name is read back as it was written, other emojis are nobody's lease, and Discord takes it: 32 characters."""
    name = name_of("0123abcd", 1_800_000_000.9)
    assert read_name(name) == ("0123abcd", 1_800_000_000.0)
    assert len(name_of("0123abcd", 4_000_000_000)) <= 32
    for other in ("camera", "daguerre_lease_0123abcd", "daguerre_lease_0123abcg_1", None):
        assert read_name(other) is None
    first = holder_of(tmp_path)
    assert holder_of(tmp_path) == first == (tmp_path / HOLDER_FILE).read_text()
    (tmp_path / HOLDER_FILE).write_text("what")
    assert holder_of(tmp_path) != "what"
