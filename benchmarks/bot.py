"""How quickly the bot answers while a worker renders beside it: 50 interactions a second against the stand-in Discord.

    python -P benchmarks/bot.py [--seconds 60] [--rate 50] [--jobs 10000] [--json FILE]

Three processes: the stand-in Discord with the members (this one), the control process with the bot, SQLite and
nats-server, and a worker whose handler keeps a processor busy (`--work` milliseconds a job). Times are the stand-in's:
from sending an interaction to its first answer. The bot's memory is read at the end, after `--jobs` jobs in all.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "support"))  # the stand-in

from daguerre.bot.client import Backend  # noqa: E402
from daguerre.bot.connection import run_bot  # noqa: E402
from daguerre.bot.options import DiscordOptions  # noqa: E402
from daguerre.queue.control.service import open_queue  # noqa: E402
from daguerre.queue.options import QueueOptions  # noqa: E402
from daguerre.queue.records.jobs import FINISHED, Rendered  # noqa: E402
from daguerre.queue.records.requests import ImageRequest  # noqa: E402
from daguerre.queue.worker.loop import Worker  # noqa: E402
from daguerre.queue.worker.settings import JobContext, WorkerSettings  # noqa: E402

#: Discord's deadline and the goal, in milliseconds.
DEADLINE, GOAL = 3_000.0, 150.0
MEMBERS = 200
#: Seconds that the queue gets to empty itself afterwards.
MOST_SECONDS = 600.0


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


# ---- the processes


async def prepare(folder: Path) -> None:
    """Bring the job table up to date, as at the very first start: its tools stay in memory until the process ends."""
    async with open_queue(QueueOptions(), folder):
        pass


async def control(folder: Path, api_base: str, gateway: str, token: str) -> None:
    """Bot and queue until killed; prints what a worker needs, then `ready`, then counts on request."""
    options = QueueOptions.model_validate({"max_queued_per_member": 100_000, "nats_port": 0})
    async with open_queue(options, folder) as queue:
        print(json.dumps({"url": queue.nats_url, "token": queue.nats_token}), flush=True)
        stop = asyncio.Event()
        bot = asyncio.create_task(
            run_bot(
                DiscordOptions(api_base=api_base, gateway=gateway),
                token,
                Backend(queue, folder),
                stop,
                lambda: print("ready", flush=True),
            )
        )
        loop = asyncio.get_running_loop()
        while await loop.run_in_executor(None, sys.stdin.readline):
            counts = {state.value: number for state, number in (await queue.counts()).items()}
            live = sum(number for state, number in (await queue.counts()).items() if state not in FINISHED)
            told = {"counts": counts, "live": live, "untold": len(await queue.pending_notifications())}
            print(json.dumps(told), flush=True)
        stop.set()
        await bot


async def work(url: str, token: str, slots: int, milliseconds: float) -> None:
    """A worker that burns a processor for so long per job, in a thread as the engine does."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), (200, 30, 30)).save(buffer, "PNG")
    picture = buffer.getvalue()

    def burn() -> None:
        end = time.thread_time() + milliseconds / 1000
        while time.thread_time() < end:
            sum(range(500))

    async def paint(request: ImageRequest, context: JobContext) -> Rendered:
        await asyncio.to_thread(burn)
        return Rendered((picture,) * request.count, {"model": "bench"}, milliseconds / 1000)

    worker = Worker(paint, WorkerSettings(nats_url=url, nats_token=token, name="bench", slots=slots))
    await worker.run(asyncio.Event(), lambda: print("ready", flush=True))


async def started(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-P", str(HERE / "bot.py"), *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 22,
    )  # fmt: skip


async def line_of(process: asyncio.subprocess.Process, seconds: float = 120) -> str:
    assert process.stdout is not None
    return (await asyncio.wait_for(process.stdout.readline(), seconds)).decode().strip()


# ---- the measurement


async def measure(seconds: float, rate: float, jobs: int, milliseconds: float) -> dict[str, Any]:
    # Here and not above: the bot's own process, whose memory is measured, knows nothing of it.
    import psutil
    from standin.driver import StandIn
    from standin.openapi import OpenApi

    # The stand-in shares this machine: here it only answers. That each body is valid is what the tests are for.
    OpenApi.request_problems = lambda *_, **__: []  # type: ignore[method-assign]
    OpenApi.response_problems = lambda *_, **__: []  # type: ignore[method-assign]
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        async with StandIn() as discord:
            discord.rest.limits.usual.clear()
            guild = discord.guild("Bench")
            channels = [guild.channel(f"c{number}") for number in range(20)]
            members = [guild.member(f"m{number}") for number in range(MEMBERS)]
            assert await (await started("--prepare", folder)).wait() == 0
            bot = await started("--control", folder, discord.api_base, discord.gateway, discord.token)
            where = json.loads(await line_of(bot))
            assert await line_of(bot) == "ready"
            worker = await started("--worker", where["url"], where["token"], "8", str(milliseconds))
            assert await line_of(worker) == "ready"
            try:
                await discord.wait_for_commands("imagine")
                process = psutil.Process(bot.pid)
                first = process.memory_info().rss
                who = {"bot": process, "worker": psutil.Process(worker.pid), "standin": psutil.Process()}
                who["nats"] = next(child for child in process.children() if "nats" in child.name())
                used = {name: processor(one) for name, one in who.items()}
                asked = await flood(discord, members, channels, seconds, rate)
                found = acks(asked)
                for name, one in who.items():
                    found[f"{name}_cpu_ms_per_job"] = 1000 * (processor(one) - used[name]) / len(asked)
                say(f"{len(asked)} interactions; p99 {found['ack_p99_ms']:.0f} ms")
                while len(asked) < jobs:
                    more = await flood(discord, members, channels, min(30.0, (jobs - len(asked)) / rate), rate)
                    asked += [None] * len(more)
                    discord.rest.requests.clear()
                state = await settled(bot)
                # Of all jobs from their asking to their end: however late a busy machine came to some.
                found["bot_cpu_ms_per_job_in_all"] = 1000 * (processor(process) - used["bot"]) / len(asked)
                found |= {
                    "lost_jobs": len(asked) - sum(state["counts"].values()) + state["live"] + state["untold"],
                    "bot_rss_mb": process.memory_info().rss / 2**20,
                    "bot_rss_first_mb": first / 2**20,
                    "jobs": len(asked),
                    "worker_ms_per_job": milliseconds,
                    "cores": len(os.sched_getaffinity(0)),
                    "load": os.getloadavg()[0],
                }
            finally:
                # nats-server outlives a control process that is killed.
                servers = psutil.Process(bot.pid).children() if bot.returncode is None else []
                for one in (bot, worker):
                    one.kill()
                    await one.wait()
                for server in servers:
                    server.kill()
    return found


def processor(process: Any) -> float:
    """Seconds of processor time that it has used."""
    times = process.cpu_times()
    return times.user + times.system


async def flood(discord: Any, members: Any, channels: Any, seconds: float, rate: float) -> list[Any]:
    """So many interactions a second, evenly, whether the last one was answered or not."""
    asked: list[Any] = []
    begun = time.monotonic()
    number = int(seconds * rate)
    for n in range(number):
        await asyncio.sleep(max(0.0, begun + n / rate - time.monotonic()))
        who, where = members[n % len(members)], channels[n % len(channels)]
        asked.append(await discord.slash(who, where, "imagine", prompt=f"a red apple {n} --seed {n}"))
    await asyncio.sleep(DEADLINE / 1000)
    return asked


def acks(asked: list[Any]) -> dict[str, Any]:
    taken = [
        # One that was never answered counts as long as the deadline, and as late.
        1000 * (one.interaction.answered_at - one.interaction.sent) if one.acked else DEADLINE
        for one in asked
    ]
    return {
        "ack_p99_ms": sorted(taken)[min(len(taken) - 1, int(0.99 * len(taken)))],
        "ack_p50_ms": statistics.median(taken),
        "late_acks": sum(each >= DEADLINE for each in taken),
    }


async def settled(bot: asyncio.subprocess.Process) -> dict[str, Any]:
    """Wait until every job is over and told, or for `MOST_SECONDS` seconds."""
    assert bot.stdin is not None
    end = time.monotonic() + MOST_SECONDS
    while True:
        bot.stdin.write(b"?\n")
        await bot.stdin.drain()
        state = json.loads(await line_of(bot))
        if (not state["live"] and not state["untold"]) or time.monotonic() > end:
            return state
        await asyncio.sleep(1)


GOALS = {
    "ack_p99_ms": ("≤", GOAL),
    "late_acks": ("≤", 0.0),
    "lost_jobs": ("≤", 0.0),
    "bot_rss_mb": ("≤", 120.0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=50.0, help="interactions a second")
    parser.add_argument("--jobs", type=int, default=10_000, help="jobs in all before the bot's memory is read")
    parser.add_argument("--work", type=float, default=10.0, help="milliseconds of processor that a job takes")
    parser.add_argument("--prepare", help=argparse.SUPPRESS)
    parser.add_argument("--control", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--worker", nargs=4, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.prepare:
        asyncio.run(prepare(Path(asked.prepare)))
        return
    if asked.control:
        folder, api_base, gateway, token = asked.control
        asyncio.run(control(Path(folder), api_base, gateway, token))
        return
    if asked.worker:
        url, token, slots, milliseconds = asked.worker
        asyncio.run(work(url, token, int(slots), float(milliseconds)))
        return
    found = asyncio.run(measure(asked.seconds, asked.rate, asked.jobs, asked.work))
    for name, value in found.items():
        goal = f"  (goal {' '.join(map(str, GOALS[name]))})" if name in GOALS else ""
        print(f"{name:<18} {value:.1f}{goal}" if isinstance(value, float) else f"{name:<18} {value}{goal}")
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
