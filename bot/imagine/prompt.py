"""From one prompt with its options to jobs: by /imagine, by a modal, or after a yes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import discord

from ...queue.asking import Beginning, Order
from ...queue.pictures import size_of
from ...queue.prompt import custom_alone
from ...queue.records import MOST_REQUESTS
from ...queue.store import Preferences, ServerSettings
from ..errors import Refused
from ..interaction import Interaction, keep_proposal, locale_of, proposal_button, queue_of
from ..message import view_with
from ..text import text
from .ask import ask
from .checks import check_amount
from .pictures import is_blurred, keep_attachment, keep_emoji, keep_link
from .wishes import UNCONFIRMED, check_weight, orders, question, wishes


async def handle_prompt(
    interaction: Interaction,
    prompt: str,
    options: Mapping[str, Any],
    image: discord.Attachment | None = None,
    *,
    link: str = "",
    begun: Beginning | None = None,
    as_typed: bool = False,
    confirmed: bool = False,
) -> None:
    """One prompt with its options; `link` names a picture to fetch, `begun` what is there to begin from already.

    `as_typed`: without what the member prefers, which stands in the prompt already.

    Raises:
        Refused, QueueError: nothing was queued.
    """
    known = queue_of(interaction).members.known(str(interaction.user.id))
    found = wishes(prompt, options, Preferences() if as_typed else known)
    begun = begun or Beginning()
    if len(found) > MOST_REQUESTS:
        raise Refused("problem.too_many", count=len(found), most=MOST_REQUESTS)
    if len(found) > UNCONFIRMED and not confirmed:
        content = {"prompt": prompt, "options": dict(options), "link": link, "as_typed": as_typed, **_kept(begun)}
        await _ask_back(interaction, content, image, len(found))
        return

    async def make(settings: ServerSettings) -> list[Order]:
        check_amount(settings, len(found), options)
        there = image.url if image is not None else link or next((wish.link for wish in found if wish.link), "")
        if image is not None:
            kept = await keep_attachment(interaction, image)
        elif there:
            kept = await keep_link(interaction, there)
        elif not begun.picture and begun.source is None and (alone := custom_alone(found[0].prompt)) is not None:
            kept = await keep_emoji(interaction, *alone)
        else:
            kept = ""
        brought = replace(begun, picture=kept, blurred=begun.blurred or is_blurred(there)) if kept else begun
        if not brought.picture and brought.source is None:
            check_weight(prompt, options)
        if name := brought.picture:
            brought = replace(brought, shape=size_of(await queue_of(interaction).source(name)))
        return orders(found, settings, brought, await queue_of(interaction).workers())

    await ask(interaction, make)


def _kept(begun: Beginning) -> dict[str, Any]:
    """As a proposal keeps it."""
    return {
        "picture": begun.picture,
        "blurred": begun.blurred,
        "source": None if begun.source is None else begun.source.model_dump(mode="json"),
        "origin": None if begun.origin is None else list(begun.origin),
    }


async def _ask_back(
    interaction: Interaction, content: Mapping[str, Any], image: discord.Attachment | None, number: int
) -> None:
    """Many jobs of one prompt are wanted twice."""
    locale = locale_of(interaction)
    await interaction.response.defer(ephemeral=True, thinking=True)
    if image is not None:
        kept = await keep_attachment(interaction, image)
        content = {**content, "picture": kept, "blurred": is_blurred(image.url)}
    yes = proposal_button("yes", await keep_proposal(interaction, content), text("confirm.yes", locale))
    await interaction.edit_original_response(content=question(number, locale), view=view_with([yes]))
