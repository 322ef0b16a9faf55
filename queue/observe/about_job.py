"""Which job a line of the log is about: one id, in the lines of every process that has to do with it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

#: The job that is at work in this task, and in tasks that it starts; empty: none. app/logs.py reads it for each line.
#: Of its own, since structlog's context takes ten times as long to bind, four times for each job.
JOB: ContextVar[str] = ContextVar("daguerre_job", default="")


@contextmanager
def about_job(job_id: str) -> Generator[None]:
    """Every line that is logged inside, by whatever it calls and by tasks that it starts, names this job."""
    token = JOB.set(job_id)
    try:
        yield
    finally:
        JOB.reset(token)
