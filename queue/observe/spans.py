"""Spans of one job, for OpenTelemetry; without it nothing happens. Set up by app/tracing.py.

A job's id is its trace, and its second half is the root span: each process knows both from the job, so nothing has to
travel, and what an earlier version or process sent belongs to the same tree.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

Value = str | int | float | bool


class Span(Protocol):
    """What may be said about a piece of work while it goes on."""

    def set_attribute(self, key: str, value: Value, /) -> object: ...


class Spans(Protocol):
    """Times of the pieces of a job's way. Attributes never hold a prompt."""

    def root(self, job_id: str, name: str, *, began: float, **attributes: Value) -> None:
        """The tree's root, told once it is over; `began` is a Unix time."""
        ...

    def within(self, job_id: str, name: str, **attributes: Value) -> AbstractContextManager[Span]:
        """A piece of the job's way: below the piece that goes on here, else below the root."""
        ...

    def close(self) -> None:
        """Send what is left. Blocks, for seconds at most."""
        ...


class _Nothing:
    """A piece of work that nobody looks at; one for all, as it keeps nothing."""

    def set_attribute(self, _: str, __: Value, /) -> None:
        return

    def __enter__(self) -> Span:
        return self

    def __exit__(self, *_: object) -> None:
        return


class NoSpans:
    """Implements Spans: nobody looks."""

    def __init__(self) -> None:
        self._nothing = _Nothing()

    def root(self, job_id: str, name: str, *, began: float, **attributes: Value) -> None:
        return

    def within(self, job_id: str, name: str, **attributes: Value) -> AbstractContextManager[Span]:
        return self._nothing

    def close(self) -> None:
        return
