"""Keeps the bot connected for as long as `daguerre serve` runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from ..bot.client import Backend
from ..bot.connection import run_bot
from ..bot.errors import BotError, DiscordUnreachable, TokenInUse
from ..queue.control import Queue
from ..queue.prompt import Vocabulary
from .settings import Configuration
from .verify import read_origin_aside

log = logging.getLogger(__name__)

#: Seconds between two tries to reach Discord, doubled from the first to the longest.
FIRST_PAUSE = 5.0
#: While another bot holds the lease on the token: a backup that was restored takes over from a host that is gone.
STANDBY_PAUSE = 15.0
LONGEST_PAUSE = 60.0

HOW_TO_GET_ONE = (
    "no DISCORD_TOKEN, so the bot stays off; queue, worker and API run. To get a token: open "
    "https://discord.com/developers/applications, New Application, then Bot, then Reset Token; start again with "
    "DISCORD_TOKEN=<the token> in the environment. Until then: scripts/start imagine "
    '"a red apple" --out apple.png --server'
)


class BotKeeper:
    """Runs the bot if there is a token, and tries again while Discord cannot be reached."""

    def __init__(self, configuration: Configuration, queue: Queue, vocabulary: Vocabulary | None) -> None:
        self._configuration = configuration
        self._queue = queue
        self._vocabulary = vocabulary
        #: In words, for /healthz.
        self.state = "not started"
        #: Why it ended for good.
        self.failure: BotError | None = None
        self._pause = FIRST_PAUSE

    async def run(self, stop: asyncio.Event, leave: asyncio.Event) -> None:
        """Until `leave`; from `stop` on nothing new is taken. Sets `stop`, and `failure`, when trying again cannot
        help: a wrong token, refused intents."""
        token = self._configuration.secrets.discord_token
        if token is None:
            self.state = "off: no DISCORD_TOKEN"
            log.warning(HOW_TO_GET_ONE)
            return
        while not stop.is_set():
            self.state = "connecting"
            try:
                await run_bot(
                    self._configuration.settings.discord,
                    token.get_secret_value(),
                    Backend(self._queue, self._configuration.data_dir, self._vocabulary, read_origin_aside),
                    leave,
                    self._ready,
                    stop,
                )
            except DiscordUnreachable as error:
                self.state = f"waiting for Discord: {error}"
                log.warning("bot cannot connect again_in=%gs reason=%s", self._pause, error)
            except TokenInUse as error:
                self.state = f"standing by: {error}"
                self._pause = STANDBY_PAUSE
                log.error("%s", error)  # noqa: TRY400 - no traceback wanted
            except BotError as error:
                self.failure = error
                stop.set()
            except Exception:
                # The queue and its workers must outlive a fault in the bot.
                self.state = "broken; the log says why"
                log.exception("bot broke again_in=%gs", self._pause)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._pause)
            self._pause = min(LONGEST_PAUSE, self._pause * 2)
        self.state = "stopped"

    def _ready(self) -> None:
        self.state = "ready"
        self._pause = FIRST_PAUSE
        log.info("bot ready")
