"""A job's events as server-sent events (the format that a browser's EventSource reads)."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from typing import Any

from ..queue.records import Job, Progress

#: Seconds of silence after which a comment is sent: proxies cut off connections that say nothing for a minute.
KEEP_ALIVE = 15.0
#: Larger previews, in bytes, are left out: a line of an event must not be too long for its reader.
MAX_PREVIEW = 64 * 1024
#: How pictures begin.
_KINDS = ((b"\xff\xd8", "image/jpeg"), (b"\x89PNG", "image/png"), (b"RIFF", "image/webp"))


def block(name: str, body: Mapping[str, Any]) -> bytes:
    """One event. Its data is one line of JSON, so nothing in it can end the event early."""
    return f"event: {name}\ndata: {json.dumps(body)}\n\n".encode()


def progress_body(progress: Progress) -> Mapping[str, Any]:
    """Step and, where there is one, the picture as it stands, as a data: URL for an `<img>`."""
    body: dict[str, Any] = {"id": progress.job, "step": progress.step, "steps": progress.steps}
    preview = progress.preview
    if preview is None or len(preview) > MAX_PREVIEW:
        return body
    kind = next((kind for sign, kind in _KINDS if preview.startswith(sign)), None)
    if kind is not None:
        body["preview"] = f"data:{kind};base64,{b64encode(preview).decode()}"
    return body


async def send_events(
    events: AsyncGenerator[Job | Progress],
    job_body: Callable[[Job], Awaitable[Mapping[str, Any]]],
    write: Callable[[bytes], Awaitable[None]],
    keep_alive: float = KEEP_ALIVE,
) -> None:
    """Write every event until the job has finished; a slow reader misses progress, never a change."""
    async with aclosing(events):
        while True:
            coming = asyncio.ensure_future(anext(events, None))
            try:
                while not coming.done():
                    await asyncio.wait({coming}, timeout=keep_alive)
                    if not coming.done():
                        await write(b": still here\n\n")
                event = coming.result()
            finally:
                # Left early: the generator may only be closed once nobody waits in it.
                if not coming.done():
                    coming.cancel()
                    with suppress(asyncio.CancelledError):
                        await coming
            if event is None:
                return
            if isinstance(event, Job):
                await write(block("job", await job_body(event)))
            else:
                await write(block("progress", progress_body(event)))
