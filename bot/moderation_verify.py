"""/verify: what can be read from a picture about where it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord
from discord import app_commands

from ..queue.moderation import Origin
from .cards import shown
from .errors import Refused
from .faults import FAILURES
from .guard import guarded
from .language import speaks
from .moderators import answer
from .texts import text

if TYPE_CHECKING:
    from .client import DaguerreClient

    Asked = discord.Interaction[DaguerreClient]

#: Largest file that is read, in bytes.
LARGEST = 25 * 2**20


def add_verify(tree: app_commands.CommandTree[DaguerreClient]) -> None:
    """The command as Discord shows it."""

    @tree.command(name="verify", description=text("command.verify"))
    @app_commands.describe(picture=text("command.verify.picture"))
    @app_commands.allowed_installs(guilds=True, users=True)
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
    async def verify(interaction: discord.Interaction[DaguerreClient], picture: discord.Attachment) -> None:
        await guarded(interaction, lambda: look(interaction, picture))


async def look(interaction: Asked, picture: discord.Attachment) -> None:
    """Read the file and say what it says."""
    services = interaction.client.services
    if services.read_origin is None:
        raise Refused("verify.off")
    if picture.size > LARGEST:
        raise Refused("verify.no_picture")
    await interaction.response.defer(ephemeral=True, thinking=True)
    try:
        origin = await services.read_origin(await picture.read())
    except (ValueError, *FAILURES):
        raise Refused("verify.no_picture") from None
    number = origin.job
    job = None if number is None else await services.queue.look_up(number)
    here = job is not None and job.server == str(interaction.guild_id)
    await answer(
        interaction,
        describe(origin, speaks(interaction), known=job is not None, member=job.member if here and job else ""),
    )


def describe(origin: Origin, locale: str, *, known: bool, member: str = "") -> str:
    """What is known, in words; `member`: who asked for it, where that is nobody's secret. Pure."""
    if not origin.ours:
        claims = origin.said.get("software", "").startswith("daguerre")
        return text("verify.not_ours", locale) + ("\n" + text("verify.claims", locale) if claims else "")
    lines = [text("verify.ours" if known else "verify.ours.elsewhere", locale)]
    if origin.watermark is not None:
        lines.append(text("verify.watermark", locale, job=origin.watermark))
    if origin.signer is not None and origin.intact:
        lines.append(text("verify.signed", locale, signer=shown(origin.signer, 100)))
        if origin.development:
            lines.append(text("verify.development", locale))
    elif origin.signer is not None:
        lines.append(text("verify.changed", locale))
    lines += [f"{name}: {shown(origin.said[name], 100)}" for name in ("seed", "model") if origin.said.get(name)]
    if member.isdigit():
        lines.append(text("verify.member", locale, who=f"<@{member}>"))
    return "\n".join(lines)
