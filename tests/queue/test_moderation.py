"""What moderators decide holds at the gate before the queue, on every path, on a real queue (SQLite, nats-server)."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from queuekit import asked
from sqlalchemy import func, select, text

from daguerre.queue.control.queue import Queue
from daguerre.queue.control.service import open_queue
from daguerre.queue.errors import QueueFull
from daguerre.queue.moderation.gate import Forbidden
from daguerre.queue.moderation.options import ModerationOptions
from daguerre.queue.moderation.rules import Action, checked_rule
from daguerre.queue.options import QueueOptions
from daguerre.queue.records.requests import ImageRequest, Part
from daguerre.queue.store.schema import JOBS
from daguerre.queue.store.server_settings import ServerSettings

OPERATOR = ModerationOptions(rules=("accursed", "re:evil (cat|dog)"), allowed_servers=("1", "2"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def queue(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Queue]:
    async with open_queue(QueueOptions(), tmp_path_factory.mktemp("queue"), moderation=OPERATOR) as opened:
        yield opened


#: One server for each test, so that they do not disturb each other.
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def ask(queue: Queue, request: ImageRequest, server: str = "1", member: str = "m", **more: Any) -> ImageRequest:
    """Submit; gives the request as it was queued."""
    key = f"{time.time_ns()}"
    ticket = await queue.submit(request, key=key, member=member, server=server, reply={}, **more)
    return (await queue.job(ticket.job.id)).request


async def refused(queue: Queue, request: ImageRequest, server: str = "1", member: str = "m", **more: Any) -> Forbidden:
    before = await queue.counts()
    with pytest.raises(Forbidden) as caught:
        await ask(queue, request, server, member, **more)
    assert await queue.counts() == before
    return caught.value


@pytest.mark.parametrize(
    "request_",
    [
        asked("an accursed apple"),
        asked("an apple", negative="a c c u r s e d"),
        asked("an apple", parts=(Part(text="an apple"), Part(text="accurs3d", weight=-1))),
        asked("an apple", parts=(Part(text="accu"), Part(text="rsed"))),
        asked("an apple, accu", negative="rsed, clouds"),
        asked("rsed apple", negative="clouds accu"),
        asked("an apple", style="accursed"),
        asked("an EVIL dog"),
        asked("pornography"),
    ],
    ids=[
        "prompt",
        "negative",
        "part",
        "across parts",
        "from prompt to negative",
        "from negative to prompt",
        "style",
        "expression",
        "shipped list",
    ],
)
async def test_rules_hold_on_every_path_that_brings_text(queue: Queue, request_: ImageRequest) -> None:
    assert (await refused(queue, request_)).code == "refused.rule"


async def test_ends_that_meet_make_no_word_of_two(queue: Queue) -> None:
    """`pen` and `is` are words of their own, whichever text each ends or begins."""
    await ask(queue, asked("a red pen", negative="is blurry"))
    await ask(queue, asked("a bunch of grape", negative="seed"))


async def test_a_server_cannot_switch_the_operators_rules_off(queue: Queue) -> None:
    """Only the shipped list."""
    await queue.server_settings.put("2", ServerSettings(default_rules=False), "mona")
    await ask(queue, asked("a nude statue"), "2")
    await refused(queue, asked("an accursed statue"), "2")


async def test_only_the_operators_servers_are_served(queue: Queue) -> None:
    """This machine's own API and direct messages are always his."""
    assert (await refused(queue, asked(), "3")).code == "refused.server"
    await ask(queue, asked(), "local")
    await ask(queue, asked(), "dm")


async def test_clamps_bring_down_what_is_asked_beyond_them(queue: Queue) -> None:
    """The picture keeps its shape; what lies within stays."""
    clamps = ServerSettings(most_steps=8, most_guidance=4, most_size=256, most_count=2, label=True)
    await queue.server_settings.put("2", clamps, "mona")
    drawn = await ask(queue, asked(steps=50, guidance=9.0, width=1024, height=512, count=4), "2")
    assert (drawn.steps, drawn.guidance, drawn.width, drawn.height, drawn.count) == (8, 4.0, 256, 128, 2)
    assert drawn.label
    small = await ask(queue, asked(steps=4, guidance=2.0, width=64, height=192), "2")
    assert (small.steps, small.guidance, small.width, small.height, small.count) == (4, 2.0, 64, 192, 1)


async def test_models_and_styles_outside_the_list_are_refused(queue: Queue) -> None:
    await queue.server_settings.put("2", ServerSettings(models=frozenset({"a"}), styles=frozenset({"noto"})), "mona")
    assert (await refused(queue, asked(model="b"), "2")).values["allowed"] == "a"
    assert (await refused(queue, asked(style="blob"), "2")).code == "refused.style"
    assert (await ask(queue, asked(model="a", style="noto"), "2")).model == "a"


async def test_replace_changes_the_prompt_before_it_is_queued(queue: Queue) -> None:
    rule = checked_rule(pattern="grubby", action=Action.REPLACE, replacement="tidy")
    await queue.moderation.store.add_rule("1", rule, "mona")
    assert (await ask(queue, asked("a g.r.u.b.b.y fox", negative="grubby"))).prompt == "a tidy fox"
    assert (await refused_empty(queue)).code == "refused.rule"


async def refused_empty(queue: Queue) -> Forbidden:
    """Nothing is left of the prompt."""
    await queue.moderation.store.add_rule("1", checked_rule(pattern="vanish", action=Action.REPLACE), "mona")
    return await refused(queue, asked("vanish"))


async def test_hold_and_spoiler_stand_on_the_job_before_a_worker_can_have_it(queue: Queue) -> None:
    store = queue.moderation.store
    await store.add_rule("1", checked_rule(pattern="dubious", action=Action.HOLD), "mona")
    await store.add_rule("1", checked_rule(pattern="surprise", action=Action.SPOILER), "mona")
    ticket = await queue.submit(asked("a dubious surprise"), key="hs", member="m", server="1", reply={})
    marks = await store.marks(ticket.job.id)
    assert (marks.review, marks.spoiler) == ("held", True)
    assert await queue.moderation.held(ticket.job.id, "1", {})
    assert await store.reviewed(ticket.job.id, "released")
    assert not await store.reviewed(ticket.job.id, "rejected")
    assert not await queue.moderation.held(ticket.job.id, "1", {"scores": [0.99]})


async def test_a_job_whose_marks_cannot_be_written_is_not_there(queue: Queue) -> None:
    """Else a worker could have a request to be reviewed, and nothing would say so."""
    await queue.moderation.store.add_rule("1", checked_rule(pattern="dubious", action=Action.HOLD), "mona")
    database = queue.moderation.database
    refuse = "CREATE TRIGGER full BEFORE INSERT ON job_marks BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
    jobs = select(func.count()).select_from(JOBS)
    async with database.write() as connection:
        await connection.execute(text(refuse))
        before = (await connection.execute(jobs)).scalar_one()
    with pytest.raises(Exception, match="the disk is full"):
        await queue.submit(asked("a dubious day"), key="half", member="m", server="1", reply={})
    async with database.write() as connection:
        assert (await connection.execute(jobs)).scalar_one() == before
        await connection.execute(text("DROP TRIGGER full"))
    again = await queue.submit(asked("a dubious day"), key="half", member="m", server="1", reply={})
    assert (await queue.moderation.store.marks(again.job.id)).review == "held"


async def test_warnings_end_in_a_timeout_and_a_doubled_interaction_counts_once(queue: Queue) -> None:
    await queue.moderation.store.add_rule("1", checked_rule(pattern="rudeword", action=Action.WARN), "mona")
    await queue.server_settings.put("1", ServerSettings(warnings=2, timeout_minutes=5), "mona")
    first = asked("a rudeword")
    for _ in range(3):
        with pytest.raises(Forbidden) as warned:
            await queue.submit(first, key="once", member="rude", server="1", reply={})
        assert (warned.value.code, warned.value.values["count"]) == ("refused.warned", 1)
    last = await refused(queue, first, member="rude")
    assert last.code == "refused.warned.out"
    assert 280 < last.values["until"] - time.time() <= 300
    assert (await refused(queue, asked("an apple"), member="rude")).code == "refused.banned.until"
    await ask(queue, asked("an apple"), member="polite")


@pytest.mark.parametrize(("kind", "subject"), [("member", "b"), ("role", "77"), ("server", "2")])
async def test_bans_by_member_role_and_server(queue: Queue, kind: Any, subject: str) -> None:
    """They hold where they were spoken, until they end or are lifted; each stands in the log."""
    store = queue.moderation.store
    server = "" if kind == "server" else "2"
    await store.ban(server, kind, subject, "mona", until=None)
    assert (await refused(queue, asked(), "2", "b", roles=["77"])).code == "refused.banned"
    await ask(queue, asked(), "1", "b", roles=["77"])
    assert await store.lift(server, kind, subject, "mona")
    await ask(queue, asked(), "2", "b", roles=["77"])
    await store.ban(server, kind, subject, "mona", until=time.time() - 1)
    await ask(queue, asked(), "2", "b", roles=["77"])
    assert [entry.action for entry in await queue.moderation.audit.entries(server)][-3:] == ["ban", "ban.lift", "ban"]


async def test_a_servers_quota_grants_and_lanes(tmp_path: Path) -> None:
    """Roles have their own; what is granted is beyond; nobody gets more than the operator gives."""
    async with open_queue(QueueOptions(daily_seconds_per_member=1000), tmp_path) as own:
        server = ServerSettings(daily_seconds=1, roles=("7 daily_seconds=60 weight=3",), fast_roles=frozenset({"7"}))
        await own.server_settings.put("1", server, "mona")
        with pytest.raises(QueueFull) as full:
            await ask(own, asked(steps=100, width=512, height=512))
        assert (full.value.scope, full.value.limit) == ("daily", 1)
        await own.moderation.store.grant("1", "m", 500, "mona")
        ticket = await own.submit(asked(steps=100, width=512, height=512), key="g", member="m", server="1", reply={})
        assert ticket.job.priority == "relax"
        special = await own.submit(asked(steps=10), key="r", member="n", server="1", reply={}, roles=["7"])
        assert (special.job.priority, special.job.weight) == ("fast", 3)


async def test_a_high_score_holds_a_job_unless_the_channel_is_relaxed(queue: Queue) -> None:
    """At the server's threshold exactly; 0 switches it off."""
    moderation = queue.moderation
    await queue.server_settings.put("2", ServerSettings(hold_from=50), "mona")
    assert not await moderation.held("a" * 32, "2", {"scores": [0.49]})
    assert await moderation.held("a" * 32, "2", {"scores": [0.1, 0.5]})
    assert (await moderation.store.marks("a" * 32)).review == "held"
    await moderation.store.mark("b" * 32, relaxed=True)
    assert not await moderation.held("b" * 32, "2", {"scores": [0.9]})
    await queue.server_settings.put("2", ServerSettings(hold_from=0), "mona")
    assert not await moderation.held("c" * 32, "2", {"scores": [1.0]})
