"""A look at a nats-server from outside: whether it lets us in and can store."""

from __future__ import annotations

import asyncio

from nats.js.errors import ServiceUnavailableError

from ..errors import BrokerUnavailable
from ..tasks import end
from .connection import ERRORS, Connection, Session
from .credentials import Credentials

#: Seconds for a connection and for an answer.
PATIENCE = 6.0


async def look_at(urls: str, credentials: Credentials) -> str:
    """Its version. Changes nothing there.

    Raises:
        BrokerUnavailable: it cannot be reached, refuses us, or has no JetStream; says why.
    """

    async def nothing(_: Session) -> None:
        return

    connection = Connection(urls, credentials, name="daguerre doctor", prepare=nothing)
    connection.start()
    ready = asyncio.ensure_future(connection.ready())
    refused = asyncio.create_task(connection.refusal())
    try:
        await asyncio.wait({ready, refused}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            raise BrokerUnavailable(connection.problem or "it does not answer")
        session = ready.result()
        try:
            async with asyncio.timeout(PATIENCE):
                await session.js.account_info()
        except ServiceUnavailableError:
            raise BrokerUnavailable("JetStream is switched off: start nats-server with -js") from None
        except ERRORS as problem:
            raise BrokerUnavailable(f"JetStream does not answer: {problem or type(problem).__name__}") from None
        return str(session.client.connected_server_version)
    finally:
        ready.cancel()
        await end([refused])
        await connection.close()
