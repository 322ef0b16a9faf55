"""What the message of one job says, from its state. Pure: no Discord, no clock.

A message is at most 2,000 characters for Discord. Prompts and words are shortened before they are escaped, so that a
long prompt can neither break the limit nor be cut inside an escape.
"""

from __future__ import annotations

import re
import unicodedata

from ...queue.prompt import CUSTOM

#: Characters of a prompt that a card shows; the whole prompt is the picture's alt text.
PROMPT_SHOWN = 300
WORD_SHOWN = 40
_SPACE = re.compile(r"\s+")
#: What Discord's markdown, mentions and links are made of; a backslash before any of them shows it as it is.
_MARKUP = re.compile(r"([\\*_~`|<>\[\]()#@:])")


def plain(words: str) -> str:
    """One line without control and direction-changing characters (joiners inside emoji stay)."""
    line = _SPACE.sub(" ", words)
    return "".join(c for c in line if c == "\u200d" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co")).strip()


def shorten(words: str, limit: int) -> str:
    return words if len(words) <= limit else words[: limit - 1].rstrip() + "…"


def shown(words: str, limit: int = PROMPT_SHOWN) -> str:
    """What somebody typed, made harmless: one line, at most `limit` characters, markdown and mentions escaped."""
    return _MARKUP.sub(r"\\\1", shorten(plain(without_emoji_ids(words)), limit))


def without_emoji_ids(words: str) -> str:
    """Custom emoji as they are typed, without their ids."""
    return CUSTOM.sub(r":\g<name>:", words)


def word_list(words: tuple[str, ...]) -> str:
    """`“dog”, “cat”, “fox”`: words that we know ourselves, as in a refusal."""
    return ", ".join(f"“{shown(word, WORD_SHOWN)}”" for word in words)


#: Discord's limit for one message.
MESSAGE_LENGTH = 2_000


def pages(lines: list[str]) -> list[str]:
    """The lines in messages of at most 2,000 characters. Pure."""
    found = [""]
    for line in lines:
        if found[-1] and len(found[-1]) + 1 + len(line) > MESSAGE_LENGTH:
            found.append("")
        found[-1] += ("\n" if found[-1] else "") + line[:MESSAGE_LENGTH]
    return found


def code_safe(words: str) -> str:
    """For a code block: nothing in it can end the block."""
    return words.replace("`", "ˋ")
