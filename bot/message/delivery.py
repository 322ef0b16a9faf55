"""How an answer reaches the member: by the first of the four ways (ways.py) that is still open.

The first two can be repeated without harm, and a new message carries a nonce: in doubt a request is sent again.
A way is left only when Discord says that it is closed; while Discord is merely in trouble, the answer waits.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial

import discord

from ..errors import TooLarge
from ..faults import FAILURES, Verdict, verdict
from ..text import text
from .address import Address
from .buttons import view_of_card
from .rate_limit import RateLimiter
from .ways import NONCE, Answer, Delivered, Posting, Ways, mention_only

log = logging.getLogger(__name__)

#: Seconds before the same request is sent again; the last figure stands for all later ones.
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
#: Answers under way at once.
PARALLEL = 8


class Delivery:
    """Sends cards and answers through one connected client."""

    def __init__(
        self, client: discord.Client, limiter: RateLimiter | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._client = client
        self._limiter = limiter or RateLimiter()
        self._clock = clock
        self._ways = Ways(client, clock)
        self._slots = asyncio.Semaphore(PARALLEL)

    async def preview_turn(self, address: Address) -> None:
        """Wait until Discord's limits, and finals on their way, leave room for a preview of this job."""
        while True:
            token = f"webhooks/{address.application}/{address.token}"
            pause = self._limiter.wait(token if address.token_open(self._clock()) else f"channels/{address.channel}")
            if pause <= 0:
                return
            await asyncio.sleep(min(pause, 5.0))

    async def edit(self, answer: Answer) -> Delivered | None:
        """Show a card on the status message, once and without insisting; None when no way of editing is open.

        Raises:
            one of `FAILURES`: nothing is known about the outcome; a later card will do.
        """
        for way in (self._ways.token, self._ways.edit):
            try:
                if (done := await way(answer)) is not None:
                    return done
            except discord.HTTPException as error:
                if verdict(error) is not Verdict.CLOSED:
                    raise
        return None

    async def deliver(self, answer: Answer, *, insist: bool = True, posting: Posting | None = None) -> Delivered | None:
        """Bring the answer to the member, however long Discord is in trouble; None when every way is closed.

        With `insist=False` only the message that is there is edited: nobody is pinged for this.

        Raises:
            TooLarge: the files do not fit here; nothing was changed.
        """
        ways: dict[str, Callable[[Answer], Awaitable[Delivered | None]]] = {
            "token": self._ways.token,
            "edit": self._ways.edit,
        }
        # What only the member may see must not come into the channel.
        if insist and not answer.address.private:
            ways["channel"] = partial(self._ways.channel, posting=posting)
        if insist:
            ways["direct message"] = partial(self._ways.direct_message, posting=posting)
        for name, way in ways.items():
            if (done := await self._insist(name, way, answer)) is not None:
                return done
        return None

    async def _insist(
        self, name: str, way: Callable[[Answer], Awaitable[Delivered | None]], answer: Answer
    ) -> Delivered | None:
        """One way, again and again until it works or is closed (None)."""
        attempt, job = 0, answer.job_id[:8]
        while True:
            try:
                async with self._slots:
                    with self._limiter.final():
                        return await way(answer)
            except FAILURES as error:
                match verdict(error):
                    case Verdict.SMALLER:
                        log.info("job %s: the files are too large for Discord here (%s)", job, _said(error))
                        raise TooLarge from error
                    case Verdict.CLOSED:
                        log.info("job %s: way %s is closed (%s)", job, name, _said(error))
                        return None
                    case Verdict.AGAIN:
                        pause = PAUSES[min(attempt, len(PAUSES) - 1)]
                        log.warning("job %s: way %s failed (%s)", job, name, _said(error))
            attempt += 1
            await asyncio.sleep(pause)

    async def copy(self, answer: Answer) -> None:
        """Send the answer as a direct message too: once, without insisting. Discord drops one that came twice."""
        try:
            channel = await self._client.create_dm(discord.Object(answer.address.user))
            await channel.send(
                answer.card.content,
                files=answer.attachments(),
                view=view_of_card(answer.card) or discord.utils.MISSING,
                nonce=f"dm{answer.job_id}"[:NONCE],
            )
        except FAILURES as error:
            log.info("job %s: its direct message could not be sent (%s)", answer.job_id[:8], _said(error))

    async def mention(self, address: Address, job_id: str, done: Delivered) -> None:
        """Say in a reply to the answer that it is there: once, without insisting. Discord drops one that came twice."""
        if done.channel is None or done.message is None:
            return
        channel = self._client.get_partial_messageable(done.channel, guild_id=address.guild)
        try:
            await channel.send(
                text("end.ready", address.locale, mention=f"<@{address.user}>"),
                reference=channel.get_partial_message(done.message).to_reference(fail_if_not_exists=False),
                nonce=f"at{job_id}"[:NONCE],
                allowed_mentions=mention_only(address.user),
            )
        except FAILURES as error:
            log.info("job %s: its member could not be mentioned (%s)", job_id[:8], _said(error))


def _said(error: BaseException) -> str:
    """The error without its message, which can hold an address with an interaction token."""
    if isinstance(error, discord.HTTPException):
        return f"{type(error).__name__} {error.status}, code {error.code}"
    return type(error).__name__
