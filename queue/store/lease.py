"""Which of several control processes on one PostgreSQL database works: a lease in a row, with a fence.

The holder renews it every second. A second process waits until it has run out, by the database's clock, takes it and
counts its epoch up. Each write transaction of a holder checks its epoch, so one that was frozen or cut off and comes
back can write nothing: whoever holds the lease is the only writer, and its view in memory is right.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from contextlib import suppress

from sqlalchemy import Double, cast, extract, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from ..errors import Ousted, QueueUnavailable
from .database import Database
from .schema import LEASES

log = logging.getLogger(__name__)

NAME = "control"
#: Seconds after which a silent holder is replaced; how often it speaks, and how often one who waits looks.
TERM = 3.0
RENEW = 0.8
LOOK = 0.4

#: Unix time by the database's clock.
_NOW = cast(extract("epoch", func.clock_timestamp()), Double)


class Lease:
    """Construct, `acquire`, then let `keep` run; `lost` is set when somebody else has taken over."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._holder = f"{socket.gethostname()}, process {os.getpid()}"[:200]
        self._epoch: int | None = None
        self.lost = asyncio.Event()

    async def acquire(self) -> None:
        """Wait until nobody else holds it, and take it.

        Raises: QueueUnavailable: the database cannot be reached.
        """
        await self._make_table()
        told = False
        while not await self._take():
            if not told:
                log.info("another control process works on this database; standing by")
                told = True
            await asyncio.sleep(LOOK)
        log.info("this control process works on the database now epoch=%d", self._epoch)

    async def keep(self) -> None:
        """Renew until cancelled. While the database is away nobody else can take it either."""
        while not self.lost.is_set():
            await asyncio.sleep(RENEW)
            mine = (LEASES.c.name == NAME) & (LEASES.c.epoch == self._epoch)
            renew = update(LEASES).where(mine).values(expires=_NOW + TERM)
            try:
                async with asyncio.timeout(TERM), self._database.engine.begin() as connection:
                    held = (await connection.execute(renew)).rowcount == 1
            except (SQLAlchemyError, OSError, TimeoutError) as problem:
                log.warning("the lease on the database cannot be renewed just now: %s", type(problem).__name__)
                continue
            if not held:
                log.error("another control process has taken over; this one stops")
                self.lost.set()

    async def fence(self, connection: AsyncConnection) -> None:
        """Raises: Ousted when this process does not hold the lease any more."""
        mine = select(LEASES.c.epoch).where(LEASES.c.name == NAME, LEASES.c.epoch == self._epoch)
        if (await connection.execute(mine.with_for_update(read=True))).first() is None:
            self.lost.set()
            raise Ousted

    async def release(self) -> None:
        """Let the next one have it at once."""
        mine = (LEASES.c.name == NAME) & (LEASES.c.epoch == self._epoch)
        with suppress(SQLAlchemyError, OSError, TimeoutError):
            async with asyncio.timeout(TERM), self._database.engine.begin() as connection:
                await connection.execute(update(LEASES).where(mine).values(expires=0.0))

    async def _take(self) -> bool:
        free = (LEASES.c.name == NAME) & (LEASES.c.expires < _NOW)
        values = {"holder": self._holder, "epoch": LEASES.c.epoch + 1, "expires": _NOW + TERM}
        try:
            async with asyncio.timeout(10), self._database.engine.begin() as connection:
                first = insert(LEASES).values(name=NAME, holder="", epoch=0, expires=0.0).on_conflict_do_nothing()
                await connection.execute(first)
                epoch = await connection.execute(update(LEASES).where(free).values(**values).returning(LEASES.c.epoch))
                self._epoch = epoch.scalar_one_or_none()
        except (SQLAlchemyError, OSError, TimeoutError) as problem:
            raise QueueUnavailable(f"the database cannot be used: {_reason(problem)}") from None
        return self._epoch is not None

    async def _make_table(self) -> None:
        """Before any migration: whoever holds the lease migrates, alone."""
        for last in (False, True):
            try:
                async with asyncio.timeout(10), self._database.engine.begin() as connection:
                    await connection.run_sync(lambda sync: LEASES.create(sync, checkfirst=True))
            except (SQLAlchemyError, OSError, TimeoutError) as problem:
                # Two may have made it at the same time.
                if last:
                    raise QueueUnavailable(f"the database cannot be used: {_reason(problem)}") from None
                await asyncio.sleep(LOOK)
            else:
                return


def _reason(problem: BaseException) -> str:
    return str(getattr(problem, "orig", None) or problem).strip() or type(problem).__name__
