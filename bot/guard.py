"""Every handler runs inside this guard: a member gets a text, the log gets the traceback, nobody gets a secret."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import traceback
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

import discord
from discord import app_commands

from ..queue.errors import NotShown, PictureGone, QueueFull, QueueUnavailable, StorageFull
from ..queue.moderation import Forbidden
from .errors import Refused
from .faults import FAILURES
from .language import speaks
from .moderators import forbidden
from .texts import ENGLISH, text

if TYPE_CHECKING:
    from .client import DaguerreClient

log = logging.getLogger(__name__)


async def guarded(interaction: discord.Interaction[Any], handler: Callable[[], Awaitable[None]]) -> None:
    """Run a handler; whatever goes wrong in it becomes a private text for the member.

    The client waits for what runs in here before it hangs up, and begins nothing new then.
    """
    client: DaguerreClient = interaction.client
    if client.stopping:
        await tell(interaction, text("refused.restarting", speaks(interaction)))
        return
    task = asyncio.current_task()
    assert task is not None
    client.handling.add(task)
    try:
        await handler()
    except Exception as error:
        await tell(interaction, explain(error, speaks(interaction), private=typed(interaction.data)))
    finally:
        client.handling.discard(task)


def explain(error: BaseException, locale: str = ENGLISH, *, private: Iterable[str] = ()) -> str:
    """The text for `error` in the member's language. Unforeseen errors are logged under a number that the text names.

    `private` are strings that must not reach the log: what the member typed.
    """
    if isinstance(error, app_commands.CommandInvokeError):
        error = error.original
    match error:
        case Refused():
            return error.words(locale)
        case Forbidden():
            return forbidden(error, locale)
        case NotShown():
            return text(f"shown.{error.why}", locale)
        case PictureGone():
            return text("shown.gone", locale)
        case QueueFull():
            return queue_full(error, locale)
        case StorageFull():
            return text("refused.storage", locale)
        case QueueUnavailable():
            return text("refused.queue_away", locale)
        case app_commands.CommandNotFound() | app_commands.CommandSignatureMismatch() | app_commands.TransformerError():
            return text("refused.outdated", locale)
        case app_commands.NoPrivateMessage():
            return text("settings.server_only", locale)
        case _:
            return text("refused.error", locale, error=log_error("a command failed", error, private=private))


def queue_full(error: QueueFull, locale: str) -> str:
    """Which limit is reached, what it allows, and when more is."""
    limit = f"{error.limit:g}"
    match error.scope:
        case "server":
            return text("refused.queue_full.server", locale, limit=limit)
        case "total":
            return text("refused.queue_full.total", locale, limit=limit)
        case "daily":
            return text("refused.queue_full.daily", locale, limit=limit, resets=int(error.resets or 0))
        case _:
            return text("refused.queue_full", locale, limit=limit)


async def tell(interaction: discord.Interaction[Any], words: str) -> None:
    """Answer privately, also where the answer was deferred for all to see: that placeholder goes first."""
    nobody = discord.AllowedMentions.none()
    try:
        if interaction.response.type is discord.InteractionResponseType.deferred_channel_message:
            # What is sent behind a placeholder takes its place, and is as public as it was.
            await interaction.delete_original_response()
        if interaction.response.is_done():
            await interaction.followup.send(words, ephemeral=True, allowed_mentions=nobody)
        else:
            await interaction.response.send_message(words, ephemeral=True, allowed_mentions=nobody)
    except (*FAILURES, discord.ClientException) as error:
        log.warning("a member could not be answered: %s", type(error).__name__)


def log_error(what: str, error: BaseException, *, private: Iterable[str] = ()) -> str:
    """Log `error` with its traceback; gives the number under which it stands in the log."""
    number = secrets.token_hex(4)
    log.error("%s: error %s\n%s", what, number, describe(error, private))
    return number


def describe(error: BaseException, private: Iterable[str]) -> str:
    """The traceback with causes; messages of exceptions that hold a private string are withheld."""
    needles = [needle for word in private if word for needle in {word, json.dumps(word)[1:-1]}]
    parts: list[str] = []
    for one in _chain(error):
        message = str(one)
        if any(needle in message for needle in needles) or "/webhooks/" in message or "/interactions/" in message:
            message = "(message withheld: it holds what a member typed, or an interaction token)"
        parts.append("".join(traceback.format_tb(one.__traceback__)) + f"{type(one).__name__}: {message}")
    return "\nwhich came from:\n".join(parts)


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


def typed(data: object) -> list[str]:
    """All texts that a member typed into options or modals of an interaction."""
    if isinstance(data, str):
        return [data]
    if isinstance(data, Mapping):
        fields = cast("Mapping[str, object]", data)
        return [found for key in ("options", "value", "components") for found in typed(fields.get(key))]
    if isinstance(data, list):
        return [found for item in cast("list[object]", data) for found in typed(item)]
    return []
