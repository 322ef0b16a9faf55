"""Taking messages from a JetStream consumer, one by one."""

from __future__ import annotations

import asyncio

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from .connection import ERRORS, Connection, Session


class Puller:
    """Takes messages from a durable consumer, in the order of arrival.

    Nothing is lost when `next` is cancelled: what then arrives is kept for the next call, or for `stop`.
    """

    #: Seconds after which the server forgets a request for messages, and we ask again.
    EXPIRES = 10.0

    def __init__(self, connection: Connection, stream: str, consumer: str, *, batch: int = 1) -> None:
        """`batch`: how many messages may come for one request, asked for or not yet."""
        self._connection = connection
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._request = b'{"batch":%d,"expires":%d}' % (batch, int(self.EXPIRES * 1e9))
        self._batch = batch
        self._arrived: asyncio.Queue[Msg | None] = asyncio.Queue()
        self._inbox = ""
        self._subscription: Subscription | None = None
        #: Loop time until which a request of ours is pending at the server, and what may come for it yet.
        self._asked_until = 0.0
        self._due = 0

    async def attach(self, session: Session) -> None:
        """Listen on a new session; requests made on the old one are void."""
        self._inbox = session.client.new_inbox()
        self._subscription = await session.listen(self._inbox, self._on_message)
        self._asked_until, self._due = 0.0, 0
        self._arrived.put_nowait(None)  # Wakes `next`, which asks again.

    async def _on_message(self, message: Msg) -> None:
        self._arrived.put_nowait(message)

    async def next(self) -> Msg:
        """The next message, across lost connections."""
        loop = asyncio.get_running_loop()
        while True:
            if self._arrived.empty() and (self._due <= 0 or loop.time() >= self._asked_until):
                session = await self._connection.ready()
                try:
                    await session.client.publish(self._subject, self._request, reply=self._inbox)
                except ERRORS:
                    await asyncio.sleep(0.05)
                    continue
                self._asked_until, self._due = loop.time() + self.EXPIRES + 1.0, self._batch
            try:
                async with asyncio.timeout_at(self._asked_until if self._arrived.empty() else None):
                    message = await self._arrived.get()
            except TimeoutError:
                continue
            if message is None:
                continue
            status = (message.headers or {}).get("Status")
            if status is None:
                self._due -= 1
                return message
            self._due = 0
            if status != "408":  # 408: our request expired. Others: no consumer yet, too many requests, shutting down.
                await asyncio.sleep(0.25)

    async def stop(self) -> list[Msg]:
        """Ask for no more; gives what had arrived."""
        session = self._connection.session
        if session is not None and self._subscription is not None:
            try:
                async with asyncio.timeout(2):
                    # Unlike unsubscribing, this waits for messages under way.
                    await self._subscription.drain()
            except ERRORS:
                pass
        left: list[Msg] = []
        while not self._arrived.empty():
            message = self._arrived.get_nowait()
            if message is not None and not (message.headers or {}).get("Status"):
                left.append(message)
        return left
