"""Running the client: it logs in, connects, stays connected, and says what to do where it cannot."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

import discord
import yarl

from .client import Backend, DaguerreClient, ShardedClient
from .discord_internals import api_address, endpoints, expect_no_voice, failed_first_connection, gateway_address
from .errors import ApiUnreachable, BadToken, GatewayUnreachable
from .faults import FAILURES, TRANSIENT, connection_error, reason_of
from .options import DiscordOptions

log = logging.getLogger(__name__)

#: Seconds that the first connection to the gateway may take.
CONNECT_SECONDS = 10.0
#: Seconds without a gateway after which connecting starts afresh: discord.py's own pauses grow to a quarter of an hour.
RECONNECT_AFTER_SECONDS = 90.0
#: Seconds between two looks at whether the gateway is connected.
LOOK_SECONDS = 5.0


async def run_bot(
    options: DiscordOptions,
    token: str,
    backend: Backend,
    stop: asyncio.Event,
    on_ready: Callable[[], None] | None = None,
    turn_away: asyncio.Event | None = None,
) -> None:
    """Serve until `stop` is set. Lost connections are taken up again; `on_ready` is called once.

    From `turn_away` on whoever asks for something is told privately that the bot restarts; what was asked goes on.

    Raises:
        BadToken, ApiUnreachable, GatewayUnreachable, GatewayRefused, IntentsRefused: with what to do in their text.
    """
    if not token.strip():
        raise BadToken
    expect_no_voice()
    with endpoints(options.api_base, options.gateway):
        client = (DaguerreClient if options.shards == 1 else ShardedClient)(options, backend, on_ready)
        async with client:
            serving = asyncio.create_task(_serve(client, options, token), name="discord")
            stopping = asyncio.create_task(stop.wait(), name="discord stop")
            turning = asyncio.create_task(_turn_away(client, turn_away or stop), name="discord turn away")
            try:
                await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if serving.done():
                    await serving
            finally:
                for task in (serving, stopping, turning):
                    task.cancel()
                await asyncio.gather(serving, stopping, turning, return_exceptions=True)


async def _turn_away(client: DaguerreClient, asked: asyncio.Event) -> None:
    await asked.wait()
    client.stopping = True


async def _serve(client: DaguerreClient, options: DiscordOptions, token: str) -> None:
    """Log in, connect, stay connected."""
    await _probe(api_address(), options.connect_attempts, ApiUnreachable)
    await _log_in(client, token)
    await _probe(gateway_address(), options.connect_attempts, GatewayUnreachable)
    while not client.is_closed():
        connection = asyncio.create_task(_connect(client), name="discord gateway")
        away = asyncio.create_task(_away_too_long(client), name="discord gateway watch")
        try:
            await asyncio.wait({connection, away}, return_when=asyncio.FIRST_COMPLETED)
            if connection.done():
                await connection
                break
            log.warning("no gateway for %g s; connecting afresh", RECONNECT_AFTER_SECONDS)
        finally:
            for task in (connection, away):
                task.cancel()
            await asyncio.gather(connection, away, return_exceptions=True)
    if client.ousted is not None:
        raise client.ousted


async def _probe(address: str, attempts: int, failure: type[ApiUnreachable | GatewayUnreachable]) -> None:
    """Whether anybody listens at an address. discord.py cannot tell: its first connection fails in obscure ways."""
    url = yarl.URL(address)
    problem: BaseException = TimeoutError()
    for attempt in range(attempts):
        if attempt:
            await asyncio.sleep(min(2.0**attempt / 2, 15.0))
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, writer = await asyncio.open_connection(url.host, url.port)
        except TRANSIENT as error:
            problem = error
            log.warning("%s does not answer (%s)", address, reason_of(error))
            continue
        writer.close()
        with suppress(*TRANSIENT):
            await writer.wait_closed()
        return
    raise failure(address, reason_of(problem)) from None


async def _log_in(client: DaguerreClient, token: str) -> None:
    try:
        await client.login(token)
    except (discord.LoginFailure, *FAILURES) as error:
        raise connection_error(error, api_address()) from None


async def _connect(client: DaguerreClient) -> None:
    """Listen until the client is closed; discord.py resumes and reconnects by itself."""
    try:
        await client.connect()
    except (discord.PrivilegedIntentsRequired, discord.ConnectionClosed) as error:
        raise connection_error(error, gateway_address()) from None
    except AttributeError as error:
        if (cause := failed_first_connection(client, error)) is None:
            raise
        raise GatewayUnreachable(gateway_address(), reason_of(cause)) from None


async def _away_too_long(client: DaguerreClient) -> None:
    """Returns once the gateway has been away for `RECONNECT_AFTER_SECONDS` on end."""
    seconds = 0.0
    while seconds < RECONNECT_AFTER_SECONDS:
        await asyncio.sleep(LOOK_SECONDS)
        seconds = 0.0 if client.connected.is_set() else seconds + LOOK_SECONDS
