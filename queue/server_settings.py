"""What a Discord server's managers may set, kept in versions: who changed what, when."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_serializer
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from .database import Database
from .schema import SERVER_SETTINGS


class ServerSettings(BaseModel):
    """One server's defaults and limits; the defaults of a server that never set any."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Denoising steps.
    steps: Annotated[int, Field(ge=1, le=50)] = 16
    #: Classifier-free guidance scale.
    guidance: Annotated[float, Field(ge=1.0, le=12.0, allow_inf_nan=False)] = 3.0
    #: Side of a delivered picture in pixels.
    size: Literal[128, 256, 512] = 256
    #: Ids of the channels where pictures may be asked for; empty: all.
    channels: frozenset[str] = frozenset()

    def allows(self, channel: str) -> bool:
        """Whether pictures may be asked for in this channel."""
        return not self.channels or channel in self.channels

    @field_serializer("channels", when_used="json")
    def _sorted(self, channels: frozenset[str]) -> list[str]:
        return sorted(channels)


@dataclass(frozen=True, slots=True)
class SettingsChange:
    """One version of a server's settings."""

    #: 1 for the first change.
    version: int
    #: Who changed it: an opaque text (a Discord id).
    who: str
    #: Unix time.
    when: float
    old: ServerSettings
    new: ServerSettings


class ServerSettingsStore:
    """Settings of all servers. Methods raise StorageFull or QueueUnavailable when the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, server: str) -> ServerSettings:
        async with self._database.read() as connection:
            return (await _newest(connection, server))[1]

    async def put(self, server: str, settings: ServerSettings, who: str) -> SettingsChange:
        """Store a new version; earlier ones are kept."""
        async with self._database.write() as connection:
            version, old = await _newest(connection, server)
            change = SettingsChange(version=version + 1, who=who, when=time.time(), old=old, new=settings)
            values = {
                "server": server,
                "version": change.version,
                "who": who,
                "changed": change.when,
                "old": old.model_dump(mode="json"),
                "new": settings.model_dump(mode="json"),
            }
            await connection.execute(insert(SERVER_SETTINGS), values)
        return change

    async def changes(self, server: str, limit: int = 20) -> tuple[SettingsChange, ...]:
        """The last changes, newest first."""
        columns = SERVER_SETTINGS.c
        query = select(columns.version, columns.who, columns.changed, columns.old, columns.new)
        query = query.where(columns.server == server).order_by(columns.version.desc()).limit(limit)
        async with self._database.read() as connection:
            return tuple(
                SettingsChange(version=version, who=who, when=when, old=_settings(old), new=_settings(new))
                for version, who, when, old, new in await connection.execute(query)
            )


async def _newest(connection: AsyncConnection, server: str) -> tuple[int, ServerSettings]:
    columns = SERVER_SETTINGS.c
    query = select(columns.version, columns.new).where(columns.server == server)
    row = (await connection.execute(query.order_by(columns.version.desc()).limit(1))).first()
    return (0, ServerSettings()) if row is None else (row[0], _settings(row[1]))


def _settings(stored: dict[str, Any]) -> ServerSettings:
    """What was stored, field by field: one that a later version narrowed or dropped falls back to its default."""
    try:
        return ServerSettings.model_validate(stored)
    except ValidationError as problems:
        bad = {str(problem["loc"][0]) for problem in problems.errors() if problem["loc"]}
        return ServerSettings.model_validate({name: value for name, value in stored.items() if name not in bad})
