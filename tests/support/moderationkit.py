"""A server with its moderator, members and log channel around one bot."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from botkit import Easel
from standin.driver import StandIn
from standin.records import SeenMessage
from standin.tracks import InteractionRecord
from standin.world import Channel, Guild, Member

from daguerre.queue.control.queue import Queue
from daguerre.queue.records.jobs import Job, Rendered
from daguerre.queue.records.requests import ImageRequest
from daguerre.queue.store.server_settings import ServerSettings
from daguerre.queue.worker.settings import JobContext


class ScoringEasel(Easel):
    """Paints, and says what the output check found."""

    def __init__(self) -> None:
        super().__init__()
        self.score = 0.01

    async def __call__(self, request: ImageRequest, context: JobContext) -> Rendered:
        rendered = await super().__call__(request, context)
        return replace(rendered, metadata={**rendered.metadata, "scores": [self.score] * request.count})


@dataclass
class Scene:
    """A server with a moderator, a member, a stranger and a log channel; a bot and a worker run."""

    standin: StandIn
    queue: Queue
    easel: ScoringEasel
    guild: Guild
    studio: Channel
    log: Channel
    mona: Member
    ada: Member
    eve: Member

    @property
    def server(self) -> str:
        return str(self.guild.id)

    async def do(self, who: Member, name: str, **options: Any) -> InteractionRecord:
        return await self.standin.slash(who, self.studio, name, **options)

    async def say(self, who: Member, name: str, **options: Any) -> SeenMessage:
        """What the one who asked reads in the end."""
        record = await self.do(who, name, **options)
        assert (await record.ack()).ephemeral
        return await record.message()

    async def refused(self, who: Member, name: str, **options: Any) -> str:
        """Sent past Discord's own hiding of the command: the handler refuses privately."""
        record = await self.standin.slash(who, self.studio, name, checked=False, **options)
        assert (await record.ack()).ephemeral
        return (await record.message()).content

    async def picture(self, who: Member, prompt: str) -> InteractionRecord:
        record = await self.do(who, "imagine", prompt=prompt)
        await record.wait_for(lambda seen: bool(seen.attachments))
        return record

    async def card(self, part: str) -> SeenMessage:
        return await self.standin.wait_for_message(self.log, lambda seen: part in seen.content)

    async def job(self) -> Job:
        """The newest."""
        jobs, _ = await self.queue.members.history(str(self.ada.id), 1)
        return jobs[0]

    async def actions(self) -> list[str]:
        return [entry.action for entry in await self.queue.moderation.audit.entries(self.server)]


@dataclass
class House:
    """What the tests of this file share: a stand-in with one bot, a queue, a worker. Each test has its own server."""

    standin: StandIn
    queue: Queue
    easel: ScoringEasel
    folder: Path

    async def scene(self, **settings: Any) -> Scene:
        guild = self.standin.guild("Darkroom")
        studio, log = guild.channel("studio"), guild.channel("log")
        mona = guild.member("Mona", permissions=("manage_guild", "manage_messages"))
        self.easel.begun.clear()
        self.easel.score = 0.01
        self.easel.preview = None
        self.easel.go.set()
        scene = Scene(
            self.standin, self.queue, self.easel, guild, studio, log, mona, guild.member("Ada"), guild.member("Eve")
        )
        wanted = ServerSettings.model_validate({"log_channel": str(log.id), **settings})
        await self.queue.server_settings.put(scene.server, wanted, str(mona.id))
        return scene
