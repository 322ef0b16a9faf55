"""One thread of its own for what blocks: loading the engine and rendering.

torch holds the thread for as long as it computes; the event loop beside it goes on sending heartbeats.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

Result = TypeVar("Result")


class EngineThread:
    """Runs calls one after the other, in order, all in the same thread.

    A daemon thread: a process that must end does not wait for an import of torch to finish.
    """

    def __init__(self, name: str = "engine") -> None:
        self._calls: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    async def call(self, function: Callable[[], Result]) -> Result:
        """Wait for the result of `function`. A cancelled wait skips a call that has not begun."""
        future: Future[Result] = Future()
        self._calls.put((function, future))
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Let the thread end after the calls that it has. Does not wait for them."""
        self._calls.put(None)

    def _run(self) -> None:
        while (entry := self._calls.get()) is not None:
            function, future = entry
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(function())
            except BaseException as error:  # it belongs to whoever waits for the result
                future.set_exception(error)
