"""Where the OpenAPI description and practice differ, by name and with the reason.

Everything that a request or an answer has against the schema is a violation unless one of these covers it.
Of a multipart request `payload_json` is checked as if it were the whole JSON body: the schema leaves `files[n]` out of
some multipart forms, and that file parts and the `attachments` list agree is a rule written by hand (rules.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .openapi import Problem


@dataclass(frozen=True, slots=True)
class Quirk:
    name: str
    #: Why it is no fault.
    why: str
    covers: Callable[[Problem], bool]


#: Keys of an attachment in an answer, and discord.py's own `spoiler`.
KEPT_ATTACHMENT_KEYS = frozenset(
    {
        *("id", "filename", "description", "title", "size", "url", "proxy_url", "width", "height", "content_type"),
        *("ephemeral", "duration_secs", "waveform", "flags", "spoiler", "placeholder", "placeholder_version"),
    }
)

QUIRKS: tuple[Quirk, ...] = (
    Quirk(
        "attachment-id-integer",
        "attachments[].id counts the files of the request; the schema wants a snowflake string, the written "
        "documentation shows integers, and every client sends them.",
        lambda problem: (
            problem.keyword == "type"
            and re.search(r"(^|/)attachments/\d+/id$", problem.path) is not None
            and isinstance(problem.value, int)
        ),
    ),
    Quirk(
        "snowflake-as-integer",
        "discord.py writes recipient_id, the ids of a message reference and of allowed_mentions as JSON integers; "
        "Discord accepts them.",
        lambda problem: (
            problem.keyword == "type"
            and re.search(r"(^|/)(recipient_id|message_reference/\w+_id|allowed_mentions/\w+/\d+)$", problem.path)
            is not None
            and isinstance(problem.value, int)
        ),
    ),
    Quirk(
        "form-error-codes",
        "codes inside `errors` of a 50035 are texts such as BASE_TYPE_MAX_LENGTH; the schema says integers.",
        lambda problem: problem.path.startswith("errors/") and "_errors" in problem.path,
    ),
    Quirk(
        "query-boolean-as-digit",
        "wait, with_response, with_components and their like are accepted as 1 and 0.",
        lambda problem: problem.keyword == "bad query" and problem.value in ("0", "1") and "boolean" in problem.text,
    ),
    Quirk(
        "tts-in-message-edit",
        "discord.py sends tts:false with an edit; Discord ignores it.",
        lambda problem: (
            problem.keyword == "additionalProperties"
            and problem.method in ("PATCH", "POST")
            and "('tts' was unexpected)" in problem.text
        ),
    ),
    Quirk(
        "kept-attachment-whole",
        "discord.py names an attachment to keep by sending all of it back; Discord reads id and description.",
        lambda problem: (
            problem.keyword == "additionalProperties"
            and re.search(r"(^|/)attachments/\d+$", problem.path) is not None
            and isinstance(problem.value, dict)
            and KEPT_ATTACHMENT_KEYS.issuperset(problem.value)
        ),
    ),
    Quirk(
        "command-nsfw",
        "nsfw (age-restricted) is documented for commands and is in the schema's answers, but not in its requests.",
        lambda problem: (
            problem.keyword == "additionalProperties"
            and problem.route.endswith(("/commands", "/commands/{command_id}"))
            and "('nsfw' was unexpected)" in problem.text
        ),
    ),
)
