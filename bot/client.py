"""The Discord client: it makes the services, and brings what Discord sends to the features.

No privileged intents, no caches: handlers work from what each interaction carries.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import discord
import yarl

from ..queue.control import Queue
from ..queue.errors import QueueError
from ..queue.moderation import ReadOrigin
from ..queue.prompt import Vocabulary
from .commands import DaguerreTree, sync_if_changed
from .error_log import log_error
from .errors import TokenInUse
from .imagine import ConfirmButton
from .interaction import Bot, Interaction, Lag, Services, actionable_job, guarded, submitted_modal, typed_value
from .message import Delivery, Followers, RateLimiter
from .moderation import CardButton, ReportPoster, SettingMenu, leave_unknown_server, submit_report_form, submit_setting
from .options import DiscordOptions
from .personal import ForgetButton
from .picture import (
    PageButton,
    PictureButton,
    RegionButton,
    add_expression,
    handle_reaction,
    start_proposal,
    submit_region,
    submit_remix,
    submit_start,
)
from .text import Translator
from .token_lease import TokenLease

log = logging.getLogger(__name__)

#: Every kind of button and menu: each is known by its custom id, so that it works after a restart too.
COMPONENTS = (PictureButton, ConfirmButton, RegionButton, PageButton, CardButton, ForgetButton, SettingMenu)
#: Requests that are written into the queue at a time. More at once are no quicker, one processor does it all, but they
#: would stand between a new interaction and its first answer.
PARALLEL_SUBMITS = 8
#: Seconds between two looks at a queue that is away.
LOOK_SECONDS = 5.0
#: discord.py calls the bot ready this long after the last server came in; nothing here waits for servers.
READY_SECONDS = 0.1
#: Seconds that handlers under way get when the bot stops.
HANDLING_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Backend:
    """What the rest of the control process gives the bot."""

    queue: Queue
    #: Folder in which the bot notes which commands Discord knows.
    data_dir: Path
    #: What the model knows; None where nothing is known of it.
    vocabulary: Vocabulary | None = None
    #: Reads where a picture comes from, for /verify; None where nothing here can.
    read_origin: ReadOrigin | None = None


class DaguerreClient(discord.Client, Bot):
    """One bot. `on_ready` is called once."""

    def __init__(self, options: DiscordOptions, backend: Backend, on_ready: Callable[[], None] | None = None) -> None:
        sharding: Any = {"shard_count": options.shards} if options.shards > 1 else {}
        super().__init__(
            intents=discord.Intents(guilds=True, guild_reactions=True, dm_reactions=True),
            member_cache_flags=discord.MemberCacheFlags.none(),
            max_messages=None,
            chunk_guilds_at_startup=False,
            # For every message that does not say otherwise.
            allowed_mentions=discord.AllowedMentions.none(),
            guild_ready_timeout=READY_SECONDS,
            http_trace=(limiter := RateLimiter(complained=self._limited)).trace(),
            **sharding,
        )
        self.tree = DaguerreTree(self)
        queue, vocabulary = backend.queue, backend.vocabulary
        self._meters = queue.meters
        self.services = Services(
            queue=queue,
            settings=queue.server_settings,
            vocabulary=vocabulary,
            followers=Followers(queue, Delivery(self, limiter), vocabulary, options.edit_interval_seconds),
            submitting=asyncio.Semaphore(PARALLEL_SUBMITS),
            lag=Lag(),
            # Elsewhere than at Discord its own file server counts too.
            picture_hosts=(str(yarl.URL(options.api_base).origin()),) if options.api_base else (),
            read_origin=backend.read_origin,
        )
        #: Set while the gateway is connected.
        self.connected = asyncio.Event()
        self.handling: set[asyncio.Task[Any]] = set()
        self.stopping = False
        self._options = options
        self._data_dir = backend.data_dir
        self._announce = on_ready
        self._resuming: asyncio.Task[None] | None = None
        self._reports = ReportPoster(self, self.services)
        #: Another bot with this token was first.
        self.ousted: TokenInUse | None = None
        self._lease = (
            TokenLease(self, backend.data_dir, conflict=partial(self._conflict, "lease"))
            if options.token_lease
            else None
        )
        self._leasing: asyncio.Task[None] | None = None

    async def setup_hook(self) -> None:
        if self._lease is not None:
            # Before anything is said or registered.
            await self._lease.acquire()
            self._leasing = asyncio.create_task(self._keep_lease(self._lease), name="token lease")
        self.add_dynamic_items(*COMPONENTS)
        await self.services.queue.members.load()
        await asyncio.to_thread(self.services.queue.moderation.prepare)
        if self.services.vocabulary is not None:
            await asyncio.to_thread(self.services.vocabulary.prepare)
        self._reports.open()
        await self.tree.set_translator(Translator())
        if self._options.sync_commands:
            await sync_if_changed(self.tree, self._data_dir)
        # Answers need only the REST address, so those from before the restart do not wait for the gateway.
        self._resuming = asyncio.create_task(self._resume(), name="resume followers")

    async def _resume(self) -> None:
        while True:
            try:
                await self.services.followers.resume()
                return self._reports.post_pending()
            except QueueError as error:
                log.warning("unfinished jobs are not known now (%s); asking again", type(error).__name__)
                await asyncio.sleep(LOOK_SECONDS)
            except Exception as error:
                log_error("taking up unfinished jobs broke", error)
                return None

    async def _keep_lease(self, lease: TokenLease) -> None:
        try:
            await lease.keep()
        except TokenInUse as error:
            self.ousted = error
            await self.close()

    def _conflict(self, sign: str) -> None:
        self._meters.conflicts.labels(sign).inc()

    def foreign_answer(self) -> None:
        """An interaction was answered by another bot with this token."""
        self._conflict("answered")
        log.error("ANOTHER BOT ANSWERS WITH THIS TOKEN: stop one of the two, or give one a token of its own")
        if self._lease is not None:
            self._lease.look_now()

    def _limited(self, scope: str) -> None:
        self._meters.rate_limits.labels(scope).inc()

    def _measure_latency(self) -> None:
        """From now on Prometheus reads of each connection how long Discord takes to answer a heartbeat."""
        for shard in range(self._options.shards):
            self._meters.latency.labels(str(shard)).set_function(partial(self._latency_of, shard))

    def _latency_of(self, shard: int) -> float:
        """Seconds; no number while it is not connected."""
        if not isinstance(self, discord.AutoShardedClient):
            return self.latency
        return dict(self.latencies).get(shard, math.nan)

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
            self._measure_latency()
            log.info("ready as %s in %d servers", self.user, len(self.guilds))
            announce()
        for guild in self.guilds:
            await leave_unknown_server(self.services.queue.moderation, guild)

    async def on_guild_join(self, guild: discord.Guild) -> None:
        await leave_unknown_server(self.services.queue.moderation, guild)

    async def on_guild_available(self, guild: discord.Guild) -> None:
        await leave_unknown_server(self.services.queue.moderation, guild)

    async def on_interaction(self, interaction: Interaction) -> None:
        """Modals that were sent in; commands and buttons find their handlers by themselves."""
        if interaction.type is discord.InteractionType.modal_submit and interaction.data is not None:
            await guarded(interaction, lambda: self._submitted(interaction))

    async def _submitted(self, interaction: Interaction) -> None:
        data: Any = interaction.data
        if await submit_setting(interaction, data):
            return
        if (proposal := start_proposal(str(data.get("custom_id", "")))) is not None:
            await submit_start(interaction, proposal, typed_value(data, "prompt"))
            return
        form = submitted_modal(data)
        if form is None:
            return  # Somebody else's modal.
        if form.key.action == "report":
            await submit_report_form(interaction, form)
            return
        job = await actionable_job(interaction, form.key.job)
        match form.key.action:
            case "remix":
                await submit_remix(interaction, job, form)
            case "region":
                await submit_region(interaction, job, form)
            case _:
                await add_expression(interaction, job, form)

    async def on_raw_reaction_add(self, payload: discord.RawReactionActionEvent) -> None:
        await handle_reaction(self, self.services, payload)

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
        for task in (self._resuming, self._leasing):
            if task is not None and task is not asyncio.current_task():
                task.cancel()
        if self._lease is not None and not self.is_closed():
            await self._lease.release()
        await self.services.followers.close()
        await self._reports.close()
        await super().close()


class ShardedClient(DaguerreClient, discord.AutoShardedClient):
    """The same bot over several connections, each for a part of the servers."""
