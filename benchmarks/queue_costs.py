"""What the queue costs: latency, throughput, scale, idle load and recovery, on this machine, with real processes.

    python benchmarks/queue.py [--quick] [--json FILE]

The control process is this one, with SQLite and an nats-server of its own in a temporary folder; workers are processes
of their own whose handler does nothing. Beside each figure in milliseconds stands what the same machine needs for
nothing at all (`loop_p95_ms`, a sleep of the event loop; `fsync_p50_ms`, `fsync_p95_ms`), since both bound it from
below. A job waits for about seven of them, one after the other or shared with others: three commits of the job table,
its message, its outcome, and two of its pictures' folder.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil

from daguerre.queue.control.queue import Queue
from daguerre.queue.control.service import open_queue
from daguerre.queue.options import QueueOptions
from daguerre.queue.records.jobs import Job, JobState, Progress, Rendered
from daguerre.queue.records.requests import ImageRequest, image_request
from daguerre.queue.worker.loop import Worker
from daguerre.queue.worker.settings import JobContext, WorkerSettings

REQUEST = image_request(prompt="a red apple", seed=7)
#: Lease for the measurement of recovery, as in the notes' prototype; the default is 12 s.
LEASE = 4.0
#: Members and servers of the waiting jobs.
MEMBERS, SERVERS = 1_000, 50
PREVIEW = bytes(8 * 1024)


def p95(values: Sequence[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(0.95 * len(values)))]


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


# ---- the other side


async def paint(request: ImageRequest, context: JobContext) -> Rendered:
    """Tells when it began; `previews` and `wait` in the prompt make it do so."""
    began = time.time()
    what, _, number = request.prompt.partition(" ")
    if what == "previews":
        for step in range(int(number)):
            await context.progress(step, int(number), json.dumps(time.time()).encode().ljust(len(PREVIEW)))
            await asyncio.sleep(0.02)
    if what == "wait":
        await asyncio.sleep(float(number) if context.attempt == 1 else 0)
    return Rendered((b"png",), {"began": began, "attempt": context.attempt}, 0.001)


async def work(url: str, token: str, slots: int, name: str) -> None:
    worker = Worker(paint, WorkerSettings(nats_url=url, nats_token=token, name=name, slots=slots, drain_seconds=0.1))
    await worker.run(asyncio.Event())


@asynccontextmanager
async def a_worker(queue: Queue, slots: int) -> AsyncIterator[asyncio.subprocess.Process]:
    name = f"bench {time.time_ns()}"
    command = (sys.executable, __file__, "--worker", queue.nats_url, "--slots", str(slots), "--name", name)
    process = await asyncio.create_subprocess_exec(*command, env={**os.environ, "BENCH_TOKEN": queue.nats_token})
    try:
        async with asyncio.timeout(60):
            while name not in {worker.name for worker in await queue.workers()}:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


# ---- measurements


async def submit(queue: Queue, number: int, request: ImageRequest = REQUEST) -> Job:
    server = number % SERVERS
    key, member = f"{time.time_ns()}-{number}", f"{server}-{number % MEMBERS}"
    return (await queue.submit(request, key=key, member=member, server=f"s{server}", reply={})).job


async def ended(queue: Queue, job: Job) -> Job:
    async for event in queue.events(job.id):
        if isinstance(event, Job) and event.state is JobState.RENDERED:
            return event
    raise RuntimeError("the job did not end well")


async def latency(queue: Queue, number: int) -> tuple[float, float]:
    """Median and p95 in seconds from `submit` to the handler, one job at a time, all at rest in between."""
    waits: list[float] = []
    for index in range(number):
        began = time.time()
        job = await submit(queue, index)
        waits.append((await ended(queue, job)).metadata["began"] - began)
        await asyncio.sleep(0.1)
    return statistics.median(waits), p95(waits)


async def previews(queue: Queue, number: int) -> float:
    """Seconds from a worker's preview of 8 KB to whoever follows the job."""
    request = REQUEST.model_copy(update={"prompt": f"previews {number}"})
    job = await submit(queue, 0, request)
    waits = [
        time.time() - json.loads(event.preview)
        async for event in queue.events(job.id)
        if isinstance(event, Progress) and event.preview is not None
    ]
    return p95(waits)


async def throughput(queue: Queue, number: int) -> float:
    """Jobs a second from the first submission to the last stored picture."""
    began = time.perf_counter()
    done = 0

    async def one(index: int) -> None:
        nonlocal done
        await ended(queue, await submit(queue, index))
        done += 1

    room = asyncio.Semaphore(64)

    async def bounded(index: int) -> None:
        async with room:
            await one(index)

    await asyncio.gather(*(bounded(index) for index in range(number)))
    return done / (time.perf_counter() - began)


async def waiting(folder: Path, number: int, samples: int) -> tuple[float, float]:
    """p95 in seconds of `submit` and of `position` while `number` jobs wait."""
    options = QueueOptions(max_queued_per_member=100_000)
    async with open_queue(options, folder) as queue:
        await queue.pause()
        template = await submit(queue, 0)
    fill(folder / "daguerre.db", template.id, number - 1)
    async with open_queue(options, folder) as queue:
        jobs: list[str] = []
        submits: list[float] = []
        for index in range(samples):
            began = time.perf_counter()
            jobs.append((await submit(queue, index)).id)
            submits.append(time.perf_counter() - began)
        positions: list[float] = []
        for job in random.Random(1).choices(jobs, k=samples):
            began = time.perf_counter()
            await queue.position(job)
            positions.append(time.perf_counter() - began)
    return p95(submits), p95(positions)


def fill(database: Path, template: str, number: int) -> None:
    """Copy one waiting job, for many members of many servers."""
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(jobs)")]
        own = {"id": "?", "key": "?", "member": "?", "server": "?"}
        names = ", ".join(f'"{name}"' for name in columns)
        values = ", ".join(own.get(name, f'"{name}"') for name in columns)
        ids = [name for name in columns if name in own]
        rows = []
        for index in range(number):
            server = index % SERVERS
            told = {"id": f"{index:032x}", "key": f"fill {index}", "member": f"{server}-{index % MEMBERS}",
                    "server": f"s{server}"}  # fmt: skip
            rows.append((*(told[name] for name in ids), template))
        connection.executemany(f"INSERT INTO jobs ({names}) SELECT {values} FROM jobs WHERE id = ?", rows)  # noqa: S608


def spent(worker: asyncio.subprocess.Process, queue: Queue) -> dict[str, float]:
    """Processor seconds that each of the three processes has used."""
    assert queue._server is not None
    processes = {"control": os.getpid(), "worker": worker.pid, "nats": queue._server.pid}
    return {name: processor_seconds(pid) for name, pid in processes.items() if pid is not None}


def processor_seconds(pid: int) -> float:
    """Of all threads; on Linux to the nanosecond, elsewhere in the system's ticks of 10 ms or so."""
    exact = [Path(task, "schedstat").read_text() for task in Path(f"/proc/{pid}/task").glob("*")]
    if exact:
        return sum(int(line.split()[0]) for line in exact) / 1e9
    used = psutil.Process(pid).cpu_times()
    return used.user + used.system


async def idle(worker: asyncio.subprocess.Process, queue: Queue, seconds: float) -> tuple[float, float]:
    """Processor use in percent of one core: control and worker together, and nats-server."""
    began, before = time.perf_counter(), spent(worker, queue)
    await asyncio.sleep(seconds)
    took, after = time.perf_counter() - began, spent(worker, queue)
    used = {name: 100 * (after[name] - before[name]) / took for name in after}
    return used["control"] + used["worker"], used["nats"]


async def recovery(queue: Queue, worker: asyncio.subprocess.Process) -> float:
    """Seconds from kill -9 of the worker in mid-job until a living peer has begun it again."""
    job = await submit(queue, 0, REQUEST.model_copy(update={"prompt": "wait 600"}))
    while (await queue.job(job.id)).state is not JobState.RUNNING:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    async with a_worker(queue, 1):
        # The lease was renewed at most a third of it ago; the worst case is a whole one.
        killed = time.time()
        worker.kill()
        return (await ended(queue, job)).metadata["began"] - killed


async def floor(folder: Path) -> dict[str, float]:
    """Milliseconds of a sleep of one millisecond beyond that one, and of one fsync of a file that grows."""
    sleeps: list[float] = []
    for _ in range(300):
        began = time.perf_counter()
        await asyncio.sleep(0.001)
        sleeps.append(time.perf_counter() - began - 0.001)
    syncs: list[float] = []
    with (folder / "fsync").open("wb") as file:
        for _ in range(200):
            began = time.perf_counter()
            file.write(b"x" * 512)
            file.flush()
            os.fsync(file.fileno())
            syncs.append(time.perf_counter() - began)
    return {
        "loop_p95_ms": 1000 * p95(sleeps),
        "fsync_p50_ms": 1000 * statistics.median(syncs),
        "fsync_p95_ms": 1000 * p95(syncs),
    }


async def measure(quick: bool) -> dict[str, Any]:
    many = 4 if quick else 1
    found: dict[str, Any] = {"load_average": os.getloadavg()[0], "cores": os.cpu_count()}
    with tempfile.TemporaryDirectory(prefix="daguerre-bench-") as name:
        folder = Path(name)
        found |= await floor(folder)
        options = QueueOptions(ack_wait_seconds=LEASE, max_queued_per_member=100_000)
        async with open_queue(options, folder / "one") as queue:
            async with a_worker(queue, 1) as worker:
                await latency(queue, 10)
                say("submit to start")
                middle, most = await latency(queue, 200 // many)
                found |= {"submit_to_start_p50_ms": 1000 * middle, "submit_to_start_p95_ms": 1000 * most}
                say("previews")
                found["preview_p95_ms"] = 1000 * await previews(queue, 200 // many)
                say("idle")
                ours, nats = await idle(worker, queue, 12 / many)
                found |= {"idle_cpu_percent": ours, "idle_nats_cpu_percent": nats}
                say("recovery")
                found |= {"recovery_s": await recovery(queue, worker), "recovery_lease_s": LEASE}
            async with a_worker(queue, 32) as worker:
                say("throughput")
                await throughput(queue, 50)
                before = spent(worker, queue)
                rates = [await throughput(queue, 1_000 // many) for _ in range(3)]
                found |= {"jobs_per_s": statistics.median(rates), "jobs_per_s_runs": [round(rate) for rate in rates]}
                # What does not depend on what else the machine does, or little.
                jobs = 3 * (1_000 // many)
                for name, seconds in spent(worker, queue).items():
                    found[f"{name}_cpu_ms_per_job"] = 1000 * (seconds - before[name]) / jobs
        say("100 waiting")
        few = await waiting(folder / "few", 100, 400 // many)
        say("100,000 waiting")
        lots = await waiting(folder / "lots", 100_000, 400 // many)
        found |= {
            "submit_100_p95_ms": 1000 * few[0], "submit_100k_p95_ms": 1000 * lots[0],
            "position_100_p95_ms": 1000 * few[1], "position_100k_p95_ms": 1000 * lots[1],
            "position_100k_over_100": lots[1] / few[1],
            # What a member waits for: both calls, of which `submit` is nearly all.
            "scale_100k_over_100": sum(lots) / sum(few),
        }  # fmt: skip
    return found


GOALS = {
    "submit_to_start_p95_ms": ("≤", 10.0),
    "preview_p95_ms": ("≤", 20.0),
    "jobs_per_s": ("≥", 250.0),
    "scale_100k_over_100": ("≤", 2.0),
    "idle_cpu_percent": ("≤", 2.0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    parser.add_argument("--quick", action="store_true", help="a quarter of the samples")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--slots", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--name", default="bench", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.worker:
        asyncio.run(work(asked.worker, os.environ["BENCH_TOKEN"], asked.slots, asked.name))
        return
    found = asyncio.run(measure(asked.quick))
    for name, value in found.items():
        goal = f"  (goal {' '.join(map(str, GOALS[name]))})" if name in GOALS else ""
        print(f"{name:<26} {value:.2f}{goal}" if isinstance(value, float) else f"{name:<26} {value}")
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
