"""/mydata export and forget: what is kept about whoever asks, for them alone."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any, Self

import discord
from discord import app_commands

from .errors import Refused
from .faults import FAILURES
from .guard import guarded
from .language import speaks
from .moderators import answer
from .texts import ENGLISH, text

if TYPE_CHECKING:
    from .client import DaguerreClient

    Asked = discord.Interaction[DaguerreClient]

#: What a direct message takes, in bytes, with some room.
LARGEST = 9 * 2**20
#: Live jobs that are cancelled before their member is forgotten.
MOST_LIVE = 1_000


def add_mydata(tree: app_commands.CommandTree[DaguerreClient]) -> None:
    """The command group as Discord shows it."""
    group = app_commands.Group(
        name="mydata",
        description=text("command.mydata"),
        allowed_contexts=app_commands.AppCommandContext(guild=True, dm_channel=True, private_channel=True),
        allowed_installs=app_commands.AppInstallationType(guild=True, user=True),
    )

    @group.command(name="export", description=text("command.mydata.export"))
    async def export(interaction: discord.Interaction[DaguerreClient]) -> None:
        await guarded(interaction, lambda: send_all(interaction))

    @group.command(name="forget", description=text("command.mydata.forget"))
    async def forget(interaction: discord.Interaction[DaguerreClient]) -> None:
        await guarded(interaction, lambda: ask_back(interaction))

    tree.add_command(group)


async def send_all(interaction: Asked) -> None:
    """A zip by direct message."""
    locale = speaks(interaction)
    await interaction.response.defer(ephemeral=True, thinking=True)
    data, missing = await interaction.client.services.queue.privacy.export(str(interaction.user.id), LARGEST)
    try:
        channel = await interaction.client.create_dm(discord.Object(interaction.user.id))
        await channel.send(
            text("mydata.here", locale, missing=missing), file=discord.File(io.BytesIO(data), filename="mydata.zip")
        )
    except FAILURES:
        raise Refused("mydata.no_dm") from None
    await answer(interaction, text("mydata.sent", locale))


async def ask_back(interaction: Asked) -> None:
    """It cannot be undone, so it is asked once more."""
    locale = speaks(interaction)
    view = discord.ui.View(timeout=None)
    view.add_item(ForgetButton(str(interaction.user.id), locale))
    await answer(interaction, text("mydata.sure", locale), view=view)


class ForgetButton(
    discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]], template=r"daguerre:forget:(?P<who>\d+)"
):
    """Erases; for the member whom it names alone."""

    def __init__(self, who: str, locale: str = ENGLISH) -> None:
        super().__init__(
            discord.ui.Button(
                label=text("mydata.button", locale),
                style=discord.ButtonStyle.danger,
                custom_id=f"daguerre:forget:{who}",
            )
        )
        self.who = who

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(match["who"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        await guarded(interaction, lambda: erase(interaction, self.who))


async def erase(interaction: Asked, who: str) -> None:
    """Cancel what waits, then let go of everything."""
    if who != str(interaction.user.id):
        raise Refused("mydata.others")
    locale, queue = speaks(interaction), interaction.client.services.queue
    await interaction.response.defer(ephemeral=True, thinking=True)
    for job in await queue.members.waiting(who, MOST_LIVE):
        await queue.cancel(job.id)
        await queue.mark_notified(job.id)
    count = await queue.privacy.forget(who)
    await answer(interaction, text("mydata.forgotten", locale, count=count))
