"""When the next preview may be sent: by what Discord's rate-limit headers say, across all live jobs. Finals never ask.

A preview is any edit of a message whose job is not over; the newest one makes the earlier ones worthless, so they can
wait. The last request of each bucket is kept for the final picture. Pure but for its clock, except `trace`.
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any

import aiohttp

#: Previews in a second, over all jobs: at first and at most, and after Discord has complained often.
MOST = 20.0
LEAST = 0.5
#: How much the rate grows in a second without a complaint.
GROWTH = 0.5
#: Requests of a bucket that are left to finals.
KEPT = 1
#: Buckets that are remembered.
BUCKETS = 2_000
#: Seconds that a preview waits while a final is on its way.
YIELD = 0.1
#: What Discord says a limit is about.
SCOPES = ("user", "shared", "global")
_BUCKET = re.compile(r"/(webhooks/\d+/[^/]+|channels/\d+)(?:/|$)")


def bucket_of(path: str) -> str:
    """What Discord counts together, as far as its addresses tell: an interaction's token, or a channel."""
    found = _BUCKET.search(path)
    return found[1] if found else ""


class RateLimiter:
    """One for each bot."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, complained: Callable[[str], None] = lambda scope: None
    ) -> None:
        """`complained` hears the scope of each answer 429: "user", "shared" or "global"."""
        self._clock = clock
        self._tell = complained
        self._rate = MOST
        #: Time from which the next preview may be sent at the present rate.
        self._next = 0.0
        #: Nothing but finals before this time: Discord said so.
        self._held = 0.0
        self._complained = 0.0
        #: For each bucket: requests left, and when it is full again.
        self._left: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._finals = 0

    def heard(self, path: str, status: int, headers: Mapping[str, str]) -> None:
        """What Discord answered."""
        now = self._clock()
        if status == 429:
            wait = _number(headers, "Retry-After") or _number(headers, "X-RateLimit-Reset-After") or 1.0
            self._rate = max(LEAST, self._rate / 2)
            self._complained = now
            scope = "global" if "X-RateLimit-Global" in headers else headers.get("X-RateLimit-Scope", "")
            self._tell(scope if scope in SCOPES else "other")
            if headers.get("X-RateLimit-Scope", "global") != "user" or "X-RateLimit-Global" in headers:
                self._held = max(self._held, now + wait)
        remaining, resets = _number(headers, "X-RateLimit-Remaining"), _number(headers, "X-RateLimit-Reset-After")
        bucket = bucket_of(path)
        if bucket and remaining is not None and resets is not None:
            self._left.pop(bucket, None)
            self._left[bucket] = (int(remaining), now + resets)
            while len(self._left) > BUCKETS:
                self._left.popitem(last=False)

    def wait(self, bucket: str) -> float:
        """Seconds until a preview in this bucket may be sent; 0 takes the turn."""
        now = self._clock()
        if self._finals:
            return YIELD
        left, full = self._left.get(bucket, (KEPT + 1, 0.0))
        waits = [self._held - now, full - now if left <= KEPT else 0.0, self._next - now]
        if max(waits) > 0:
            return max(waits)
        rate = min(MOST, self._rate + GROWTH * max(0.0, now - self._complained))
        self._next = max(self._next, now - 1.0 / rate) + 1.0 / rate
        return 0.0

    @contextmanager
    def final(self) -> Generator[None]:
        """While a final answer is on its way, previews let it pass."""
        self._finals += 1
        try:
            yield
        finally:
            self._finals -= 1

    def trace(self) -> aiohttp.TraceConfig:
        """Shows it every answer that the client gets, before discord.py hides the headers."""

        async def ended(_: Any, __: Any, seen: aiohttp.TraceRequestEndParams) -> None:
            self.heard(seen.url.path, seen.response.status, seen.response.headers)

        config = aiohttp.TraceConfig()
        config.on_request_end.append(ended)
        return config


def _number(headers: Mapping[str, str], name: str) -> float | None:
    try:
        return float(headers[name])
    except (KeyError, ValueError):
        return None
