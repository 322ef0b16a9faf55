"""What the store of moderation gives: bans, marks of jobs, and what holds in a server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ..errors import QueueError
from .rules import Rule

BanKind = Literal["member", "role", "server"]


Review = Literal["", "held", "released", "rejected"]


class TooManyRules(QueueError):
    """The server has as many rules as it may have."""


@dataclass(frozen=True, slots=True)
class Ban:
    """Somebody may not ask for pictures."""

    number: int
    #: Empty: everywhere.
    server: str
    kind: BanKind
    #: Id of the member, role or server.
    subject: str
    reason: str
    who: str
    #: Unix times; `until` None: for ever.
    at: float
    until: float | None


@dataclass(frozen=True, slots=True)
class Marks:
    """What moderation says about one job."""

    spoiler: bool = False
    review: Review = ""
    hidden: bool = False
    deleted: bool = False
    #: Asked in an age-restricted channel of a server that allows more there.
    relaxed: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """What holds in one server; under the empty name, everywhere."""

    #: Oldest first.
    rules: tuple[Rule, ...]
    #: By kind and subject; some may have ended meanwhile.
    bans: Mapping[tuple[str, str], Ban]
    #: The UTC day of the grants, and their seconds by member.
    day: str
    granted: Mapping[str, float]
