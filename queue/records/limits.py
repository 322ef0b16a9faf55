"""What a member, a server and everybody together may ask for, and how long a job is thought to take. Pure."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from ..errors import QueueFull
from .requests import ImageRequest

#: Seconds of a day; days are UTC's.
DAY = 86_400.0
#: Work of one picture of 256 × 256 at one step.
PIXELS = 256 * 256
#: Seconds that this takes until a worker has been measured: a small model on a processor.
UNMEASURED = 0.1
#: Weight of the newest measurement in the running mean.
NEWEST = 0.1


@dataclass(frozen=True, slots=True)
class Limits:
    """0 means: no limit."""

    #: Waiting jobs of one member, one server, and altogether.
    queued_per_member: int = 20
    queued_per_server: int = 0
    queued_total: int = 0
    #: Jobs with workers at a time; the rest of the member's or server's jobs wait meanwhile.
    running_per_member: int = 0
    running_per_server: int = 0
    #: Device time of one member a day.
    daily_seconds: float = 0.0
    #: The member's share beside others of the server.
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Standing:
    """What counts against the limits when somebody asks for one more job."""

    member: int
    server: int
    total: int
    #: Device time of the member today: used, and estimated for jobs that wait or run.
    seconds: float


def check(limits: Limits, standing: Standing, cost: float, now: float) -> None:
    """Whether one more job of `cost` seconds may be queued at Unix time `now`.

    Raises:
        QueueFull: says which limit, what it allows and when more is allowed.
    """
    for scope, limit, queued in (
        ("member", limits.queued_per_member, standing.member),
        ("server", limits.queued_per_server, standing.server),
        ("total", limits.queued_total, standing.total),
    ):
        if limit and queued >= limit:
            raise QueueFull(limit, scope)
    if limits.daily_seconds and standing.seconds + cost > limits.daily_seconds:
        raise QueueFull(limits.daily_seconds, "daily", resets=day_ends(now))


def day(now: float) -> str:
    """The UTC day of a Unix time: 2026-11-22."""
    return time.strftime("%Y-%m-%d", time.gmtime(now))


def day_ends(now: float) -> float:
    """Unix time at which the next UTC day begins."""
    return (now // DAY + 1) * DAY


def of_roles(limits: Limits, roles: Collection[str], given: Mapping[str, Mapping[str, float]]) -> Limits:
    """The limits of a member who has these roles: of each value the most generous that one of them gives."""
    mine = [given[role] for role in roles if role in given]
    if not mine:
        return limits

    def best(name: str, standard: float) -> float:
        values = [role[name] for role in mine if name in role]
        if not values:
            return standard
        # 0 is no limit at all; weights have no such value.
        return 0 if name != "weight" and 0 in values else max(values)

    return replace(
        limits,
        weight=best("weight", limits.weight),
        queued_per_member=int(best("queued", limits.queued_per_member)),
        daily_seconds=best("daily_seconds", limits.daily_seconds),
    )


#: What an entry of `[queue] roles` may set, and the least of it.
ROLE_FIELDS: Mapping[str, float] = {"weight": 0.01, "queued": 0, "daily_seconds": 0}


def parse_roles(lines: Collection[str]) -> Mapping[str, Mapping[str, float]]:
    """Entries such as `"123456789012345678 weight=2 daily_seconds=600"`, by role id.

    Raises:
        ValueError: names the entry and what is allowed.
    """
    roles: dict[str, Mapping[str, float]] = {}
    for line in lines:
        role, *settings = line.split() or [""]
        values: dict[str, float] = {}
        for setting in settings:
            name, _, value = setting.partition("=")
            try:
                number = float(value)
            except ValueError:
                number = float("nan")
            if name not in ROLE_FIELDS or not ROLE_FIELDS[name] <= number < 1e9:
                raise ValueError(f'"{line}": {setting} is none of {", ".join(f"{each}=…" for each in ROLE_FIELDS)}')
            values[name] = number
        if role and not (role.isascii() and role.isdigit()):
            raise ValueError(f'"{line}": a role id is a number, which Discord copies for you in developer mode')
        if not role or not values:
            raise ValueError(f'"{line}": write a role id and what it sets, such as "123456789012345678 weight=2"')
        roles[role] = values
    return roles


def work(request: ImageRequest) -> float:
    """Size × steps × count, in pictures of 256 × 256 at one step."""
    return request.width * request.height / PIXELS * request.steps * request.count


def learned(seconds_of_work: float, request: ImageRequest, seconds: float) -> float:
    """The running mean of seconds for each unit of `work`, after one more job; odd ones move it little."""
    if seconds <= 0:
        return seconds_of_work
    measured = seconds / work(request)
    held = min(max(measured, seconds_of_work / 8), seconds_of_work * 8)
    return (1 - NEWEST) * seconds_of_work + NEWEST * held
