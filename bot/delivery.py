"""How an answer reaches the member: by the first of four ways that is still open.

1. the interaction token, while it is younger than 14 minutes   (edits the message)
2. the bot's own edit of that message                            (edits the same message)
3. a new message in the channel that mentions the member         (its nonce keeps Discord from posting it twice)
4. a direct message

The first two can be repeated without harm, and a new message carries a nonce: in doubt a request is sent again.
A way is left only when Discord says that it is closed; while Discord is merely in trouble, the answer waits.
"""

from __future__ import annotations

import asyncio
import io
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import discord
from discord.http import handle_message_parameters
from discord.webhook.async_ import async_context

from .address import Address
from .buttons import view_of_card
from .cards import Card
from .faults import FAILURES, Verdict, verdict
from .pace import Pace
from .texts import text

if TYPE_CHECKING:
    from discord.abc import MessageableChannel

log = logging.getLogger(__name__)

#: Seconds before the same request is sent again; the last figure stands for all later ones.
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
#: Answers under way at once.
PARALLEL = 8
#: Discord's limit for nonces, in characters.
NONCE = 25


#: Messages of a channel that are looked through for one of ours.
RECENT = 100


class TooLarge(Exception):
    """Discord takes no file of this size here."""


@dataclass(frozen=True, slots=True)
class Attached:
    """One picture of an answer."""

    name: str
    data: bytes
    #: What screen readers read.
    description: str

    def file(self) -> discord.File:
        """A fresh file for one attempt: discord.py closes it afterwards."""
        return discord.File(io.BytesIO(self.data), filename=self.name, description=self.description)


@dataclass(frozen=True, slots=True)
class Delivered:
    """Where the answer stands now."""

    way: str
    channel: int | None
    message: int | None
    #: The message is a new one, which mentions the member and names the job.
    posted: bool = False


class Delivery:
    """Sends cards and answers through one connected client."""

    def __init__(
        self, client: discord.Client, pace: Pace | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._client = client
        self._pace = pace or Pace()
        #: Jobs of which a new message may have been posted, though Discord's answer was lost.
        self._doubtful: set[str] = set()
        self._clock = clock
        self._slots = asyncio.Semaphore(PARALLEL)

    async def preview_turn(self, address: Address) -> None:
        """Wait until Discord's limits, and finals on their way, leave room for a preview of this job."""
        while True:
            token = f"webhooks/{address.application}/{address.token}"
            pause = self._pace.wait(token if address.token_open(self._clock()) else f"channels/{address.channel}")
            if pause <= 0:
                return
            await asyncio.sleep(min(pause, 5.0))

    async def edit(
        self, address: Address, job_id: str, card: Card, files: Sequence[Attached] | None = ()
    ) -> Delivered | None:
        """Show `card` on the status message, once and without insisting; None when no way of editing is open.

        `files` take the place of those that are there; None leaves them.

        Raises:
            one of `FAILURES`: nothing is known about the outcome; a later card will do.
        """
        for way in (self._by_token, self._by_bot):
            try:
                if (done := await way(address, job_id, card, files)) is not None:
                    return done
            except discord.HTTPException as error:
                if verdict(error) is not Verdict.CLOSED:
                    raise
        return None

    async def deliver(
        self,
        address: Address,
        job_id: str,
        card: Card,
        files: Sequence[Attached],
        *,
        insist: bool = True,
        posting: Callable[[int], Awaitable[None]] | None = None,
    ) -> Delivered | None:
        """Bring the answer to the member, however long Discord is in trouble; None when every way is closed.

        With `insist=False` only the message that is there is edited: nobody is pinged for this. `posting` is awaited
        with the channel before a new message is posted there, so that it can be looked for after a crash.

        Raises:
            TooLarge: the files do not fit here; nothing was changed.
        """
        editing = (self._by_token, self._by_bot)
        posts = (partial(self._by_channel, posting=posting), partial(self._by_direct_message, posting=posting))
        # What only the member may see must not come into the channel.
        for way in (*editing, *(posts[1:] if address.private else posts)) if insist else editing:
            if (done := await self._insist(way, address, job_id, card, files)) is not None:
                return done
        return None

    async def copy(self, address: Address, job_id: str, card: Card, files: Sequence[Attached]) -> None:
        """Send the answer as a direct message too: once, without insisting. Discord drops one that came twice."""
        try:
            channel = await self._client.create_dm(discord.Object(address.user))
            await channel.send(
                card.content,
                files=[attached.file() for attached in files],
                view=_view(card) or discord.utils.MISSING,
                nonce=f"dm{job_id}"[:NONCE],
                allowed_mentions=discord.AllowedMentions.none(),
            )
        except FAILURES as error:
            log.info("job %s: its direct message could not be sent (%s)", job_id[:8], _said(error))

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
                allowed_mentions=discord.AllowedMentions(
                    everyone=False, roles=False, replied_user=False, users=[discord.Object(address.user)]
                ),
            )
        except FAILURES as error:
            log.info("job %s: its member could not be mentioned (%s)", job_id[:8], _said(error))

    async def _insist(
        self,
        way: Callable[[Address, str, Card, Sequence[Attached]], Awaitable[Delivered | None]],
        address: Address,
        job_id: str,
        card: Card,
        files: Sequence[Attached],
    ) -> Delivered | None:
        """One way, again and again until it works or is closed (None)."""
        attempt = 0
        while True:
            try:
                async with self._slots:
                    with self._pace.final():
                        return await way(address, job_id, card, files)
            except FAILURES as error:
                match verdict(error):
                    case Verdict.SMALLER:
                        log.info("job %s: the files are too large for Discord here (%s)", job_id[:8], _said(error))
                        raise TooLarge from error
                    case Verdict.CLOSED:
                        log.info("job %s: %s is closed (%s)", job_id[:8], _name(way), _said(error))
                        return None
                    case Verdict.AGAIN:
                        pause = PAUSES[min(attempt, len(PAUSES) - 1)]
                        log.warning("job %s: %s failed (%s)", job_id[:8], _name(way), _said(error))
            attempt += 1
            await asyncio.sleep(pause)

    async def _by_token(
        self, address: Address, job_id: str, card: Card, files: Sequence[Attached] | None
    ) -> Delivered | None:
        if not address.token_open(self._clock()) or (address.followup and address.message is None):
            return None
        # What `Interaction.edit_original_response` does, for an interaction that may be of an earlier process: Discord
        # knows its first answer by the name @original, even when we never learnt the message's id.
        webhook = discord.Webhook.partial(address.application, address.token, client=self._client)
        adapter = async_context.get()
        with handle_message_parameters(
            content=card.content,
            attachments=_attachments(files),
            view=_view(card),
            allowed_mentions=discord.AllowedMentions.none(),
        ) as sent:
            given: dict[str, Any] = {
                "session": webhook.session,
                "payload": sent.payload,
                "multipart": sent.multipart,
                "files": sent.files,
            }
            if address.followup and address.message is not None:
                message: Any = await adapter.edit_webhook_message(
                    address.application, address.token, address.message, **given
                )
            else:
                message = await adapter.edit_original_interaction_response(address.application, address.token, **given)
        return Delivered("token", address.channel, int(message["id"]))

    async def _by_bot(
        self, address: Address, job_id: str, card: Card, files: Sequence[Attached] | None
    ) -> Delivered | None:
        # A private first answer is not the bot's to edit; a direct message that it posted instead is.
        if address.channel is None or address.message is None or (address.private and not address.posted):
            return None
        message = self._client.get_partial_messageable(address.channel).get_partial_message(address.message)
        await message.edit(
            content=_announced(address, job_id, card) if address.posted else card.content,
            attachments=_attachments(files),
            view=_view(card),
            allowed_mentions=discord.AllowedMentions.none(),
        )
        return Delivered("edit", address.channel, address.message, address.posted)

    async def _by_channel(
        self,
        address: Address,
        job_id: str,
        card: Card,
        files: Sequence[Attached],
        *,
        posting: Callable[[int], Awaitable[None]] | None = None,
    ) -> Delivered | None:
        if address.channel is None:
            return None
        channel = self._client.get_partial_messageable(address.channel)
        return await self._new_message("channel", channel, address, job_id, card, files, posting)

    async def _by_direct_message(
        self,
        address: Address,
        job_id: str,
        card: Card,
        files: Sequence[Attached],
        *,
        posting: Callable[[int], Awaitable[None]] | None = None,
    ) -> Delivered | None:
        channel = await self._client.create_dm(discord.Object(address.user))
        return await self._new_message("direct message", channel, address, job_id, card, files, posting)

    async def _new_message(
        self,
        way: str,
        channel: MessageableChannel,
        address: Address,
        job_id: str,
        card: Card,
        files: Sequence[Attached],
        posting: Callable[[int], Awaitable[None]] | None,
    ) -> Delivered:
        # Discord forgets a nonce after some minutes. Where an earlier post may have arrived, it is looked for.
        if (address.posting == channel.id or job_id in self._doubtful) and (
            found := await self._find(channel, job_id)
        ) is not None:
            log.info("job %s: its message had been posted already", job_id[:8])
            return Delivered(way, channel.id, found, posted=True)
        if posting is not None and address.posting != channel.id and job_id not in self._doubtful:
            await posting(channel.id)
        self._doubtful.add(job_id)
        view = _view(card)
        message = await channel.send(
            _announced(address, job_id, card),
            files=[attached.file() for attached in files],
            view=view or discord.utils.MISSING,
            nonce=job_id[:NONCE],
            allowed_mentions=discord.AllowedMentions(
                everyone=False, roles=False, replied_user=False, users=[discord.Object(address.user)]
            ),
        )
        self._doubtful.discard(job_id)
        return Delivered(way, channel.id, message.id, posted=True)

    async def _find(self, channel: MessageableChannel, job_id: str) -> int | None:
        """Our own recent message that names this job; None when there is none, or it may not be looked for."""
        me = self._client.user.id if self._client.user else None
        try:
            async for message in channel.history(limit=RECENT):
                if message.author.id == me and job_id in message.content:
                    return message.id
        except discord.Forbidden:
            return None
        return None


def _announced(address: Address, job_id: str, card: Card) -> str:
    """What a new message says: for whom it is, the card, and the number by which `_find` knows it again."""
    mention = text("end.mention", address.locale, mention=f"<@{address.user}>")
    return "\n".join((mention, card.content, text("end.number", address.locale, job=job_id)))


def _attachments(files: Sequence[Attached] | None) -> Any:
    return discord.utils.MISSING if files is None else [attached.file() for attached in files]


def _view(card: Card) -> Any:
    return view_of_card(card)


def _name(way: Callable[..., object]) -> str:
    return way.func.__name__ if isinstance(way, partial) else way.__name__


def _said(error: BaseException) -> str:
    """The error without its message, which can hold an address with an interaction token."""
    if isinstance(error, discord.HTTPException):
        return f"{type(error).__name__} {error.status}, code {error.code}"
    return type(error).__name__
