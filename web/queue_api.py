"""`/api/v1/queue` and what an operator does: look, pause, drain, cancel, retry; figures for the charts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

from aiohttp import web
from pydantic import StringConstraints

from ..queue.errors import UnknownJob
from ..queue.records import Job
from .context import WHO, Studio
from .problems import Problem, failure
from .reading import Strict, answer, query, read_body

#: Waiting jobs that are listed.
MOST_LISTED = 100
#: Spans of the charts: seconds of each, and how many at most.
SPANS = {"hour": (60, 60), "day": (1_800, 48), "week": (10_800, 56)}


class Server(Strict):
    """Of one server; none: of all."""

    server: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None


class WorkerName(Strict):
    """By name or instance; none: all."""

    worker: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None


class QueueApi:
    """Construct, then `add_to` an application."""

    def __init__(self, studio: Studio) -> None:
        self._queue = studio.queue

    def add_to(self, app: web.Application) -> None:
        job = "/api/v1/queue/jobs/{id:[0-9a-f]{32}}"
        app.router.add_get("/api/v1/queue", self.status)
        app.router.add_get("/api/v1/queue/statistics", self.statistics)
        app.router.add_post("/api/v1/queue/pause", self.pause)
        app.router.add_post("/api/v1/queue/resume", self.resume)
        app.router.add_post("/api/v1/queue/drain", self.drain)
        app.router.add_post(f"{job}/retry", self.retry)
        app.router.add_post(f"{job}/cancel", self.cancel)

    async def status(self, request: web.Request) -> web.Response:
        """All that the operator sees of the queue. Never a prompt."""
        query(request, {})
        queue = self._queue
        health, counts = queue.healthy(), await queue.counts()
        waiting = [
            {
                "id": entry.id, "place": place, "member": entry.member, "server": entry.server,
                "priority": entry.priority, "weight": entry.weight, "cost": round(entry.cost, 2),
            }
            for place, entry in enumerate(queue.lined_up(MOST_LISTED), start=1)
        ]  # fmt: skip
        running = [await self._summary(job) for job in list(queue.with_workers())[:MOST_LISTED]]
        return answer(
            {
                "ok": health.ok,
                "problem": health.problem,
                "paused": queue.paused,
                "paused_servers": sorted(queue.paused_servers),
                "jobs": {state.value: count for state, count in counts.items()},
                "waiting": waiting,
                "running": [each for each in running if each is not None],
                "workers": [_worker(asdict(worker)) for worker in await queue.workers()],
                "dead": [summary(job) for job in await queue.dead(50)],
            }
        )

    async def statistics(self, request: web.Request) -> web.Response:
        """How it went lately, span by span: columns for the charts."""
        told = query(request, {"over": 10})
        over = told.get("over", "hour")
        if over not in SPANS:
            raise Problem(400, "invalid_parameter", f"over must be one of {', '.join(SPANS)}", "over")
        seconds, number = SPANS[over]
        spans = await self._queue.statistics.spans(time.time(), seconds, number)
        columns: dict[str, Sequence[Any]] = {
            "at": [span.start for span in spans],
            "asked": [span.asked for span in spans],
            "drawn": [span.drawn for span in spans],
            "broken": [span.broken for span in spans],
            "cancelled": [span.cancelled for span in spans],
            "waited": [None if span.waited is None else round(span.waited, 3) for span in spans],
            "seconds": [round(span.seconds, 3) for span in spans],
        }
        return answer({"span": seconds, **columns})

    async def pause(self, request: web.Request) -> web.Response:
        server = (await read_body(request, Server)).server
        await self._queue.pause(server)
        await self._queue.moderation.audit.note(server or "", WHO, "queue.pause")
        return answer({"paused": server or "everything"})

    async def resume(self, request: web.Request) -> web.Response:
        server = (await read_body(request, Server)).server
        await self._queue.resume(server)
        await self._queue.moderation.audit.note(server or "", WHO, "queue.resume")
        return answer({"resumed": server or "everything"})

    async def drain(self, request: web.Request) -> web.Response:
        worker = (await read_body(request, WorkerName)).worker
        try:
            told = await self._queue.drain(worker)
        except UnknownJob as problem:
            raise Problem(404, "unknown_worker", str(problem)) from None
        await self._queue.moderation.audit.note("", WHO, "queue.drain", worker=worker or "")
        return answer({"draining": list(told)})

    async def retry(self, request: web.Request) -> web.Response:
        job = await self._queue.job(request.match_info["id"])
        if not await self._queue.retry(job.id):
            raise Problem(409, "not_dead", "this job did not end without pictures, so there is nothing to try again")
        await self._queue.moderation.audit.note(job.server, WHO, "queue.retry", job=job.id)
        return answer({"id": job.id, "retried": True})

    async def cancel(self, request: web.Request) -> web.Response:
        job = await self._queue.job(request.match_info["id"])
        outcome = await self._queue.cancel(job.id)
        if outcome == "gone":
            raise Problem(409, "finished", "the job has finished already")
        await self._queue.moderation.audit.note(job.server, WHO, "queue.cancel", job=job.id)
        return answer({"id": job.id, "cancelled": outcome})

    async def _summary(self, job_id: str) -> dict[str, Any] | None:
        try:
            return summary(await self._queue.job(job_id))
        except UnknownJob:
            return None


def summary(job: Job) -> dict[str, Any]:
    """What an operator needs to know; never the prompt."""
    return {
        "id": job.id,
        "state": job.state.value,
        "server": job.server,
        "member": job.member,
        "attempts": job.attempts,
        "error": job.error,
        "message": failure(job.error),
        "detail": job.detail,
        "worker": job.worker,
        "created": job.created,
        "changed": job.changed,
    }


def _worker(told: dict[str, Any]) -> dict[str, Any]:
    usual: dict[str, Any] = told.pop("usual")
    return {**told, "usual": {name: dict(one.fields) for name, one in usual.items()}}
