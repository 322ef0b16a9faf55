"""Which workers live, by their heartbeats. Pure: the caller says what time it is."""

from __future__ import annotations

from dataclasses import dataclass

from .transport import Heartbeat, WorkerInfo


@dataclass(frozen=True, slots=True)
class _Heard:
    heartbeat: Heartbeat
    #: Monotonic and Unix time.
    when: float
    seen: float


class Roster:
    """The workers heard of within `timeout` seconds."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._heard: dict[str, _Heard] = {}

    def hear(self, heartbeat: Heartbeat, *, now: float, seen: float) -> bool:
        """Note a heartbeat; gives whether the number of slots changed by it."""
        before = self.slots(now)
        if heartbeat.bye:
            self._heard.pop(heartbeat.instance, None)
        else:
            self._heard[heartbeat.instance] = _Heard(heartbeat, now, seen)
        return self.slots(now) != before

    def slots(self, now: float) -> int:
        return sum(heard.heartbeat.slots for heard in self._live(now))

    def running(self, now: float) -> set[str]:
        """Ids of the jobs that live workers say they work on."""
        return {job for heard in self._live(now) for job in heard.heartbeat.running}

    def last_jobs(self, now: float) -> set[str]:
        """Ids of the jobs of workers that are stopping: they occupy no slot that counts."""
        return {job for heard in self._live(now) if heard.heartbeat.slots == 0 for job in heard.heartbeat.running}

    def workers(self, now: float) -> tuple[WorkerInfo, ...]:
        return tuple(
            WorkerInfo(
                name=heard.heartbeat.name,
                slots=heard.heartbeat.slots,
                busy=len(heard.heartbeat.running),
                device=heard.heartbeat.device,
                models=heard.heartbeat.models,
                seen=heard.seen,
            )
            for heard in self._live(now)
        )

    def _live(self, now: float) -> list[_Heard]:
        self._heard = {name: heard for name, heard in self._heard.items() if now - heard.when <= self._timeout}
        return [self._heard[name] for name in sorted(self._heard)]
