"""How `daguerre doctor` says what it found: a line each as soon as it is known, or one JSON object at the end."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import asdict, replace

from .finding import Finding
from .hiding import escape_controls, hide_secrets


async def report(
    findings: AsyncIterator[Finding], write: Callable[[str], None], *, as_json: bool, secrets: Collection[str] = ()
) -> bool:
    """Whether nothing fails."""
    found: list[Finding] = []
    async for one in findings:
        shown = replace(one, text=_hidden(one.text, secrets), remedy=_hidden(one.remedy, secrets))
        found.append(shown)
        if not as_json:
            write(shown.line)
    sound = all(one.level != "fail" for one in found)
    if as_json:
        write(json.dumps({"ok": sound, "findings": [asdict(one) for one in found]}, ensure_ascii=False, indent=2))
    return sound


def _hidden(text: str, secrets: Collection[str]) -> str:
    """What another program said may quote what it was given."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return escape_controls(hide_secrets(text).replace("\n", " "))
