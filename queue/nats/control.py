"""NATS as the control process sees it: it owns the streams, sends jobs, reads outcomes, hears the workers."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence

from pydantic import ValidationError

from nats.aio.msg import Msg
from nats.js.errors import APIError, BadRequestError, NotFoundError, ServiceUnavailableError

from ..errors import BrokerUnavailable
from ..records import (
    NOTHING,
    POOL,
    Arrived,
    ControlListener,
    Enclosed,
    Heartbeat,
    JobMessage,
    Outcome,
    Progress,
    Started,
    Stored,
)
from .connection import (
    CONTROL,
    ERRORS,
    JOBS,
    JOBS_SUBJECT,
    MARGIN,
    PART,
    PARTS,
    QUESTIONS,
    RESULTS,
    SOURCES,
    TROUBLE,
    Connection,
    Session,
)
from .credentials import Credentials
from .puller import Puller
from .streams import repair

log = logging.getLogger(__name__)

#: Outcomes that are fetched at a time.
TOGETHER = 16


class NatsControl:
    """Implements ControlTransport."""

    def __init__(self, urls: str, credentials: Credentials | str, *, ack_wait: float) -> None:
        self._ack_wait = ack_wait
        self.connection = Connection(urls, credentials, name="daguerre control", prepare=self._prepare)
        self._prepared = False
        self._outcomes = Puller(self.connection, RESULTS, CONTROL, batch=TOGETHER)

    def start(self, listener: ControlListener) -> None:
        """Dial, again and again; `listener` hears from then on."""
        self._listener = listener
        self.connection.start(established=listener.on_connected)

    @property
    def connected(self) -> bool:
        return self.connection.session is not None

    async def repair(self, groups: Collection[str]) -> None:
        session = self.connection.require()
        with _Away():
            found = await repair(session.js, self._ack_wait, groups)
        for trouble in found:
            log.warning("in nats-server %s; it is put back", trouble)

    # Jobs

    async def send(self, message: JobMessage, group: str = POOL, files: Mapping[str, bytes] = NOTHING) -> int:
        session = self.connection.require()
        headers = {"Nats-Msg-Id": f"{message.job}.{message.generation}"}
        with _Away():
            if files:
                # Before the job, so that whoever has the job finds them.
                enclosed = [await self._enclose(session, message.job, *one) for one in enumerate(files.items())]
                message = message.model_copy(update={"enclosed": tuple(enclosed)})
            stored = await session.js.publish(f"jobs.{group}", message.model_dump_json().encode(), headers=headers)
        return stored.seq

    async def stored(self) -> Sequence[Stored]:
        session = self.connection.require()
        found: list[Stored] = []
        sequence = 1
        with _Away():
            while True:
                try:
                    raw = await session.js.get_msg(JOBS, sequence, JOBS_SUBJECT, next=True)
                except NotFoundError:
                    return found
                assert raw.seq is not None
                sequence = raw.seq + 1
                try:
                    # By the id inside the message: sequences start again when the server's folder was lost.
                    message = JobMessage.model_validate_json(raw.data or b"")
                except ValidationError:
                    log.warning("a message in the stream %s is no job; removed", JOBS)
                    await session.js.delete_msg(JOBS, raw.seq)
                else:
                    group = (raw.subject or "").partition(".")[2]
                    found.append(Stored(raw.seq, message.job, message.generation, group))

    async def enclosing(self) -> Collection[str]:
        session = self.connection.require()
        with _Away():
            known = await session.js.stream_info(SOURCES, subjects_filter="src.>")
        return {subject.split(".")[1] for subject in known.state.subjects or ()}

    async def discard_files(self, job_id: str) -> None:
        session = self.connection.require()
        with _Away():
            await session.js.purge_stream(SOURCES, subject=f"src.{job_id}.>")

    async def _enclose(self, session: Session, job_id: str, number: int, file: tuple[str, bytes]) -> Enclosed:
        name, data = file
        size = min(PART, session.client.max_payload - MARGIN)
        parts = [data[start : start + size] for start in range(0, len(data), size)]
        for part, content in enumerate(parts):
            # A subject keeps its last message only: sending a job again replaces what was there by the same.
            await session.js.publish(f"src.{job_id}.{number}.{part}", content)
        return Enclosed(name=name, size=len(data), parts=len(parts))

    async def discard(self, sequence: int) -> None:
        session = self.connection.require()
        with _Away():
            try:
                await session.js.delete_msg(JOBS, sequence)
            except (NotFoundError, BadRequestError):
                pass  # Acknowledged meanwhile.
            except APIError as problem:
                if problem.code != 500:  # nats-server says 500 "no message found".
                    raise

    async def cancel(self, job_id: str) -> None:
        await self.connection.publish(f"cancel.{job_id}")

    async def stop(self, job_id: str, instance: str) -> None:
        await self.connection.publish(f"stop.{instance}", job_id.encode())

    async def drain(self, instance: str) -> None:
        await self.connection.publish(f"drain.{instance or 'all'}")

    # Outcomes

    async def has_outcome(self, job_id: str) -> bool:
        session = self.connection.require()
        with _Away():
            try:
                await session.js.get_msg(RESULTS, 1, f"res.{job_id}", next=True)
            except NotFoundError:
                return False
        return True

    async def outcomes(self) -> AsyncGenerator[Arrived]:
        while True:
            message = await self._outcomes.next()
            try:
                head, _, body = message.data.partition(b"\n")
                outcome = Outcome.model_validate_json(head)
                if outcome.parts:
                    body = await self._parts(outcome.parts)
            except (ValidationError, NotFoundError) as problem:
                # Its pictures are lost or it never was an outcome. The job is found and sent again by reconcile.
                log.warning("an outcome cannot be read: %s", type(problem).__name__)
                await self.connection.publish(message.reply, b"+TERM")
                continue
            except (*ERRORS, BrokerUnavailable):
                continue  # The connection broke; the outcome comes again.
            pictures: list[bytes] = []
            for size in outcome.sizes:
                pictures.append(body[:size])
                body = body[size:]
            yield Arrived(outcome=outcome, pictures=tuple(pictures), handle=message.reply)

    async def acknowledge(self, arrived: Arrived) -> None:
        session = self.connection.require()
        with _Away():
            # Without waiting: one that gets lost brings the outcome once more, which then changes nothing.
            await session.client.publish(arrived.handle, b"+ACK")
            if arrived.outcome.parts:
                await session.js.purge_stream(PARTS, subject=f"part.{arrived.outcome.job}.>")

    async def postpone(self, arrived: Arrived, seconds: float) -> None:
        delay = json.dumps({"delay": int(seconds * 1e9)}).encode()
        await self.connection.publish(arrived.handle, b"-NAK " + delay)

    async def _parts(self, sequences: Sequence[int]) -> bytes:
        session = self.connection.require()
        return b"".join([(await session.js.get_msg(PARTS, sequence)).data or b"" for sequence in sequences])

    # A new connection

    async def _prepare(self, session: Session) -> None:
        try:
            found = await repair(session.js, self._ack_wait, ())
        except ServiceUnavailableError:
            raise BrokerUnavailable("JetStream is switched off: start nats-server with -js") from None
        # At the start nothing need be there; later it is lost.
        for trouble in found if self._prepared else ():
            log.warning("in nats-server %s; it is put back", trouble)
        self._prepared = True
        for subject, hear in (("st.*", self._on_started), ("prog.*", self._on_progress), ("hb.*", self._on_heartbeat)):
            await session.listen(subject, _lenient(hear))
        await session.listen(QUESTIONS, self._on_question)
        await session.listen(TROUBLE, self._on_trouble)
        await self._outcomes.attach(session)

    async def _on_started(self, message: Msg) -> None:
        await self._listener.on_started(Started.model_validate_json(message.data))

    async def _on_heartbeat(self, message: Msg) -> None:
        await self._listener.on_heartbeat(Heartbeat.model_validate_json(message.data))

    async def _on_progress(self, message: Msg) -> None:
        head, _, preview = message.data.partition(b"\n")
        step, steps = json.loads(head)
        job_id = message.subject.removeprefix("prog.")
        await self._listener.on_progress(Progress(job_id, int(step), int(steps), preview or None))

    async def _on_trouble(self, _: Msg) -> None:
        self._listener.on_trouble()

    async def _on_question(self, message: Msg) -> None:
        if message.reply:
            await self.connection.publish(message.reply, await self._listener.on_question(message.data))


def _lenient(hear: Callable[[Msg], Awaitable[None]]) -> Callable[[Msg], Awaitable[None]]:
    """One bad message must not end a subscription."""

    async def heard(message: Msg) -> None:
        try:
            await hear(message)
        except (ValidationError, ValueError, TypeError) as problem:
            log.warning("a message on %s cannot be read: %s", message.subject.split(".")[0], type(problem).__name__)

    return heard


class _Away:
    """Turns the client's errors into ours."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, ERRORS):
            raise BrokerUnavailable(f"nats-server does not answer: {error or type(error).__name__}") from None
