"""What can go wrong with a request on purpose: errors, cut connections, delays, rate limits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from .clock import Changes
from .records import Json


@cache
def matcher(pattern: str) -> re.Pattern[str]:
    """`PATCH /webhooks/*/{x}/messages/@original`: * and {x} stand for one segment, ** for the rest.

    Raises:
        ValueError: the pattern has no method in front of its path.
    """
    method, _, path = pattern.partition(" ")
    if not path.startswith("/"):
        raise ValueError(f"{pattern!r} is not 'METHOD /path' (method * = any)")
    parts = [".+" if part == "**" else "[^/]+" if part == "*" or part[:1] == "{" else re.escape(part)
             for part in path.split("/")]  # fmt: skip
    return re.compile(("[A-Z]+" if method == "*" else re.escape(method)) + " " + "/".join(parts))


def matches(pattern: str, method: str, path: str) -> bool:
    return matcher(pattern).fullmatch(f"{method} {path}") is not None


@dataclass(eq=False, slots=True)
class Fault:
    """One fault; `hits` says how often it has struck."""

    pattern: str
    changes: Changes = field(repr=False)
    #: How often it strikes; None = until `stop()`.
    times: int | None = 1
    #: Whether the request is carried out all the same, and only its answer suffers.
    after: bool = False
    #: Real seconds before the request goes on.
    delay: float = 0.0
    #: Whether the TCP connection is cut.
    cut: bool = False
    #: The answer instead of the true one; 0 = none.
    status: int = 0
    body: Json | str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    hits: int = 0

    def stop(self) -> None:
        self.times = self.hits

    async def hit(self, n: int = 1, timeout: float = 10) -> None:
        """Wait until it has struck `n` times."""
        await self.changes.until(
            lambda: True if self.hits >= n else None,
            timeout=timeout,
            what=lambda: f"fault {self.pattern!r} struck {self.hits} of {n} times",
        )


class Faults:
    """The faults that are laid, in the order in which they were laid."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._laid: list[Fault] = []

    def lay(self, fault: Fault) -> Fault:
        matcher(fault.pattern)
        self._laid.append(fault)
        return fault

    def strike(self, method: str, path: str) -> list[Fault]:
        """The faults that this request meets: all delays, and the first of the others."""
        found: list[Fault] = []
        for fault in self._laid:
            spent = fault.times is not None and fault.hits >= fault.times
            if spent or not matches(fault.pattern, method, path):
                continue
            if fault.delay or not any(not each.delay for each in found):
                fault.hits += 1
                found.append(fault)
        if found:
            self._changes.notify()
        return found


def rate_limited(retry_after: float, scope: str, *, cloudflare: bool) -> tuple[Json | str, dict[str, str]]:
    """Body and headers of a 429. Without `Via` and JSON it is Cloudflare's, which counts as a ban."""
    if cloudflare:
        return "<html><title>Access denied | discord.com used Cloudflare to restrict access</title></html>", {
            "Content-Type": "text/html",
            "Retry-After": str(max(1, round(retry_after))),
        }
    everywhere = scope == "global"
    body: Json = {"message": "You are being rate limited.", "retry_after": retry_after, "global": everywhere, "code": 0}
    headers = {"Via": "1.1 google", "Retry-After": str(max(1, round(retry_after))), "X-RateLimit-Scope": scope}
    return body, headers | ({"X-RateLimit-Global": "true"} if everywhere else {})
