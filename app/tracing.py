"""OpenTelemetry, for those who want it (`[log] traces`, extra `tracing`): the spans of a job as one tree.

Its ids follow from the job's (queue/observe/spans.py), so those of all processes come together at the collector.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..queue.observe import NoSpans, Span, Spans
from .packages import need

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor

Value = str | int | float | bool


def open_spans(address: str, process: str) -> Spans:
    """Send spans to an OTLP/HTTP address, in a thread of its own; nothing for an empty one.

    Raises:
        PackagesMissing: the extra `tracing` is not installed.
    """
    if not address:
        return NoSpans()
    need("tracing")
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    return OpenSpans(BatchSpanProcessor(OTLPSpanExporter(endpoint=address, timeout=5)), process)


class OpenSpans:
    """Implements Spans by the SDK. Not the global provider: nothing but ours is traced."""

    def __init__(self, processor: SpanProcessor, process: str) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

        class Ids(RandomIdGenerator):
            """Random, but for the one span whose ids were said before."""

            def __init__(self) -> None:
                self.said = threading.local()

            def generate_span_id(self) -> int:
                return getattr(self.said, "span", 0) or super().generate_span_id()

            def generate_trace_id(self) -> int:
                return getattr(self.said, "trace", 0) or super().generate_trace_id()

        self._ids = Ids()
        resource = Resource.create({"service.name": "daguerre", "service.instance.id": process})
        self._provider = TracerProvider(resource=resource, id_generator=self._ids, shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("daguerre")

    def root(self, job_id: str, name: str, *, began: float, **attributes: Value) -> None:
        from opentelemetry.context import Context

        self._ids.said.trace, self._ids.said.span = _ids(job_id)
        try:
            span = self._tracer.start_span(name, Context(), attributes=attributes, start_time=int(began * 1e9))
        finally:
            self._ids.said.trace = self._ids.said.span = 0
        span.end(time.time_ns())

    @contextmanager
    def within(self, job_id: str, name: str, **attributes: Value) -> Generator[Span]:
        from opentelemetry import trace

        number, root = _ids(job_id)
        parent = None
        if trace.get_current_span().get_span_context().trace_id != number:
            known = trace.SpanContext(number, root, is_remote=True, trace_flags=trace.TraceFlags(1))
            parent = trace.set_span_in_context(trace.NonRecordingSpan(known))
        # Errors are logged by us: their text may quote a prompt.
        with self._tracer.start_as_current_span(
            name, parent, attributes={"job": job_id, **attributes}, record_exception=False,
            set_status_on_exception=False,
        ) as span:  # fmt: skip
            yield span

    def close(self) -> None:
        """Send what is left; takes as long as the exporter's time limit at most."""
        self._provider.shutdown()


def _ids(job_id: str) -> tuple[int, int]:
    """Trace and root span of a job."""
    return int(job_id, 16), int(job_id[16:], 16)
