"""Posts the moderators' cards of reports, reviews and appeals into the servers' log channels.

Cards carry their report's number, so they work after a restart; a card that could not be posted is posted when the next
one is, or at the next start.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

import discord

from ...queue.errors import NotShown, QueueError
from ...queue.moderation import Asker, Moderation, Place, Report, Use
from ...queue.records import Job
from ..error_log import log_error
from ..faults import FAILURES
from ..interaction import Services
from ..message import Attached
from .effects import card_of, carry_out, files_of

log = logging.getLogger(__name__)


class ReportPoster:
    """One for each bot, between `open` and `close`."""

    def __init__(self, client: discord.Client, services: Services) -> None:
        self._client = client
        self._services = services
        self._tasks: set[asyncio.Task[None]] = set()
        self._posting = asyncio.Lock()

    @property
    def _moderation(self) -> Moderation:
        return self._services.queue.moderation

    def open(self) -> None:
        """Post what is reported from now on."""
        self._moderation.reports.on_opened.append(self.post_pending)
        self._moderation.reports.on_settled.append(self.follow)

    def post_pending(self) -> None:
        """There may be cards to post."""
        self._start(self._post_all())

    def follow(self, report: Report, action: str, who: str) -> None:
        """It was decided elsewhere: messages and the card say so."""
        self._start(self._follow(report, action, who))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name="moderators' cards")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        if self.follow in self._moderation.reports.on_settled:
            self._moderation.reports.on_settled.remove(self.follow)
        if self.post_pending in self._moderation.reports.on_opened:
            self._moderation.reports.on_opened.remove(self.post_pending)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _post_all(self) -> None:
        async with self._posting:
            try:
                for report in await self._moderation.reports.unposted():
                    await self._post(report)
            except QueueError as error:
                log.warning("cards of moderators cannot be posted now (%s)", type(error).__name__)
            except Exception as error:
                log_error("posting a moderators' card broke", error)

    async def _follow(self, report: Report, action: str, who: str) -> None:
        try:
            job = await self._services.queue.job(report.job)
            await carry_out(self._client, self._services, report, job, action)
            if report.channel and report.message:
                words, view, _ = await card_of(self._services, report, job, who)
                channel = self._client.get_partial_messageable(int(report.channel))
                await channel.get_partial_message(int(report.message)).edit(content=words, view=view)
        except (*FAILURES, QueueError) as error:
            log.warning("messages about report %d cannot follow (%s)", report.number, type(error).__name__)
        except Exception as error:
            log_error("following a decision broke", error)

    async def _post(self, report: Report) -> None:
        settings = await self._services.settings.get(report.server)
        if not settings.log_channel:
            log.info("report %d waits: server %s has no log channel", report.number, report.server)
            return
        job = await self._services.queue.job(report.job)
        words, view, locale = await card_of(self._services, report, job)
        channel = self._client.get_partial_messageable(int(settings.log_channel))
        try:
            posted = await channel.send(
                words,
                files=[file.file() for file in await self._files(report, job, locale)],
                view=view,
                nonce=f"report{report.number}",
            )
        except FAILURES as error:
            log.warning("the card of report %d could not be posted (%s)", report.number, type(error).__name__)
            return
        await self._moderation.reports.posted(report.number, channel.id, posted.id)

    async def _files(self, report: Report, job: Job, locale: str) -> tuple[Attached, ...]:
        """The pictures as moderators see them; none when they are gone."""
        showing = self._services.queue.showing
        try:
            given = await showing.permit(Use.REVIEW, job, Place(report.server), Asker("", moderates=True))
        except NotShown:
            return ()
        return await files_of(self._services.queue, given, locale)
