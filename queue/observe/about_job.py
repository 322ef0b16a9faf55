"""Which job a line of the log is about: one id, in the lines of every process that has to do with it."""

from __future__ import annotations

from contextlib import AbstractContextManager

from structlog.contextvars import bound_contextvars


def about_job(job_id: str) -> AbstractContextManager[None]:
    """Every line that is logged inside, by whatever it calls and by tasks that it starts, names this job."""
    return bound_contextvars(job=job_id)
