"""The loop of a worker process: take jobs, render, report. It knows the transport and nothing else."""

from .loop import Worker
from .settings import Handler, JobContext, Loaded, WorkerSettings

__all__ = ["Handler", "JobContext", "Loaded", "Worker", "WorkerSettings"]
