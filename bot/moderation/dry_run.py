"""What settings and rules would have done to last week's requests."""

from __future__ import annotations

import asyncio

from ...queue.moderation import DryRun, Rule, dry_run, last_week
from ...queue.store import ServerSettings
from ..interaction import Interaction, locale_of, queue_of
from ..text import shown, text


async def dry_run_text(interaction: Interaction, server: str, settings: ServerSettings, rules: tuple[Rule, ...]) -> str:
    """The same in words."""
    week = await last_week(queue_of(interaction).moderation.database, server)
    # In a thread: thousands of prompts take seconds, in which the gateway's heartbeat would be missed.
    outcome = await asyncio.to_thread(dry_run, week, settings, rules)
    return describe_dry_run(outcome, locale_of(interaction))


def describe_dry_run(outcome: DryRun, locale: str) -> str:
    """A dry run in words, with the first prompts that it would have touched."""
    head = text("settings.outlook", locale, requests=outcome.requests, stopped=outcome.stopped, changed=outcome.changed)
    return "\n".join([head, *(f"- {shown(prompt, 100)}" for prompt in outcome.examples)])
