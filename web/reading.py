"""Bodies of requests: JSON and pictures, read only as far as they may go."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from .problems import Problem

#: Within which a body must have come, and a picture.
BODY_SECONDS = 15.0
PICTURE_SECONDS = 60.0
#: Largest picture that is read, in bytes.
MAX_PICTURE = 20 * 2**20
#: Kinds of files that are taken; what they are is looked at in their content.
PICTURE_KINDS = ("image/png", "image/jpeg", "image/webp", "image/gif", "image/avif", "application/octet-stream")

Body = TypeVar("Body", bound=BaseModel)
#: Name of a picture that was sent (queue/pictures/sources.py).
SentName = Annotated[str, StringConstraints(pattern=r"^sources/[0-9a-f]{64}\.webp$")]


class Strict(BaseModel):
    """A body of JSON: nothing in it that is not known."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def check_head(request: web.Request) -> None:
    """Whether the body is what is read here: JSON in UTF-8. Other encodings (punycode!) take time that is quadratic.

    Raises:
        Problem: says what to send.
    """
    if request.content_type != "application/json":
        raise Problem(415, "not_json", "send JSON, with the header Content-Type: application/json")
    charset = request.charset
    if charset is not None and charset.strip().lower() not in ("utf-8", "utf8"):
        raise Problem(415, "not_utf8", "send the body as UTF-8, and leave charset out of the Content-Type")
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise Problem(400, "packed", "send the body as it is, without Content-Encoding")


async def read_text(request: web.Request) -> str:
    """Raises: Problem."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return (await request.read()).decode()
    except UnicodeDecodeError:
        raise Problem(400, "invalid_json", "the body is not UTF-8 text") from None
    except TimeoutError:
        raise Problem(408, "too_slow", f"the body did not come within {BODY_SECONDS:.0f} seconds") from None


async def read_body(request: web.Request, kind: type[Body]) -> Body:
    """A body of JSON as a checked record. Raises: Problem."""
    check_head(request)
    text = await read_text(request)
    try:
        json.loads(text)
        return kind.model_validate_json(text)
    except ValidationError as problems:
        first = problems.errors()[0]
        field = str(first["loc"][0]) if first["loc"] else None
        raise Problem(400, "invalid_request", f"{field or 'the body'}: {first['msg']}", field) from None
    except ValueError as error:
        raise Problem(400, "invalid_json", f"the body is not valid JSON: {error}") from None
    except RecursionError:
        raise Problem(400, "invalid_json", "the body is nested too deeply") from None


async def read_picture(request: web.Request) -> bytes:
    """The file in the body, at most `MAX_PICTURE` bytes. Raises: Problem."""
    if request.content_type not in PICTURE_KINDS:
        raise Problem(415, "no_picture", f"send the file itself, as one of {', '.join(PICTURE_KINDS)}")
    if (request.content_length or 0) > MAX_PICTURE:
        raise _too_large()
    found = bytearray()
    try:
        async with asyncio.timeout(PICTURE_SECONDS):
            async for chunk in request.content.iter_chunked(1 << 16):
                found += chunk
                if len(found) > MAX_PICTURE:
                    raise _too_large()
    except TimeoutError:
        raise Problem(408, "too_slow", f"the picture did not come within {PICTURE_SECONDS:.0f} seconds") from None
    return bytes(found)


def query(request: web.Request, allowed: dict[str, int]) -> dict[str, str]:
    """The parameters of an address: known ones, each once, each of so many characters at most. Raises: Problem."""
    found: dict[str, str] = {}
    for name, value in request.query.items():
        if name not in allowed:
            raise Problem(
                400, "unknown_parameter", f"there is no parameter {name[:40]}; there are: {', '.join(allowed)}"
            )
        if name in found:
            raise Problem(400, "invalid_parameter", f"{name} stands twice in the address", name)
        if len(value) > allowed[name] or "\x00" in value:
            raise Problem(400, "invalid_parameter", f"{name} is longer than {allowed[name]} characters", name)
        found[name] = value
    return found


def whole(told: dict[str, str], name: str, low: int, high: int, usual: int) -> int:
    """A whole number of an address. Raises: Problem."""
    value = told.get(name, str(usual))
    if not (value.isascii() and value.isdigit() and len(value) <= 12 and low <= int(value) <= high):
        raise Problem(400, "invalid_parameter", f"{name} must be a whole number from {low} to {high}", name)
    return int(value)


def _too_large() -> Problem:
    return Problem(413, "too_large", f"the picture is too large: at most {MAX_PICTURE // 2**20} MB")


def answer(body: Any, status: int = 200, **headers: str) -> web.Response:
    """JSON that nobody keeps."""
    return web.json_response(body, status=status, headers={"Cache-Control": "no-store", **headers})
