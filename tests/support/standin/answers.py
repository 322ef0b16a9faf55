"""Embeds and components as Discord gives them back: defaults filled in, `attachment://` names resolved."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any

from .messages import Message
from .records import Json

SELECTS = (3, 5, 6, 7, 8)


def answered_embed(embed: Json, message: Message) -> Json:
    whole = _without_nulls(embed)
    whole["type"] = "rich"
    if embed.get("fields"):
        whole["fields"] = [{**row, "inline": bool(row.get("inline"))} for row in embed["fields"]]
    for key in ("image", "thumbnail"):
        if whole.get(key):
            url, attachment = message.media_url(whole[key]["url"])
            whole[key] = {"url": url, "proxy_url": url}
            if attachment is not None and attachment.size is not None:
                whole[key] |= {"width": attachment.size[0], "height": attachment.size[1]}
    for key in ("author", "footer"):
        if whole.get(key):
            whole[key] = _without_nulls(whole[key])
    return whole


def answered_components(components: Sequence[Mapping[str, Any]], message: Message) -> list[Json]:
    """Numbered in reading order where the bot gave no number."""
    numbers = count(1)
    return [_component(each, message, lambda: next(numbers)) for each in components]


def _component(component: Mapping[str, Any], message: Message, number: Callable[[], int]) -> Json:
    whole: Json = _without_nulls(component)
    whole["id"] = whole.get("id") or number()
    if "emoji" in whole:
        whole["emoji"] = _without_nulls(whole["emoji"])
    kind = whole["type"]
    if "components" in whole:
        whole["components"] = [_component(each, message, number) for each in whole["components"]]
    if "accessory" in whole:
        whole["accessory"] = _component(whole["accessory"], message, number)
    if kind in SELECTS:
        whole.pop("required", None)
        whole = {"min_values": 1, "max_values": 1} | whole
        if kind == 3:
            whole["options"] = [_select_option(each) for each in whole["options"]]
    elif kind == 11:
        whole |= _media_item(whole, message)
    elif kind == 12:
        whole["items"] = [_media_item(each, message) for each in whole["items"]]
    elif kind == 13:
        _, attachment = message.media_url(component["file"]["url"])
        whole |= {
            "file": _media(component["file"], message),
            "spoiler": bool(whole.get("spoiler")),
            "name": attachment.filename if attachment else None,
            "size": len(attachment.data) if attachment else None,
        }
    elif kind == 14:
        whole = {"spacing": 1, "divider": True} | whole
    elif kind == 17:
        whole = {"accent_color": None, "spoiler": False} | whole
    return whole


def _select_option(option: Mapping[str, Any]) -> Json:
    whole = _without_nulls(option)
    return whole | {"emoji": _without_nulls(whole["emoji"])} if "emoji" in whole else whole


def _media_item(item: Mapping[str, Any], message: Message) -> Json:
    return {
        "media": _media(item["media"], message),
        "description": item.get("description"),
        "spoiler": bool(item.get("spoiler")),
    }


def _media(given: Mapping[str, Any], message: Message) -> Json:
    url, attachment = message.media_url(given["url"])
    whole: Json = {"id": str(message.world.ids.next()), "url": url, "proxy_url": url}
    if attachment is not None:
        whole |= {"attachment_id": str(attachment.id), "content_type": attachment.content_type}
        if attachment.size is not None:
            whole |= {"width": attachment.size[0], "height": attachment.size[1]}
    return whole


def _without_nulls(given: Mapping[str, Any]) -> Json:
    return {key: value for key, value in given.items() if value is not None}
