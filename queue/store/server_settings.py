"""What a Discord server's managers may set, kept in versions: who changed what, when."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_serializer, field_validator
from sqlalchemy import Connection, String, bindparam, insert, select

from ..records import LONGEST_SIDE, ImageRequest, Usual, parse_roles
from . import prepared
from .audit import append
from .database import Database
from .schema import SERVER_SETTINGS
from .ttl_cache import TtlCache

#: An id of Discord's.
Id = Annotated[str, StringConstraints(pattern=r"^\d{1,20}$")]
Ids = Annotated[frozenset[Id], Field(max_length=100)]
Names = Annotated[frozenset[Annotated[str, StringConstraints(min_length=1, max_length=100)]], Field(max_length=100)]


class ServerSettings(BaseModel):
    """One server's defaults and limits; the defaults of a server that never set any."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Defaults of a request. None: nobody set it, it follows the model. Versions before this one stored numbers, which
    # hold as if they had been set: nobody can tell any more who set 16 and who left it.

    #: Denoising steps.
    steps: Annotated[int, Field(ge=1, le=50)] | None = None
    #: Classifier-free guidance scale.
    guidance: Annotated[float, Field(ge=1.0, le=12.0, allow_inf_nan=False)] | None = None
    #: Side of a delivered picture in pixels.
    size: Literal[128, 256, 512, 768, 1024] | None = None

    # Clamps: what is asked beyond them is brought down to them

    most_steps: Annotated[int, Field(ge=1, le=100)] = 100
    least_guidance: Annotated[float, Field(ge=1.0, le=20.0, allow_inf_nan=False)] = 1.0
    most_guidance: Annotated[float, Field(ge=1.0, le=20.0, allow_inf_nan=False)] = 20.0
    #: Longest side in pixels.
    most_size: Annotated[int, Field(ge=64, le=LONGEST_SIDE, multiple_of=64)] = LONGEST_SIDE
    #: Pictures of one request.
    most_count: Annotated[int, Field(ge=1, le=4)] = 4
    #: Requests that one prompt with `{a,b}` may become; and that `--repeat` may.
    most_permutations: Annotated[int, Field(ge=1, le=40)] = 40
    most_repeat: Annotated[int, Field(ge=1, le=40)] = 40

    # Where, who and what

    #: Ids of the channels, and of the categories, where pictures may be asked for; both empty: all.
    channels: Ids = frozenset()
    categories: Ids = frozenset()
    #: Where they may not, whatever the lists above say.
    denied_channels: Ids = frozenset()
    denied_categories: Ids = frozenset()
    #: Names that may be asked for; empty: all.
    models: Names = frozenset()
    styles: Names = frozenset()
    #: What roles get, as in `[queue] roles`: "<role id> weight=2 queued=50 daily_seconds=3600".
    roles: Annotated[tuple[Annotated[str, StringConstraints(max_length=200)], ...], Field(max_length=100)] = ()
    #: Roles that may use the fast lane; empty: all. The others wait in the relaxed one.
    fast_roles: Ids = frozenset()
    #: Waiting jobs of one member, and of the server; device time of one member a day in seconds. 0: the operator's.
    queued_per_member: Annotated[int, Field(ge=0, le=1_000)] = 0
    queued_per_server: Annotated[int, Field(ge=0, le=100_000)] = 0
    daily_seconds: Annotated[float, Field(ge=0.0, le=86_400.0, allow_inf_nan=False)] = 0.0

    # How answers look

    #: `en`, `zh-CN`; empty: each member's own.
    language: Literal["", "en", "zh-CN", "zh-TW"] = ""
    #: Pictures as they stand while they are drawn.
    previews: bool = True
    #: All pictures behind a spoiler.
    spoiler: bool = False
    #: The visible mark "AI" on pictures.
    label: bool = False

    # Moderation

    #: `same`: age-restricted channels are like others; `relaxed`: list and output check do not hold there; `only`:
    #: pictures can be asked for only there.
    age_restricted: Literal["same", "relaxed", "only"] = "same"
    #: The shipped list of words.
    default_rules: bool = True
    #: Score of the output check, in percent, from which a picture is held for review; 0: never.
    hold_from: Annotated[int, Field(ge=0, le=100)] = 80
    #: Warnings within 30 days after which a member is shut out, and for how many minutes.
    warnings: Annotated[int, Field(ge=1, le=20)] = 3
    timeout_minutes: Annotated[int, Field(ge=1, le=40_320)] = 60
    #: Channel for reports and pictures to review; empty: none.
    log_channel: Annotated[str, StringConstraints(pattern=r"^\d{0,20}$")] = ""
    #: Days for which prompts and pictures of this server are kept; 0: the operator's.
    keep_days: Annotated[int, Field(ge=0, le=3_650)] = 0

    @field_validator("roles")
    @classmethod
    def _readable(cls, roles: tuple[str, ...]) -> tuple[str, ...]:
        parse_roles(roles)
        return roles

    @field_serializer(
        "channels", "categories", "denied_channels", "denied_categories", "models", "styles", "fast_roles",
        when_used="json",
    )  # fmt: skip
    def _sorted(self, names: frozenset[str]) -> list[str]:
        return sorted(names)

    def allows(self, channel: str, category: str = "") -> bool:
        """Whether pictures may be asked for in this channel, which hangs in this category (empty: in none)."""
        if channel in self.denied_channels or (category and category in self.denied_categories):
            return False
        if not self.channels and not self.categories:
            return True
        return channel in self.channels or category in self.categories

    def over(self, usual: Usual) -> Usual:
        """What is usual here: what was set, else what is usual for the model."""
        mine = {"steps": self.steps, "guidance": self.guidance, "size": self.size}
        return usual.model_copy(update={name: value for name, value in mine.items() if value is not None})

    def clamped(self, request: ImageRequest) -> ImageRequest:
        """The request within the clamps; a picture that is too large keeps its shape as far as steps of 16 allow."""
        longest = max(request.width, request.height)
        share = min(1.0, self.most_size / longest)
        changes: dict[str, Any] = {
            "steps": min(request.steps, self.most_steps),
            "guidance": min(max(request.guidance, self.least_guidance), max(self.most_guidance, self.least_guidance)),
            "count": min(request.count, self.most_count),
            "width": max(64, round(request.width * share / 16) * 16),
            "height": max(64, round(request.height * share / 16) * 16),
            "label": request.label or self.label,
        }
        changed = {name: value for name, value in changes.items() if value != getattr(request, name)}
        return request.model_copy(update=changed) if changed else request


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

    @property
    def differences(self) -> dict[str, tuple[Any, Any]]:
        """Old and new value of each field that changed, as JSON has them."""
        old, new = self.old.model_dump(mode="json"), self.new.model_dump(mode="json")
        return {name: (old[name], new[name]) for name in new if old[name] != new[name]}


class ServerSettingsStore:
    """Settings of all servers; those in use are kept in memory, which follows each change made here.

    Methods raise StorageFull or QueueUnavailable when the database fails.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._fresh = TtlCache(self._read)
        #: What was read or written last, by server: for what cannot wait.
        self._known: dict[str, ServerSettings] = {}

    def known(self, server: str) -> ServerSettings:
        """As they were when last read; the defaults of a server that nobody asked about yet."""
        return self._known.get(server, ServerSettings())

    async def get(self, server: str) -> ServerSettings:
        found = await self._fresh.get(server)
        self._known[server] = found
        return found

    async def put(self, server: str, settings: ServerSettings, who: str) -> SettingsChange:
        """Store a new version; earlier ones are kept, and the audit log gets an entry."""

        def work(connection: Connection) -> SettingsChange:
            version, old = _newest(connection, server)
            change = SettingsChange(version=version + 1, who=who, when=time.time(), old=old, new=settings)
            values = {
                "server": server,
                "version": change.version,
                "who": who,
                "changed": change.when,
                "old": old.model_dump(mode="json"),
                "new": settings.model_dump(mode="json"),
            }
            connection.execute(insert(SERVER_SETTINGS), values)
            told = {name: list(values) for name, values in change.differences.items()}
            append(connection, server, who, "settings", {"version": change.version, "changed": told})
            return change

        try:
            change = await self._database.change(work)
        finally:
            self._fresh.drop(server)
        self._known[server] = settings
        return change

    async def _read(self, server: str) -> ServerSettings:
        return (await self._database.view(lambda connection: _newest(connection, server)))[1]

    async def changes(self, server: str, limit: int = 20) -> tuple[SettingsChange, ...]:
        """The last changes, newest first."""
        columns = SERVER_SETTINGS.c
        query = select(columns.version, columns.who, columns.changed, columns.old, columns.new)
        query = query.where(columns.server == server).order_by(columns.version.desc()).limit(limit)
        rows = await self._database.view(lambda connection: connection.execute(query).all())
        return tuple(
            SettingsChange(version=version, who=who, when=when, old=_settings(old), new=_settings(new))
            for version, who, when, old, new in rows
        )


#: Built once: putting a statement together costs more than running it.
_NEWEST = (
    select(SERVER_SETTINGS.c.version, SERVER_SETTINGS.c.new)
    .where(SERVER_SETTINGS.c.server == bindparam("of", type_=String))
    .order_by(SERVER_SETTINGS.c.version.desc())
    .limit(1)
)


def _newest(connection: Connection, server: str) -> tuple[int, ServerSettings]:
    row = prepared.first(connection, _NEWEST, {"of": server})
    return (0, ServerSettings()) if row is None else (row["version"], _settings(row["new"]))


def _settings(stored: dict[str, Any]) -> ServerSettings:
    """What was stored, field by field: one that a later version narrowed or dropped falls back to its default."""
    try:
        return ServerSettings.model_validate(stored)
    except ValidationError as problems:
        bad = {str(problem["loc"][0]) for problem in problems.errors() if problem["loc"]}
        return ServerSettings.model_validate({name: value for name, value in stored.items() if name not in bad})
