"""Several hosts: capabilities and pools, TLS and tokens, draining, lost leases, network namespaces as real hosts."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from campaign.proxy import Proxy
from queuekit import QUICK, WORKER_PROCESS, paint, state, submit, until, worker

from daguerre.queue.control.queue import Queue
from daguerre.queue.control.service import open_queue
from daguerre.queue.errors import BrokerUnavailable, UnknownJob
from daguerre.queue.nats.credentials import Credentials
from daguerre.queue.records.jobs import JobState, Rendered
from daguerre.queue.records.requests import ImageRequest
from daguerre.queue.worker.loop import Worker
from daguerre.queue.worker.settings import Handler, JobContext, WorkerSettings


@pytest.fixture
async def queue(tmp_path: Path) -> AsyncIterator[Queue]:
    async with open_queue(QUICK, tmp_path) as opened:
        yield opened


async def test_a_worker_whose_lease_was_lost_stops_its_job(queue: Queue) -> None:
    """Cut off for longer than the lease, it goes on; a peer takes the job. Back again, it is told, and stops."""
    assert queue._server is not None
    proxy = Proxy(queue._server.port)
    await proxy.start()
    begun, stopped = asyncio.Event(), asyncio.Event()
    let = asyncio.Event()

    async def cut_off(request: ImageRequest, context: JobContext) -> Rendered:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped.set()
            raise
        raise AssertionError

    async def peer(request: ImageRequest, context: JobContext) -> Rendered:
        await let.wait()
        return await paint(request, context)

    stop = asyncio.Event()
    first = Worker(
        cut_off, WorkerSettings(nats_url=proxy.url, nats_token=queue.nats_token, name="cut off", drain_seconds=0)
    )
    running = asyncio.create_task(first.run(stop))
    try:
        job = await submit(queue)
        await asyncio.wait_for(begun.wait(), 20)
        proxy.partition()
        async with worker(queue, peer, name="peer"):
            await until(lambda: queue._memory.running.get(job.id) == 2)
            assert not stopped.is_set()
            proxy.mend()
            await asyncio.wait_for(stopped.wait(), 20)
            assert (await queue.job(job.id)).state is JobState.RUNNING, "the peer goes on"
            let.set()
            done = await state(queue, job, JobState.RENDERED)
            assert (done.attempts, done.worker) == (2, "peer")
    finally:
        stop.set()
        await asyncio.wait_for(running, 30)
        await proxy.stop()


async def test_jobs_go_where_they_fit(queue: Queue) -> None:
    """A worker for small pictures never gets a large one; by size, model and pool, and the member learns why."""
    async with worker(queue, name="small", side=256, models=("a",)):
        small = await submit(queue, "small")
        large = await submit(queue, "large", width=512, height=512)
        await state(queue, small, JobState.RENDERED)
        why = await queue.why(large.id)
        assert (why.reason, why.place, why.begins_in) == ("no_fitting_worker", 0, None)
        other = await submit(queue, "other model", model="b")
        async with worker(queue, name="big", side=1024, models=("a", "b")):
            assert (await state(queue, large, JobState.RENDERED)).worker == "big"
            assert (await state(queue, other, JobState.RENDERED)).worker == "big"
        ticket = await queue.submit(small.request, key="attic", member="m", server="s", reply={}, pool="attic")
        async with worker(queue, name="upstairs", pool="attic"):
            assert (await state(queue, ticket.job, JobState.RENDERED)).worker == "upstairs"


async def test_slow_and_fast_workers_share_by_pull(queue: Queue) -> None:
    """Of two workers the one that is ten times as fast renders by far the most; neither is given an equal half."""

    def takes(seconds: float) -> Handler:
        async def render(request: ImageRequest, context: JobContext) -> Rendered:
            await asyncio.sleep(seconds)
            return await paint(request, context)

        return render

    async with worker(queue, takes(0.05), name="fast"), worker(queue, takes(0.5), name="slow"):
        await until(lambda: len(queue._registry.workers(asyncio.get_running_loop().time())) == 2)
        jobs = [await submit(queue, str(number), member=f"m{number}") for number in range(22)]
        done = [await state(queue, job, JobState.RENDERED, seconds=60) for job in jobs]
    share = Counter(job.worker for job in done)
    assert share["slow"] >= 1
    assert share["fast"] >= 3 * share["slow"]


async def test_jobs_of_a_group_that_is_gone_go_to_others(queue: Queue) -> None:
    """A job waits in the line of a kind of worker that never comes back; another kind that can render it gets it."""
    let = asyncio.Event()

    async def hang(request: ImageRequest, context: JobContext) -> Rendered:
        await let.wait()
        return await paint(request, context)

    # Its only worker is gone without a word as soon as the job is in its line.
    first = Worker(hang, WorkerSettings(nats_url=queue.nats_url, nats_token=queue.nats_token, name="gone", side=300))
    running = asyncio.create_task(first.run(asyncio.Event()))
    job = await submit(queue)
    await state(queue, job, JobState.RUNNING)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    async with worker(queue, name="here", side=1024):
        assert (await state(queue, job, JobState.RENDERED, seconds=40)).worker == "here"


async def test_draining_finishes_what_runs_and_gives_back_the_rest(queue: Queue) -> None:
    """`drain` by name: the running job ends there, the next goes to the worker that stays."""
    let = asyncio.Event()

    async def slow(request: ImageRequest, context: JobContext) -> Rendered:
        await let.wait()
        return await paint(request, context)

    ended = Worker(
        slow, WorkerSettings(nats_url=queue.nats_url, nats_token=queue.nats_token, name="old", drain_seconds=20)
    )
    running = asyncio.create_task(ended.run(asyncio.Event()))
    job = await submit(queue, "running")
    await state(queue, job, JobState.RUNNING)
    with pytest.raises(UnknownJob, match="nobody"):
        await queue.drain("nobody")
    assert len(await queue.drain("old")) == 1
    await until(lambda: not queue._registry.groups(asyncio.get_running_loop().time()))
    async with worker(queue, name="new"):
        following = await submit(queue, "next")
        assert (await state(queue, following, JobState.RENDERED)).worker == "new"
        let.set()
        assert (await state(queue, job, JobState.RENDERED)).worker == "old"
        await asyncio.wait_for(running, 20)


# ---- TLS and credentials


def certificate(folder: Path, host: str) -> tuple[Path, Path]:
    """A self-signed certificate and its key, by openssl."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    kind = "IP" if host[0].isdigit() else "DNS"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
               "-keyout", key, "-out", cert, "-days", "2", "-subj", f"/CN={host}", "-addext",
               f"subjectAltName={kind}:{host}"]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
async def test_tls_with_a_token_from_elsewhere(tmp_path: Path) -> None:
    """The server that is started here encrypts, on an address that others reach. A worker that trusts its certificate
    and has the token works; one without TLS, without trust or without the token is told what is wrong."""
    host = "127.0.0.2"  # Not the loopback address that needs no name in the certificate.
    cert, key = certificate(tmp_path, host)
    secure = {"nats_host": "0.0.0.0", "nats_cert_file": str(cert), "nats_key_file": str(key)}
    async with open_queue(QUICK.model_copy(update=secure), tmp_path / "data") as queue:
        assert queue.nats_url.startswith("tls://127.0.0.1:")
        port = queue.nats_url.rpartition(":")[2]
        trusting = Credentials(token=queue.nats_token, ca_file=str(cert))
        async with elsewhere(f"tls://{host}:{port}", trusting):
            await state(queue, await submit(queue), JobState.RENDERED)
        for url, credentials, told in (
            (f"tls://{host}:{port}", Credentials(token=queue.nats_token), "TLS does not fit"),
            (f"tls://localhost:{port}", Credentials(token="wrong"), "refuses the token"),
        ):
            with pytest.raises(BrokerUnavailable, match=told):
                async with elsewhere(url, credentials):
                    pass
        async with worker(queue):  # The workers of this machine need no certificate.
            await state(queue, await submit(queue), JobState.RENDERED)


async def test_tls_where_the_server_has_none(queue: Queue) -> None:
    """tls:// to a server without: the worker says so instead of trying for ever."""
    with pytest.raises(BrokerUnavailable, match=r"TLS does not fit.*begins with tls"):
        async with elsewhere(queue.nats_url.replace("nats://", "tls://"), Credentials(token=queue.nats_token)):
            pass


@asynccontextmanager
async def elsewhere(url: str, credentials: Credentials) -> AsyncIterator[None]:
    """A worker that dials in by TLS."""
    stop, ready = asyncio.Event(), asyncio.Event()
    process = Worker(paint, WorkerSettings(nats_url=url, credentials=credentials, name="elsewhere", drain_seconds=0.2))
    running = asyncio.create_task(process.run(stop, ready.set))
    try:
        await until(lambda: ready.is_set() or running.done())
        yield
    finally:
        stop.set()
        await running


# ---- real hosts, as far as a kernel can make them


class Hosts:
    """A bridge on this machine and network namespaces plugged into it, with names and a network of this test's own."""

    def __init__(self) -> None:
        # Namespaces die slowly, and another run may be at it.
        self._mark = f"dg{os.getpid() % 100_000}{os.urandom(1).hex()}"
        self._network = f"10.213.{os.getpid() % 250}"
        self.names = (f"{self._mark}-a", f"{self._mark}-b")

    @property
    def address(self) -> str:
        """Of this machine, as seen from the hosts."""
        return f"{self._network}.1"

    def up(self) -> None:
        ip("link", "add", self._mark, "type", "bridge")
        ip("addr", "add", f"{self.address}/24", "dev", self._mark)
        ip("link", "set", self._mark, "up")
        for number, name in enumerate(self.names, start=2):
            ip("netns", "add", name)
            ip("link", "add", f"{self._mark}p{number}", "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("link", "set", f"{self._mark}p{number}", "master", self._mark, "up")
            ip("-n", name, "addr", "add", f"{self._network}.{number}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")

    def cut(self, name: str) -> None:
        """Pull the plug: no packet in or out, no reset either."""
        ip("link", "set", f"{self._mark}p{self.names.index(name) + 2}", "down")

    def down(self) -> None:
        # The cables first: where a process still holds its namespace, they would outlive it.
        for number, name in enumerate(self.names, start=2):
            subprocess.run(["ip", "link", "del", f"{self._mark}p{number}"], check=False, capture_output=True)
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", self._mark], check=False, capture_output=True)


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    """Skipped, visibly, where no namespaces can be made."""
    if shutil.which("ip") is None or os.getuid() != 0:
        pytest.skip("network namespaces need root and iproute2")
    made = Hosts()
    try:
        made.up()
    except subprocess.CalledProcessError as problem:
        made.down()
        pytest.skip(f"no network namespaces here: {problem.stderr.decode().strip()}")
    try:
        yield made
    finally:
        made.down()


@contextmanager
def worker_on(host: str, url: str, token: str, record: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        **os.environ, "NATS_URL": url, "NATS_TOKEN": token,
        "RECORD": str(record), "SLOTS": "1", "NAME": host,
    }  # fmt: skip
    command = ["ip", "netns", "exec", host, sys.executable, str(WORKER_PROCESS)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


async def test_one_of_two_hosts_is_cut_off(hosts: Hosts, tmp_path: Path) -> None:
    """Control here, a worker on each of two hosts with their own network. The plug of the one that renders is pulled:
    the other takes the job over, and each job ends once."""
    options = QUICK.model_copy(update={"nats_host": "0.0.0.0"})
    gate, record = tmp_path / "gate", tmp_path / "attempts"
    async with open_queue(options, tmp_path / "data") as queue:
        url, token = f"nats://{hosts.address}:{queue.nats_url.rpartition(':')[2]}", queue.nats_token
        first, second = hosts.names
        with worker_on(first, url, token, record), worker_on(second, url, token, record):

            async def both() -> bool:
                return len(await queue.workers()) == 2

            await until(both, 60)
            jobs = [await submit(queue, f"wait {gate}"), await submit(queue, f"wait {gate}", member="n")]
            for job in jobs:
                await state(queue, job, JobState.RUNNING)
            lost = next(job for job in [await queue.job(job.id) for job in jobs] if job.worker == first)
            hosts.cut(first)
            gate.touch()
            done = await state(queue, lost, JobState.RENDERED, seconds=40)
            assert (done.worker, done.attempts) == (second, 2)
            for job in jobs:
                await state(queue, job, JobState.RENDERED)

            async def one() -> bool:
                return len(await queue.workers()) == 1

            await until(one)
