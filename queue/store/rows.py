"""Rows of the job table as records; damaged ones become jobs that say so. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from pydantic import ValidationError
from sqlalchemy import RowMapping

from ..records import Entry, ImageRequest, Job, JobState, Lane, Needs

#: Codes of jobs whose row cannot be understood: damaged, or written by another version.
UNREADABLE = "unreadable"
OTHER_VERSION = "other_version"
#: Stands in for a request that cannot be read, so that its asker can still be told.
_NO_REQUEST = ImageRequest(prompt="?", seed=0)


def entry_of(job: Job) -> Entry:
    """The job as the fair queue sees it."""
    needs = Needs(job.request.model, max(job.request.width, job.request.height), job.pool)
    return Entry(job.id, job.server, job.member, _sound(job.cost), job.lane, _sound(job.weight), needs)


def entry_of_row(row: Sequence[Any]) -> Entry:
    job_id, server, member, cost, lane, weight, model, side, pool = row
    fair_lane: Lane = "relax" if lane == "relax" else "fast"
    return Entry(job_id, server, member, _sound(cost), fair_lane, _sound(weight), Needs(model, side, pool))


def _sound(value: Any) -> float:
    """A cost or weight that the fair queue can reckon with, whatever a damaged row says."""
    return float(value) if isinstance(value, int | float) and 1e-6 < value < 1e9 else 1.0


def job_of(row: Mapping[str, Any] | RowMapping) -> Job:
    request, error = _request(row["request"])
    try:
        state = JobState(row["state"])
    except ValueError:
        state, error = JobState.FAILED, UNREADABLE
    reply, metadata = row["reply"], row["metadata"]
    pictures = cast("list[str]", row["pictures"]) if isinstance(row["pictures"], list) else []
    return Job(
        id=row["id"],
        key=row["key"],
        member=row["member"],
        server=row["server"],
        lane="relax" if row["lane"] == "relax" else "fast",
        weight=row["weight"],
        cost=row["cost"],
        pool=row["pool"],
        state=state,
        generation=row["generation"],
        sequence=row["sequence"],
        group=row["group"],
        worker=row["worker"],
        attempts=row["attempts"],
        request=request,
        reply=cast("Mapping[str, Any]", reply) if isinstance(reply, dict) else {},
        told=row["told"],
        error=error or row["error"],
        detail=row["detail"],
        pictures=tuple(pictures),
        metadata=cast("Mapping[str, Any]", metadata) if isinstance(metadata, dict) else {},
        seconds=row["seconds"],
        created=row["created"],
        changed=row["changed"],
    )


def _request(stored: Any) -> tuple[ImageRequest, str | None]:
    """What was asked for, or a stand-in and why it cannot be read."""
    try:
        return ImageRequest.model_validate(stored), None
    except ValidationError:
        version: Any = cast("Mapping[str, Any]", stored).get("version") if isinstance(stored, dict) else None
        other = isinstance(version, int) and version != _NO_REQUEST.version
        return _NO_REQUEST, OTHER_VERSION if other else UNREADABLE
