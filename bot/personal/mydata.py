"""/mydata export and forget: what is kept about whoever asks, for them alone."""

from __future__ import annotations

import io
from typing import Any

import discord

from ..errors import Refused
from ..faults import FAILURES
from ..interaction import CommandTree, Component, Interaction, answer, command, locale_of, open_group, queue_of
from ..message import view_with
from ..text import text

#: What a direct message takes, in bytes, with some room.
LARGEST = 9 * 2**20
#: Live jobs that are cancelled before their member is forgotten.
MOST_LIVE = 1_000


def add_mydata(tree: CommandTree) -> None:
    """The group /mydata."""
    group = open_group(tree, "mydata")
    command(group, "export", send_all, "command.mydata.export")
    command(group, "forget", ask_back, "command.mydata.forget")


async def send_all(interaction: Interaction) -> None:
    """A zip by direct message."""
    locale = locale_of(interaction)
    await interaction.response.defer(ephemeral=True, thinking=True)
    data, missing = await queue_of(interaction).privacy.export(str(interaction.user.id), LARGEST)
    try:
        channel = await interaction.client.create_dm(discord.Object(interaction.user.id))
        await channel.send(
            text("mydata.here", locale, missing=missing), file=discord.File(io.BytesIO(data), filename="mydata.zip")
        )
    except FAILURES:
        raise Refused("mydata.no_dm") from None
    await answer(interaction, text("mydata.sent", locale))


async def ask_back(interaction: Interaction) -> None:
    """It cannot be undone, so it is asked once more."""
    locale = locale_of(interaction)
    forget = discord.ui.Button[Any](
        label=text("mydata.button", locale),
        style=discord.ButtonStyle.danger,
        custom_id=f"daguerre:forget:{interaction.user.id}",
    )
    await answer(interaction, text("mydata.sure", locale), view=view_with([forget]))


class ForgetButton(Component, discord.ui.DynamicItem[discord.ui.Button[Any]], template=r"daguerre:forget:(?P<who>\d+)"):
    """Erases; for the member whom it names alone."""

    async def used(self, interaction: Interaction) -> None:
        await erase(interaction, self.match["who"])


async def erase(interaction: Interaction, who: str) -> None:
    """Cancel what waits, then let go of everything."""
    if who != str(interaction.user.id):
        raise Refused("mydata.others")
    locale, queue = locale_of(interaction), queue_of(interaction)
    await interaction.response.defer(ephemeral=True, thinking=True)
    for job in await queue.members.waiting(who, MOST_LIVE):
        await queue.cancel(job.id)
        await queue.mark_notified(job.id)
    count = await queue.privacy.forget(who)
    await answer(interaction, text("mydata.forgotten", locale, count=count))
