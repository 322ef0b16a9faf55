"""/prefer: what a member wants unless they say otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import discord
from discord import app_commands

from ..queue.prompt import parse
from ..queue.records import MAX_COUNT, image_request
from ..queue.store import Preferences
from .cards import shown
from .checks import check_names
from .guard import guarded
from .imagine import known_styles
from .language import speaks
from .texts import languages, text
from .wishes import pointing

if TYPE_CHECKING:
    from .client import DaguerreClient

    Asked = discord.Interaction[DaguerreClient]

#: Said as a text to have none.
NONE = "-"
LAYOUTS: tuple[Literal["grid", "single", "both"], ...] = ("grid", "single", "both")


def add_prefer(tree: app_commands.CommandTree[DaguerreClient]) -> None:
    """The command as Discord shows it."""

    @tree.command(name="prefer", description=text("command.prefer"))
    @app_commands.describe(
        suffix=text("command.prefer.suffix"),
        style=text("command.prefer.style"),
        layout=text("command.prefer.layout"),
        count=text("command.prefer.count"),
        direct=text("command.prefer.direct"),
        private=text("command.prefer.private"),
        mention=text("command.prefer.mention"),
        language=text("command.prefer.language"),
        reset=text("command.prefer.reset"),
    )
    @app_commands.choices(
        layout=[app_commands.Choice(name=text(f"name.layout.{one}"), value=one) for one in LAYOUTS],
        language=[
            app_commands.Choice(name=text("name.language.discord"), value=NONE),
            *(app_commands.Choice(name=text(f"name.language.{_code(one)}"), value=one) for one in languages()),
        ],
    )
    @app_commands.allowed_installs(guilds=True, users=True)
    @app_commands.allowed_contexts(guilds=True, dms=True, private_channels=True)
    async def prefer(
        interaction: discord.Interaction[DaguerreClient],
        suffix: app_commands.Range[str, 1, 300] | None = None,
        style: app_commands.Range[str, 1, 100] | None = None,
        layout: app_commands.Choice[str] | None = None,
        count: app_commands.Range[int, 1, MAX_COUNT] | None = None,
        direct: bool | None = None,
        private: bool | None = None,
        mention: app_commands.Range[int, 0, 1440] | None = None,
        language: app_commands.Choice[str] | None = None,
        reset: bool = False,
    ) -> None:
        given = {
            "suffix": suffix, "style": style, "layout": layout.value if layout else None, "count": count,
            "direct": direct, "private": private, "mention": mention, "language": language.value if language else None,
        }  # fmt: skip
        await guarded(interaction, lambda: store(interaction, given, reset=reset))

    prefer.autocomplete("style")(known_styles)


async def store(interaction: Asked, given: dict[str, Any], *, reset: bool) -> None:
    """Keep what was given and answer with all there is.

    Raises:
        Refused: the suffix breaks the grammar, or no model here knows the style.
    """
    members, member = interaction.client.services.queue.members, str(interaction.user.id)
    old = Preferences() if reset else members.known(member)
    changes = {name: "" if value == NONE else value for name, value in given.items() if value is not None}
    if suffix := changes.get("suffix"):
        with pointing(suffix):
            parse(suffix, needs_prompt=False)
    if style := changes.get("style"):
        check_names(image_request(prompt="-", seed=0, style=style), interaction.client.services.vocabulary, ())
    new = old.model_copy(update=changes)
    if changes or reset:
        await members.prefer(member, new)
    await interaction.response.send_message(
        described(new, speaks(interaction)), ephemeral=True, allowed_mentions=discord.AllowedMentions.none()
    )


def _code(language: str) -> str:
    """`zhcn` for `zh-CN`: what the name of a language is called in the catalogue. Pure."""
    return language.lower().replace("-", "")


def described(preferences: Preferences, locale: str) -> str:
    """The preferences as their member reads them. Pure."""
    nothing, yes, no = (text(f"prefer.{word}", locale) for word in ("nothing", "yes", "no"))
    language = _code(preferences.language) or "discord"
    return text(
        "prefer.all",
        locale,
        suffix=shown(preferences.suffix) or nothing,
        style=shown(preferences.style) or nothing,
        layout=text(f"name.layout.{preferences.layout}", locale),
        count=preferences.count,
        direct=yes if preferences.direct else no,
        private=yes if preferences.private else no,
        mention=text("prefer.minutes", locale, count=preferences.mention) if preferences.mention else no,
        language=text(f"name.language.{language}", locale),
    )
