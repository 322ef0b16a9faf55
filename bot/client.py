"""The Discord client, and the one function that runs it.

No privileged intents, no caches: handlers work from what each interaction carries.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import discord
import yarl
from discord.gateway import DiscordWebSocket
from discord.http import Route

from ..queue.control import Queue
from ..queue.errors import QueueError
from ..queue.moderation import ReadOrigin
from ..queue.prompt import Vocabulary
from ..queue.store import ServerSettingsStore
from .actions import press, touched
from .album import PageButton
from .buttons import PictureButton
from .commands import HouseTree
from .confirm import ConfirmButton
from .delivery import Delivery
from .errors import ApiUnreachable, BadToken, GatewayRefused, GatewayUnreachable, IntentsRefused
from .expressions import add as add_expression
from .faults import TRANSIENT
from .follow import Followers
from .forms import filled, region, remix, typed_prompt
from .guard import guarded, log_error
from .lag import Lag
from .menus import start, start_draft
from .moderation import ITEMS
from .moderation_commands import leave_stranger
from .options import DiscordOptions
from .pace import Pace
from .reactions import reacted
from .region import RegionButton
from .reports import Desk
from .reports_form import why_given
from .services import Services
from .settings_more import settings_form
from .translate import Translator

log = logging.getLogger(__name__)

#: Seconds that the first connection to the gateway may take.
CONNECT_SECONDS = 10.0
#: Seconds without a gateway after which connecting starts afresh: discord.py's own pauses grow to a quarter of an hour.
PATIENCE_SECONDS = 90.0
#: Requests that are written into the queue at a time. More at once are no quicker, one processor does it all, but they
#: would stand between a new interaction and its first answer.
TURNS = 8
#: Seconds between two looks at something that is away.
LOOK_SECONDS = 5.0
#: discord.py calls the bot ready this long after the last server came in; nothing here waits for servers.
READY_SECONDS = 0.1
#: Seconds that handlers under way get when the bot stops.
HANDLING_SECONDS = 3.0
#: Gateway close code; 4014 has an exception of its own.
AUTHENTICATION_FAILED = 4004


class DaguerreClient(discord.Client):
    """One bot. `services` is what its handlers work with."""

    def __init__(
        self,
        options: DiscordOptions,
        *,
        queue: Queue,
        settings: ServerSettingsStore,
        vocabulary: Vocabulary | None,
        data_dir: Path,
        announce: Callable[[], None] | None = None,
    ) -> None:
        sharding: Any = {"shard_count": options.shards} if options.shards > 1 else {}
        super().__init__(
            intents=discord.Intents(guilds=True, guild_reactions=True, dm_reactions=True),
            member_cache_flags=discord.MemberCacheFlags.none(),
            max_messages=None,
            chunk_guilds_at_startup=False,
            allowed_mentions=discord.AllowedMentions.none(),
            guild_ready_timeout=READY_SECONDS,
            http_trace=(pace := Pace()).trace(),
            **sharding,
        )
        self.tree = HouseTree(self)
        followers = Followers(queue, Delivery(self, pace), vocabulary, options.edit_interval_seconds)
        # Elsewhere than at Discord its own file server counts too.
        hosts = (str(yarl.URL(options.api_base).origin()),) if options.api_base else ()
        self.services = Services(queue, settings, vocabulary, followers, press, hosts)
        #: Set while the gateway is connected.
        self.connected = asyncio.Event()
        #: Handlers under way, and whether new ones are turned away.
        self.handling: set[asyncio.Task[Any]] = set()
        self.stopping = False
        self._options = options
        self._data_dir = data_dir
        self._announce = announce
        self._resuming: asyncio.Task[None] | None = None
        self.desk = Desk(self)
        self.lag = Lag()
        self.turns = asyncio.Semaphore(TURNS)

    async def setup_hook(self) -> None:
        self.add_dynamic_items(PictureButton, ConfirmButton, RegionButton, PageButton, *ITEMS)
        await self.services.queue.members.load()
        await asyncio.to_thread(self.services.queue.moderation.prepare)
        if self.services.vocabulary is not None:
            await asyncio.to_thread(self.services.vocabulary.prepare)
        self.desk.open()
        await self.tree.set_translator(Translator())
        if self._options.sync_commands:
            await self.tree.sync_if_changed(self._data_dir)
        # Answers need only the REST address, so those from before the restart do not wait for the gateway.
        self._resuming = asyncio.create_task(self._resume(), name="resume followers")

    async def _resume(self) -> None:
        while True:
            try:
                await self.services.followers.resume()
                return self.desk.look()
            except QueueError as error:
                log.warning("unfinished jobs are not known now (%s); asking again", type(error).__name__)
                await asyncio.sleep(LOOK_SECONDS)
            except Exception as error:
                log_error("taking up unfinished jobs broke", error)
                return None

    def dispatch(self, event: str, /, *args: Any, **kwargs: Any) -> None:
        """As discord.py's, but for events of a connection that breaks while the client closes: nobody hears them."""
        if not self.is_closed():
            super().dispatch(event, *args, **kwargs)

    async def on_connect(self) -> None:
        self.connected.set()

    async def on_resumed(self) -> None:
        self.connected.set()

    async def on_disconnect(self) -> None:
        self.connected.clear()

    async def on_ready(self) -> None:
        """Announce once; Discord says READY again after each new session."""
        announce, self._announce = self._announce, None
        if announce is not None:
            # Some 120,000 objects have been made for good. Looking through all of them takes a tenth of a second and
            # more, again and again, in which nobody is answered.
            gc.collect()
            gc.freeze()
            log.info("ready as %s in %d servers", self.user, len(self.guilds))
            announce()
        for guild in self.guilds:
            await leave_stranger(self, guild)

    async def on_guild_join(self, guild: discord.Guild) -> None:
        await leave_stranger(self, guild)

    async def on_guild_available(self, guild: discord.Guild) -> None:
        await leave_stranger(self, guild)

    async def on_interaction(self, interaction: discord.Interaction[Any]) -> None:
        """Modals that were sent in; commands and buttons find their handlers by themselves."""
        if interaction.type is discord.InteractionType.modal_submit and interaction.data is not None:
            await guarded(interaction, lambda: self._filled_in(interaction))

    async def _filled_in(self, interaction: discord.Interaction[Any]) -> None:
        data: Any = interaction.data
        draft = start_draft(str(data.get("custom_id", "")))
        if await settings_form(interaction, data):
            return
        if draft is not None:
            await start(interaction, draft, typed_prompt(data))
            return
        form = filled(data)
        if form is None:
            return  # Somebody else's modal.
        if form.key.action == "report":
            await why_given(interaction, form)
            return
        job = await touched(interaction, form.key.job)
        match form.key.action:
            case "remix":
                await remix(interaction, job, form)
            case "region":
                await region(interaction, job, form)
            case _:
                await add_expression(interaction, job, form)

    async def on_raw_reaction_add(self, payload: discord.RawReactionActionEvent) -> None:
        await reacted(self, payload)

    async def on_error(self, event_method: str, /, *args: Any, **kwargs: Any) -> None:
        error = sys.exc_info()[1]
        if error is not None:
            log_error(f"handling {event_method} broke", error)

    async def close(self) -> None:
        """Let handlers end, stop following, then hang up."""
        self.stopping = True
        if self.handling:
            _, late = await asyncio.wait(self.handling, timeout=HANDLING_SECONDS)
            for task in late:
                task.cancel()
        if self._resuming is not None:
            self._resuming.cancel()
        await self.services.followers.close()
        await self.desk.close()
        await super().close()


class ShardedClient(DaguerreClient, discord.AutoShardedClient):
    """The same bot over several connections, each for a part of the servers."""


async def run_bot(
    options: DiscordOptions,
    token: str,
    queue: Queue,
    settings_store: ServerSettingsStore,
    vocabulary: Vocabulary | None,
    data_dir: Path,
    stop: asyncio.Event,
    on_ready: Callable[[], None] | None = None,
    read_origin: ReadOrigin | None = None,
) -> None:
    """Serve until `stop` is set. Lost connections are taken up again; `on_ready` is called once.

    Raises:
        BadToken, ApiUnreachable, GatewayUnreachable, GatewayRefused, IntentsRefused: with what to do in their text.
    """
    if not token.strip():
        raise BadToken
    # Nothing is said here, so nobody misses the libraries for it.
    discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False
    with _endpoints(options):
        client = (DaguerreClient if options.shards == 1 else ShardedClient)(
            options, queue=queue, settings=settings_store, vocabulary=vocabulary, data_dir=data_dir, announce=on_ready
        )
        client.services = replace(client.services, read_origin=read_origin)
        async with client:
            serving = asyncio.create_task(_serve(client, options, token), name="discord")
            stopping = asyncio.create_task(stop.wait(), name="discord stop")
            try:
                await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if serving.done():
                    await serving
            finally:
                for task in (serving, stopping):
                    task.cancel()
                await asyncio.gather(serving, stopping, return_exceptions=True)


@contextmanager
def _endpoints(options: DiscordOptions) -> Generator[None]:
    """Point discord.py at the configured addresses. It keeps them in two class attributes, so they are put back."""
    before = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
    if options.api_base:
        Route.BASE = options.api_base.rstrip("/")
    if options.gateway:
        DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(options.gateway)
    try:
        yield
    finally:
        Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = before


async def _serve(client: DaguerreClient, options: DiscordOptions, token: str) -> None:
    """Log in, connect, stay connected."""
    await _knock(Route.BASE, options.connect_attempts, ApiUnreachable)
    await _log_in(client, token)
    await _knock(str(DiscordWebSocket.DEFAULT_GATEWAY), options.connect_attempts, GatewayUnreachable)
    while not client.is_closed():
        connection = asyncio.create_task(_connect(client), name="discord gateway")
        away = asyncio.create_task(_away_too_long(client), name="discord gateway watch")
        try:
            await asyncio.wait({connection, away}, return_when=asyncio.FIRST_COMPLETED)
            if connection.done():
                await connection
                return
            log.warning("no gateway for %g s; connecting afresh", PATIENCE_SECONDS)
        finally:
            for task in (connection, away):
                task.cancel()
            await asyncio.gather(connection, away, return_exceptions=True)


async def _knock(address: str, attempts: int, failure: type[ApiUnreachable | GatewayUnreachable]) -> None:
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
            log.warning("%s does not answer (%s)", address, _why(error))
            continue
        writer.close()
        with suppress(*TRANSIENT):
            await writer.wait_closed()
        return
    raise failure(address, _why(problem)) from None


async def _log_in(client: DaguerreClient, token: str) -> None:
    try:
        await client.login(token)
    except discord.LoginFailure:
        raise BadToken from None
    except discord.HTTPException as error:
        raise ApiUnreachable(Route.BASE, f"it answers with HTTP {error.status}") from None
    except TRANSIENT as error:
        raise ApiUnreachable(Route.BASE, _why(error)) from None


async def _connect(client: DaguerreClient) -> None:
    """Listen until the client is closed; discord.py resumes and reconnects by itself."""
    try:
        await client.connect()
    except discord.PrivilegedIntentsRequired:
        raise IntentsRefused from None
    except discord.ConnectionClosed as closed:
        if closed.code == AUTHENTICATION_FAILED:
            raise BadToken from None
        raise GatewayRefused(closed.code) from None
    except AttributeError as error:
        # discord.py 2.7 wants to resume a connection that never was when the very first one fails.
        if client.ws or error.__context__ is None:
            raise
        raise GatewayUnreachable(str(DiscordWebSocket.DEFAULT_GATEWAY), _why(error.__context__)) from None


async def _away_too_long(client: DaguerreClient) -> None:
    """Returns once the gateway has been away for `PATIENCE_SECONDS` on end."""
    seconds = 0.0
    while seconds < PATIENCE_SECONDS:
        await asyncio.sleep(LOOK_SECONDS)
        seconds = 0.0 if client.connected.is_set() else seconds + LOOK_SECONDS


def _why(error: BaseException) -> str:
    return str(error) or type(error).__name__
