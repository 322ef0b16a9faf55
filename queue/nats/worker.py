"""NATS as a worker sees it: it dials out, takes jobs one by one, reports. It changes no stream."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from nats.aio.msg import Msg
from nats.js import api
from nats.js.errors import NotFoundError

from ..errors import BrokerUnavailable, PictureGone
from ..records import POOL, Delivery, Enclosed, Heartbeat, JobMessage, Outcome, Progress, Started
from .connection import ERRORS, JOBS, MARGIN, PART, SOURCES, TROUBLE, WORKERS, Connection, Session
from .credentials import Credentials
from .puller import Puller

log = logging.getLogger(__name__)

#: How often the files of a job are asked for: about a minute of a server that is there and does not answer.
FILE_TRIES = 10
#: Progress is dropped while more bytes than this wait to be sent.
BEHIND = 256 * 1024


class NatsWorker:
    """Implements WorkerTransport."""

    def __init__(
        self,
        urls: str,
        credentials: Credentials | str,
        *,
        name: str,
        on_cancel: Callable[[str], None],
        on_lost: Callable[[str], None] = lambda job: None,
        on_drain: Callable[[], None] = lambda: None,
        group: str = POOL,
        instance: str = "",
    ) -> None:
        """`on_cancel` and `on_lost` are called with a job: nobody wants it any more, or another worker has it."""
        self._on_cancel = on_cancel
        self._on_lost = on_lost
        self._on_drain = on_drain
        self._group = group
        self._instance = instance
        self.ack_wait = 10.0  # Until the consumer has told the real one.
        self.connection = Connection(urls, credentials, name=f"daguerre worker {name}", prepare=self._prepare)
        self._jobs = Puller(self.connection, JOBS, group)

    async def fetch(self) -> Delivery:
        while True:
            delivery = await self._read(await self._jobs.next())
            if delivery is not None:
                return delivery

    async def leftovers(self) -> Sequence[Delivery]:
        read = [await self._read(message) for message in await self._jobs.stop()]
        return [delivery for delivery in read if delivery is not None]

    async def files(self, message: JobMessage) -> Mapping[str, bytes]:
        wait = 0.1
        for tries_left in reversed(range(FILE_TRIES)):
            session = await self.connection.ready()
            try:
                return {
                    enclosed.name: await _file(session, message.job, number, enclosed)
                    for number, enclosed in enumerate(message.enclosed)
                }
            except NotFoundError:
                raise PictureGone("a picture that the job begins from is not there any more") from None
            except ERRORS as problem:
                log.warning("job %s: its pictures did not come yet: %s", message.job, type(problem).__name__)
                if tries_left:
                    await asyncio.sleep(wait)
                    wait = min(wait * 2, 5.0)
        raise BrokerUnavailable("nats-server does not give the pictures that the job begins from")

    async def keep(self, delivery: Delivery) -> None:
        await self.connection.publish(delivery.handle, b"+WPI")

    async def acknowledge(self, delivery: Delivery) -> None:
        # Without waiting: closing the connection flushes, and a job that comes once more is known by its id.
        await self.connection.publish(delivery.handle, b"+ACK")

    async def retry(self, delivery: Delivery, seconds: float) -> None:
        delay = json.dumps({"delay": int(seconds * 1e9)}).encode()
        await self.connection.publish(delivery.handle, b"-NAK " + delay)

    async def report(self, outcome: Outcome, pictures: Sequence[bytes]) -> None:
        # One id for all attempts of a delivery: the first result that is stored is the result.
        name = f"r{outcome.job}.{outcome.sequence}"
        if outcome.kind == "returned":
            name += f".{outcome.attempt}"
        body = b"".join(pictures)
        outcome = outcome.model_copy(update={"sizes": tuple(len(picture) for picture in pictures)})
        wait = 0.1
        while True:
            session = await self.connection.ready()
            try:
                # What fits travels with the outcome; a server that is not ours may allow less than ours.
                fits = min(PART, session.client.max_payload - MARGIN)
                parts: list[int] = []
                if len(body) > fits:
                    parts = await self._send_parts(session, outcome, body, fits)
                room = session.client.max_payload - (0 if parts else len(body))
                head = _head(outcome.model_copy(update={"parts": tuple(parts)}), room)
                payload = head + b"\n" + (b"" if parts else body)
                await session.js.publish(f"res.{outcome.job}", payload, headers={"Nats-Msg-Id": name})
            except ERRORS as problem:
                log.warning("job %s: its outcome is not stored yet: %s", outcome.job, type(problem).__name__)
                if self.connection.session is session:
                    # Connected, and yet it stores nothing: after a full disk nats-server needs a restart.
                    await self.connection.publish(TROUBLE, self._instance.encode())
                await asyncio.sleep(wait)
                wait = min(wait * 2, 5.0)
            else:
                return

    async def started(self, started: Started) -> None:
        await self.connection.publish(f"st.{started.job}", started.model_dump_json().encode())

    async def heartbeat(self, heartbeat: Heartbeat) -> None:
        await self.connection.publish(f"hb.{heartbeat.instance}", heartbeat.model_dump_json().encode())

    async def progress(self, progress: Progress) -> None:
        session = self.connection.session
        if session is None or session.client.pending_data_size > BEHIND:
            return
        if progress.preview is not None and len(progress.preview) > BEHIND:
            progress = Progress(progress.job, progress.step, progress.steps)
        head = json.dumps([progress.step, progress.steps]).encode()
        await self.connection.publish(f"prog.{progress.job}", head + b"\n" + (progress.preview or b""))

    async def _send_parts(self, session: Session, outcome: Outcome, body: bytes, size: int) -> list[int]:
        sequences: list[int] = []
        for number, start in enumerate(range(0, len(body), size)):
            subject = f"part.{outcome.job}.{outcome.attempt}.{number}"
            name = f"p{outcome.job}.{outcome.sequence}.{outcome.attempt}.{number}"
            stored = await session.js.publish(subject, body[start : start + size], headers={"Nats-Msg-Id": name})
            sequences.append(stored.seq)
        return sequences

    async def _read(self, message: Msg) -> Delivery | None:
        metadata = message.metadata
        try:
            job = JobMessage.model_validate_json(message.data)
        except ValidationError:
            # Meant for newer code, perhaps: leave it to another worker. The control process sees it waiting.
            log.warning("a job cannot be read by this version; left to others")
            await self.connection.publish(message.reply, b'-NAK {"delay":5000000000}')
            return None
        return Delivery(
            message=job,
            sequence=metadata.sequence.stream,
            attempt=job.attempts + metadata.num_delivered,
            handle=message.reply,
        )

    async def _prepare(self, session: Session) -> None:
        # The control process makes the stream; until it has, there is nothing to do here.
        try:
            standard = await session.js.consumer_info(JOBS, WORKERS)
        except NotFoundError:
            raise BrokerUnavailable("the control process has not prepared it yet") from None
        self.ack_wait = standard.config.ack_wait or self.ack_wait
        if self._group != WORKERS:
            # The line of workers like us; whoever is first makes it.
            line = api.ConsumerConfig(
                name=self._group,
                durable_name=self._group,
                filter_subject=f"jobs.{self._group}",
                ack_policy=api.AckPolicy.EXPLICIT,
                ack_wait=self.ack_wait,
                max_deliver=-1,
                max_ack_pending=1000,
            )
            js: Any = session.js  # Its annotations are incomplete.
            await js.add_consumer(JOBS, line)
        await session.listen("cancel.*", self._on_cancel_message)
        if self._instance:
            await session.listen(f"stop.{self._instance}", self._on_stop_message)
            await session.listen(f"drain.{self._instance}", self._on_drain_message)
        await session.listen("drain.all", self._on_drain_message)
        await self._jobs.attach(session)

    async def _on_cancel_message(self, message: Msg) -> None:
        self._on_cancel(message.subject.removeprefix("cancel."))

    async def _on_stop_message(self, message: Msg) -> None:
        self._on_lost(message.data.decode(errors="replace"))

    async def _on_drain_message(self, _: Msg) -> None:
        self._on_drain()


async def _file(session: Session, job: str, number: int, enclosed: Enclosed) -> bytes:
    """One file of a job. Raises: NotFoundError, and PictureGone when it is not whole."""
    parts: list[bytes] = []
    for part in range(enclosed.parts):
        raw = await session.js.get_last_msg(SOURCES, f"src.{job}.{number}.{part}")
        parts.append(raw.data or b"")
    file = b"".join(parts)
    if len(file) != enclosed.size:
        raise PictureGone("a picture that the job begins from is not whole")
    return file


def _head(outcome: Outcome, room: int) -> bytes:
    """The outcome without its pictures. What the engine says about them is left out where it is too much."""
    head = outcome.model_dump_json().encode()
    if len(head) + 1024 > room:
        log.warning("job %s: %d bytes of metadata are too much; left out", outcome.job, len(head))
        head = outcome.model_copy(update={"metadata": {}}).model_dump_json().encode()
    return head
