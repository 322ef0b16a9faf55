"""Which model a worker with several draws next, and when loading another one pays. Pure.

The fair order (fair.py) knows no models. A worker follows it, but for two things:

- It goes on with jobs of the model that it has loaded, though another model's job is next, until it was given
  `PATIENCE` times as many seconds of work as loading that other one takes. So while jobs of both wait at most one part
  in 1 + `PATIENCE` of its time goes into loading, and a job is passed by for so many seconds of work and no longer.
- It does not load a model that another worker has loaded, if what waits for it there is done sooner than loading is.

Where nothing else waits it loads whatever is next at once. Whoever is next then pays for loading as for device time.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass

from ..records import Entry, Needs
from .fair import FairQueue
from .worker_registry import Group

#: Seconds of work of one model for each second that loading the next one takes; and the most of them.
PATIENCE = 4.0
LONGEST = 300.0


@dataclass(slots=True)
class Turn:
    """What a worker has been sent since its last model began."""

    model: str
    #: Seconds of work.
    work: float = 0.0

    def over(self, swap: float) -> bool:
        """Whether a model that takes so long to load has its turn."""
        return self.work >= min(LONGEST, PATIENCE * swap)

    def sent(self, model: str, cost: float) -> None:
        """Note a job that was sent."""
        self.work = cost if model != self.model else self.work + cost
        self.model = model


@dataclass(frozen=True, slots=True)
class Next:
    """A job to be sent to a worker, and the seconds that are lost to loading its model."""

    entry: Entry
    model: str
    swap: float = 0.0


@dataclass(frozen=True, slots=True)
class Chooser:
    """How one look at the queue is taken: what is held back or full, and how much each group has still to do."""

    queue: FairQueue
    groups: Sequence[Group]
    turns: Mapping[str, Turn]
    #: Cost of the jobs that are with each group.
    out: Mapping[str, float]
    held: Container[str] = ()
    full: Callable[[Entry], bool] | None = None

    def loaded(self, group: Group) -> Next | None:
        """The next job for what a group has loaded, as long as no other model has its turn there."""
        found = self._next(group)
        if found is None or found.model == self.turns[group.name].model:
            return found
        own = self._own(group)
        return own if own is not None and not self.turns[group.name].over(found.swap) else None

    def any(self, group: Group) -> Next | None:
        """The next job for a group, whatever has to be loaded for it, if that pays; else one for what is loaded."""
        found = self._next(group)
        if found is None or found.model == self.turns[group.name].model:
            return found
        own = self._own(group)
        if own is not None and not self.turns[group.name].over(found.swap):
            return own
        return found if self._pays(found, group) else own

    def _next(self, group: Group) -> Next | None:
        entry = self.queue.next(group.capability.fits, held=self.held, full=self.full)
        if entry is None:
            return None
        model = group.capability.model_for(entry.needs)
        swap = 0.0 if model == self.turns[group.name].model else group.swaps.get(model, 0.0)
        return Next(entry, model, swap)

    def _own(self, group: Group) -> Next | None:
        """The next job of the model that the group has loaded."""
        able, model = group.capability, self.turns[group.name].model
        entry = self.queue.next(
            lambda needs: able.fits(needs) and able.model_for(needs) == model, held=self.held, full=self.full
        )
        return None if entry is None else Next(entry, model)

    def _pays(self, found: Next, group: Group) -> bool:
        """Whether loading the model is done sooner than what waits for it where it is loaded already."""
        elsewhere = [
            other
            for other in self.groups
            if other is not group and other.capability.fits(found.entry.needs) and self._has(other, found.entry.needs)
        ]
        if not elsewhere:
            return True
        able = group.capability
        waits = self.queue.work(lambda needs: able.fits(needs) and able.model_for(needs) == found.model)
        return waits + sum(self.out.get(other.name, 0.0) for other in elsewhere) > found.swap

    def _has(self, group: Group, needs: Needs) -> bool:
        """Whether a group can draw such a job without loading anything."""
        return not group.several or self.turns[group.name].model == group.capability.model_for(needs)
