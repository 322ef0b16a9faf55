"""The loop of a worker process: take jobs, render, report. It knows the transport and nothing else."""

from .loop import Handler, JobContext, Worker

__all__ = [
    "Handler",
    "JobContext",
    "Worker",
]
