"""Which workers live, by their heartbeats, and what they can do. Pure: the caller says what time it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..records import Capability, Heartbeat, WorkerInfo


@dataclass(frozen=True, slots=True)
class Group:
    """Living workers with the same abilities, who pull from one line."""

    name: str
    capability: Capability
    slots: int
    #: Of a worker with several models: the one that it has loaded, and seconds until another would be.
    active: str = ""
    swaps: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def several(self) -> bool:
        """Whether its jobs may need one model after the other."""
        return bool(self.capability.line)


@dataclass(frozen=True, slots=True)
class _Heard:
    heartbeat: Heartbeat
    #: Monotonic and Unix time.
    when: float
    seen: float


class WorkerRegistry:
    """The workers heard of within `timeout` seconds."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._heard: dict[str, _Heard] = {}
        #: Monotonic time at which a worker of each group was heard last.
        self._groups: dict[str, float] = {}
        self._began: float | None = None

    def hear(self, heartbeat: Heartbeat, *, now: float, seen: float) -> bool:
        """Note a heartbeat; gives whether the number of slots changed by it."""
        before = self.slots(now)
        self._began = now if self._began is None else self._began
        self._groups[heartbeat.capability.group] = now
        if heartbeat.bye:
            self._heard.pop(heartbeat.instance, None)
        else:
            self._heard[heartbeat.instance] = _Heard(heartbeat, now, seen)
        return self.slots(now) != before

    def slots(self, now: float) -> int:
        return sum(heard.heartbeat.slots for heard in self._live(now))

    def groups(self, now: float) -> tuple[Group, ...]:
        """Those with slots, the narrower abilities first."""
        slots: dict[str, int] = {}
        abilities: dict[str, Capability] = {}
        loaded: dict[str, Heartbeat] = {}
        for heard in self._live(now):
            capability = heard.heartbeat.capability
            abilities[capability.group] = capability
            loaded.setdefault(capability.group, heard.heartbeat)
            slots[capability.group] = slots.get(capability.group, 0) + heard.heartbeat.slots
        found = [
            Group(name, abilities[name], number, loaded[name].active, loaded[name].swaps)
            for name, number in slots.items()
            if number
        ]
        return tuple(sorted(found, key=lambda group: (group.capability.breadth, group.name)))

    def silent(self, group: str, now: float) -> float:
        """Seconds since any worker of the group was heard, or since the first of any was."""
        return now - self._groups.get(group, now if self._began is None else self._began)

    def running(self, now: float) -> Mapping[str, str]:
        """The jobs that living workers say they work on, each with the group of its worker."""
        return {job: heard.heartbeat.capability.group for heard in self._live(now) for job in heard.heartbeat.running}

    def last_jobs(self, now: float) -> set[str]:
        """Ids of the jobs of workers that are stopping: they occupy no slot that counts."""
        return {job for heard in self._live(now) if heard.heartbeat.slots == 0 for job in heard.heartbeat.running}

    def find(self, name: str, now: float) -> list[str]:
        """Instances of the workers of this name, or whose instance begins so."""
        return [
            heard.heartbeat.instance
            for heard in self._live(now)
            if heard.heartbeat.name == name or heard.heartbeat.instance.startswith(name)
        ]

    def workers(self, now: float) -> tuple[WorkerInfo, ...]:
        return tuple(
            WorkerInfo(
                name=heard.heartbeat.name,
                slots=heard.heartbeat.slots,
                busy=len(heard.heartbeat.running),
                device=heard.heartbeat.device,
                models=heard.heartbeat.models,
                seen=heard.seen,
                pool=heard.heartbeat.pool,
                side=heard.heartbeat.side,
                instance=heard.heartbeat.instance,
                adapters=heard.heartbeat.adapters,
                triggers=heard.heartbeat.triggers,
                embeddings=heard.heartbeat.embeddings,
                controls=heard.heartbeat.controls,
                usual=heard.heartbeat.usual,
                digests=heard.heartbeat.digests,
                image_prompts=heard.heartbeat.image_prompts,
                active=heard.heartbeat.active,
                version=heard.heartbeat.version,
            )
            for heard in self._live(now)
        )

    def _live(self, now: float) -> list[_Heard]:
        self._heard = {name: heard for name, heard in self._heard.items() if now - heard.when <= self._timeout}
        return [self._heard[name] for name in sorted(self._heard)]
