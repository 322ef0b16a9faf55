"""The whole house under fire: stand-in Discord here, control, nats-server and workers as processes of their own."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from standin.driver import StandIn
from standin.tracks import InteractionRecord
from standin.world import Channel, Member

from .child import Child, Nursery
from .plan import Fault
from .proxy import Proxy

WORKERS = 3
#: Faults that may be at work at the same time.
AT_ONCE = 2
#: Seconds that a process may take to come up on a busy machine.
MOST_SECONDS = 180.0
#: Ways of Discord's answers that get lost after the work is done.
ANSWERS = ("PATCH /webhooks/*/*/messages/@original", "POST /interactions/*/*/callback", "POST /channels/*/messages")


@dataclass
class Verdict:
    """What came of a campaign."""

    faults: Counter[str] = field(default_factory=Counter[str])
    struck_in: Counter[str] = field(default_factory=Counter[str])
    jobs: int = 0
    delivered: int = 0
    #: Jobs that did not end with their pictures, and those whose pictures came in more than one message.
    lost: list[str] = field(default_factory=list[str])
    doubled: list[str] = field(default_factory=list[str])
    #: Messages that members saw and that never became an answer.
    unanswered: int = 0
    retried: int = 0
    seconds: float = 0.0


class House:
    """Everything that can be hurt."""

    def __init__(self, standin: StandIn, folder: Path, seed: int) -> None:
        self.standin = standin
        self.folder = folder
        self.data = folder / "data"
        self.data.mkdir()
        guild = standin.guild("Darkroom")
        self.channel: Channel = guild.channel("studio")
        self.members: list[Member] = [guild.member(name) for name in ("Ada", "Bob", "Cleo")]
        self.asked: list[InteractionRecord] = []
        self._chance = random.Random(seed)
        self._nursery = Nursery(folder / "log")
        self._control: Child | None = None
        self._workers: list[Child | None] = [None] * WORKERS
        self._proxies: list[Proxy] = []
        self._address = ""
        self._token = ""
        #: Two faults may be at work at the same time, but not on the same victim.
        self._victims: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    # Up and down

    async def up(self) -> None:
        await self._nursery.open()
        await self.start_control()
        port = int(self._address.rpartition(":")[2])
        for number in range(WORKERS):
            proxy = Proxy(port)
            await proxy.start()
            self._proxies.append(proxy)
            await self.start_worker(number)

    async def start_control(self) -> None:
        """One that gives up, because nats-server is frozen just then, is started again, as a supervisor would."""
        where = (str(self.data), self.standin.api_base, self.standin.gateway, self.standin.token)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            self._control = child = await self._nursery.bear("control", *where)
            while child.alive and child.pid not in self._nursery.ready:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            if child.pid in self._nursery.ready:
                self._address, self._token = self._nursery.ready[child.pid]
                return
        raise AssertionError("no control process came up")

    async def start_worker(self, number: int) -> None:
        self._workers[number] = await self._nursery.bear(
            "painter", self._proxies[number].url, self._token, f"painter {number}"
        )

    async def down(self) -> None:
        for child in (*self._workers, self._control):
            if child is not None:
                child.send(signal.SIGCONT)
                await child.kill()
        with suppress(OSError, ValueError):
            os.kill(self._nats(), signal.SIGCONT)
            os.kill(self._nats(), signal.SIGKILL)
        for proxy in self._proxies:
            await proxy.stop()
        await self._nursery.close()

    def _nats(self) -> int:
        return int((self.data / "nats" / "nats-server.pid").read_text())

    # Asking for pictures

    async def ask(self, number: int) -> None:
        """Some members type /imagine."""
        for _ in range(number):
            member = self._chance.choice(self.members)
            self.asked.append(
                await self.standin.slash(
                    member, self.channel, "imagine", away=True, prompt=f"a red apple {len(self.asked)}",
                    seed=len(self.asked), count=self._chance.choice((1, 1, 2)),
                )
            )  # fmt: skip

    def states(self) -> Counter[str]:
        """How many jobs are in each state, read beside the control process."""
        with suppress(sqlite3.Error):
            reader = sqlite3.connect(f"file:{self.data / 'daguerre.db'}?mode=ro", uri=True, timeout=1)
            try:
                return Counter(dict(reader.execute("SELECT state, count(*) FROM jobs GROUP BY state")))
            finally:
                reader.close()
        return Counter()

    # Faults

    async def strike(self, fault: Fault) -> str:
        """Wait a moment for a job in the wanted state, then hurt something; gives the state that was met."""
        what, _, whom = fault.kind.partition(" ")
        victim = f"worker {fault.worker}" if whom == "worker" else whom
        async with self._victims[victim]:
            deadline = time.monotonic() + 0.5
            while not self.states()[fault.state] and time.monotonic() < deadline:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            met = fault.state if self.states()[fault.state] else "another"
            match what, whom:
                case "kill", "control":
                    assert self._control is not None
                    await self._control.kill()
                    await asyncio.sleep(fault.seconds / 3)
                    await self.start_control()
                    await self.standin.connected(timeout=MOST_SECONDS)
                case "kill", "worker":
                    child = self._workers[fault.worker]
                    assert child is not None
                    await child.kill()
                    await self.start_worker(fault.worker)
                case "kill", "nats":
                    with suppress(ProcessLookupError, OSError, ValueError):
                        os.kill(self._nats(), signal.SIGKILL)
                    await asyncio.sleep(fault.seconds / 2)
                case "stop", _:
                    await self._freeze(whom, fault)
                case "partition", _:
                    self._proxies[fault.worker].partition()
                    await asyncio.sleep(fault.seconds)
                    self._proxies[fault.worker].mend()
                case _:
                    self.standin.drop(self._chance.choice(ANSWERS), after=True)
                    await asyncio.sleep(fault.seconds / 4)
        return met

    async def _freeze(self, whom: str, fault: Fault) -> None:
        worker, control = self._workers[fault.worker], self._control
        assert worker is not None
        assert control is not None
        with suppress(ProcessLookupError, OSError, ValueError):
            pid = {"worker": worker.pid, "control": control.pid}.get(whom) or self._nats()
            os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(fault.seconds)
            os.kill(pid, signal.SIGCONT)

    async def campaign(self, faults: Sequence[Fault], *, patience: float = 120.0) -> Verdict:
        """Strike all faults, up to AT_ONCE at a time, while members keep asking; then peace, until all are answered."""
        began, verdict = time.monotonic(), Verdict()
        await self.standin.connected(timeout=MOST_SECONDS)
        await self.standin.wait_for_commands("imagine", timeout=30)
        await self.ask(4)
        coming = iter(faults)

        async def strikes() -> None:
            for fault in coming:
                live = sum(self.states()[name] for name in ("queued", "sent", "running"))
                if self.standin.socket.attached and live < 12:
                    await self.ask(2)
                met = await self.strike(fault)
                verdict.faults[fault.kind] += 1
                verdict.struck_in[met] += 1
                if (struck := sum(verdict.faults.values())) % 100 == 0:
                    print(f"{time.monotonic() - began:.0f} s: {struck} faults, {dict(self.states())}", flush=True)

        async with asyncio.TaskGroup() as striking:
            for _ in range(AT_ONCE):
                striking.create_task(strikes())
        for number, child in enumerate(self._workers):
            if child is None or not child.alive:
                await self.start_worker(number)
        # As long as somebody is told now and then: after many doubts, the stand-in checks long lists of messages.
        deadline, least = time.monotonic() + patience, self._untold()
        while (left := self._untold()) and time.monotonic() < deadline:
            if left < least:
                deadline, least = time.monotonic() + patience, left
            await asyncio.sleep(0.1)
        self._judge(verdict)
        verdict.seconds = time.monotonic() - began
        return verdict

    def _untold(self) -> int:
        with suppress(sqlite3.Error):
            reader = sqlite3.connect(f"file:{self.data / 'daguerre.db'}?mode=ro", uri=True, timeout=1)
            try:
                return int(reader.execute("SELECT count(*) FROM jobs WHERE told = 0").fetchone()[0])
            finally:
                reader.close()
        return 1

    def _judge(self, verdict: Verdict) -> None:
        """Each job by the messages that members see."""
        reader = sqlite3.connect(f"file:{self.data / 'daguerre.db'}?mode=ro", uri=True)
        jobs = {key: (job, state, attempts, json.loads(reply).get("message")) for job, key, state, attempts, reply in
                reader.execute("SELECT id, key, state, attempts, reply FROM jobs")}  # fmt: skip
        reader.close()
        verdict.jobs = len(jobs)
        verdict.retried = sum(attempts > 1 for _, _, attempts, _ in jobs.values())
        messages = self.standin.messages(self.channel)
        for record in self.asked:
            mine = jobs.get(str(record.id))
            original = record.current
            if mine is None:
                # Killed before anything was stored: then nobody was promised anything either.
                verdict.unanswered += original is not None and not original.thinking
                continue
            job, state, _, message = mine
            # A new message names its job, unless it was edited after a crash: then the job names its message.
            posted = [
                seen
                for seen in messages
                if (job in seen.content or seen.id == message) and seen.attachments and not seen.deleted
            ]
            if original is not None and original.attachments and not original.deleted:
                posted.append(original)
            if state == "cancelled":
                continue  # Its first answer came too late for Discord: the member was told so by Discord itself.
            verdict.delivered += state == "delivered"
            if state != "delivered" or not posted:
                verdict.lost.append(f"{job} is {state}, {len(posted)} messages")
            if len({seen.id for seen in posted}) > 1:
                verdict.doubled.append(job)
