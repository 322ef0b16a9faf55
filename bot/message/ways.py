"""The four ways by which an answer can reach its member. Each is tried once here; delivery.py says when and how often.

1. the interaction token, while it is younger than 14 minutes   (edits the message)
2. the bot's own edit of that message                            (edits the same message)
3. a new message in the channel that mentions the member         (its nonce keeps Discord from posting it twice)
4. a direct message
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import discord

from ..discord_internals import edit_by_token
from ..text import text
from .address import Address
from .buttons import view_of_card
from .card import Attached, Card

if TYPE_CHECKING:
    from discord.abc import MessageableChannel

log = logging.getLogger(__name__)

#: Discord's limit for nonces, in characters.
NONCE = 25
#: Messages of a channel that are looked through for one of ours.
RECENT = 100

#: Awaited with the channel before a new message is posted there, so that it can be looked for after a crash.
Posting = Callable[[int], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Answer:
    """A card on its way to the member who asked for a job."""

    address: Address
    job_id: str
    card: Card
    #: They take the place of those that are there; None leaves them.
    files: Sequence[Attached] | None = ()

    @property
    def announced(self) -> str:
        """What a new message says: for whom it is, the card, and the number by which it is known again."""
        mention = text("end.mention", self.address.locale, mention=f"<@{self.address.user}>")
        return "\n".join((mention, self.card.content, text("end.number", self.address.locale, job=self.job_id)))

    def attachments(self) -> Any:
        """Fresh files for one attempt."""
        return discord.utils.MISSING if self.files is None else [attached.file() for attached in self.files]


@dataclass(frozen=True, slots=True)
class Delivered:
    """Where the answer stands now."""

    way: str
    channel: int | None
    message: int | None
    #: The message is a new one, which mentions the member and names the job.
    posted: bool = False


class Ways:
    """Each gives None where it is not open, and raises what discord.py does."""

    def __init__(self, client: discord.Client, clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._clock = clock
        #: Jobs of which a new message may have been posted, though Discord's answer was lost.
        self._doubtful: set[str] = set()

    async def token(self, answer: Answer) -> Delivered | None:
        address = answer.address
        if not address.token_open(self._clock()) or (address.followup and address.message is None):
            return None
        message = await edit_by_token(
            self._client,
            address.application,
            address.token,
            # Discord knows its first answer even when we never learnt the message's id.
            address.message if address.followup else None,
            content=answer.card.content,
            attachments=answer.attachments(),
            view=view_of_card(answer.card),
        )
        return Delivered("token", address.channel, message)

    async def edit(self, answer: Answer) -> Delivered | None:
        address = answer.address
        # A private first answer is not the bot's to edit; a direct message that it posted instead is.
        if address.channel is None or address.message is None or (address.private and not address.posted):
            return None
        message = self._client.get_partial_messageable(address.channel).get_partial_message(address.message)
        await message.edit(
            content=answer.announced if address.posted else answer.card.content,
            attachments=answer.attachments(),
            view=view_of_card(answer.card),
        )
        return Delivered("edit", address.channel, address.message, address.posted)

    async def channel(self, answer: Answer, posting: Posting | None = None) -> Delivered | None:
        if answer.address.channel is None:
            return None
        channel = self._client.get_partial_messageable(answer.address.channel)
        return await self._new_message("channel", channel, answer, posting)

    async def direct_message(self, answer: Answer, posting: Posting | None = None) -> Delivered | None:
        channel = await self._client.create_dm(discord.Object(answer.address.user))
        return await self._new_message("direct message", channel, answer, posting)

    async def _new_message(
        self, way: str, channel: MessageableChannel, answer: Answer, posting: Posting | None
    ) -> Delivered:
        job_id, known = answer.job_id, answer.address.posting == channel.id
        # Discord forgets a nonce after some minutes. Where an earlier post may have arrived, it is looked for.
        doubtful = job_id in self._doubtful
        if (known or doubtful) and (found := await self._find(channel, job_id)) is not None:
            log.info("job %s: its message had been posted already", job_id[:8])
            return Delivered(way, channel.id, found, posted=True)
        if posting is not None and not known and not doubtful:
            await posting(channel.id)
        self._doubtful.add(job_id)
        message = await channel.send(
            answer.announced,
            files=answer.attachments(),
            view=view_of_card(answer.card) or discord.utils.MISSING,
            nonce=job_id[:NONCE],
            allowed_mentions=mention_only(answer.address.user),
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


def mention_only(user: int) -> discord.AllowedMentions:
    """Nobody is pinged but this member."""
    return discord.AllowedMentions(everyone=False, roles=False, replied_user=False, users=[discord.Object(user)])
