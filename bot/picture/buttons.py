"""What a press of each button does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import discord

from ...queue.errors import UnknownJob
from ..errors import Refused
from ..interaction import Component, Interaction, actionable_job, may_touch, queue_of
from ..message import EMOJI, TEMPLATE, Key
from ..moderation import open_report_form
from .actions import Pressed, again, expression, like, pan, region, remix, upscale, use, vary, vector, zoom
from .anyone import delete_message, show_info, show_more


class PictureButton(Component, discord.ui.DynamicItem[discord.ui.Button[Any]], template=TEMPLATE):
    """One action on one job or picture."""

    async def used(self, interaction: Interaction) -> None:
        await press(interaction, Key.of(self.match))


async def press(interaction: Interaction, key: Key) -> None:
    """Do what a button says; what an action of a version to come means is not known, so it informs.

    Raises:
        Refused: it is not theirs to press, or its job is gone.
    """
    if key.action == "cancel":
        await cancel(interaction, key.job)
    elif key.action in ACTIONS:
        await ACTIONS[key.action](Pressed(interaction, key, await actionable_job(interaction, key.job)))
    else:
        await FOR_ALL.get(key.action, show_info)(interaction, key)


async def cancel(interaction: Interaction, job_id: str) -> None:
    """Cancel the job; its follower then writes so into the message.

    Raises:
        Refused: a stranger pressed the button, or the job has ended.
    """
    queue = queue_of(interaction)
    try:
        job = await queue.job(job_id)
    except UnknownJob:
        raise Refused("cancel.gone") from None
    if not may_touch(interaction, job):
        raise Refused("cancel.not_allowed")
    if await queue.cancel(job_id) == "gone":
        raise Refused("cancel.gone")
    await interaction.response.defer()


FOR_ALL: Mapping[str, Callable[[Interaction, Key], Awaitable[None]]] = {
    "report": open_report_form,
    "info": show_info,
    "more": show_more,
    "delete": delete_message,
}
ACTIONS: Mapping[str, Callable[[Pressed], Awaitable[None]]] = {
    "use": use,
    "vary": vary,
    "again": again,
    "remix": remix,
    "subtle": vary,
    "strong": vary,
    "region": region,
    "upscale": upscale,
    "zoom15": zoom,
    "zoom20": zoom,
    "left": pan,
    "right": pan,
    "up": pan,
    "down": pan,
    "like": like,
    "emoji": expression,
    "sticker": expression,
    "vector": vector,
}
assert {"cancel", *FOR_ALL, *ACTIONS} == set(EMOJI)
