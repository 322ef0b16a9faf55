"""What a failed request to Discord means for the answer it carried. Pure.

discord.py itself waits out rate limits and repeats 5xx answers a few times; what arrives here is what was left.
"""

from __future__ import annotations

from enum import Enum

import aiohttp
import discord

#: Failures of one request that say nothing about the request itself (discord.py repeats none of these on Linux).
TRANSIENT = (aiohttp.ClientError, OSError, TimeoutError)
#: Everything that a request to Discord can raise.
FAILURES = (discord.HTTPException, discord.RateLimited, *TRANSIENT)

TOKEN_EXPIRED = 50027
TOO_LARGE = 40005
ALREADY_ACKNOWLEDGED = 40060
UNKNOWN_INTERACTION = 10062
#: Edits of messages older than an hour are rationed apart; waiting does not pay.
OLD_MESSAGE_EDITS = 30046


class Verdict(Enum):
    """What to do after a failed request."""

    #: Nothing is known about the outcome, or Discord is in trouble: the same again, later.
    AGAIN = "again"
    #: The files are too large for this place.
    SMALLER = "smaller"
    #: This way is closed for good: the next way.
    CLOSED = "closed"


def verdict(error: BaseException) -> Verdict:
    """What to do after `error`, one of `FAILURES`."""
    if not isinstance(error, discord.HTTPException):
        return Verdict.AGAIN
    if error.status == 413 or error.code == TOO_LARGE:
        return Verdict.SMALLER
    if error.code == OLD_MESSAGE_EDITS:
        return Verdict.CLOSED
    if error.status == 429 or error.status >= 500:
        return Verdict.AGAIN
    if error.status == 401 and error.code != TOKEN_EXPIRED:
        # The bot's own token was revoked while running. The gateway will say so; the answer must survive it.
        return Verdict.AGAIN
    return Verdict.CLOSED
