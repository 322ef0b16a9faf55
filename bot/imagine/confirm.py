"""The Yes under a question about many jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import discord

from ...queue.asking import Beginning
from ...queue.records import Source
from ..interaction import PROPOSAL, Component, Interaction, take_proposal
from .prompt import handle_prompt


class ConfirmButton(Component, discord.ui.DynamicItem[discord.ui.Button[Any]], template=rf"daguerre:yes:{PROPOSAL}"):
    """Do what the proposal says."""

    async def used(self, interaction: Interaction) -> None:
        content = await take_proposal(interaction, self.match["proposal"])
        await handle_prompt(
            interaction,
            content["prompt"],
            content["options"],
            link=str(content.get("link") or ""),
            begun=_begun(content),
            as_typed=bool(content.get("as_typed")),
            confirmed=True,
        )


def _begun(content: Mapping[str, Any]) -> Beginning:
    """What there is to begin from; proposals of an earlier version say less."""
    source, origin = content.get("source"), content.get("origin")
    return Beginning(
        picture=str(content.get("picture") or ""),
        blurred=bool(content.get("blurred")),
        source=None if source is None else Source.model_validate(source),
        origin=None if origin is None else (str(origin[0]), int(origin[1]), str(origin[2])),
    )
