"""Looking for leaks: pictures that can be told apart wherever they turn up, and who may see each of them where.

What is allowed is said here once more, in other words than the bot's: by what the database says of a picture at the
moment at which it turns up, and by what each place was set up as.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast

from botkit import Easel, told, until
from PIL import Image, UnidentifiedImageError
from sqlalchemy import update
from standin.driver import StandIn
from standin.messages import Message
from standin.permissions import bits
from standin.records import SeenAttachment
from standin.tracks import InteractionRecord
from standin.world import Channel, Member, User

from daguerre.queue.control.queue import Queue
from daguerre.queue.moderation.rules import Action, Rule
from daguerre.queue.records.jobs import Job, JobState, Rendered
from daguerre.queue.records.requests import ImageRequest, image_request
from daguerre.queue.store.schema import JOBS
from daguerre.queue.store.server_settings import ServerSettings
from daguerre.queue.worker.settings import JobContext

#: What can have happened to a picture.
STATES = ("clean", "held", "spoilered", "hidden", "reported", "deleted", "expired", "relaxed", "private", "dm")
#: Where it can be brought; `closed`: not to everybody there.
PLACES = ("home", "denied", "elsewhere", "ruled", "holding", "spoiling", "banned", "adults", "dm")
CLOSED = ("denied", "ruled", "holding", "banned", "adults")
#: Those of them that are closed to pictures of the word alone.
RULED = ("ruled", "holding")
WORD = "rocket"
#: Discord's type of an answer that changes the message later.
DEFERRED_UPDATE = 6


def colour_of(number: int) -> tuple[int, int, int]:
    """The colour that stands for a picture: far enough from every other to survive WebP and JPEG."""
    return (8 * (number % 32) + 4, 8 * (number // 32 % 32) + 4, 96 + 32 * (number // 1024))


class Palette(Easel):
    """Paints each picture of each job in a colour of its own, and shows it while it is drawn."""

    def __init__(self) -> None:
        super().__init__()
        #: Jobs by the number of their colour, and what was begun by whom.
        self.jobs: list[str] = []
        self.orders: list[tuple[str, ImageRequest]] = []

    async def __call__(self, request: ImageRequest, context: JobContext) -> Rendered:
        self.begun.append(request)
        self.orders.append((context.job, request))
        first = len(self.jobs)
        self.jobs += [context.job] * request.count
        shapes = [Image.new("RGB", (64, 64), colour_of((first + k) % 4096)) for k in range(request.count)]
        preview = io.BytesIO()
        shapes[0].save(preview, "JPEG", quality=95)
        await context.progress(request.steps // 2, request.steps, preview.getvalue())
        files: list[bytes] = []
        for shape in shapes:
            file = io.BytesIO()
            shape.save(file, "PNG")
            files.append(file.getvalue())
        return Rendered(tuple(files), {"model": "test"}, 0.01)

    def seen_in(self, data: bytes) -> set[str]:
        """Jobs whose pictures a file shows."""
        try:
            picture = Image.open(io.BytesIO(data)).convert("RGB")
        except UnidentifiedImageError:
            return set()
        found: set[str] = set()
        for count, pixel in picture.getcolors(1 << 20) or []:
            red, green, blue = cast("tuple[int, int, int]", pixel)
            level, off = divmod(blue - 96 + 16, 32)
            if count * 50 < picture.width * picture.height or not (0 <= level < 4 and 8 <= off <= 24):
                continue
            number = round((red - 4) / 8) + 32 * round((green - 4) / 8) + 1024 * level
            if 0 <= number < len(self.jobs):
                found.add(self.jobs[number])
        return found


@dataclass
class Place:
    """A channel, and who is who in it."""

    kind: str
    channel: Channel
    who: Mapping[str, Member | User]


@dataclass
class House:
    """Servers of every kind, one member in all of them, and her pictures in every state."""

    standin: StandIn
    queue: Queue
    easel: Palette
    places: dict[str, Place] = field(default_factory=dict[str, Place])
    jobs: dict[str, Job] = field(default_factory=dict[str, Job])
    users: dict[str, User] = field(default_factory=dict[str, User])
    logs: set[int] = field(default_factory=set[int])
    adult: set[int] = field(default_factory=set[int])
    leaks: list[str] = field(default_factory=list[str])
    looked_at: dict[int, int] = field(default_factory=dict[int, int])
    begun: int = 0
    expressions: set[str] = field(default_factory=set[str])

    # ---- setting up

    async def build(self) -> None:
        self.users = {name: self.standin.user(name) for name in ("Ada", "Mona", "Eve")}
        for kind in PLACES:
            await self._place(kind)
        for state in STATES:
            self.jobs[state] = await self._job(state)
        for who in ("Ada", "Mona"):
            for job in self.jobs.values():
                await self.queue.members.like(str(self.users[who].id), job.id, 0)
        await self.look("setting up", count=False)

    async def _place(self, kind: str) -> None:
        if kind == "dm":
            self.places[kind] = Place(kind, self.standin.dm(self.users["Ada"]), self.users)
            return
        guild = self.places["home"].channel.guild if kind == "denied" else self.standin.guild(kind)
        assert guild is not None
        guild.members[self.standin.bot_user.id].extra |= bits(["manage_expressions"])
        channel = guild.channel(kind)
        if kind == "denied":
            who = self.places["home"].who
            settings = await self.queue.server_settings.get(str(guild.id))
            denied = settings.model_copy(update={"denied_channels": frozenset({str(channel.id)})})
            await self.queue.server_settings.put(str(guild.id), denied, "1")
        else:
            log = guild.channel("log")
            self.logs.add(log.id)
            rights = {"Ada": ("manage_expressions",), "Mona": ("manage_messages", "manage_guild"), "Eve": ()}
            who = {name: guild.member(name, user=user, permissions=rights[name]) for name, user in self.users.items()}
            only = {"age_restricted": "only"} if kind == "adults" else {"age_restricted": "relaxed"}
            given = {"log_channel": str(log.id), "hold_from": 0, **only}
            await self.queue.server_settings.put(str(guild.id), ServerSettings.model_validate(given), "1")
        self.places[kind] = Place(kind, channel, who)
        actions = {"ruled": Action.REFUSE, "holding": Action.HOLD, "spoiling": Action.SPOILER}
        store = self.queue.moderation.store
        if kind in actions:
            await store.add_rule(str(guild.id), Rule(kind="word", pattern=WORD, action=actions[kind]), "1")
        if kind == "banned":
            await store.ban(str(guild.id), "member", str(self.users["Ada"].id), "1", until=None)

    async def _job(self, state: str) -> Job:
        """One finished picture of Ada's, whatever has become of it since."""
        home, ada = self.places["home"], str(self.users["Ada"].id)
        server = "dm" if state == "dm" else str(home.channel.guild.id if home.channel.guild else "")
        asked = image_request(prompt=f"a red {WORD}", count=2, seed=1000 + 10 * STATES.index(state))
        reply = {"kind": "walk", "private": state == "private"}
        ticket = await self.queue.submit(
            asked, key=f"{state} {ada}", member=ada, server=server, reply=reply, relaxed=state == "relaxed"
        )
        job = ticket.job

        async def rendered() -> bool:
            return (await self.queue.job(job.id)).state is JobState.RENDERED

        await until(rendered)
        await self.queue.mark_notified(job.id)
        store = self.queue.moderation.store
        match state:
            case "held":
                await store.mark(job.id, review="held")
                await self.queue.moderation.reports.file(server, job.id, "review", "daguerre")
            case "spoilered":
                await store.mark(job.id, spoiler=True)
            case "hidden" | "deleted":
                await store.mark(job.id, **{state: True})
            case "reported":
                await self.queue.moderation.reports.file(server, job.id, "report", str(self.users["Eve"].id))
            case "expired":
                gone = update(JOBS).where(JOBS.c.id == job.id).values(pictures=[])
                for name in (await self.queue.job(job.id)).pictures:
                    await self.queue._pictures.remove(name)
                await self.queue._database.change(lambda one: one.execute(gone).rowcount)
            case _:
                pass
        return await self.queue.job(job.id)

    # ---- doing something and waiting until it is over

    async def settle(self, record: InteractionRecord | None = None) -> None:
        if record is not None:
            ack = await record.ack()
            await until(lambda: not record.thinking)
            source = record.interaction.source
            if ack.type == DEFERRED_UPDATE and source is not None:
                # The message that was pressed changes, or goes.
                with suppress(TimeoutError):
                    await until(lambda: len(source.states) > record.interaction.before, 2.0)
        await told(self.queue)
        # What comes behind an answer: cards, copies by direct message, messages that are taken away.
        await asyncio.sleep(0.02)

    # ---- judging

    async def look(self, what: str, *, count: bool = True) -> None:
        """Everything that turned up since the last look."""
        for message in list(self.standin.world.messages.values()):
            for state in message.states[self.looked_at.get(message.id, 0) :]:
                if state.deleted:
                    continue
                for attachment in state.attachments:
                    for job in self.easel.seen_in(attachment.data):
                        why = await self._wrong(message, attachment, await self.queue.job(job))
                        if why and count:
                            self.leaks.append(f"{what}: {why} in #{message.channel.name} ({state.content[:40]!r})")
            self.looked_at[message.id] = len(message.states)
        for job, request in self.easel.orders[self.begun :]:
            why = await self._begun_wrongly(await self.queue.job(job), request)
            if why and count:
                self.leaks.append(f"{what}: {why}")
        self.begun = len(self.easel.orders)
        made = [one for place in self.places.values() for one in self._made(place)]
        for one in (one for one in made if one["id"] not in self.expressions):
            job = next((job for job in self.jobs.values() if job.id[-8:] in str(one["name"])), None)
            if count and (job is None or await self._closed_for_emoji(job)):
                self.leaks.append(f"{what}: an expression {one['name']}")
        self.expressions = {one["id"] for one in made}

    def _made(self, place: Place) -> list[Any]:
        guild = place.channel.guild
        return [] if guild is None or place.kind == "denied" else [*guild.emojis, *guild.stickers]

    async def _closed_for_emoji(self, job: Job) -> bool:
        marks = await self.queue.moderation.store.marks(job.id)
        reported = await self.queue.moderation.reports.open_about(job.id)
        decided = marks.review in ("held", "rejected") or marks.deleted or marks.spoiler or marks.hidden
        return decided or reported or marks.relaxed or not job.pictures

    async def _wrong(self, message: Message, attachment: SeenAttachment, job: Job) -> str:
        """What is wrong with a picture of that job being there; empty for nothing."""
        channel = message.channel
        if channel.id in self.logs:
            return "" if attachment.spoiler else f"an unblurred card of {job.id[:8]}"
        store, server = self.queue.moderation.store, str(channel.guild.id) if channel.guild else "dm"
        marks = await store.marks(job.id)
        if marks.review in ("held", "rejected") or marks.deleted:
            return f"a picture that is {marks}"
        hidden, removed = (False, False) if server == job.server else await store.marks_elsewhere(job.id, server)
        viewer = message.viewer or channel.recipient
        kind = next((place.kind for place in self.places.values() if place.channel is channel), "")
        if viewer is None:
            closed = kind in CLOSED and (kind not in RULED or WORD in job.request.prompt)
            foreign = closed or removed or (marks.relaxed and channel.id not in self.adult)
            if foreign:
                return f"a picture for everybody where it may not be: {kind}, {marks}"
            if job.reply.get("private"):
                asked = (message.interaction or {}).get("user", {}).get("id")
                if asked != job.member:
                    return "a private picture, shown to all by somebody else"
        elif str(viewer.id) != job.member and not (
            viewer is self.users["Mona"] and channel.guild is not None and str(channel.guild.id) == job.server
        ):
            return f"somebody else's picture before {viewer.name}"
        answer = job.reply.get("message") == message.id
        reported = await self.queue.moderation.reports.open_about(job.id) and not answer
        ruled = kind == "spoiling" and WORD in job.request.prompt
        blurred = marks.spoiler or marks.hidden or hidden or reported or ruled
        return f"an unblurred picture that is {marks}" if blurred and not attachment.spoiler else ""

    async def _begun_wrongly(self, job: Job, request: ImageRequest) -> str:
        """What is wrong with a job that began from another's picture; empty for nothing."""
        if request.source is None or request.source.picture.startswith("sources/"):
            return ""
        parent = await self.queue.job(request.source.picture.split("/")[0])
        marks = await self.queue.moderation.store.marks(parent.id)
        if marks.review in ("held", "rejected") or marks.deleted or not parent.pictures:
            return f"begun from a picture that is {marks}"
        closed = {str(place.channel.guild.id) for place in self.places.values() if place.kind in CLOSED
                  and place.kind != "denied" and place.channel.guild is not None}  # fmt: skip
        if job.server in closed:
            return "begun from a picture that may not be shown there"
        mine = await self.queue.moderation.store.marks(job.id)
        blurred = marks.spoiler or marks.hidden or await self.queue.moderation.reports.open_about(parent.id)
        return "made of a blurred picture without being blurred" if blurred and not mine.spoiler else ""
