"""Steering a running queue from another process: one question and one answer over NATS, both JSON.

Whoever has nats-server's token may ask, so it works from any host. `daguerre queue` is built on it.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any, Literal, Protocol, cast

from nats.errors import NoRespondersError
from pydantic import BaseModel

from ..dispatch import Why
from ..errors import BrokerUnavailable, QueueError, UnknownJob
from ..moderation import Moderation
from ..nats import ERRORS, QUESTIONS, Connection, Credentials
from ..records import Job, JobState, Transition, WorkerInfo
from .health import Health

log = logging.getLogger(__name__)

Answer = dict[str, Any]
#: Seconds for an answer.
ANSWER_TIMEOUT = 10.0
#: Who bans from outside Discord.
OPERATOR = "operator"


class Steered(Protocol):
    """What of the queue can be asked and steered."""

    moderation: Moderation

    @property
    def paused(self) -> bool: ...
    @property
    def paused_servers(self) -> frozenset[str]: ...
    def healthy(self) -> Health: ...
    async def counts(self) -> Mapping[JobState, int]: ...
    async def workers(self) -> tuple[WorkerInfo, ...]: ...
    async def pause(self, server: str | None = None) -> None: ...
    async def resume(self, server: str | None = None) -> None: ...
    async def drain(self, worker: str | None = None) -> tuple[str, ...]: ...
    async def dead(self, limit: int = 50, *, server: str | None = None) -> list[Job]: ...
    async def retry(self, job_id: str) -> bool: ...
    async def cancel(self, job_id: str) -> Literal["queued", "running", "gone"]: ...
    async def why(self, job_id: str | Job) -> Why: ...
    async def history(self, job_id: str) -> tuple[Transition, ...]: ...
    async def look_up(self, start: str) -> Job | None: ...
    def reload(self) -> Mapping[str, Any]: ...


class Steering:
    """Answers questions, inside the control process."""

    def __init__(self, queue: Steered) -> None:
        self._queue = queue
        self._ways: Mapping[str, Callable[[str], Awaitable[Answer]]] = {
            "status": self._status,
            "pause": self._pause,
            "resume": self._resume,
            "drain": self._drain,
            "dead": self._dead,
            "retry": self._retry,
            "cancel": self._cancel,
            "why": self._why,
            "ban": self._ban,
            "unban": self._unban,
            "reload": self._reload,
        }

    async def answer(self, question: bytes) -> bytes:
        try:
            asked: Any = json.loads(question)
            way = self._ways[asked["do"]]
            told = await way(str(asked.get("what", "")))
        except QueueError as problem:
            told = {"error": str(problem)}
        except (ValueError, KeyError, TypeError):
            told = {"error": "this daguerre does not know such a question; both sides should be of one version"}
        try:
            return json.dumps(told, default=_plain).encode()
        except (TypeError, ValueError) as problem:
            # A bug of ours; whoever asked must not wait in vain.
            log.exception("an answer to the command line cannot be written")
            said = f"the answer cannot be written ({type(problem).__name__}); see the log of `daguerre serve`"
            return json.dumps({"error": said}).encode()

    async def _status(self, _: str) -> Answer:
        health = self._queue.healthy()
        return {
            "ok": health.ok,
            "problem": health.problem,
            "paused": self._queue.paused,
            "paused_servers": sorted(self._queue.paused_servers),
            "jobs": {state.value: number for state, number in (await self._queue.counts()).items()},
            "workers": [asdict(worker) for worker in await self._queue.workers()],
        }

    async def _pause(self, server: str) -> Answer:
        await self._queue.pause(server or None)
        return {"paused": server or "everything"}

    async def _resume(self, server: str) -> Answer:
        await self._queue.resume(server or None)
        return {"resumed": server or "everything"}

    async def _drain(self, worker: str) -> Answer:
        return {"draining": list(await self._queue.drain(worker or None))}

    async def _dead(self, _: str) -> Answer:
        return {"dead": [_summary(job) for job in await self._queue.dead()]}

    async def _retry(self, job: str) -> Answer:
        found = await self._one(job)
        again = await self._queue.retry(found.id)
        return {"retried": again, "job": found.id, "state": found.state.value}

    async def _cancel(self, job: str) -> Answer:
        found = await self._one(job)
        return {"cancelled": await self._queue.cancel(found.id), "job": found.id}

    async def _why(self, job: str) -> Answer:
        found = await self._one(job)
        why = await self._queue.why(found.id)
        history = [
            {"state": step.after.value, "at": step.at, "attempts": step.attempts}
            for step in await self._queue.history(found.id)
        ]
        return {"job": _summary(found), **asdict(why), "history": history}

    async def _ban(self, whom: str) -> Answer:
        """`server 123` or `member 123`: shut out everywhere, until it is lifted."""
        kind, subject = _whom(whom)
        await self._queue.moderation.store.ban("", kind, subject, OPERATOR, until=None)
        return {"banned": whom}

    async def _unban(self, whom: str) -> Answer:
        kind, subject = _whom(whom)
        return {"unbanned": await self._queue.moderation.store.lift("", kind, subject, OPERATOR)}

    async def _reload(self, _: str) -> Answer:
        return dict(self._queue.reload())

    async def _one(self, start: str) -> Job:
        """The job whose id begins so."""
        found = await self._queue.look_up(start)
        if found is None:
            raise UnknownJob(f'no job, or more than one, has a number that begins with "{start}"')
        return found


def _plain(value: object) -> Any:
    """Records inside an answer, as JSON has them."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(type(value).__name__)


def _whom(words: str) -> tuple[Literal["member", "server"], str]:
    """Raises: QueueError."""
    kind, _, subject = words.partition(" ")
    if kind not in ("member", "server") or not subject.strip().isdigit():
        raise QueueError('say whom: "member" or "server", and the id')
    return ("member" if kind == "member" else "server"), subject.strip()


def _summary(job: Job) -> Answer:
    """What an owner needs to know; never the prompt."""
    return {
        "id": job.id,
        "state": job.state.value,
        "server": job.server,
        "member": job.member,
        "attempts": job.attempts,
        "error": job.error,
        "detail": job.detail,
        "worker": job.worker,
        "changed": job.changed,
    }


async def ask(
    urls: str, credentials: Credentials, do: str, what: str = "", *, answer_seconds: float = ANSWER_TIMEOUT
) -> Answer:
    """Ask the control process that is connected to this nats-server.

    Raises:
        BrokerUnavailable: nobody answers; says why.
        QueueError: what the control process answered.
    """

    async def nothing(_: object) -> None:
        return

    connection = Connection(urls, credentials, name="daguerre queue", prepare=nothing)
    connection.start()
    try:
        try:
            async with asyncio.timeout(answer_seconds):
                session = await connection.ready()
        except TimeoutError:
            raise BrokerUnavailable(connection.problem or "nats-server does not answer") from None
        question = json.dumps({"do": do, "what": what}).encode()
        try:
            reply = await session.client.request(QUESTIONS, question, timeout=answer_seconds)
        except NoRespondersError:
            raise BrokerUnavailable("nats-server runs, but no `daguerre serve` is connected to it") from None
        except ERRORS as problem:
            raise BrokerUnavailable(f"no answer from `daguerre serve`: {type(problem).__name__}") from None
        answer = cast("Answer", json.loads(reply.data))
        if "error" in answer:
            raise QueueError(str(answer["error"]))
        return answer
    finally:
        await connection.close()
