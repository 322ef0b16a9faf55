"""Keeping one status message up to date: at most one edit in an interval, the latest state only, nothing queued."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

from ...queue.errors import QueueError
from ...queue.records import FINISHED, Job, JobState, Progress
from ..faults import FAILURES
from .address import Address
from .card import Attached, Card, alt_text
from .cards import restarting_card
from .delivery import Delivery
from .ways import Answer, Delivered

log = logging.getLogger(__name__)

#: Seconds after which a waiting job's card is looked at again, for workers that came or went.
REFRESH_SECONDS = 20.0
#: Seconds in which news are gathered before an edit.
BUNCH_SECONDS = 0.2
#: Seconds between edits once only the bot's own edits are left: Discord rations those of old messages.
SLOW_SECONDS = 15.0
#: Seconds that `close` waits for an edit under way, so that an old card cannot arrive after the answer.
LAST_EDIT_SECONDS = 5.0


class StatusEditor:
    """Runs from its first line to `close`."""

    def __init__(
        self,
        delivery: Delivery,
        address: Address,
        job: Job,
        *,
        card: Callable[[Job, Progress | None], Awaitable[Card]],
        shown: Card | None,
        interval: float,
    ) -> None:
        self.address = address
        self._delivery = delivery
        self._job = job
        self._progress: Progress | None = None
        self._card = card
        self._shown = shown
        #: The message says that a worker has the job.
        self._claims = job.state is not JobState.QUEUED
        self._interval = interval
        self._news = asyncio.Event()
        self._editing = asyncio.Lock()
        self._closed = False
        self._task = asyncio.create_task(self._run(), name=f"status {job.id[:8]}")

    def update(self, event: Job | Progress) -> None:
        """The job has moved on. Only what was said last will be shown."""
        if isinstance(event, Progress):
            self._progress = event
        else:
            self._job = event
            if event.state is JobState.QUEUED:
                self._progress = None
        self._news.set()

    async def say_restarting(self) -> None:
        """Where the message says that the job is being drawn, say that the bot restarts; once, if that works."""
        if self._job.state in FINISHED or not self._claims:
            return
        with suppress(TimeoutError, *FAILURES):
            async with asyncio.timeout(LAST_EDIT_SECONDS), self._editing:
                self._closed = True
                card = restarting_card(self._job, self.address.locale)
                await self._delivery.edit(Answer(self.address, self._job.id, card, ()))

    async def close(self) -> Address:
        """No edits from now on. Gives the address with the message's id, if that was learnt."""
        self._closed = True
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_EDIT_SECONDS), self._editing:
                pass
        self._task.cancel()
        await asyncio.wait({self._task})
        if not self._task.cancelled() and (bug := self._task.exception()) is not None:
            raise bug
        return self.address

    async def _run(self) -> None:
        while not self._closed:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), REFRESH_SECONDS)
            # News come in bunches (sent, running, first step); one edit is enough for them.
            await asyncio.sleep(BUNCH_SECONDS)
            self._news.clear()
            if self._job.state in FINISHED:
                continue
            await self._delivery.preview_turn(self.address)
            if self._closed:
                return
            try:
                card = await self._card(self._job, self._progress)
            except QueueError as error:
                log.info("job %s: its place is not known now (%s)", self._job.id[:8], type(error).__name__)
                continue
            if card == self._shown:
                await asyncio.sleep(card.lasts)
                continue
            async with self._editing:
                done = None if self._closed else await self._edit(card)
            if done is None:
                return
            pause = self._interval if done.way == "token" else max(self._interval, SLOW_SECONDS)
            await asyncio.sleep(max(pause, card.lasts))

    async def _edit(self, card: Card) -> Delivered | None:
        """One edit; None when no way of editing is left."""
        try:
            done = await self._delivery.edit(Answer(self.address, self._job.id, card, self._files(card)))
        except FAILURES as error:
            log.info("job %s: a status edit failed (%s)", self._job.id[:8], type(error).__name__)
            return Delivered("token", self.address.channel, self.address.message)
        if done is not None:
            self._shown = card
            self._claims = self._job.state is not JobState.QUEUED
            self.address = replace(self.address, channel=done.channel, message=done.message)
        return done

    def _files(self, card: Card) -> tuple[Attached, ...] | None:
        """The preview; None leaves what is there, so that a picture that has not changed is not sent again."""
        if self._shown is not None and self._shown.preview == card.preview:
            return None
        if card.preview is None:
            return ()
        suffix = ".jpg" if card.preview[:2] == b"\xff\xd8" else ".webp"
        described = alt_text(self._job.request, card.locale, grid=self._job.request.count > 1)
        return (Attached(f"preview{suffix}", card.preview, described),)
