"""All settings of a server as they hold, in as many messages as they need: mostly one. Pure.

No embeds: discord.py sends a field with them that Discord's own description of its API does not know.
"""

from __future__ import annotations

from ...queue.records import ANY_MODEL, Usual
from ...queue.store import ServerSettings
from ..text import pages, text
from .settings_values import FOLLOWING, LISTS, NAMES, value_text

#: Before each setting that is not as by default.
MARK = "●"
#: Longest value on a line in characters: four messages are enough then, however many channels and roles are listed.
VALUE = 380
#: How Discord writes ids so that their names are read.
MENTIONS = {"#": "<#{}>", "@": "<@&{}>"}


def lines(settings: ServerSettings, locale: str = "en", model: Usual = ANY_MODEL) -> list[str]:
    """Each setting on a line, in their order: `steps` 16, or ● **steps** 9 (16) where the default is another.

    `model`: what is usual for it, which holds where nothing was set.
    """
    standard = ServerSettings()

    said: list[str] = []
    for name in NAMES:
        follows = name in FOLLOWING
        by_default = f"`{model.fields[name]:g}`" if follows else value(name, standard)
        if getattr(settings, name) != getattr(standard, name):
            said.append(f"{MARK} **`{name}`** {value(name, settings)} ({by_default})")
        else:
            said.append(f"`{name}` {text('settings.view.model', locale, value=by_default) if follows else by_default}")
    return said


def value(name: str, settings: ServerSettings) -> str:
    """A setting's value; long lists end in how many more there are, `/settings export` has them all."""
    kind = LISTS.get(name, "#" if name == "log_channel" else "")
    written = MENTIONS.get(kind, "`{}`")
    said = value_text(name, settings)
    if said == "-":
        return "–"
    items = said.split("; " if name == "roles" else ", ") if name in LISTS else [said]
    parts, length = list[str](), 0
    for item in items:
        parts.append(written.format(item.replace("`", "ˋ")))
        length += len(parts[-1]) + 2
        if length > VALUE:
            parts.pop()
            return ", ".join([*parts, f"… +{len(items) - len(parts)}"])
    return ", ".join(parts)


def messages(first: str, settings: ServerSettings, locale: str, model: Usual = ANY_MODEL) -> list[str]:
    """`first` and below it each setting, none parted between two messages."""
    return pages([first, text("settings.view.all", locale, mark=MARK), *lines(settings, locale, model)])
