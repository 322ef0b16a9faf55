"""What is kept about members, and letting go of it: on their word, or when its time is over.

What goes: prompts, pictures, where answers went, preferences. What stays: that there was a job, its size, steps and
device time, under no name; bans and the audit log, which hold ids and no prompts.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
import zipfile
from collections.abc import Mapping
from typing import Any, cast

from sqlalchemy import Connection, String, and_, delete, or_, select, update

from ..errors import NotShown, QueueUnavailable
from ..pictures import PictureStore
from ..records import DAY, FINISHED, ImageRequest, Job
from ..store import BANS, COPIES, JOBS, REPORTS, SERVER_SETTINGS, USAGE, WARNINGS, Database, MemberStore, job_of
from .options import ModerationOptions
from .permits import Asker, Permit, Showing
from .showing import Place, Use

log = logging.getLogger(__name__)

#: Whose job it was, once that is forgotten; and what stands for a prompt that was let go.
NOBODY = "forgotten"
ERASED = "(erased)"
#: Jobs that one transaction changes.
TOGETHER = 200


class Privacy:
    """Methods raise StorageFull or QueueUnavailable when the database or the picture store fails."""

    def __init__(
        self,
        database: Database,
        pictures: PictureStore,
        members: MemberStore,
        options: ModerationOptions,
        showing: Showing,
    ) -> None:
        self._showing = showing
        self._database = database
        self._pictures = pictures
        self._members = members
        self.options = options

    # On a member's word

    async def export(self, member: str, limit: int) -> tuple[bytes, int]:
        """A zip of all that is kept about a member, at most about `limit` bytes; and how many pictures had no room.

        Pictures that moderators hold back, or took away, stay where they are; the list of jobs says so.
        """
        jobs = await self._jobs(JOBS.c.member == member)
        shown, why = await self._shown(member, jobs)
        about = {
            **await self._about(member),
            "jobs": [_told(job, why.get(job.id, "")) for job in jobs],
            **await self._members.export(member),
        }
        text = json.dumps(about, indent=2, ensure_ascii=False, default=str)
        # The newest pictures first; those for which there is no room are named in the list of jobs all the same.
        files: dict[str, bytes] = {}
        left, missing = limit - len(text.encode()) // 2, 0
        for permit in reversed(shown):
            job = permit.job
            try:
                pictures = await self._showing.pictures(permit)
            except QueueUnavailable:
                continue
            for number, picture in enumerate(pictures):
                if len(picture) + 300 > left:
                    missing += 1
                    continue
                left -= len(picture) + 300
                files[f"pictures/{job.id}-{number}.png"] = picture
        return await asyncio.to_thread(_zip, {"mydata.json": text.encode(), **files}), missing

    async def _shown(self, member: str, jobs: list[Job]) -> tuple[list[Permit], dict[str, str]]:
        """Leave to show the pictures of jobs to their member, and why there is none for the others."""
        shown: list[Permit] = []
        why: dict[str, str] = {}
        for job in jobs:
            if not job.pictures:
                continue
            try:
                shown.append(await self._showing.permit(Use.LOOK, job, Place(job.server, private=True), Asker(member)))
            except NotShown as refusal:
                why[job.id] = refusal.why
        return shown, why

    async def forget(self, member: str) -> int:
        """Erase a member's finished jobs, preferences and warnings; gives how many jobs. Cancel live ones before."""
        jobs = await self._jobs(and_(JOBS.c.member == member, JOBS.c.state.in_(FINISHED)))
        await self._remove_pictures(jobs)
        # Lineage is found by the member's jobs, so it goes while they still have a name.
        await self._members.forget(member)
        for some in _parted(jobs):
            await self._erase(some, {"member": NOBODY, "reply": {}, "told": True})

        def work(connection: Connection) -> None:
            connection.execute(delete(WARNINGS).where(WARNINGS.c.member == member))
            connection.execute(delete(USAGE).where(USAGE.c.member == member))
            connection.execute(update(REPORTS).where(REPORTS.c.who == member).values(who=NOBODY, reason=""))

        await self._database.change(work)
        return len(jobs)

    # When its time is over

    async def sweep(self, now: float) -> tuple[int, int]:
        """Let go of what the operator, or the server, keeps no longer, for control/housekeeping.py; gives jobs whose
        pictures and prompts went."""
        days = await self._server_days()
        pictures = await self._past(now, self.options.keep_pictures_days, days, JOBS.c.pictures.cast(String) != "[]")
        await self._remove_pictures(pictures)
        for some in _parted(pictures):
            await self._set(some, {"pictures": []})
        prompts = await self._past(now, self.options.keep_prompts_days, days, JOBS.c.reply.cast(String) != "{}")
        for some in _parted(prompts):
            await self._erase(some, {"reply": {}})
        if keep := self.options.keep_reports_days:
            old = and_(REPORTS.c.state != "open", REPORTS.c.changed < now - keep * DAY)
            await self._database.change(lambda connection: connection.execute(delete(REPORTS).where(old)).rowcount)
        if pictures or prompts:
            log.info("past their time: pictures of %d jobs, prompts of %d", len(pictures), len(prompts))
        return len(pictures), len(prompts)

    # Inside

    async def _past(self, now: float, operators: int, servers: Mapping[str, int], still: Any) -> list[Job]:
        """Finished jobs that are older than the operator, or their server, keeps them."""
        conditions = [JOBS.c.changed < now - operators * DAY] if operators else []
        conditions += [
            and_(JOBS.c.server == server, JOBS.c.changed < now - days * DAY) for server, days in servers.items()
        ]
        if not conditions:
            return []
        return await self._jobs(and_(JOBS.c.state.in_(FINISHED), JOBS.c.told.is_(True), still, or_(*conditions)))

    async def _server_days(self) -> dict[str, int]:
        """For how many days each server keeps things, where it has a wish."""
        columns = SERVER_SETTINGS.c
        query = select(columns.server, columns.new).order_by(columns.server, columns.version)
        rows = await self._database.view(lambda connection: connection.execute(query).all())
        newest: dict[str, Any] = {row[0]: row[1] for row in rows}
        wishes = {server: cast("dict[str, Any]", new or {}).get("keep_days", 0) for server, new in newest.items()}
        return {server: days for server, days in wishes.items() if isinstance(days, int) and days > 0}

    async def _about(self, member: str) -> dict[str, Any]:
        def work(connection: Connection) -> dict[str, Any]:
            queries = {
                "device_seconds": select(USAGE.c.day, USAGE.c.seconds).where(USAGE.c.member == member),
                "warnings": select(WARNINGS.c.server, WARNINGS.c.at).where(WARNINGS.c.member == member),
                "bans": select(BANS.c.server, BANS.c.reason, BANS.c.at, BANS.c.until, BANS.c.lifted).where(
                    BANS.c.kind == "member", BANS.c.subject == member
                ),
                "reports": select(REPORTS.c.job, REPORTS.c.kind, REPORTS.c.at).where(REPORTS.c.who == member),
            }
            return {
                name: [dict(row) for row in connection.execute(query).mappings()] for name, query in queries.items()
            }

        return {"member": member, **await self._database.view(work)}

    async def _jobs(self, where: Any) -> list[Job]:
        query = select(JOBS).where(where).order_by(JOBS.c.id)
        return await self._database.view(
            lambda connection: [job_of(row) for row in connection.execute(query).mappings()]
        )

    async def _remove_pictures(self, jobs: list[Job]) -> None:
        for job in jobs:
            for name in job.pictures:
                await self._pictures.remove(name)
        for some in _parted(jobs):
            copies = delete(COPIES).where(COPIES.c.job.in_([job.id for job in some]))
            await self._database.change(lambda one, copies=copies: one.execute(copies).rowcount)

    async def _erase(self, jobs: list[Job], more: Mapping[str, Any]) -> None:
        """Take the words out of jobs."""

        def work(connection: Connection) -> None:
            for job in jobs:
                values: dict[str, Any] = {"request": _bare(job.request).model_dump(mode="json"), **more}
                if more.get("member"):
                    values |= {"pictures": [], "key": f"{NOBODY} {job.id}"}
                connection.execute(update(JOBS).where(JOBS.c.id == job.id).values(**values))

        await self._database.change(work)

    async def _set(self, jobs: list[Job], values: Mapping[str, Any]) -> None:
        where = JOBS.c.id.in_([job.id for job in jobs])
        await self._database.change(lambda one: one.execute(update(JOBS).where(where).values(**values)).rowcount)


def _bare(request: ImageRequest) -> ImageRequest:
    """The request without anything that somebody wrote or sent: size, steps and count stay."""
    return ImageRequest(
        prompt=ERASED,
        seed=0,
        count=request.count,
        steps=request.steps,
        guidance=request.guidance,
        width=request.width,
        height=request.height,
    )


def _told(job: Job, held_back: str) -> dict[str, Any]:
    pictures = range(0 if held_back else len(job.pictures))
    return {
        **({"held_back": held_back} if held_back else {}),
        "id": job.id,
        "server": job.server,
        "state": job.state.value,
        "created": job.created,
        "changed": job.changed,
        "seconds": job.seconds,
        "request": job.request.model_dump(mode="json"),
        "pictures": [f"pictures/{job.id}-{number}.png" for number in pictures],
    }


def _parted(jobs: list[Job]) -> list[list[Job]]:
    return [jobs[start : start + TOGETHER] for start in range(0, len(jobs), TOGETHER)]


def _zip(files: Mapping[str, bytes]) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return whole.getvalue()
