"""Ending tasks for certain, and keeping others going."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from .logs import where

log = logging.getLogger(__name__)

#: Seconds after which a task that has not ended is cancelled again.
AGAIN = 0.5


async def end(tasks: Iterable[asyncio.Task[Any]], wait_seconds: float = 10.0) -> None:
    """Cancel tasks and wait until they have ended; what will not end within `wait_seconds` seconds is left behind.

    Once is not enough: before Python 3.12 `asyncio.wait_for`, which nats-py uses, loses a cancellation that arrives
    together with the answer.
    """
    left = {task for task in tasks if not task.done()}
    deadline = asyncio.get_running_loop().time() + wait_seconds
    while left and asyncio.get_running_loop().time() < deadline:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=AGAIN)


async def for_ever(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """A bug in one round must not stop the queue silently."""
    while True:
        try:
            await run()
        except Exception as error:
            log.error("the %s failed and begins again: %s", name, where(error))  # noqa: TRY400 (may quote a prompt)
            await asyncio.sleep(1)
