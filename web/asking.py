"""`/imagine` and the buttons under a picture, for the studio: `/api/v1/imagine`, `/check`, `/sources`, actions.

The grammar, the orders and what is made of a picture are the bot's own (queue/prompt, queue/asking).
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Sequence
from typing import Annotated, Any

from aiohttp import web
from pydantic import Field, StringConstraints

from ..queue.asking import (
    PAN,
    STRONG,
    SUBTLE,
    Beginning,
    Order,
    new_seed,
    order_of,
    outpainted,
    redrawn,
    upscaled,
    varied,
)
from ..queue.errors import InvalidPicture, InvalidRequest, QueueError
from ..queue.moderation import Use
from ..queue.pictures import mask as made_mask
from ..queue.pictures import measured, size_of
from ..queue.prompt import MalformedPrompt, Wish, lacks_picture, plan, unknown_name, words_of
from ..queue.records import MAX_PROMPT, ImageRequest, Job, largest_of
from ..queue.store import Origin
from .context import MEMBER, REPLY, SERVER, Studio, number_of
from .jobs_api import JobsApi
from .problems import Problem
from .reading import SentName, Strict, answer, read_body, read_picture
from .words import MAX_PIXELS, Words, unknown_of

#: More requests than this from one prompt are asked back about, as on Discord.
UNCONFIRMED = 4
#: Longest text that is typed.
TYPED = 4_000
_COMMAND = re.compile(r"\s*/imagine\b(?:\s+prompt:)?\s*", re.IGNORECASE)
#: What is made of a picture by one press, by the frame in percent that is drawn on: left, top, right, bottom.
FRAMES = {
    "zoom15": (25, 25, 25, 25), "zoom20": (50, 50, 50, 50),
    "left": (PAN, 0, 0, 0), "up": (0, PAN, 0, 0), "right": (0, 0, PAN, 0), "down": (0, 0, 0, PAN),
}  # fmt: skip
ACTIONS = ("again", "subtle", "strong", "upscale", *FRAMES, "region", "reproduce")
PICTURE = "/api/v1/pictures/{id:[0-9a-f]{32}}/{n:[1-9][0-9]{0,2}}"


class From(Strict):
    """A picture whose request is made anew with other words."""

    job: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    #: From 1.
    picture: Annotated[int, Field(ge=1, le=100)]


class Asked(Strict):
    """What was typed, and what there is to begin from."""

    prompt: Annotated[str, StringConstraints(max_length=TYPED)]
    picture: SentName | None = None
    remix: From | None = None
    confirmed: bool = False


class Checked(Strict):
    """What is being typed."""

    prompt: Annotated[str, StringConstraints(max_length=TYPED)]
    picture: bool = False


class Pressed(Strict):
    """What an action needs besides its picture."""

    prompt: Annotated[str, StringConstraints(max_length=MAX_PROMPT)] | None = None
    mask: SentName | None = None


class Asking:
    """Construct, then `add_to` an application."""

    def __init__(self, studio: Studio, jobs: JobsApi) -> None:
        self._studio = studio
        self._queue = studio.queue
        self._jobs = jobs

    def add_to(self, app: web.Application) -> None:
        app.router.add_post("/api/v1/imagine", self.imagine)
        app.router.add_post("/api/v1/check", self.check)
        app.router.add_post("/api/v1/sources", self.source)
        app.router.add_post(f"{PICTURE}/{{action:{'|'.join(ACTIONS)}}}", self.act)

    def _words(self, request: web.Request) -> Words:
        return Words(self._studio.texts, self._studio.locale(request))

    async def imagine(self, request: web.Request) -> web.Response:
        """All jobs of one prompt, or a question about many, or what is wrong with it."""
        asked, words = await read_body(request, Asked), self._words(request)
        typed = _COMMAND.sub("", asked.prompt, count=1)
        found = self._planned(typed, words)
        if len(found) > UNCONFIRMED and not asked.confirmed:
            message = words.text("confirm.many", count=len(found))
            raise Problem(409, "confirm", message, "prompt", {"count": len(found)})
        begun = await self._begun(asked, words)
        if not begun.picture and begun.source is None:
            self._check_weight(typed, found, words)
        orders = await self._orders(found, begun, words)
        unknown: dict[str, Any] = {}
        for order in orders:
            for each in await self._check_words(order.request, words):
                unknown[each["word"]] = each
        return await self._submitted(orders, words, list(unknown.values()))

    async def check(self, request: web.Request) -> web.Response:
        """Whether what is being typed can be asked for; what is wrong with it is no failure of this question."""
        asked, words = await read_body(request, Checked), self._words(request)
        typed = _COMMAND.sub("", asked.prompt, count=1)
        try:
            found = self._planned(typed, words)
            if not asked.picture:
                self._check_weight(typed, found, words)
            orders = await self._orders(found, Beginning(), words)
            unknown = [] if asked.picture else await self._check_words(orders[0].request, words)
        except Problem as problem:
            if problem.code == "invalid_prompt" and "at" not in problem.more:
                return answer({"ok": False, "empty": True})
            return answer({"ok": False, **problem.body()})
        return answer({"ok": True, "requests": len(found), "unknown": unknown})

    async def source(self, request: web.Request) -> web.Response:
        """Keep a picture to begin from, or a mask; what it is, is looked at in its content."""
        data, words = await read_picture(request), self._words(request)
        try:
            width, height = await asyncio.to_thread(measured, data)
            if width * height > MAX_PIXELS:
                raise InvalidPicture("pixels", f"the picture has more than {MAX_PIXELS:,} pixels")
            name = await self._queue.keep_source(data)
            width, height = size_of(await self._queue.source(name))
        except QueueError as error:
            raise words.of(error) from None
        return answer({"picture": name, "width": width, "height": height}, 201)

    async def act(self, request: web.Request) -> web.Response:
        """One of the buttons under a picture."""
        action = request.match_info["action"]
        pressed = await read_body(request, Pressed) if request.can_read_body else Pressed()
        words = self._words(request)
        permit = await self._studio.shown(request.match_info["id"])
        job, index = permit.job, number_of(request, len(permit.job.pictures))
        try:
            order = await self._order(action, job, index, pressed, words)
        except QueueError as error:
            raise words.of(error, pressed.prompt or "") from None
        return await self._submitted([order], words, [])

    # Inside

    async def _order(self, action: str, job: Job, index: int, pressed: Pressed, words: Words) -> Order:
        asked, origin = job.request, (job.id, index, action)
        if action == "again":
            return Order(asked.model_copy(update={"seed": new_seed()}), job.priority, origin)
        if action == "reproduce":
            return Order(asked, job.priority, origin)
        # Begun from only what may be begun from here; whose it is, `submit` asks once more.
        name = (await self._studio.permit(Use.SOURCE, job)).job.pictures[index]
        if action == "region":
            if pressed.mask is None or not (pressed.prompt or "").strip():
                raise Problem(400, "invalid_request", words.text("studio.region.needs"), "mask")
            size = (asked.width, asked.height)
            marked = await asyncio.to_thread(made_mask, await self._queue.source(pressed.mask), size)
            kept = await self._queue.keep_source(marked)
            request = redrawn(asked, name, kept, pressed.prompt or "", new_seed())
            await self._check_words(request, words)
            return Order(request, job.priority, origin, brought=(kept,))
        if action == "upscale":
            return Order(upscaled(asked, name, index, await self._most(asked)), job.priority, origin)
        if action in FRAMES:
            grow = action not in ("zoom15", "zoom20")
            most = await self._most(asked)
            made = outpainted(asked, name, FRAMES[action], new_seed(), grow=grow, most=most)
            return Order(made, job.priority, origin)
        strength = SUBTLE if action == "subtle" else STRONG
        return Order(varied(asked, name, index, strength, new_seed()), job.priority, origin)

    async def _most(self, asked: ImageRequest) -> int:
        """Pixels of the largest picture that who draws this model now draws as large as it is."""
        return largest_of(await self._queue.workers(), asked.model)

    def _planned(self, typed: str, words: Words) -> tuple[Wish, ...]:
        """Every request that a text asks for. Raises: Problem."""
        try:
            found = plan(typed)
        except MalformedPrompt as error:
            raise words.malformed(error, typed) from None
        if any(wish.link for wish in found):
            raise Problem(400, "invalid_prompt", words.text("studio.link"), "prompt")
        return found

    def _check_weight(self, typed: str, found: Sequence[Wish], words: Words) -> None:
        """Without a picture nothing can be weighed. Raises: Problem."""
        if any(wish.image_weight is not None for wish in found):
            place = re.search(r"--iw\b", typed, re.IGNORECASE)
            raise words.malformed(MalformedPrompt("weight.picture", place.start() if place else 0), typed)

    async def _begun(self, asked: Asked, words: Words) -> Beginning:
        """What the jobs begin from. Raises: Problem."""
        begun = Beginning()
        if asked.remix is not None:
            permit = await self._studio.shown(asked.remix.job)
            begun = Beginning(
                source=permit.job.request.source, origin=(asked.remix.job, asked.remix.picture - 1, "remix")
            )
        if asked.picture is not None:
            try:
                shape = size_of(await self._queue.source(asked.picture))
            except QueueError as error:
                raise words.of(error) from None
            begun = Beginning(picture=asked.picture, shape=shape, origin=begun.origin)
        return begun

    async def _orders(self, found: Sequence[Wish], begun: Beginning, words: Words) -> list[Order]:
        """Raises: Problem."""
        settings, workers = await self._queue.server_settings.get(SERVER), await self._queue.workers()
        orders: list[Order] = []
        for wish in found:
            try:
                order = order_of(wish, settings, begun, workers)
            except InvalidRequest as problem:
                raise words.of(problem, wish.prompt) from None
            allowed = (*settings.styles, *settings.models)
            if (name := unknown_name(order.request, self._studio.vocabulary, workers, allowed)) is not None:
                raise words.unknown_name(name)
            if lacks_picture(order.request):
                raise words.lacks_picture()
            orders.append(order)
        return orders

    async def _check_words(self, request: ImageRequest, words: Words) -> list[dict[str, Any]]:
        """The words that the model does not know. Raises: Problem: it knows none, and there is no picture."""
        vocabulary = words_of(self._studio.vocabulary, request.model)
        if vocabulary is None:
            return []
        report = await asyncio.to_thread(vocabulary.check, request.prompt)
        if report.unknown and not report.anything_known and request.source is None:
            raise words.unknown_words(report, vocabulary.concepts)
        return unknown_of(report)

    async def _submitted(self, orders: Sequence[Order], words: Words, unknown: list[dict[str, Any]]) -> web.Response:
        """All of them, or as many as the limits allow, and then why not the rest. Raises: Problem."""
        key, bodies, problem = uuid.uuid4().hex, list[Any](), None
        for number, order in enumerate(orders):
            try:
                ticket = await self._queue.submit(
                    order.request, key=f"studio:{key}.{number}", member=MEMBER, server=SERVER, reply=REPLY,
                    priority=order.priority, brought=order.brought, blurred=order.blurred,
                )  # fmt: skip
            except QueueError as error:
                problem = words.of(error, order.request.prompt)
                if not bodies:
                    raise problem from None
                break
            if order.origin is not None:
                await self._queue.members.link(Origin(ticket.job.id, *order.origin))
            bodies.append(await self._jobs.body(ticket.job))
        return answer({"jobs": bodies, "unknown": unknown, "problem": problem.message if problem else None}, 202)
