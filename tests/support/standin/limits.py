"""Rate limits as Discord keeps them: one bucket for each route and channel, server or webhook, told in headers."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass

from .clock import Clock

#: Requests and seconds by route; the numbers are usual ones, a bot has to read the headers.
USUAL: Mapping[str, tuple[int, float]] = {
    "POST /channels/{channel_id}/messages": (5, 5.0),
    "PATCH /channels/{channel_id}/messages/{message_id}": (5, 5.0),
    "DELETE /channels/{channel_id}/messages/{message_id}": (5, 1.0),
    "POST /users/@me/channels": (10, 10.0),
    "PUT /applications/{application_id}/commands": (5, 20.0),
}
#: The webhook of an interaction: all its requests together.
WEBHOOK = (5, 2.0)
OTHER = (50, 1.0)
#: Requests of a bot in one second, over all routes but those of interactions.
GLOBAL = (50, 1.0)
MAJOR = ("channel_id", "guild_id", "webhook_id", "webhook_token")


@dataclass(slots=True)
class Bucket:
    name: str
    most: int
    seconds: float
    used: int = 0
    #: Clock time at which it is full again.
    ends: float = 0.0

    def take(self, now: float) -> bool:
        if now >= self.ends:
            self.used, self.ends = 0, now + self.seconds
        self.used += 1
        return self.used <= self.most

    def headers(self, now: float) -> dict[str, str]:
        left = max(self.ends - now, 0.0)
        return {
            "X-RateLimit-Limit": str(self.most),
            "X-RateLimit-Remaining": str(max(self.most - self.used, 0)),
            # Wall-clock time, for the client compares it with its own clock.
            "X-RateLimit-Reset": f"{time.time() + left:.3f}",
            "X-RateLimit-Reset-After": f"{left:.3f}",
            "X-RateLimit-Bucket": self.name,
        }


class Limits:
    """All buckets. A test may change `usual`: `limits.usual["POST /channels/{channel_id}/messages"] = (1, 9.0)`."""

    def __init__(self, clock: Clock) -> None:
        self.usual = dict(USUAL)
        self._clock = clock
        self._buckets: dict[tuple[str, ...], Bucket] = {}
        self._everything = Bucket("global", *GLOBAL)
        #: How often a request was refused with a 429 that no fault had asked for.
        self.refusals = 0

    def take(self, method: str, route: str, params: Mapping[str, str]) -> tuple[Bucket, Bucket | None]:
        """Count a request. Gives its bucket, and the one that is exhausted, if one is."""
        now = self._clock.now()
        if route.startswith("/webhooks/"):
            kind, (most, seconds) = "/webhooks", WEBHOOK
        else:
            kind = f"{method} {route}"
            most, seconds = self.usual.get(kind, OTHER)
        key = (kind, *(params[name] for name in MAJOR if name in params))
        bucket = self._buckets.get(key)
        if bucket is None or (bucket.most, bucket.seconds) != (most, seconds):
            name = hashlib.sha256(kind.encode()).hexdigest()[:32]
            bucket = self._buckets[key] = Bucket(name, most, seconds)
        exempt = route.startswith(("/webhooks/", "/interactions/"))
        full = None if bucket.take(now) else bucket
        if full is None and not exempt and not self._everything.take(now):
            full = self._everything
        if full is not None:
            self.refusals += 1
        return bucket, full
