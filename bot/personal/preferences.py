"""/prefer: what a member wants unless they say otherwise."""

from __future__ import annotations

from typing import Literal

from discord import app_commands
from discord.app_commands import Choice

from ...queue.prompt import parse
from ...queue.records import MAX_COUNT, image_request
from ...queue.store import Preferences
from ..imagine import check_names, known_styles, pointing
from ..interaction import CommandTree, Interaction, answer, command, everywhere, locale_of, queue_of, services_of
from ..text import languages, shown, text

#: Said as a text to have none.
NONE = "-"
LAYOUTS: tuple[Literal["grid", "single", "both"], ...] = ("grid", "single", "both")


def add_prefer(tree: CommandTree) -> None:
    """The command /prefer."""
    spoken = [Choice(name=text(f"name.language.{_code(one)}"), value=one) for one in languages()]
    choices = {
        "layout": [Choice(name=text(f"name.layout.{one}"), value=one) for one in LAYOUTS],
        "language": [Choice(name=text("name.language.discord"), value=NONE), *spoken],
    }
    made = everywhere(
        command(
            tree, "prefer", prefer, "command.prefer", choices,
            suffix="command.prefer.suffix", style="command.prefer.style", layout="command.prefer.layout",
            count="command.prefer.count", direct="command.prefer.direct", private="command.prefer.private",
            mention="command.prefer.mention", language="command.prefer.language", reset="command.prefer.reset",
        )
    )  # fmt: skip
    made.autocomplete("style")(known_styles)


async def prefer(
    interaction: Interaction,
    suffix: app_commands.Range[str, 1, 300] | None = None,
    style: app_commands.Range[str, 1, 100] | None = None,
    layout: Choice[str] | None = None,
    count: app_commands.Range[int, 1, MAX_COUNT] | None = None,
    direct: bool | None = None,
    private: bool | None = None,
    mention: app_commands.Range[int, 0, 1440] | None = None,
    language: Choice[str] | None = None,
    reset: bool = False,
) -> None:
    """Keep what was given and answer with all there is.

    Raises:
        Refused: the suffix breaks the grammar, or no model here knows the style.
    """
    given = {
        "suffix": suffix, "style": style, "layout": layout and layout.value, "count": count,
        "direct": direct, "private": private, "mention": mention, "language": language and language.value,
    }  # fmt: skip
    changes = {name: "" if value == NONE else value for name, value in given.items() if value is not None}
    if suffix := str(changes.get("suffix") or ""):
        with pointing(suffix):
            parse(suffix, needs_prompt=False)
    if style := str(changes.get("style") or ""):
        check_names(image_request(prompt="-", seed=0, style=style), services_of(interaction).vocabulary, ())
    members, member = queue_of(interaction).members, str(interaction.user.id)
    new = (Preferences() if reset else members.known(member)).model_copy(update=changes)
    if changes or reset:
        await members.prefer(member, new)
    await answer(interaction, described(new, locale_of(interaction)))


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
