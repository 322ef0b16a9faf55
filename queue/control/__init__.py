"""The queue as `bot`, `web` and `app` see it: opened by `open_queue`, steered from other processes by `ask`."""

from .queue import Queue
from .service import open_queue
from .steering import ask

__all__ = ["Queue", "ask", "open_queue"]
