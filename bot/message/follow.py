"""The follower: one task for each job, from its status message to its finished message.

The job table knows which members have not been notified of the end of their jobs. After a restart those jobs are
followed again; since a message is edited rather than sent, it is finished once however often that happens.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from dataclasses import replace

from ...queue.control import Queue
from ...queue.errors import NotShown, QueueError, QueueUnavailable, UnknownJob
from ...queue.moderation import Asker, Permit, Use
from ...queue.observe import about_job
from ...queue.prompt import Vocabulary, VocabularyReport, words_of
from ...queue.records import LIVE, Job, JobState, Progress
from ..error_log import log_error
from ..errors import TooLarge
from .address import DIRECT, Address
from .card import Attached, Card
from .cards import broken_card, finished_card, kept_card, live_card, lost_card, too_large_card
from .delivery import Delivery
from .encode import fitting, ladder
from .layout import as_permitted, lay_out, named, vectors
from .status import StatusEditor
from .ways import Answer, Delivered

log = logging.getLogger(__name__)

#: Seconds before a follower that broke begins again; then a bug of ours is admitted, a queue that is away waited for.
RETRY_SECONDS = (1.0, 5.0, 30.0)
#: Seconds between attempts to read finished pictures.
PICTURE_SECONDS = (0.5, 1.0, 5.0, 30.0, 60.0, 120.0)
#: Seconds that answers under way get when the bot stops.
CLOSING_SECONDS = 5.0


class Followers:
    """All followers of one bot; at most one for each job."""

    def __init__(self, queue: Queue, delivery: Delivery, vocabulary: Vocabulary | None, edit_interval: float) -> None:
        self._queue = queue
        self.delivery = delivery
        self._vocabulary = vocabulary
        self._edit_interval = edit_interval
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._finishing: set[str] = set()
        self._closing = False
        queue.on_revived.append(self.follow)

    async def first_card(self, job: Job, locale: str) -> Card:
        """What the first answer to the interaction says. The job is queued, so this must not fail."""
        report = await self._report(job)
        try:
            return await self._card(job, None, report, locale)
        except QueueError as error:
            log.info("job %s: its place is not known now (%s)", job.id[:8], type(error).__name__)
            return live_card(job, place=None, workers=0, report=report, locale=locale)

    def follow(self, job: Job, shown: Card | None = None) -> None:
        """Follow this job to its end, unless that is happening already. `shown` is what its message says now."""
        address = Address.of(job.reply)
        if address is None or job.id in self._tasks:
            return
        task = asyncio.create_task(self._follow(job, address, shown), name=f"follower {job.id[:8]}")
        self._tasks[job.id] = task
        task.add_done_callback(lambda _: self._tasks.pop(job.id, None))

    async def resume(self) -> None:
        """Follow every job with a pending notification: after a restart."""
        jobs = await self._queue.pending_notifications()
        for job in jobs:
            self.follow(job)
        if jobs:
            log.info("following %d jobs from before the restart", len(self._tasks))

    async def close(self) -> None:
        """Stop following. What was not delivered stays pending and is resumed at the next start."""
        self._closing = True
        self._queue.on_revived.remove(self.follow)
        finishing = [task for job, task in self._tasks.items() if job in self._finishing]
        if finishing:
            await asyncio.wait(finishing, timeout=CLOSING_SECONDS)
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, job: Job, address: Address, shown: Card | None) -> None:
        """`_until_notified`, begun again when something breaks."""
        with about_job(job.id):
            await self._persist(job, address, shown)

    async def _persist(self, job: Job, address: Address, shown: Card | None) -> None:
        attempt = 0
        while True:
            try:
                return await self._until_notified(job, address, shown)
            except UnknownJob:
                log.warning("job %s is gone from the job table; its message stays as it is", job.id[:8])
                return None
            except QueueUnavailable as error:
                log.warning("job %s: the queue is away (%s)", job.id[:8], type(error).__name__)
            except Exception as error:
                number = log_error(f"following job {job.id[:8]} broke", error, private=(job.request.prompt,))
                if attempt >= len(RETRY_SECONDS):
                    return await self._notify(job, address, broken_card(job, number, address.locale))
            await asyncio.sleep(RETRY_SECONDS[min(attempt, len(RETRY_SECONDS) - 1)])
            attempt += 1

    async def _until_notified(self, job: Job, address: Address, shown: Card | None) -> None:
        report = await self._report(job)
        editor = StatusEditor(
            self.delivery,
            address,
            job,
            card=lambda now, progress: self._card(now, progress, report, address.locale),
            shown=shown,
            interval=self._edit_interval,
        )
        try:
            async for event in self._queue.events(job.id, taught=self._vocabulary is not None):
                editor.update(event)
                if isinstance(event, Job):
                    job = event
        except asyncio.CancelledError:
            if self._closing:
                # Nothing untrue stays: nobody draws it while the bot is away.
                await editor.say_restarting()
            raise
        finally:
            address = await editor.close()
        if job.state in LIVE or job.told:
            return
        self._finishing.add(job.id)
        try:
            with self._queue.spans.within(job.id, "finish message"):
                await self._finish(job, address, report)
        finally:
            self._finishing.discard(job.id)

    async def _finish(self, job: Job, address: Address, report: VocabularyReport | None) -> None:
        """Bring the end of the job to the member, and note that they were notified."""
        locale = address.locale
        if job.state is not JobState.RENDERED:
            ended = finished_card(job, locale=locale)
            await self._notify(job, address, ended, insist=job.state is not JobState.CANCELLED)
            return
        try:
            permit = await self._queue.showing.answer(job)
        except NotShown as refusal:
            await self._notify(job, address, kept_card(job, refusal.why, locale))
            return
        pictures = await self._pictures(permit)
        if pictures is None:
            await self._notify(job, address, lost_card(job, locale))
            return
        preferences = self._queue.members.known(job.member)
        parts = await lay_out(job.request, pictures, preferences.layout, locale)
        beside = await vectors(job.request, pictures, locale) if job.request.svg else ()
        steps = ladder(tuple(part.data for part in parts))
        while (encoded := await fitting(steps, address.file_limit)) is not None:
            card = finished_card(job, report=report, sent_as=encoded.format, locale=locale)
            files = named(parts, encoded) + beside
            # The limit that Discord named may be wrong in either direction, so 413 counts whatever we computed.
            with suppress(TooLarge):
                long = bool(preferences.mention) and time.time() - job.created > preferences.mention * 60
                await self._notify(job, address, card, as_permitted(permit, files), mention=long)
                if preferences.direct and address.guild is not None:
                    await self._copy(job, address, card, files)
                return
        await self._notify(job, address, too_large_card(job, locale))

    async def _copy(self, job: Job, address: Address, card: Card, files: tuple[Attached, ...]) -> None:
        """The pictures as a direct message too, as the gate lets them there."""
        with suppress(NotShown):
            permit = await self._queue.showing.permit(Use.LOOK, job, DIRECT, Asker(job.member))
            await self.delivery.copy(Answer(address, job.id, card, as_permitted(permit, files)))

    async def _pictures(self, permit: Permit) -> tuple[bytes, ...] | None:
        """The job's PNG files; None when they cannot be read for minutes, as when somebody deleted them."""
        for pause in PICTURE_SECONDS:
            try:
                return await self._queue.pictures(permit)
            except QueueUnavailable as error:
                log.warning("job %s: its pictures cannot be read (%s)", permit.job.id[:8], error)
                await asyncio.sleep(pause)
        return None

    async def _notify(
        self,
        job: Job,
        address: Address,
        card: Card,
        files: tuple[Attached, ...] = (),
        *,
        insist: bool = True,
        mention: bool = False,
    ) -> None:
        """Bring a card to the member and note it; `mention` them, for a message that changes notifies nobody."""

        async def posting(channel: int) -> None:
            try:
                await self._queue.update_reply(job.id, replace(address, posting=channel).reply())
            except QueueUnavailable as error:
                log.warning("job %s: its new message could not be announced (%s)", job.id[:8], type(error).__name__)

        with self._queue.spans.within(job.id, "deliver", state=job.state.value, files=len(files)) as span:
            done = await self.delivery.deliver(Answer(address, job.id, card, files), insist=insist, posting=posting)
            span.set_attribute("way", way := done.way if done else "none")
        self._queue.meters.deliveries.labels(way).inc()
        if done is None:
            log.warning("job %s: no way to its member is open; its answer is given up", job.id[:8])
        elif mention and not done.posted and not address.private:
            await self.delivery.mention(address, job.id, done)
        while True:
            # What Discord has must not be sent again because of our own disk: only the note about it is repeated.
            try:
                return await self._note(job, address, done)
            except QueueUnavailable as error:
                log.warning("job %s: notified, but that could not be noted (%s)", job.id[:8], type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS[-1])

    async def _note(self, job: Job, address: Address, done: Delivered | None) -> None:
        """Keep where the answer stands, and that it does."""
        if done is not None:
            known = replace(address, channel=done.channel, message=done.message, posting=None, posted=done.posted)
            if known != address:
                await self._queue.update_reply(job.id, known.reply())
        if await self._queue.mark_notified(job.id):
            log.info("job %s: %s, notified by %s", job.id[:8], job.state, done.way if done else "nobody")

    async def _card(self, job: Job, progress: Progress | None, report: VocabularyReport | None, locale: str) -> Card:
        waiting = job.state in (JobState.QUEUED, JobState.SENT)
        place = await self._queue.position(job.id) + 1 if waiting else 1
        workers = len(await self._queue.workers())
        why = await self._queue.why(job) if job.state is JobState.QUEUED else None
        return live_card(job, place=place, workers=workers, progress=progress, report=report, why=why, locale=locale)

    async def _report(self, job: Job) -> VocabularyReport | None:
        """What the model does not know of the prompt. In a thread: comparing many words takes a while."""
        vocabulary = words_of(self._vocabulary, job.request.model)
        if vocabulary is None:
            return None
        return await asyncio.to_thread(vocabulary.check, job.request.prompt)
