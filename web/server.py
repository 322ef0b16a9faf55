"""The local HTTP API, and a page on it.

GET    /                                   a page for people: state, next steps, a form that draws
GET    /healthz                            200 while the queue is up, else 503
GET    /readyz, /metrics                   for an operator's programs (operator.py)
POST   /api/v1/jobs                        {"prompt": …} → 202; the same Idempotency-Key again → 200, the same job
GET    /api/v1/jobs/{id}                   state, place in the queue, links to the pictures
GET    /api/v1/jobs/{id}/events            the same as server-sent events with steps and previews, until it has finished
GET    /api/v1/jobs/{id}/pictures/{n}      PNG; n counts from 1
DELETE /api/v1/jobs/{id}                   cancel
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from ..queue.control import Queue
from ..queue.moderation import Asker, Place, Use
from ..queue.prompt import Vocabulary, unknown_name
from ..queue.records import FINISHED, Job, JobState
from .bodies import WITH_PICTURES, job_body, left_open, parse_request
from .events import send_events
from .guard import answer_problems, is_stranger, make_guard
from .operator import add_operator
from .options import WebOptions
from .page import add_page
from .problems import Problem, unknown, unknown_words

#: Who asks over HTTP; the fair share and the limit of waiting jobs count them as one member.
MEMBER = SERVER = "local"
#: What stands in `Job.reply` of a job that came over HTTP, so that the bot leaves it alone.
REPLY: Mapping[str, Any] = {"kind": "web"}
NO_WORKER = (
    "no worker is connected; jobs wait until one is (scripts/start doctor, in a container daguerre doctor, says what a "
    "worker here lacks)"
)
#: Within which a body must have come.
BODY_SECONDS = 15.0
_KEY = re.compile(r"[\x21-\x7e]{1,200}")


def make_app(
    queue: Queue,
    options: WebOptions,
    *,
    vocabulary: Vocabulary | None = None,
    about: Callable[[], Mapping[str, Any]] = dict,
    data_dir: Path | None = None,
) -> web.Application:
    """The API on an open queue. `about` adds to what /healthz tells this machine.

    Where the workers of this machine cannot start, its `worker_problem` says why and what to do.
    """
    api = _Api(queue, options, vocabulary, about)
    app = web.Application(middlewares=[answer_problems, make_guard(options)], client_max_size=options.max_body_bytes)
    add_page(app)
    add_operator(app, queue, options, about, data_dir)
    app.router.add_get("/healthz", api.healthz)
    app.router.add_post("/api/v1/jobs", api.submit)
    app.router.add_get("/api/v1/jobs/{id:[0-9a-f]{32}}", api.job)
    app.router.add_get("/api/v1/jobs/{id:[0-9a-f]{32}}/events", api.events)
    app.router.add_get("/api/v1/jobs/{id:[0-9a-f]{32}}/pictures/{n:[0-9]{1,3}}", api.picture)
    app.router.add_delete("/api/v1/jobs/{id:[0-9a-f]{32}}", api.cancel)
    app.on_shutdown.append(api.end_streams)
    return app


class _Api:
    def __init__(
        self, queue: Queue, options: WebOptions, vocabulary: Vocabulary | None, about: Callable[[], Mapping[str, Any]]
    ) -> None:
        self._queue = queue
        self._options = options
        self._vocabulary = vocabulary
        self._about = about
        self._streams: set[asyncio.Task[Any]] = set()

    async def healthz(self, request: web.Request) -> web.Response:
        health = self._queue.healthy()
        body: dict[str, Any] = {"status": "ok" if health.ok else "down"}
        if not is_stranger(self._options, request):
            about = self._about()
            reason = about.get("worker_problem")
            idle = f"no worker is connected: {reason}" if reason else NO_WORKER
            body |= {
                "storage": health.storage,
                "broker": health.broker,
                "workers": health.workers,
                "problem": health.problem or (None if health.workers else idle),
                **about,
            }
            if health.storage:
                body["jobs"] = {state.value: count for state, count in (await self._queue.counts()).items()}
        return web.json_response(body, status=200 if health.ok else 503)

    async def submit(self, request: web.Request) -> web.Response:
        _check_head(request)
        key = request.headers.get("Idempotency-Key")
        if key is not None and not _KEY.fullmatch(key):
            raise Problem(400, "invalid_key", "Idempotency-Key must be 1 to 200 ASCII characters without spaces")
        text = await _text(request)
        workers = await self._queue.workers()
        asked, seed_drawn = parse_request(text, workers)
        if (name := unknown_name(asked, self._vocabulary, workers)) is not None:
            raise unknown(name)
        report = self._vocabulary.check(asked.prompt) if self._vocabulary else None
        if report and report.unknown and not report.anything_known and asked.source is None:
            raise unknown_words(report)
        ticket = await self._queue.submit(
            asked, key=f"web:{key or uuid.uuid4().hex}", member=MEMBER, server=SERVER, reply=REPLY
        )
        first = ticket.job.request
        # What the body leaves open may have come out otherwise before: by another seed, by other workers.
        left = [*left_open(text), *(["seed"] if seed_drawn else [])]
        if not ticket.created and first != asked.model_copy(update={name: getattr(first, name) for name in left}):
            raise Problem(409, "key_used", "this Idempotency-Key belongs to another request; take a new one")
        body = {
            **await self._body(ticket.job),
            "unknown_words": {unknown.word: list(unknown.nearest) for unknown in report.unknown} if report else {},
        }
        return web.json_response(
            body, status=202 if ticket.created else 200, headers={"Location": f"/api/v1/jobs/{ticket.job.id}"}
        )

    async def job(self, request: web.Request) -> web.Response:
        job = await self._local_job(request)
        body = await self._body(job)
        if job.state in FINISHED and job.state not in WITH_PICTURES:
            await self._queue.mark_notified(job.id)
        return web.json_response(body)

    async def events(self, request: web.Request) -> web.StreamResponse:
        job = await self._local_job(request)
        # Proxies such as nginx would gather what is sent.
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        task = asyncio.current_task()
        assert task is not None
        self._streams.add(task)
        try:
            await send_events(
                self._queue.events(job.id, taught=self._vocabulary is not None), self._body, response.write
            )
            await response.write_eof()
        finally:
            self._streams.discard(task)
        return response

    async def end_streams(self, _: web.Application) -> None:
        """Streams would hold up the end of the process; their clients come back and find the job as it then is."""
        for task in self._streams:
            task.cancel()

    async def picture(self, request: web.Request) -> web.Response:
        job = await self._local_job(request)
        number = int(request.match_info["n"])
        if job.state not in FINISHED:
            raise Problem(409, "not_finished", f"the job is {job.state}; its pictures come when it has finished")
        if job.state not in WITH_PICTURES or not 1 <= number <= len(job.pictures):
            raise Problem(404, "no_picture", f"this job has {len(job.pictures)} pictures, counted from 1")
        permit = await self._queue.showing.permit(Use.LOOK, job, Place(SERVER, private=True), Asker(MEMBER))
        data = (await self._queue.pictures(permit))[number - 1]
        if number == len(job.pictures):
            await self._queue.mark_notified(job.id)
        return web.Response(body=data, content_type="image/png", headers={"Cache-Control": "private, max-age=86400"})

    async def cancel(self, request: web.Request) -> web.Response:
        job = await self._local_job(request)
        outcome = await self._queue.cancel(job.id)
        if outcome == "gone":
            raise Problem(409, "finished", "the job has finished already")
        return web.json_response({"id": job.id, "cancelled": outcome}, status=202)

    async def _local_job(self, request: web.Request) -> Job:
        """The job of the address. What was asked for on Discord is nobody's business here."""
        job = await self._queue.job(request.match_info["id"])
        if job.reply.get("kind") != REPLY["kind"]:
            raise Problem(404, "unknown_job", "no job has this id")
        return job

    async def _body(self, job: Job) -> Mapping[str, Any]:
        position = await self._queue.position(job.id) if job.state is JobState.QUEUED else None
        return job_body(job, position)


def _check_head(request: web.Request) -> None:
    """Whether the body is what is read here: JSON in UTF-8. Other encodings (punycode!) take time that is quadratic.

    Raises:
        Problem: says what to send.
    """
    if request.content_type != "application/json":
        raise Problem(415, "not_json", "send JSON, with the header Content-Type: application/json")
    charset = request.charset
    if charset is not None and charset.strip().lower() not in ("utf-8", "utf8"):
        raise Problem(415, "not_utf8", "send the body as UTF-8, and leave charset out of the Content-Type")
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise Problem(400, "packed", "send the body as it is, without Content-Encoding")


async def _text(request: web.Request) -> str:
    """Raises: Problem."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return (await request.read()).decode()
    except UnicodeDecodeError:
        raise Problem(400, "invalid_json", "the body is not UTF-8 text") from None
    except TimeoutError:
        raise Problem(408, "too_slow", f"the body did not come within {BODY_SECONDS:.0f} seconds") from None
