"""`/api/v1/jobs`: one request as a job, for programs: submit, look, follow, fetch, cancel."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from ..queue.asking import said_again
from ..queue.moderation import Asker, Place, Use
from ..queue.prompt import lacks_picture, say, unknown_name, words_of
from ..queue.records import FINISHED, Job, JobState
from .bodies import WITH_PICTURES, job_body, left_open, parse_request
from .context import MEMBER, REPLY, SERVER, Studio
from .events import send_events
from .problems import Problem, unknown, unknown_words
from .reading import answer, check_head, read_text

_KEY = re.compile(r"[\x21-\x7e]{1,200}")
JOB = "/api/v1/jobs/{id:[0-9a-f]{32}}"
#: Jobs that somebody who comes back sees.
LATELY = 30


class JobsApi:
    """Construct, then `add_to` an application."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._queue = studio.queue
        self._streams: set[asyncio.Task[Any]] = set()

    def add_to(self, app: web.Application) -> None:
        app.router.add_post("/api/v1/jobs", self.submit)
        app.router.add_get("/api/v1/jobs", self.jobs)
        app.router.add_get(JOB, self.job)
        app.router.add_get(f"{JOB}/events", self.events)
        app.router.add_get(f"{JOB}/pictures/{{n:[0-9]{{1,3}}}}", self.picture)
        app.router.add_delete(JOB, self.cancel)
        app.on_shutdown.append(self.end_streams)

    async def submit(self, request: web.Request) -> web.Response:
        check_head(request)
        key = request.headers.get("Idempotency-Key")
        if key is not None and not _KEY.fullmatch(key):
            raise Problem(400, "invalid_key", "Idempotency-Key must be 1 to 200 ASCII characters without spaces")
        text, vocabulary = await read_text(request), self._studio.vocabulary
        workers = await self._queue.workers()
        asked, seed_drawn = parse_request(text, workers)
        if (name := unknown_name(asked, vocabulary, workers)) is not None:
            raise unknown(name)
        if lacks_picture(asked):
            raise Problem(400, "no_source", "control needs a picture: name one in source, to vary", "control")
        vocabulary = words_of(vocabulary, asked.model)
        report = vocabulary.check(asked.prompt) if vocabulary else None
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
            **await self.body(ticket.job),
            "unknown_words": {unknown.word: list(unknown.nearest) for unknown in report.unknown} if report else {},
        }
        return web.json_response(
            body, status=202 if ticket.created else 200, headers={"Location": f"/api/v1/jobs/{ticket.job.id}"}
        )

    async def jobs(self, request: web.Request) -> web.Response:
        """What was asked for here lately, newest first; what may not be seen any more is left out."""
        found: list[Mapping[str, Any]] = []
        for job in (await self._queue.members.last_requests(MEMBER))[:LATELY]:
            marks = await self._queue.moderation.store.marks(job.id)
            kept = marks.deleted or marks.hidden or marks.review in ("held", "rejected")
            if job.reply.get("kind") == REPLY["kind"] and not kept:
                found.append(await self.body(job))
        return answer({"jobs": found})

    async def job(self, request: web.Request) -> web.Response:
        job = await self._local_job(request)
        body = await self.body(job)
        if job.state in FINISHED and job.state not in WITH_PICTURES:
            await self._queue.mark_notified(job.id)
        return web.json_response(body)

    async def events(self, request: web.Request) -> web.StreamResponse:
        job = await self._local_job(request)
        # Proxies such as nginx would gather what is sent.
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        response = web.StreamResponse(headers=headers)
        task = asyncio.current_task()
        assert task is not None
        self._streams.add(task)
        try:
            await response.prepare(request)
            taught = self._studio.vocabulary is not None
            await send_events(self._queue.events(job.id, taught=taught), self.body, response.write)
            await response.write_eof()
        except ConnectionResetError:
            pass  # Whoever read has gone, as pages do when they are left: no news.
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

    async def body(self, job: Job) -> Mapping[str, Any]:
        """A job as clients see it."""
        position = await self._queue.position(job.id) if job.state is JobState.QUEUED else None
        settings, workers = await self._queue.server_settings.get(SERVER), await self._queue.workers()
        typed = say(said_again(job.request, settings, workers, relaxed=job.priority == "relax"))
        return {**job_body(job, position), "typed": typed}
