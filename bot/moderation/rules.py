"""/rules add, remove, list, test: a server's own words, phrases and regular expressions."""

from __future__ import annotations

from typing import Literal

import discord
from discord import app_commands
from pydantic import ValidationError

from ...queue.moderation import MAX_PATTERN, MAX_RULES, Action, BadRule, Rule, TooManyRules, book_of, checked_rule
from ..errors import Refused
from ..interaction import (
    CommandTree,
    Interaction,
    answer,
    command,
    locale_of,
    manager,
    queue_of,
    server_group,
    services_of,
)
from ..text import shown, text
from .dry_run import dry_run_text

#: Longest list of rules that one message holds, in characters.
LONGEST = 1_800
Pattern = app_commands.Range[str, 1, MAX_PATTERN]


def add_rules(tree: CommandTree) -> None:
    """The group /rules."""
    group = server_group(tree, "rules", discord.Permissions(manage_guild=True))
    command(
        group, "add", add_rule, "command.rules.add",
        pattern="command.rules.pattern", action="command.rules.action", kind="command.rules.kind",
        replacement="command.rules.replacement", only_try="command.rules.only_try",
    )  # fmt: skip
    command(group, "remove", remove_rule, "command.rules.remove", number="command.rules.number")
    command(group, "list", list_rules, "command.rules.list")
    command(group, "test", test_words, "command.rules.test", words="command.rules.words")


async def add_rule(
    interaction: Interaction,
    pattern: Pattern,
    action: Literal["refuse", "replace", "spoiler", "hold", "warn"] = "refuse",
    kind: Literal["word", "regex"] = "word",
    replacement: Pattern = "",
    only_try: bool = False,
) -> None:
    """Keep a rule, or only tell what it would have done to last week's requests."""
    server, locale, services = manager(interaction), locale_of(interaction), services_of(interaction)
    rule = _checked(pattern, action, kind, replacement)
    await interaction.response.defer(ephemeral=True, thinking=True)
    settings = await services.settings.get(server)
    outcome = await dry_run_text(interaction, server, settings, (rule,))
    if only_try:
        await answer(interaction, text("rules.tried", locale, told=outcome))
        return
    try:
        kept = await services.queue.moderation.store.add_rule(server, rule, str(interaction.user.id))
    except TooManyRules:
        raise Refused("rules.many", limit=MAX_RULES) from None
    await answer(interaction, text("rules.added", locale, rule=_line(kept), told=outcome))


def _checked(pattern: str, action: str, kind: str, replacement: str) -> Rule:
    """Raises: Refused."""
    try:
        return checked_rule(pattern=pattern, action=action, kind=kind, replacement=replacement)
    except ValidationError:
        raise Refused("rules.bad.short") from None
    except BadRule as problem:
        known = problem.code in ("rules.bad.regex", "rules.bad.empty", "rules.bad.replacement")
        raise Refused(problem.code if known else "rules.bad.short", why=shown(problem.why)) from None


async def remove_rule(interaction: Interaction, number: app_commands.Range[int, 1, 1_000_000]) -> None:
    server, store = manager(interaction), queue_of(interaction).moderation.store
    if not await store.remove_rule(server, number, str(interaction.user.id)):
        raise Refused("rules.gone")
    await answer(interaction, text("rules.removed", locale_of(interaction), number=str(number)))


async def list_rules(interaction: Interaction) -> None:
    """The server's own rules; as a file when they are too many for a message."""
    server, locale, services = manager(interaction), locale_of(interaction), services_of(interaction)
    rules = await services.queue.moderation.store.rules(server)
    settings = await services.settings.get(server)
    shipped = text("rules.shipped.on" if settings.default_rules else "rules.shipped.off", locale)
    whole = "\n".join([*(_line(rule) for rule in rules), shipped])
    if len(whole) <= LONGEST:
        await answer(interaction, whole)
        return
    await answer(interaction, shipped, file=("rules.txt", whole.encode()))


async def test_words(interaction: Interaction, words: app_commands.Range[str, 1, 1000]) -> None:
    """What the rules that hold here would do with these words."""
    server, locale, services = manager(interaction), locale_of(interaction), services_of(interaction)
    settings = await services.settings.get(server)
    verdict = book_of(await services.queue.moderation.rules(server, settings)).check({"prompt": words})
    if verdict.action is None:
        await answer(interaction, text("rules.passes", locale))
        return
    found = [f"`#{hit.rule.number}` {hit.rule.action}: {shown(words[hit.start : hit.end], 60)}" for hit in verdict.hits]
    hits = "\n".join(dict.fromkeys(found[:10]))
    if verdict.has(Action.REPLACE):
        hits += f"\n→ {shown(verdict.replaced('prompt', words))}"
    await answer(interaction, text("rules.caught", locale, action=verdict.action.value, found=hits))


def _line(rule: Rule) -> str:
    instead = f" → {shown(rule.replacement, 60)}" if rule.replacement else ""
    kind = "regex " if rule.kind == "regex" else ""
    return f"`#{rule.number}` {rule.action.value}: {kind}||{shown(rule.pattern, 100)}||{instead}"
