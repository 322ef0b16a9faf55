"""What an operator sees of the queue from outside: figures for Prometheus, spans for OpenTelemetry, the job in each log
line. Each is an object that is passed on; without one that was set up, nothing is measured or sent."""

from .about_job import JOB, about_job
from .meters import Meters
from .spans import NoSpans, Span, Spans
from .worker_meters import WorkerMeters

__all__ = ["JOB", "Meters", "NoSpans", "Span", "Spans", "WorkerMeters", "about_job"]
