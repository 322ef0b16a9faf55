"""Reading what a bot sends: JSON, or multipart with `payload_json` and `files[n]`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import BodyPartReader, web

from .errors import Refused
from .records import SentFile

FILE_FIELD = re.compile(r"files\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class Body:
    """What came, and what was odd about it."""

    json: Any = None
    files: Mapping[int, SentFile] = field(default_factory=dict[int, SentFile])
    present: bool = False
    #: Whether the whole request is over its limit: it was read to the end and thrown away.
    too_large: bool = False
    oddities: tuple[str, ...] = ()


async def read_body(request: web.Request, limit: int) -> Body:
    """Read the whole body.

    Raises:
        Refused: 50109, not JSON.
    """
    if not request.can_read_body:
        return Body()
    if (request.content_length or 0) > limit:
        async for _ in request.content.iter_any():
            pass
        return Body(present=True, too_large=True)
    if request.content_type.startswith("multipart/"):
        return await _multipart(request)
    raw = await request.read()
    if not raw:
        return Body()
    oddities = () if request.content_type == "application/json" else (f"JSON sent as {request.content_type}",)
    return Body(_parse(raw), present=True, oddities=oddities)


async def _multipart(request: web.Request) -> Body:
    payload: Any = None
    present = False
    files: dict[int, SentFile] = {}
    oddities: list[str] = []
    form: dict[str, str] = {}
    async for part in await request.multipart():
        assert isinstance(part, BodyPartReader)
        name = part.name or ""
        data = bytes(await part.read(decode=True))
        numbered = FILE_FIELD.fullmatch(name)
        if name == "payload_json":
            payload, present = _parse(data), True
        elif numbered is not None:
            kind = part.headers.get("Content-Type", "application/octet-stream")
            files[int(numbered[1])] = SentFile(part.filename or "unknown", kind, data)
            if not part.filename:
                oddities.append(f"{name} has no file name")
        elif name == "file":
            # A sticker's form has its fields beside the file.
            kind = part.headers.get("Content-Type", "application/octet-stream")
            files[0] = SentFile(part.filename or "unknown", kind, data)
        elif name in ("name", "description", "tags"):
            form[name] = data.decode()
        else:
            oddities.append(f"multipart field {name!r} is neither payload_json nor files[n]")
    if not present:
        payload = form
    return Body(payload, files, present=True, oddities=tuple(oddities))


def _parse(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        raise Refused(50109) from None
