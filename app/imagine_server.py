"""`daguerre imagine --server`: one request sent to a running `daguerre serve` over its local API."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp
from rich.console import Console
from rich.progress import Progress, TaskID

from .errors import NoWorker, Refused, ServerUnreachable
from .imagine import Wish, progress_bar
from .output import check_writable, output_files, write_files

#: Looks in vain, `LOOK` seconds apart, until a server that holds a job of ours is given up.
MOST_FAILURES = 60
#: Seconds between two looks at whether a worker can come at all, while none is connected.
LOOK = 1.0
NO_WORKER = "no worker is connected yet; the picture comes when one is. Ctrl-C cancels"
#: What a broken connection looks like.
BROKEN = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError)


async def imagine_on_server(address: str, wish: Wish, console: Console) -> Sequence[Path]:
    """Have the picture rendered by the server at `address` and write the files; gives their names.

    A cancelled wait (Ctrl-C) cancels the job, and so does a server whose workers cannot start. Sent again after a lost
    connection, the request stays one job.

    Raises:
        AppError: says what to do.
    """
    request = wish.request()
    files = output_files(wish.out, request.count)
    check_writable(files)
    # No time limit over all: the queue may be long. Each connection has one.
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
    async with aiohttp.ClientSession(address, timeout=timeout) as session:
        client = _Client(session, address)
        job = await client.submit(wish.body(request))
        try:
            _say_about_words(job, console)
            if not (health := await client.health()).get("workers") and not health.get("worker_problem"):
                console.print(NO_WORKER, style="yellow")
            with progress_bar(console) as bar:
                ended = await client.follow_or_give_up(job["id"], bar, bar.add_task("waiting", total=None))
        except (asyncio.CancelledError, NoWorker):
            with contextlib.suppress(*BROKEN):
                await client.cancel(job["id"])
            raise
        if not ended["pictures"]:
            raise Refused(ended.get("message") or f"the job was {ended['state']}")
        pictures = [await client.picture(url) for url in ended["pictures"]]
    return write_files(files, pictures, svg=request.svg)


class _Client:
    """The calls of the API that we use; every refusal becomes an AppError."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        self._session = session
        self._address = address

    async def submit(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        try:
            async with self._session.post("/api/v1/jobs", json=body, headers=headers) as answer:
                return await _checked(answer)
        except BROKEN:
            raise self._unreachable() from None

    async def health(self) -> Mapping[str, Any]:
        try:
            async with self._session.get("/healthz") as answer:
                return await answer.json()
        except (*BROKEN, aiohttp.ClientError, ValueError):
            return {}

    async def follow_or_give_up(self, job: str, bar: Progress, task: TaskID) -> Mapping[str, Any]:
        """`follow`, for as long as a worker may come.

        Raises:
            NoWorker: none is connected, and the server's own cannot start.
        """
        following = asyncio.ensure_future(self.follow(job, bar, task))
        try:
            while not following.done():
                health = await self.health()
                if not health.get("workers") and (reason := health.get("worker_problem")):
                    raise NoWorker(f"that server cannot draw: {reason}")
                await asyncio.wait({following}, timeout=LOOK)
            return following.result()
        finally:
            following.cancel()

    async def follow(self, job: str, bar: Progress, task: TaskID) -> Mapping[str, Any]:
        """Show what happens to the job until it has finished; gives its last state."""
        failures = 0
        while True:
            try:
                async for name, body in self._events(job):
                    failures = 0
                    if name == "progress":
                        bar.update(task, description="rendering", completed=body["step"], total=body["steps"])
                        continue
                    bar.update(task, description=_in_words(body))
                    if body["finished"]:
                        return body
            except BROKEN:
                pass
            failures += 1
            if failures > MOST_FAILURES:
                raise self._unreachable(f" The job {job} is kept; it goes on when the server runs again.")
            bar.update(task, description="waiting for the server")
            await asyncio.sleep(1)

    async def _events(self, job: str) -> AsyncIterator[tuple[str, Mapping[str, Any]]]:
        async with self._session.get(f"/api/v1/jobs/{job}/events") as answer:
            if answer.status != 200:
                await _checked(answer)
            name = ""
            async for raw in answer.content:
                field, _, value = raw.decode().rstrip("\n").partition(": ")
                if field == "event":
                    name = value
                elif field == "data":
                    yield name, json.loads(value)

    async def picture(self, url: str) -> bytes:
        try:
            async with self._session.get(url) as answer:
                if answer.status != 200:
                    await _checked(answer)
                return await answer.read()
        except BROKEN:
            raise self._unreachable() from None

    async def cancel(self, job: str) -> None:
        async with self._session.delete(f"/api/v1/jobs/{job}"):
            pass

    def _unreachable(self, more: str = "") -> ServerUnreachable:
        return ServerUnreachable(
            f"no daguerre answers at {self._address}. Start it (scripts/start), or leave --server out to render here."
            + more
        )


async def _checked(answer: aiohttp.ClientResponse) -> Mapping[str, Any]:
    try:
        body = await answer.json()
    except (aiohttp.ContentTypeError, ValueError):
        raise Refused(f"what answers at {answer.url.origin()} is not daguerre (HTTP {answer.status})") from None
    if answer.status >= 400:
        raise Refused(str(body.get("message", f"HTTP {answer.status}")))
    return body


def _in_words(job: Mapping[str, Any]) -> str:
    if job.get("position"):
        return f"waiting, {job['position']} ahead"
    state = str(job["state"])
    return {"queued": "waiting", "sent": "starting"}.get(state, state)


def _say_about_words(job: Mapping[str, Any], console: Console) -> None:
    for word, nearest in job.get("unknown_words", {}).items():
        hint = f"; the nearest that it knows: {' or '.join(nearest)}" if nearest else ""
        console.print(f"the model does not know “{word}”{hint}", style="yellow", markup=False, highlight=False)
