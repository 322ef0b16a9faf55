"""Refusals of the API, with the codes that real Discord sends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .records import Json

#: Discord's error codes and their texts, as far as a bot of this kind can meet them.
TEXTS: dict[int, tuple[int, str]] = {
    10003: (404, "Unknown Channel"),
    10004: (404, "Unknown Guild"),
    10008: (404, "Unknown Message"),
    10013: (404, "Unknown User"),
    10015: (404, "Unknown Webhook"),
    10062: (404, "Unknown interaction"),
    10063: (404, "Unknown application command"),
    10014: (404, "Unknown Emoji"),
    30008: (400, "Maximum number of emojis reached (50)"),
    30034: (400, "Max number of daily application command creates has been reached (200)"),
    30039: (400, "Maximum number of stickers reached (5)"),
    40005: (413, "Request entity too large"),
    40060: (400, "Interaction has already been acknowledged."),
    40094: (400, "This interaction has reached its maximum number of follow-up messages"),
    50001: (403, "Missing Access"),
    50005: (403, "Cannot edit a message authored by another user"),
    50006: (400, "Cannot send an empty message"),
    50007: (403, "Cannot send messages to this user"),
    50008: (400, "Cannot send messages in a non-text channel"),
    50013: (403, "Missing Permissions"),
    50027: (401, "Invalid Webhook Token"),
    50035: (400, "Invalid Form Body"),
    50083: (400, "Thread is archived"),
    50109: (400, "The request body contains invalid JSON."),
    160005: (400, "Thread is locked"),
}


class Refused(Exception):
    """The API answers this request with an error."""

    def __init__(self, code: int, *, errors: Mapping[str, str] | None = None, status: int | None = None) -> None:
        usual, text = TEXTS.get(code, (400, "Bad Request"))
        super().__init__(f"{code}: {text} {dict(errors or {})}")
        self.status = status or usual
        self.body: Json = {"message": text, "code": code}
        if errors:
            self.body["errors"] = _tree(errors)


class Unauthorised(Refused):
    """The bot token is missing or wrong."""

    def __init__(self) -> None:
        super().__init__(0, status=401)
        self.body = {"message": "401: Unauthorized", "code": 0}


class NotThere(Refused):
    """No such route."""

    def __init__(self, status: int = 404) -> None:
        super().__init__(0, status=status)
        text = {404: "Not Found", 405: "Method Not Allowed"}[status]
        self.body = {"message": f"{status}: {text}", "code": 0}


def _tree(errors: Mapping[str, str]) -> Json:
    """`{"embeds/0/title": "too long"}` as Discord nests it: `{"embeds": {"0": {"title": {"_errors": […]}}}}`."""
    root: dict[str, Any] = {}
    for path, text in errors.items():
        node = root
        for step in filter(None, path.split("/")):
            node = node.setdefault(step, {})
        node.setdefault("_errors", []).append({"code": "INVALID", "message": text})
    return root
