"""Ending tasks for certain."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

#: Seconds after which a task that has not ended is cancelled again.
AGAIN = 0.5


async def end(tasks: Iterable[asyncio.Task[Any]], patience: float = 10.0) -> None:
    """Cancel tasks and wait until they have ended; what will not end within `patience` seconds is left behind.

    Once is not enough: before Python 3.12 `asyncio.wait_for`, which nats-py uses, loses a cancellation that arrives
    together with the answer.
    """
    left = {task for task in tasks if not task.done()}
    deadline = asyncio.get_running_loop().time() + patience
    while left and asyncio.get_running_loop().time() < deadline:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=AGAIN)
