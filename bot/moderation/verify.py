"""/verify: what can be read from a picture about where it comes from."""

from __future__ import annotations

import discord

from ...queue.moderation import Origin
from ..errors import Refused
from ..faults import FAILURES
from ..interaction import CommandTree, Interaction, answer, command, everywhere, locale_of, services_of
from ..text import shown, text

#: Largest file that is read, in bytes.
LARGEST = 25 * 2**20


def add_verify(tree: CommandTree) -> None:
    everywhere(command(tree, "verify", verify, "command.verify", picture="command.verify.picture"))


async def verify(interaction: Interaction, picture: discord.Attachment) -> None:
    """Read the file and say what it says."""
    services = services_of(interaction)
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
        describe(origin, locale_of(interaction), known=job is not None, member=job.member if here and job else ""),
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
