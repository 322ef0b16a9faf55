"""Where foreign exceptions come in: what those of discord.py, aiohttp and the queue mean. Pure but for a log.

`verdict`: for an answer that was to be delivered. `connection_error`: for the bot as a whole. `explain`: for a member.
discord.py itself waits out rate limits and repeats 5xx answers a few times; what arrives here is what was left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any

import aiohttp
import discord
from discord import app_commands

from ..queue.errors import AsLargeAsCanBe, NotShown, PictureGone, QueueFull, QueueUnavailable, StorageFull
from ..queue.moderation import Forbidden
from .error_log import log_error
from .errors import ApiUnreachable, BadToken, BotError, GatewayRefused, IntentsRefused, Refused
from .text import ENGLISH, text

#: Failures of one request that say nothing about the request itself (discord.py repeats none of these on Linux).
TRANSIENT = (aiohttp.ClientError, OSError, TimeoutError)
#: Everything that a request to Discord can raise.
FAILURES = (discord.HTTPException, discord.RateLimited, *TRANSIENT)

TOKEN_EXPIRED = 50027
TOO_LARGE = 40005
ALREADY_ACKNOWLEDGED = 40060
UNKNOWN_INTERACTION = 10062
#: Edits of messages older than an hour are rationed apart; waiting does not pay.
OLD_MESSAGE_EDITS = 30046
#: Gateway close code; 4014 has an exception of its own.
AUTHENTICATION_FAILED = 4004

# ---- deliveries


class Verdict(Enum):
    """What to do after a failed request."""

    #: Nothing is known about the outcome, or Discord is in trouble: the same again, later.
    AGAIN = "again"
    #: The files are too large for this place.
    SMALLER = "smaller"
    #: This way is closed for good: the next way.
    CLOSED = "closed"


def verdict(error: BaseException) -> Verdict:
    """What to do after `error`, one of `FAILURES`."""
    if not isinstance(error, discord.HTTPException):
        return Verdict.AGAIN
    if error.status == 413 or error.code == TOO_LARGE:
        return Verdict.SMALLER
    if error.code == OLD_MESSAGE_EDITS:
        return Verdict.CLOSED
    if error.status == 429 or error.status >= 500:
        return Verdict.AGAIN
    if error.status == 401 and error.code != TOKEN_EXPIRED:
        # The bot's own token was revoked while running. The gateway will say so; the answer must survive it.
        return Verdict.AGAIN
    return Verdict.CLOSED


# ---- the connection


def connection_error(error: BaseException, address: str) -> BotError:
    """What an exception of logging in at `address`, or of the gateway, means for the bot."""
    match error:
        case discord.LoginFailure():
            return BadToken()
        case discord.PrivilegedIntentsRequired():
            return IntentsRefused()
        case discord.ConnectionClosed():
            return BadToken() if error.code == AUTHENTICATION_FAILED else GatewayRefused(error.code)
        case discord.HTTPException():
            return ApiUnreachable(address, f"it answers with HTTP {error.status}")
        case _:
            return ApiUnreachable(address, reason_of(error))


def reason_of(error: BaseException) -> str:
    return str(error) or type(error).__name__


# ---- members

#: Codes of `Forbidden` that have a text of their own.
_FORBIDDEN = frozenset(
    (
        "refused.server", "refused.banned", "refused.banned.until", "refused.warned", "refused.warned.out",
        "refused.model", "refused.style",
    )
)  # fmt: skip
#: Limits of the queue that have a text of their own, by `QueueFull.scope`.
_QUEUE_FULL = {
    "server": "refused.queue_full.server",
    "total": "refused.queue_full.total",
    "daily": "refused.queue_full.daily",
}


def _forbidden(error: Forbidden, locale: str) -> str:
    """What a member reads who asked for what may not be asked for."""
    values = {name: str(value) if name == "until" else value for name, value in error.values.items()}
    return text(error.code if error.code in _FORBIDDEN else "refused.rule", locale, **values)


def _queue_full(error: QueueFull, locale: str) -> str:
    """Which limit is reached, what it allows, and when more is."""
    code = _QUEUE_FULL.get(error.scope, "refused.queue_full")
    return text(code, locale, limit=f"{error.limit:g}", resets=int(error.resets or 0))


def _always(code: str) -> Callable[[Any, str], str]:
    return lambda _, locale: text(code, locale)


#: What a member reads about an exception, by its class: the first row that fits counts.
_TEXTS: tuple[tuple[type[Exception], Callable[[Any, str], str]], ...] = (
    (Refused, lambda error, locale: error.words(locale)),
    (Forbidden, _forbidden),
    (NotShown, lambda error, locale: text(f"shown.{error.why}", locale)),
    (PictureGone, _always("shown.gone")),
    (AsLargeAsCanBe, lambda error, locale: text("button.largest", locale, limit=error.limit)),
    (QueueFull, _queue_full),
    (StorageFull, _always("refused.storage")),
    (QueueUnavailable, _always("refused.queue_away")),
    (app_commands.CommandNotFound, _always("refused.outdated")),
    (app_commands.CommandSignatureMismatch, _always("refused.outdated")),
    (app_commands.TransformerError, _always("refused.outdated")),
    (app_commands.NoPrivateMessage, _always("settings.server_only")),
)


def explain(error: BaseException, locale: str = ENGLISH, *, private: Iterable[str] = ()) -> str:
    """The text for `error` in the member's language. Unforeseen errors are logged under a number that the text names.

    `private` are strings that must not reach the log: what the member typed.
    """
    if isinstance(error, app_commands.CommandInvokeError):
        error = error.original
    for kind, words in _TEXTS:
        if isinstance(error, kind):
            return words(error, locale)
    return text("refused.error", locale, error=log_error("a command failed", error, private=private))
