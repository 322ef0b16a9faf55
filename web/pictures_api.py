"""`/api/v1/pictures`: what was drawn, page by page; one picture with all that makes it again; its files; favourites.

All of it stands behind the gate for showing: what may not be seen is not listed, and its address is 404.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

from aiohttp import web
from PIL import Image, ImageChops, ImageStat

from ..queue.asking import said_again
from ..queue.errors import NotShown
from ..queue.moderation import Permit, Use
from ..queue.prompt import say
from ..queue.records import Job
from ..queue.store import WITH_PICTURES, Filters
from .asking import PICTURE
from .context import MEMBER, SERVER, WHO, Studio, number_of
from .formats import FORMATS, KINDS, made, thumb
from .problems import Problem
from .reading import answer, query, whole

#: Pictures of a page, and the most that may be asked for; jobs that are looked at together.
PAGE, MOST_PAGE, TOGETHER = 40, 100, 40
#: Bytes of thumbnails that are kept in memory.
MOST_THUMBS = 48 * 2**20
#: Filters of an address, and the longest value of each.
FILTERS = {"q": 200, "member": 200, "server": 200, "style": 100, "model": 100, "favourite": 1, "since": 12, "until": 12}
#: The mean difference of two pictures, of 255, that their watermarks alone make at most.
WATERMARKS = 2.5


class PicturesApi:
    """Construct, then `add_to` an application."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._queue = studio.queue
        #: Thumbnails by name of the picture and whether blurred; asked for only behind a permit.
        self._thumbs: OrderedDict[tuple[str, bool], bytes] = OrderedDict()
        self._thumb_bytes = 0
        self._making = asyncio.Semaphore(2)

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/api/v1/pictures", self.pictures)
        app.router.add_get(PICTURE, self.picture)
        app.router.add_get(f"{PICTURE}/file", self.file)
        app.router.add_get(f"{PICTURE}/thumb", self.thumbnail)
        app.router.add_get(f"{PICTURE}/compare/{{other:[0-9a-f]{{32}}}}", self.compare)
        app.router.add_put(f"{PICTURE}/favourite", self.like)
        app.router.add_delete(f"{PICTURE}/favourite", self.unlike)
        app.router.add_delete("/api/v1/pictures/{id:[0-9a-f]{32}}", self.delete)

    async def pictures(self, request: web.Request) -> web.Response:
        told = query(request, {**FILTERS, "before": 32, "limit": 3})
        limit = whole(told, "limit", 1, MOST_PAGE, PAGE)
        found, following = await self.page(filters_of(told), limit, key_of(told))
        return answer({"pictures": found, "next": following})

    async def page(self, filters: Filters, limit: int, before: str) -> tuple[list[dict[str, Any]], str | None]:
        """Pictures that may be seen, newest first, and the key of the next page; None: there is none.

        A job's pictures stay on one page, which may so be a little longer than asked for.
        """
        found: list[dict[str, Any]] = []
        while len(found) < limit:
            jobs = await self._queue.gallery.page(filters, TOGETHER, before)
            permits = await asyncio.gather(*(self._permit(job) for job in jobs))
            liked = (
                await self._queue.gallery.liked(MEMBER, [job.id for job in jobs]) if jobs else set[tuple[str, int]]()
            )
            for job, permit in zip(jobs, permits, strict=True):
                before = job.id
                found += [
                    self._line(job, number, permit, liked=(job.id, number) in liked)
                    for number in range(len(job.pictures) if permit else 0)
                    if not filters.liked_by or (job.id, number) in liked
                ]
                if len(found) >= limit:
                    return found, before
            if len(jobs) < TOGETHER:
                return found, None
        return found, before

    async def _permit(self, job: Job) -> Permit | None:
        try:
            return await self._studio.permit(Use.LOOK, job)
        except NotShown:
            return None

    def _line(self, job: Job, number: int, permit: Permit | None, *, liked: bool) -> dict[str, Any]:
        address = f"/api/v1/pictures/{job.id}/{number + 1}"
        asked = job.request
        return {
            "job": job.id,
            "picture": number + 1,
            "prompt": asked.prompt,
            "seed": asked.seeds[number % asked.count],
            "width": asked.width,
            "height": asked.height,
            "style": asked.style,
            "model": str(job.metadata.get("model") or asked.model),
            "member": job.member,
            "server": job.server,
            "created": job.created,
            "favourite": liked,
            "blurred": permit is not None and permit.blurred,
            "own": job.member == MEMBER,
            "thumb": f"{address}/thumb",
            "file": f"{address}/file",
        }

    async def picture(self, request: web.Request) -> web.Response:
        permit = await self._studio.shown(request.match_info["id"])
        return answer(await self.about(permit, number_of(request, len(permit.job.pictures))))

    async def about(self, permit: Permit, number: int) -> dict[str, Any]:
        """All that is known of a picture, and what would have to be typed for it."""
        job, queue = permit.job, self._queue
        settings, workers = await queue.server_settings.get(job.server), await queue.workers()
        asked = job.request
        one = asked.model_copy(update={"count": 1, "seed": asked.seeds[number % asked.count]})
        relaxed = job.priority == "relax"
        liked = await queue.members.likes(MEMBER, job.id, number)
        return {
            **self._line(job, number, permit, liked=liked),
            "count": len(job.pictures),
            "typed": say(said_again(one, settings, workers, seed=True, relaxed=relaxed)),
            "remix": say(said_again(asked, settings, workers, relaxed=relaxed)),
            "request": asked.model_dump(mode="json", exclude={"version"}),
            "metadata": dict(job.metadata),
            "seconds": round(job.seconds, 3),
            **await self._lineage(job),
        }

    async def _lineage(self, job: Job) -> dict[str, Any]:
        """Where it came from, up to the first, and what came of it; only what may be seen has a picture."""
        members, parents = self._queue.members, list[dict[str, Any]]()
        origin, seen = await members.origin(job.id), {job.id}
        while origin is not None and origin.parent not in seen and len(parents) < 20:
            seen.add(origin.parent)
            parents.append(await self._relative(origin.parent, origin.picture, origin.action))
            origin = await members.origin(origin.parent)
        children = await members.children(job.id, 50)
        below = [await self._relative(child.job, 0, child.action, child.picture) for child in children]
        return {"parents": parents[::-1], "children": below}

    async def _relative(self, job_id: str, picture: int, action: str, of: int | None = None) -> dict[str, Any]:
        shown = False
        with suppress(Problem):
            shown = len((await self._studio.shown(job_id)).job.pictures) > picture
        told = {"job": job_id, "picture": picture + 1, "action": action, "shown": shown}
        return told if of is None else {**told, "of": of + 1}

    async def file(self, request: web.Request) -> web.Response:
        """The picture as a file: `format`, and `metadata=0` for one that says nothing; `download=1` to save it."""
        told = query(request, {"format": 10, "metadata": 1, "download": 1})
        wanted = told.get("format", "png")
        if wanted not in FORMATS:
            raise Problem(400, "invalid_parameter", f"format must be one of {', '.join(FORMATS)}", "format")
        permit = await self._studio.shown(request.match_info["id"])
        number = number_of(request, len(permit.job.pictures))
        kept = whole(told, "metadata", 0, 1, 1) == 1
        # As saved before: what is gone or hidden by now was refused above.
        tag = tag_of(permit.job.pictures[number], wanted, kept)
        headers = {"Cache-Control": "private, no-cache", "ETag": tag}
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304, headers=headers)
        data = (await self._queue.pictures(permit))[number]
        async with self._making:
            file = await asyncio.to_thread(made, data, wanted, metadata=kept)
        if whole(told, "download", 0, 1, 0) or wanted in ("svg", "sticker"):
            seed = permit.job.request.seeds[number % permit.job.request.count]
            ending = "svg" if wanted == "svg" else "webp" if wanted == "webp" else "png"
            headers["Content-Disposition"] = f'attachment; filename="daguerre-{seed}.{ending}"'
        if permit.job.member == MEMBER and number + 1 == len(permit.job.pictures):
            await self._queue.mark_notified(permit.job.id)
        return web.Response(body=file, content_type=KINDS[wanted], headers=headers)

    async def thumbnail(self, request: web.Request) -> web.Response:
        permit = await self._studio.shown(request.match_info["id"])
        number = number_of(request, len(permit.job.pictures))
        tag = tag_of(permit.job.pictures[number], "thumb", permit.blurred)
        headers = {"Cache-Control": "private, no-cache", "ETag": tag}
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304, headers=headers)
        return web.Response(body=await self._thumb(permit, number), content_type="image/webp", headers=headers)

    async def _thumb(self, permit: Permit, number: int) -> bytes:
        key = (permit.job.pictures[number], permit.blurred)
        if (kept := self._thumbs.get(key)) is not None:
            self._thumbs.move_to_end(key)
            return kept
        data = (await self._queue.pictures(permit))[number]
        async with self._making:
            small = await asyncio.to_thread(thumb, data, blurred=permit.blurred)
        if key not in self._thumbs:
            self._thumbs[key] = small
            self._thumb_bytes += len(small)
        while self._thumb_bytes > MOST_THUMBS:
            _, gone = self._thumbs.popitem(last=False)
            self._thumb_bytes -= len(gone)
        return small

    async def compare(self, request: web.Request) -> web.Response:
        """Whether the picture of the same number of another job has the same pixels: what `reproduce` is proved by."""
        one = await self._studio.shown(request.match_info["id"])
        other = await self._studio.shown(request.match_info["other"])
        number = number_of(request, min(len(one.job.pictures), len(other.job.pictures)))
        first, second = digest(one.job, number), digest(other.job, number)
        if first is not None and second is not None:
            told: dict[str, Any] = {"identical": first == second, "exact": True}
        else:
            told = {"exact": False}
        files = [(await self._queue.pictures(each))[number] for each in (one, other)]
        difference = await asyncio.to_thread(mean_difference, *files)
        told.setdefault("identical", difference is not None and difference <= WATERMARKS)
        return answer({**told, "difference": difference})

    async def like(self, request: web.Request) -> web.Response:
        return await self._like(request, liked=True)

    async def unlike(self, request: web.Request) -> web.Response:
        return await self._like(request, liked=False)

    async def _like(self, request: web.Request, *, liked: bool) -> web.Response:
        permit = await self._studio.shown(request.match_info["id"])
        number = number_of(request, len(permit.job.pictures))
        await self._queue.members.like(MEMBER, permit.job.id, number, liked)
        return answer({"favourite": liked})

    async def delete(self, request: web.Request) -> web.Response:
        """Take the pictures of a job that was asked for here out of sight, for good."""
        permit = await self._studio.shown(request.match_info["id"])
        if permit.job.server != SERVER:
            raise Problem(403, "not_yours", "only what was asked for here can be deleted here")
        await self._queue.moderation.store.mark(permit.job.id, deleted=True)
        await self._queue.moderation.audit.note(SERVER, WHO, "studio.delete", job=permit.job.id)
        return answer({"deleted": permit.job.id})


def filters_of(told: Mapping[str, str]) -> Filters:
    """Raises: Problem."""
    times: list[float | None] = []
    for name in ("since", "until"):
        value = told.get(name, "")
        if value and not (value.isascii() and value.isdigit()):
            raise Problem(400, "invalid_parameter", f"{name} must be a Unix time in whole seconds", name)
        times.append(float(value) if value else None)
    if told.get("favourite", "") not in ("", "0", "1"):
        raise Problem(400, "invalid_parameter", "favourite must be 0 or 1", "favourite")
    return Filters(
        words=told.get("q", "").strip(),
        member=told.get("member", ""),
        server=told.get("server", ""),
        style=told.get("style", ""),
        model=told.get("model", ""),
        liked_by=MEMBER if told.get("favourite") == "1" else "",
        since=times[0],
        until=times[1],
    )


def key_of(told: Mapping[str, str]) -> str:
    """The key that a page begins behind. Raises: Problem."""
    key = told.get("before", "")
    if key and (len(key) != 32 or not all(digit in "0123456789abcdef" for digit in key)):
        raise Problem(400, "invalid_parameter", "before must be the `next` of an earlier page", "before")
    return key


def tag_of(name: str, *how: object) -> str:
    """An ETag; the name says which picture, and pictures do not change."""
    return f'"{hashlib.sha256(repr((name, how)).encode()).hexdigest()[:24]}"'


def digest(job: Job, number: int) -> str | None:
    """What the worker found of the pixels before it marked them; None where it does not say."""
    found: Any = job.metadata.get("pixels")
    pixels = cast("Sequence[Any]", found) if isinstance(found, list) else ()
    return str(pixels[number]) if job.state in WITH_PICTURES and number < len(pixels) else None


def mean_difference(one: bytes, other: bytes) -> float | None:
    """Of all channels, of 255; None where the sizes differ. Blocking."""
    with Image.open(io.BytesIO(one)) as first, Image.open(io.BytesIO(other)) as second:
        if first.size != second.size:
            return None
        mean = ImageStat.Stat(ImageChops.difference(first.convert("RGBA"), second.convert("RGBA"))).mean
    return round(sum(mean) / len(mean), 3)
