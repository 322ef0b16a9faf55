"""Every handler runs inside this guard: a member gets a text, the log gets the traceback, nobody gets a secret."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any, Self

import discord

from ..error_log import typed_texts
from ..faults import explain
from ..text import text
from .answers import reply_privately
from .context import Interaction, bot_of
from .language import locale_of


async def guarded(interaction: Interaction, handler: Callable[[], Awaitable[None]]) -> None:
    """Run a handler; whatever goes wrong in it becomes a private text for the member.

    The client waits for what runs in here before it hangs up, and begins nothing new then.
    """
    bot, task = bot_of(interaction), asyncio.current_task()
    if bot.stopping:
        await reply_privately(interaction, text("refused.restarting", locale_of(interaction)))
        return
    assert task is not None
    bot.handling.add(task)
    try:
        await handler()
    except Exception as error:
        await answer_error(interaction, error)
    finally:
        bot.handling.discard(task)


async def answer_error(interaction: Interaction, error: Exception) -> None:
    """Tell the member what went wrong; what nobody foresaw is logged too, without what they typed."""
    words = explain(error, locale_of(interaction), private=typed_texts(interaction.data))
    await reply_privately(interaction, words)


class Component:
    """Mixin of a `DynamicItem`: a component that is known by its custom id alone, and guarded when it is used.

    discord.py keeps nothing of such components, so any later process understands them.
    """

    def __init__(self, item: discord.ui.Item[Any], match: re.Match[str]) -> None:
        super().__init__(item)  # pyright: ignore[reportCallIssue]
        #: What its custom id says.
        self.match = match

    @classmethod
    async def from_custom_id(
        cls, interaction: Interaction, item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(item, match)

    async def callback(self, interaction: Interaction) -> None:
        await guarded(interaction, lambda: self.used(interaction))

    async def used(self, interaction: Interaction) -> None:
        """Do what it says. Raises: Refused, QueueError."""
        raise NotImplementedError
