"""What every part of the studio stands on, and who looks. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from ..queue.control import Queue
from ..queue.errors import NotShown, UnknownJob
from ..queue.moderation import Asker, Permit, Place, Use
from ..queue.prompt import Vocabulary
from ..queue.records import Job
from ..queue.texts import ENGLISH, Texts
from .options import WebOptions
from .problems import Problem

#: Who asks over HTTP; the fair share and the limit of waiting jobs count them as one member.
MEMBER = SERVER = "local"
#: Who does what an operator does here, in the audit log.
WHO = "studio"
#: What stands in `Job.reply` of a job that came over HTTP, so that the bot leaves it alone.
REPLY: Mapping[str, Any] = {"kind": "web"}
#: Cookie that says in which language somebody reads.
LANGUAGE = "language"


@dataclass(frozen=True, slots=True)
class Studio:
    """The queue and what is said and known beside it."""

    queue: Queue
    options: WebOptions
    texts: Texts
    vocabulary: Vocabulary | None
    #: What /healthz tells this machine besides.
    about: Callable[[], Mapping[str, Any]]
    #: A picture of everything that the weights know, in tiles (web/knowledge_api.py); None: there is none.
    examples: Path | None = None

    def locale(self, request: web.Request) -> str:
        """The language of an answer: as chosen on a page, else as the browser says."""
        chosen = request.cookies.get(LANGUAGE, "")
        if chosen in self.texts.languages:
            return chosen
        return next(
            (
                language
                for wanted in preferred(request.headers.get("Accept-Language", ""))
                if (language := self.texts.language_of(wanted)) != ENGLISH or wanted.lower().startswith("en")
            ),
            ENGLISH,
        )

    async def permit(self, use: Use, job: Job) -> Permit:
        """Leave to use a job's pictures here, as one who looks after every server.

        Raises:
            NotShown: not there, or kept from sight; says why.
        """
        asker = Asker(MEMBER, moderates=True)
        if job.member != MEMBER and job.reply.get("private") and use is not Use.REVIEW:
            raise NotShown("private")
        if use is not Use.REVIEW and (await self.queue.moderation.store.marks(job.id)).hidden:
            raise NotShown("held")
        return await self.queue.showing.permit(use, job, Place(job.server, private=True), asker)

    async def shown(self, job_id: str) -> Permit:
        """The pictures of a job for somebody who looks at them.

        Raises:
            Problem: there are none, or they may not be seen: which of both is nobody's business.
        """
        try:
            return await self.permit(Use.LOOK, await self.queue.job(job_id))
        except (UnknownJob, NotShown):
            raise Problem(404, "no_picture", "there is no such picture") from None


def preferred(header: str) -> list[str]:
    """The languages of an Accept-Language header, the most wanted first."""
    weighed: list[tuple[float, int, str]] = []
    for place, part in enumerate(header.split(",")[:20]):
        name, _, weight = part.strip().partition(";q=")
        try:
            weighed.append((-float(weight or 1), place, name.strip()))
        except ValueError:
            continue
    return [name for _, _, name in sorted(weighed) if name]


def number_of(request: web.Request, count: int) -> int:
    """Which picture (from 0) of so many an address names by its number from 1. Raises: Problem."""
    number = int(request.match_info["n"])
    if not 1 <= number <= count:
        raise Problem(404, "no_picture", "there is no such picture")
    return number - 1
