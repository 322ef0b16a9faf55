"""Discord's rules for messages and modals that its OpenAPI description does not hold. Pure.

Each function gives problems as {path in the body: what is wrong}; Discord answers 400 code 50035 to each.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from .records import COMPONENTS_V2, EPHEMERAL, SUPPRESS_EMBEDS, SUPPRESS_NOTIFICATIONS, walk

Problems = dict[str, str]
Json = Mapping[str, Any]

ROW, BUTTON, STRING_SELECT, TEXT_INPUT, TEXT_DISPLAY, THUMBNAIL, GALLERY, FILE, LABEL = 1, 2, 3, 4, 10, 11, 12, 13, 18
SELECTS = frozenset({3, 5, 6, 7, 8})
LINK, PREMIUM = 5, 6
#: Components that need the V2 flag when they stand at the top.
V2_ONLY = frozenset({9, TEXT_DISPLAY, THUMBNAIL, GALLERY, FILE, 14, 17})
VOICE_MESSAGE = 1 << 13
SENDABLE_FLAGS = SUPPRESS_EMBEDS | SUPPRESS_NOTIFICATIONS | COMPONENTS_V2 | VOICE_MESSAGE


def message_problems(body: Json, *, flags: int, filenames: Collection[str]) -> Problems:
    """Problems of a message as sent.

    `flags`: those the message will have; `filenames`: of the attachments it will have.
    """
    found: Problems = {}
    components: Sequence[Json] = body.get("components") or []
    v2 = bool(flags & COMPONENTS_V2)
    if len(body.get("content") or "") > 2_000:
        found["content"] = "Must be 2000 or fewer in length."
    if sum(map(_embed_length, body.get("embeds") or [])) > 6_000:
        found["embeds"] = "Embed size exceeds maximum size of 6000"
    if v2:
        for key in ("content", "embeds", "poll", "sticker_ids"):
            if body.get(key):
                found[key] = f"The {key!r} field cannot be used when using MessageFlags.IS_COMPONENTS_V2"
    found |= _component_problems(components, v2=v2)
    found |= _mention_problems(body.get("allowed_mentions"))
    for path, url in _media(body):
        if url.startswith("attachment://") and url.removeprefix("attachment://") not in filenames:
            found[path] = f"The referenced attachment {url!r} was not found"
        elif not re.match(r"(https?|attachment)://", url):
            found[path] = f"Scheme of {url!r} must be one of ('http', 'https', 'attachment')"
    return found


def flag_problems(flags: int, *, interaction: bool) -> Problems:
    """Problems of the `flags` of a new message."""
    allowed = SENDABLE_FLAGS | (EPHEMERAL if interaction else 0)
    return {"flags": f"flags {flags & ~allowed:#x} cannot be set here"} if flags & ~allowed else {}


def attachment_problems(listed: Sequence[Json] | None, files: Collection[int], kept: Collection[int]) -> Problems:
    """`attachments` has to name every file of the request once; other entries are attachments to keep."""
    if listed is None:
        return {}
    found: Problems = {}
    numbers = [int(each["id"]) for each in listed]
    for place, number in enumerate(numbers):
        if number not in files and number not in kept:
            found[f"attachments/{place}/id"] = f"neither files[{number}] nor an attachment of this message"
        if numbers.count(number) > 1:
            found[f"attachments/{place}/id"] = "named twice"
    for number in files:
        if number not in numbers:
            found["attachments"] = f"files[{number}] is not listed"
    return found


def modal_problems(data: Json) -> Problems:
    found: Problems = {}
    rows: Sequence[Json] = data["components"]
    if len(rows) > 5:
        found["data/components"] = "Must be between 1 and 5 in length."
    for path, text in _custom_ids(rows).items():
        found[f"data/{path}"] = text
    for place, row in enumerate(rows):
        path = f"data/components/{place}"
        inner = [row["component"]] if row["type"] == LABEL else row.get("components", [])
        if row["type"] == ROW and len(inner) != 1:
            found[path] = "a row of a modal holds exactly one text input"
        for part in inner:
            if part["type"] != TEXT_INPUT:
                continue
            if row["type"] == ROW and not part.get("label"):
                found[path] = "a text input in a row needs a label"
            if row["type"] == LABEL and part.get("label"):
                found[path] = "a text input in a Label must not have a label of its own"
            least, most = part.get("min_length") or 0, part.get("max_length") or 4_000
            if least > most:
                found[path] = "min_length is greater than max_length"
            if part.get("value") and not least <= len(part["value"]) <= most:
                found[path] = "value is shorter or longer than allowed"
    return found


def _embed_length(embed: Json) -> int:
    texts = [embed.get("title"), embed.get("description")]
    texts += [(embed.get("author") or {}).get("name"), (embed.get("footer") or {}).get("text")]
    for row in embed.get("fields") or ():
        texts += [row["name"], row["value"]]
    return sum(len(text or "") for text in texts)


def _component_problems(components: Sequence[Json], *, v2: bool) -> Problems:
    found = _custom_ids(components)
    everything = list(walk(components))
    numbers = Counter(part["id"] for part in everything if part.get("id"))
    if any(times > 1 for times in numbers.values()):
        found["components"] = "Component id is duplicated"
    if v2:
        if len(everything) > 40:
            found["components"] = f"{len(everything)} components, counted with those inside others; at most 40"
        if sum(len(part["content"]) for part in everything if part["type"] == TEXT_DISPLAY) > 4_000:
            found["components"] = "The total text of a message is limited to 4000 characters"
    else:
        if len(components) > 5:
            found["components"] = "Must be 5 or fewer in length."
        for place, part in enumerate(components):
            if part["type"] in V2_ONLY:
                found[f"components/{place}"] = f"type {part['type']} needs MessageFlags.IS_COMPONENTS_V2"
    for part in everything:
        for text in _part_problems(part):
            found[f"components: {part.get('custom_id') or part.get('label') or part['type']}"] = text
    return found


def _part_problems(part: Json) -> Iterator[str]:
    kind = part["type"]
    if kind == ROW:
        inner = part["components"]
        if any(each["type"] in SELECTS for each in inner) and len(inner) > 1:
            yield "a select fills its whole row"
    elif kind == BUTTON:
        style = part["style"]
        if style == LINK and (not part.get("url") or part.get("custom_id")):
            yield "a link button has a url and no custom_id"
        if style not in (LINK, PREMIUM) and (not part.get("custom_id") or part.get("url")):
            yield "a button has a custom_id and no url"
        if style != PREMIUM and not (part.get("label") or part.get("emoji")):
            yield "a button needs a label or an emoji"
        emoji = part.get("emoji") or {}
        if emoji and not emoji.get("id") and re.fullmatch(r"[\w:]{2,}|[A-Za-z]", emoji.get("name") or ""):
            yield f"invalid emoji {emoji.get('name')!r}"
    elif kind in SELECTS:
        least, most = part.get("min_values"), part.get("max_values")
        if (1 if least is None else least) > (1 if most is None else most):
            yield "min_values is greater than max_values"
        if kind == STRING_SELECT:
            values = [option["value"] for option in part["options"]]
            if len(set(values)) < len(values):
                yield "two options have the same value"
            if len(values) < (most or 1):
                yield "max_values is greater than the number of options"


def _custom_ids(components: Sequence[Json]) -> Problems:
    seen = Counter(part["custom_id"] for part in walk(components) if part.get("custom_id"))
    doubles = [name for name, times in seen.items() if times > 1]
    return {"components": f"Component custom id cannot be duplicated: {doubles}"} if doubles else {}


def _mention_problems(allowed: Json | None) -> Problems:
    for kind in ("users", "roles"):
        if allowed and kind in (allowed.get("parse") or ()) and allowed.get(kind):
            return {"allowed_mentions": f'parse:["{kind}"] and {kind}: [ids...] are mutually exclusive.'}
    return {}


def _media(body: Json) -> Iterator[tuple[str, str]]:
    for place, embed in enumerate(body.get("embeds") or ()):
        for key in ("image", "thumbnail"):
            url = (embed.get(key) or {}).get("url")
            if url:
                yield f"embeds/{place}/{key}/url", url
    for part in walk(body.get("components") or ()):
        if part["type"] == GALLERY:
            for place, item in enumerate(part["items"]):
                yield f"components/items/{place}/media/url", item["media"]["url"]
        elif part["type"] in (THUMBNAIL, FILE):
            yield "components/media/url", part["media" if part["type"] == THUMBNAIL else "file"]["url"]
