"""The whole house under fire: stand-in Discord here, control, nats-server and workers as processes of their own."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from standin.driver import StandIn
from standin.tracks import InteractionRecord
from standin.world import Channel, Member

from .plan import Fault
from .proxy import Proxy

HERE = Path(__file__).parent
WORKERS = 3
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
        self._control: asyncio.subprocess.Process | None = None
        self._workers: list[asyncio.subprocess.Process | None] = [None] * WORKERS
        self._proxies: list[Proxy] = []
        self._address = ""
        self._token = ""
        self._log: IO[bytes] = (folder / "log").open("wb")

    # Up and down

    async def up(self) -> None:
        await self.start_control()
        port = int(self._address.rpartition(":")[2])
        for number in range(WORKERS):
            proxy = Proxy(port)
            await proxy.start()
            self._proxies.append(proxy)
            await self.start_worker(number)

    async def start_control(self) -> None:
        where = (str(self.data), self.standin.api_base, self.standin.gateway, self.standin.token)
        self._control = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "campaign.control", *where, stdout=asyncio.subprocess.PIPE, stderr=self._log,
            env={**os.environ, "PYTHONPATH": str(HERE.parent)},
        )  # fmt: skip
        assert self._control.stdout is not None
        line = await asyncio.wait_for(self._control.stdout.readline(), 90)
        self._address, self._token = line.decode().split()

    async def start_worker(self, number: int) -> None:
        environment = {
            **os.environ, "NATS_URL": self._proxies[number].url, "NATS_TOKEN": self._token,
            "NAME": f"painter {number}", "PYTHONPATH": str(HERE.parent),
        }  # fmt: skip
        self._workers[number] = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "campaign.painter", env=environment, stderr=self._log
        )

    async def down(self) -> None:
        for process in (*self._workers, self._control):
            if process is not None and process.returncode is None:
                with suppress(ProcessLookupError):
                    process.send_signal(signal.SIGCONT)
                    process.kill()
                await process.wait()
        with suppress(OSError, ValueError):
            os.kill(self._nats(), signal.SIGCONT)
            os.kill(self._nats(), signal.SIGKILL)
        for proxy in self._proxies:
            await proxy.stop()
        self._log.close()

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
        """Wait a moment for a job in the wanted state, then hurt something; gives the states that were met."""
        deadline = time.monotonic() + 1.0
        while not self.states()[fault.state] and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        met = fault.state if self.states()[fault.state] else "another"
        what, _, whom = fault.kind.partition(" ")
        match what, whom:
            case "kill", "control":
                assert self._control is not None
                self._control.kill()
                await self._control.communicate()
                await asyncio.sleep(fault.seconds / 3)
                await self.start_control()
                await self.standin.connected(timeout=60)
            case "kill", "worker":
                process = self._workers[fault.worker]
                assert process is not None
                process.kill()
                await process.wait()
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
        worker = self._workers[fault.worker]
        assert worker is not None
        assert self._control is not None
        pid = {"worker": worker.pid, "control": self._control.pid}.get(whom)
        with suppress(ProcessLookupError, OSError, ValueError):
            pid = self._nats() if pid is None else pid
            os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(fault.seconds)
            os.kill(pid, signal.SIGCONT)

    async def campaign(self, faults: Sequence[Fault], *, patience: float = 120.0) -> Verdict:
        """Strike all faults while members keep asking; then peace, until everybody has been answered."""
        began, verdict = time.monotonic(), Verdict()
        await self.standin.connected(timeout=60)
        await self.standin.wait_for_commands("imagine", timeout=30)
        await self.ask(4)
        for fault in faults:
            if self.standin.socket.attached and sum(self.states()[name] for name in ("queued", "sent", "running")) < 12:
                await self.ask(2)
            met = await self.strike(fault)
            verdict.faults[fault.kind] += 1
            verdict.struck_in[met] += 1
        for number, process in enumerate(self._workers):
            if process is None or process.returncode is not None:
                await self.start_worker(number)
        deadline = time.monotonic() + patience
        while self._untold() and time.monotonic() < deadline:  # noqa: ASYNC110
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
        jobs = {key: (job, state, attempts) for job, key, state, attempts in
                reader.execute("SELECT id, key, state, attempts FROM jobs")}  # fmt: skip
        reader.close()
        verdict.jobs = len(jobs)
        verdict.retried = sum(attempts > 1 for _, _, attempts in jobs.values())
        messages = self.standin.messages(self.channel)
        for record in self.asked:
            mine = jobs.get(str(record.id))
            original = record.current
            if mine is None:
                # Killed before anything was stored: then nobody was promised anything either.
                verdict.unanswered += original is not None and not original.thinking
                continue
            job, state, _ = mine
            posted = [seen for seen in messages if job in seen.content and seen.attachments and not seen.deleted]
            if original is not None and original.attachments and not original.deleted:
                posted.append(original)
            if state == "cancelled":
                continue  # Its first answer came too late for Discord: the member was told so by Discord itself.
            verdict.delivered += state == "delivered"
            if state != "delivered" or not posted:
                verdict.lost.append(f"{job} is {state}, {len(posted)} messages")
            if len({seen.id for seen in posted}) > 1:
                verdict.doubled.append(job)
