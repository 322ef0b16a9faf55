"""Permits to show a picture: made here alone, by the gate of showing.py; the store gives bytes for a permit only.

Collects what the gate needs to know: marks, reports, bans, and what the rules of the place say.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Protocol

from ..errors import NotShown
from ..pictures import PictureStore
from ..records import ImageRequest, Job, JobState, Progress
from ..store import ServerSettings, ServerSettingsStore
from .gate import Moderation, highest_score, look
from .records import Marks
from .rules import Action
from .showing import Decision, Judged, Origin, Place, Ruled, Sight, Use, Viewer, decide

#: States of jobs that have pictures.
WITH_PICTURES = frozenset({JobState.RENDERED, JobState.DELIVERED})
#: What rules say of a picture that may not be brought to a place.
STOPPED = frozenset({Action.REFUSE, Action.WARN, Action.REPLACE, Action.HOLD})


@dataclass(frozen=True, slots=True)
class Asker:
    """Who wants to see something, as far as the one who asks for them knows."""

    member: str
    roles: Collection[str] = ()
    #: Holds Manage Messages in the place.
    moderates: bool = False
    #: Has it before them, in a message.
    sees: bool = False


@dataclass(frozen=True, slots=True)
class Permit:
    """That the pictures of a job may be shown so. Only `Showing.permit` makes one; a test sees to it."""

    job: Job
    decision: Decision

    @property
    def private(self) -> bool:
        """To the one who asked alone."""
        return self.decision.sight is Sight.PRIVATE

    @property
    def blurred(self) -> bool:
        """Behind a spoiler."""
        return self.decision.blurred


class _Jobs(Protocol):
    async def find(self, job_id: str) -> Job | None: ...
    async def uses_source(self, name: str, member: str, server: str | None) -> bool: ...
    async def source_marks(self, name: str) -> tuple[bool, bool]: ...


class Showing:
    """The one way from the picture store to anybody's eyes.

    Methods raise StorageFull or QueueUnavailable when the database or the picture store fails.
    """

    def __init__(
        self, jobs: _Jobs, moderation: Moderation, pictures: PictureStore, settings: ServerSettingsStore
    ) -> None:
        self._jobs = jobs
        self._moderation = moderation
        self._pictures = pictures
        self._settings = settings

    async def permit(self, use: Use, job: Job, place: Place, asker: Asker) -> Permit:
        """Leave to use a job's pictures.

        Raises:
            NotShown: not there, or not by this member; says why.
        """
        decision = await self.decision(use, job, place, asker)
        if decision.sight is Sight.REFUSE:
            raise NotShown(decision.why)
        return Permit(job, decision)

    async def answer(self, job: Job) -> Permit:
        """Leave to bring a job's pictures to the message that waits for them. Raises: NotShown."""
        return await self.permit(Use.ANSWER, job, Place(job.server), Asker(job.member))

    async def pictures(self, permit: Permit) -> tuple[bytes, ...]:
        """The PNG files, in order. Raises: PictureGone."""
        return tuple([await self._pictures.get(name) for name in permit.job.pictures])

    async def decision(self, use: Use, job: Job, place: Place, asker: Asker) -> Decision:
        """What the gate says; opens the review of a picture that waits for one."""
        store = self._moderation.store
        origin = origin_of(job)
        marks = await store.marks(job.id)
        asks = origin.there and use is not Use.REVIEW and not marks.deleted
        if asks and await self._moderation.held(job.id, job.server, job.metadata, marks):
            await self._moderation.reports.file(job.server, job.id, "review", "daguerre")
            marks = replace(marks, review="held")
        judged = Judged(marks, reported=await self._moderation.reports.open_about(job.id))
        if place.server != job.server:
            hidden, removed = await store.marks_elsewhere(job.id, place.server)
            judged = replace(judged, hidden_here=hidden, removed_here=removed)
        if use not in (Use.ANSWER, Use.REVIEW, Use.WORDS) and origin.there:
            judged = replace(judged, ruled=await self._ruled(job, place, marks))
        banned = await store.ban_of(place.server, asker.member, asker.roles) is not None
        if not self._moderation.serves(place.server):
            place = replace(place, allowed=False)
        return decide(use, origin, judged, place, Viewer(asker.member, asker.moderates, banned, asker.sees))

    async def _ruled(self, job: Job, place: Place, marks: Marks) -> Ruled:
        """What would be said if this were asked for in the place."""
        settings = await self._settings.get(place.server)
        released = job.server == place.server and marks.review == "released"
        if not _allowed(settings, job) and job.server != place.server:
            return "stop"
        verdict = look(await self._moderation.rules(place.server, settings, relaxed=place.adult), job.request)
        stopping = STOPPED - {Action.HOLD} if released else STOPPED
        if verdict.action in stopping:
            return "stop"
        too_high = settings.hold_from > 0 and highest_score(job.metadata) * 100 >= settings.hold_from
        if too_high and not released and not place.adult and not (marks.relaxed and job.server == place.server):
            return "stop"
        return "spoiler" if verdict.has(Action.SPOILER) or settings.spoiler else ""

    # What is not a finished picture yet

    async def progress(self, progress: Progress, *, taught: bool = False) -> Progress:
        """The same, without its preview where that may not be seen."""
        if progress.preview is None:
            return progress
        job = await self._jobs.find(progress.job)
        shown = job is not None and await self.preview(job, taught=taught)
        return progress if shown else replace(progress, preview=None)

    async def preview(self, job: Job, *, taught: bool = False) -> bool:
        """Whether a picture may be seen before it is done: not where it is reviewed or blurred, or still may be held.

        The output check looks at finished pictures alone, so a preview would show what it then holds. `taught`: the
        model is one whose whole vocabulary is known. It draws nothing that the check has ever held (docs/safety.md),
        as long as the member brings neither a picture nor another model nor an adapter.
        """
        # Read, not remembered: after a restart nothing is, and a job goes on with its own server's settings.
        settings = await self._settings.get(job.server)
        marks = await self._moderation.store.marks(job.id)
        if not settings.previews or marks.review or marks.spoiler or marks.hidden or marks.deleted:
            return False
        asked = job.request
        if taught and asked.source is None and not asked.model and not asked.adapters:
            return True
        return not self._moderation.may_hold(job.server, settings, marks)

    # What a request begins from

    def beginning(self, request: ImageRequest, place: Place, asker: Asker, brought: Collection[str]) -> Beginning:
        """Asked for each picture that one request names; `brought`: files that its asker sent for it."""
        picture = "" if request.source is None else request.source.picture
        return Beginning(self, self._jobs, picture, place, asker, frozenset(brought))


class Beginning:
    """Which pictures one request may begin from; afterwards, whether what comes of it has to be blurred too."""

    def __init__(
        self, showing: Showing, jobs: _Jobs, picture: str, place: Place, asker: Asker, brought: Collection[str]
    ) -> None:
        self._showing = showing
        self._jobs = jobs
        self._picture = picture
        self._place = place
        self._asker = asker
        self._brought = brought
        self.blurred = False

    async def usable(self, name: str) -> bool:
        """Whether the one who asks may use the picture of this name.

        Raises:
            NotShown: it is theirs, and still may not be used, or not here; says why.
        """
        if name.startswith("sources/"):
            return await self._sent(name)
        job = await self._jobs.find(name.split("/")[0])
        if job is None:
            return False
        try:
            permit = await self._showing.permit(Use.SOURCE, job, self._place, self._asker)
        except NotShown as refusal:
            if refusal.why == "not_yours":
                return False
            raise
        self.blurred |= permit.blurred
        return name in job.pictures

    async def _sent(self, name: str) -> bool:
        """A file that somebody sent: by whom, and what became of the pictures that were made of it."""
        brought = name in self._brought
        server = self._place.server if self._asker.moderates else None
        if not brought and not await self._jobs.uses_source(name, self._asker.member, server):
            return False
        if name == self._picture:
            # A file keeps what it was behind where it came from; masks say nothing.
            spoiler, relaxed = await self._jobs.source_marks(name)
            self.blurred |= spoiler
            if relaxed and not brought and not self._place.adult:
                raise NotShown("age")
        return True


def origin_of(job: Job) -> Origin:
    """Where a job's pictures come from. Pure."""
    there = job.state in WITH_PICTURES and bool(job.pictures)
    return Origin(job.member, job.server, there, private=bool(job.reply.get("private")))


def _allowed(settings: ServerSettings, job: Job) -> bool:
    """Whether a server's lists have the model and the style of a picture. Pure."""
    request = job.request
    named = ((request.model, settings.models), (request.style, settings.styles))
    return all(not asked or not allowed or asked in allowed for asked, allowed in named)
