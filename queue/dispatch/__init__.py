"""Whose job is next, on which worker, and what became of it."""

from .dispatcher import Dispatcher
from .event_bus import EventBus
from .explain import Why, explain
from .fair import Ahead
from .following import follow
from .intake import Intake
from .line import WaitingLine
from .worker_events import WorkerEvents
from .worker_registry import WorkerRegistry

__all__ = [
    "Ahead",
    "Dispatcher",
    "EventBus",
    "Intake",
    "WaitingLine",
    "Why",
    "WorkerEvents",
    "WorkerRegistry",
    "explain",
    "follow",
]
