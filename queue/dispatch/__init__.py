"""Whose job is next, on which worker, and what became of it."""

from .dispatcher import Dispatcher
from .explain import Why, explain
from .fair import Ahead
from .following import follow
from .intake import Intake
from .memory import JobMemory
from .worker_events import WorkerEvents

__all__ = ["Ahead", "Dispatcher", "Intake", "JobMemory", "Why", "WorkerEvents", "explain", "follow"]
