"""/rules add, remove, list, test: a server's own words, phrases and regular expressions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import discord
from discord import app_commands
from pydantic import ValidationError

from ..queue.moderation import MAX_PATTERN, MAX_RULES, Action, BadRule, Rule, TooManyRules, book_of, checked_rule
from .cards import shown
from .errors import Refused
from .guard import guarded
from .language import speaks
from .moderators import BY_SERVERS, IN_SERVERS, answer, manager
from .settings_more import outlook
from .texts import text

if TYPE_CHECKING:
    from .client import DaguerreClient

    Asked = discord.Interaction[DaguerreClient]

#: Longest list of rules that one message holds, in characters.
LONGEST = 1_800
Pattern = app_commands.Range[str, 1, MAX_PATTERN]


def add_rules(tree: app_commands.CommandTree[DaguerreClient]) -> None:
    """The command group as Discord shows it."""
    group = app_commands.Group(
        name="rules",
        description=text("command.rules"),
        default_permissions=discord.Permissions(manage_guild=True),
        allowed_contexts=IN_SERVERS,
        allowed_installs=BY_SERVERS,
    )

    @group.command(name="add", description=text("command.rules.add"))
    @app_commands.describe(
        pattern=text("command.rules.pattern"),
        action=text("command.rules.action"),
        kind=text("command.rules.kind"),
        replacement=text("command.rules.replacement"),
        only_try=text("command.rules.only_try"),
    )
    async def add(
        interaction: discord.Interaction[DaguerreClient],
        pattern: Pattern,
        action: Literal["refuse", "replace", "spoiler", "hold", "warn"] = "refuse",
        kind: Literal["word", "regex"] = "word",
        replacement: Pattern | None = None,
        only_try: bool = False,
    ) -> None:
        await guarded(
            interaction, lambda: add_one(interaction, pattern, action, kind, replacement or "", only_try=only_try)
        )

    @group.command(name="remove", description=text("command.rules.remove"))
    @app_commands.describe(number=text("command.rules.number"))
    async def remove(
        interaction: discord.Interaction[DaguerreClient], number: app_commands.Range[int, 1, 1_000_000]
    ) -> None:
        await guarded(interaction, lambda: remove_one(interaction, number))

    @group.command(name="list", description=text("command.rules.list"))
    async def show(interaction: discord.Interaction[DaguerreClient]) -> None:
        await guarded(interaction, lambda: list_all(interaction))

    @group.command(name="test", description=text("command.rules.test"))
    @app_commands.describe(words=text("command.rules.words"))
    async def test(interaction: discord.Interaction[DaguerreClient], words: app_commands.Range[str, 1, 1000]) -> None:
        await guarded(interaction, lambda: test_words(interaction, words))

    tree.add_command(group)


async def add_one(
    interaction: Asked, pattern: str, action: str, kind: str, replacement: str, *, only_try: bool
) -> None:
    """Keep a rule, or only tell what it would have done to last week's requests."""
    server, locale, services = manager(interaction), speaks(interaction), interaction.client.services
    rule = _checked(pattern, action, kind, replacement)
    await interaction.response.defer(ephemeral=True, thinking=True)
    settings = await services.settings.get(server)
    told = await outlook(interaction, server, settings, (rule,))
    if only_try:
        await answer(interaction, text("rules.tried", locale, told=told))
        return
    try:
        kept = await services.queue.moderation.store.add_rule(server, rule, str(interaction.user.id))
    except TooManyRules:
        raise Refused("rules.many", limit=MAX_RULES) from None
    await answer(interaction, text("rules.added", locale, rule=_line(kept), told=told))


def _checked(pattern: str, action: str, kind: str, replacement: str) -> Rule:
    """Raises: Refused."""
    try:
        return checked_rule(pattern=pattern, action=action, kind=kind, replacement=replacement)
    except ValidationError:
        raise Refused("rules.bad.short") from None
    except BadRule as problem:
        match problem.code:
            case "rules.bad.regex":
                raise Refused("rules.bad.regex", why=shown(problem.why)) from None
            case "rules.bad.empty":
                raise Refused("rules.bad.empty") from None
            case "rules.bad.replacement":
                raise Refused("rules.bad.replacement") from None
            case _:
                raise Refused("rules.bad.short") from None


async def remove_one(interaction: Asked, number: int) -> None:
    server, store = manager(interaction), interaction.client.services.queue.moderation.store
    if not await store.remove_rule(server, number, str(interaction.user.id)):
        raise Refused("rules.gone")
    await answer(interaction, text("rules.removed", speaks(interaction), number=str(number)))


async def list_all(interaction: Asked) -> None:
    """The server's own rules; as a file when they are too many for a message."""
    server, locale, services = manager(interaction), speaks(interaction), interaction.client.services
    rules = await services.queue.moderation.store.rules(server)
    settings = await services.settings.get(server)
    shipped = text("rules.shipped.on" if settings.default_rules else "rules.shipped.off", locale)
    whole = "\n".join([*(_line(rule) for rule in rules), shipped])
    if len(whole) <= LONGEST:
        await answer(interaction, whole)
        return
    await answer(interaction, shipped, file=("rules.txt", whole.encode()))


async def test_words(interaction: Asked, words: str) -> None:
    """What the rules that hold here would do with these words."""
    server, locale, services = manager(interaction), speaks(interaction), interaction.client.services
    settings = await services.settings.get(server)
    verdict = book_of(await services.queue.moderation.rules(server, settings)).check({"prompt": words})
    if verdict.action is None:
        await answer(interaction, text("rules.passes", locale))
        return
    found = [f"`#{hit.rule.number}` {hit.rule.action}: {shown(words[hit.start : hit.end], 60)}" for hit in verdict.hits]
    told = "\n".join(dict.fromkeys(found[:10]))
    if verdict.has(Action.REPLACE):
        told += f"\n→ {shown(verdict.replaced('prompt', words))}"
    await answer(interaction, text("rules.caught", locale, action=verdict.action.value, found=told))


def _line(rule: Rule) -> str:
    instead = f" → {shown(rule.replacement, 60)}" if rule.replacement else ""
    kind = "regex " if rule.kind == "regex" else ""
    return f"`#{rule.number}` {rule.action.value}: {kind}||{shown(rule.pattern, 100)}||{instead}"
