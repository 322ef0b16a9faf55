"""Doing at once what several wait for: one transaction, one wait for the disk."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Generic, TypeVar

Work = TypeVar("Work")
#: Whether one piece of work was done, and what it gives or raises.
Answer = tuple[bool, Any]


class Batcher(Generic[Work]):
    """While some of it is being done, more gathers; that is done next, all of it together."""

    def __init__(self, do: Callable[[Sequence[Work]], Awaitable[Sequence[Answer]]], *, most: int, name: str) -> None:
        """`do` is awaited with at most `most` pieces. When it raises for several, each is done for itself."""
        self._do = do
        self._most = most
        self._name = name
        self._waiting: list[tuple[Work, asyncio.Future[Any]]] = []
        self._task: asyncio.Task[None] | None = None

    async def do(self, work: Work) -> Any:
        """What `do` answers for this piece; raises what it raises. Done all the same when nobody waits any more."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name=self._name)
        return await future

    async def end(self) -> None:
        """Wait until all is done."""
        if self._task is not None:
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            try:
                answers = await self._do([work for work, _ in batch])
            except Exception as problem:
                # One of several may be at fault.
                answers = [(False, problem)] if len(batch) == 1 else [await self._alone(work) for work, _ in batch]
            except BaseException:
                for _, future in batch:
                    future.cancel()
                raise
            for (_, future), (good, answer) in zip(batch, answers, strict=True):
                if future.done():
                    continue  # Nobody waits for it any more.
                if good:
                    future.set_result(answer)
                else:
                    future.set_exception(answer)

    async def _alone(self, work: Work) -> Answer:
        try:
            return (await self._do([work]))[0]
        except Exception as problem:
            return False, problem
