"""Names and descriptions of commands in the languages of Discord's command picker."""

from __future__ import annotations

from functools import cached_property

import discord
from discord import app_commands

from .texts import codes, languages, text

#: Texts of the picker: names of commands, options and choices, and their descriptions.
PICKER = ("name.", "command.")


class Translator(app_commands.Translator):
    """Interaction by discord.py when commands are registered. What the catalogue lacks stays English."""

    async def translate(
        self, string: app_commands.locale_str, locale: discord.Locale, context: app_commands.TranslationContextTypes
    ) -> str | None:
        code = self._codes.get(string.message) if locale.value in languages() else None
        return None if code is None else text(code, locale.value)

    @cached_property
    def _codes(self) -> dict[str, str]:
        """The code of each English text: so commands are written with plain texts."""
        return {text(code): code for code in codes() if code.startswith(PICKER)}
