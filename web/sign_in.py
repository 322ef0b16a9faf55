"""Signing in by the studio's token, for whoever does not sit at this machine. Pure but for the clock and random bytes.

A session is a cookie that says until when it holds, signed with the token: nothing is stored, and another token ends
all sessions. Each has a token of its own against requests that other sites' pages send (CSRF), derived from the cookie.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict

#: Name of the cookie, and seconds for which a session holds.
COOKIE, SECONDS = "daguerre_session", 14 * 86_400.0
#: Addresses that are remembered for their attempts.
REMEMBERED = 4_096


class SignIn:
    """Sessions under one token."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    def is_token(self, given: str) -> bool:
        """In a time that says nothing about how much of it is right."""
        return hmac.compare_digest(given.strip().encode(), self._token)

    def session(self, now: float | None = None) -> str:
        """A new session's cookie."""
        until = int((time.time() if now is None else now) + SECONDS)
        head = f"{until}.{secrets.token_hex(16)}"
        return f"{head}.{self._sign(head)}"

    def holds(self, cookie: str, now: float | None = None) -> bool:
        """Whether this cookie is of a session that holds."""
        head, _, signature = cookie.rpartition(".")
        until = head.partition(".")[0]
        if not hmac.compare_digest(signature.encode(), self._sign(head).encode()):
            return False
        return until.isascii() and until.isdigit() and int(until) > (time.time() if now is None else now)

    def csrf(self, cookie: str) -> str:
        """What requests of this session that change something have to bring besides its cookie."""
        return self._sign(f"csrf {cookie}")

    def is_csrf(self, cookie: str, given: str) -> bool:
        return hmac.compare_digest(self.csrf(cookie).encode(), given.encode())

    def _sign(self, text: str) -> str:
        return hmac.new(self._token, text.encode(), hashlib.sha256).hexdigest()


class Pace:
    """How often something may be done from each address: so many a minute, all of them at once if one likes."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        #: By address: how many may be done now, and when that was reckoned.
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, address: str, now: float | None = None) -> bool:
        """Whether it may be done once more."""
        if not self._per_minute:
            return True
        now = time.monotonic() if now is None else now
        left, before = self._left.pop(address, (float(self._per_minute), now))
        left = min(float(self._per_minute), left + (now - before) * self._per_minute / 60)
        allowed = left >= 1
        self._left[address] = (left - 1 if allowed else left, now)
        while len(self._left) > REMEMBERED:
            self._left.popitem(last=False)
        return allowed
