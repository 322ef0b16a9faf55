"""A small discord.py bot, for the stand-in's own tests."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable
from typing import Any

import discord
from discord import app_commands
from PIL import Image

#: What a test does with an interaction of `/draw`.
Draw = Callable[[discord.Interaction[Any], str], Awaitable[None]]


def png(colour: str = "red") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(file, "PNG")
    return file.getvalue()


def picture(colour: str = "red", name: str = "picture.png", description: str | None = None) -> discord.File:
    return discord.File(io.BytesIO(png(colour)), name, description=description)


class SampleBot(discord.Client):
    """Has one command, `/draw prompt count`, whose work a test hands in."""

    def __init__(self, draw: Draw | None = None, **options: Any) -> None:
        super().__init__(intents=options.pop("intents", discord.Intents(guilds=True)), **options)
        self.tree = app_commands.CommandTree(self)
        self.draw = draw
        self.errors: list[BaseException] = []
        #: Names of the gateway events that arrived.
        self.events: list[str] = []

        @self.tree.command(name="draw", description="Draws a picture.")
        @app_commands.describe(prompt="What to draw.", count="How many.")
        async def draw_command(
            interaction: discord.Interaction[Any], prompt: str, count: app_commands.Range[int, 1, 4] = 1
        ) -> None:
            assert self.draw is not None
            await self.draw(interaction, prompt)

        @draw_command.autocomplete("prompt")
        async def complete(_: discord.Interaction[Any], typed: str) -> list[app_commands.Choice[str]]:
            return [
                app_commands.Choice(name=word, value=word) for word in ("apple", "rocket") if word.startswith(typed)
            ]

        @self.tree.error
        async def failed(_: discord.Interaction[Any], error: app_commands.AppCommandError) -> None:
            self.errors.append(getattr(error, "original", error))

    async def setup_hook(self) -> None:
        await self.tree.sync()

    async def on_resumed(self) -> None:
        self.events.append("resumed")

    async def on_ready(self) -> None:
        self.events.append("ready")
