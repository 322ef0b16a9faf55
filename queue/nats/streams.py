"""What the control process keeps in nats-server, and putting it back when another hand has removed or changed it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from nats.js import JetStreamContext, api
from nats.js.errors import BadRequestError, NotFoundError

from ..records import POOL
from .connection import CONTROL, JOBS, PARTS, RESULTS, SOURCES, WORKERS

#: For how long the server drops a second message with the same id, in seconds.
DUPLICATES = 600.0
#: Pictures whose outcome never came are dropped after this many seconds.
PARTS_AGE = 24 * 3600.0
#: What of a stream's or consumer's settings must be as we made it; the server fills in others.
_STREAM = ("subjects", "retention", "max_msgs", "max_bytes", "max_age", "max_msgs_per_subject", "duplicate_window")
_CONSUMER = ("filter_subject", "ack_policy", "ack_wait", "max_deliver", "max_ack_pending")


async def repair(js: JetStreamContext, ack_wait: float, groups: Collection[str]) -> Sequence[str]:
    """Put back what is missing or changed; gives what that was, in words.

    A stream's messages are gone with it: `reconcile` sends the jobs again. `groups` are those of living workers.

    Raises:
        nats.errors.Error: the server does not let us, for example because a limit of the account is reached.
    """
    found: list[str] = []
    for stream in _streams():
        try:
            there = (await js.stream_info(stream.name or "")).config
        except NotFoundError:
            trouble = "was gone"
        else:
            trouble = "" if _alike(there, stream, _STREAM) else "had other settings"
        if trouble:
            await _put_stream(js, stream)
            found.append(f"the stream {stream.name} {trouble}")
    for name, consumer in consumers(ack_wait, groups):
        try:
            told = await js.consumer_info(name, consumer.durable_name or "")
        except NotFoundError:
            trouble = "was gone"
        else:
            trouble = "" if _alike(told.config, consumer, _CONSUMER) else "had other settings"
        if trouble:
            await _put_consumer(js, name, consumer)
            found.append(f"the consumer {consumer.durable_name} of {name} {trouble}")
    return found


def consumers(ack_wait: float, groups: Collection[str]) -> Sequence[tuple[str, api.ConsumerConfig]]:
    """Each with its stream."""
    lines = {WORKERS: f"jobs.{POOL}"} | {group: f"jobs.{group}" for group in groups if group not in (WORKERS, POOL)}
    made = [(JOBS, _consumer(name, subject, ack_wait)) for name, subject in lines.items()]
    return (*made, (RESULTS, _consumer(CONTROL, "res.*", 60.0)))


def _consumer(name: str, subject: str, ack_wait: float) -> api.ConsumerConfig:
    return api.ConsumerConfig(
        name=name,
        durable_name=name,
        filter_subject=subject,
        ack_policy=api.AckPolicy.EXPLICIT,
        ack_wait=ack_wait,
        # The worker counts attempts and declares a job dead, so that nobody misses it.
        max_deliver=-1,
        max_ack_pending=1000,
    )


def _streams() -> Sequence[api.StreamConfig]:
    work_queue, limits = api.RetentionPolicy.WORK_QUEUE, api.RetentionPolicy.LIMITS
    made = (
        api.StreamConfig(JOBS, subjects=["jobs.*"], retention=work_queue),
        api.StreamConfig(RESULTS, subjects=["res.*"], retention=work_queue),
        api.StreamConfig(PARTS, subjects=["part.*.*.*"], retention=limits, max_age=PARTS_AGE),
        api.StreamConfig(SOURCES, subjects=["src.*.*.*"], retention=limits, max_msgs_per_subject=1),
    )
    for stream in made:
        stream.storage = api.StorageType.FILE
        stream.duplicate_window = DUPLICATES
    return made


async def _put_stream(js: Any, stream: api.StreamConfig) -> None:
    try:
        await js.add_stream(stream)
    except BadRequestError:  # It is there with other settings.
        await js.update_stream(stream)


async def _put_consumer(js: Any, stream: str, consumer: api.ConsumerConfig) -> None:
    await js.add_consumer(stream, consumer)


def _alike(there: Any, ours: Any, names: Sequence[str]) -> bool:
    """Whether these settings are as we made them; unlimited is written in several ways."""
    return all(_said(getattr(there, name)) == _said(getattr(ours, name)) for name in names)


def _said(value: Any) -> Any:
    return None if value in (None, 0, -1) else value
