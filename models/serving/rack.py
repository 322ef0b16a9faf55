"""Several models on one device: one is loaded and draws, the last ones stay in memory.

Looks like one engine from outside; a request's `model` says who draws it, and what names none is drawn by the first.
Which jobs come here, and when another model should have its turn, the queue decides (queue/dispatch/turns.py); the rack
draws what it has been given model by model, in the order in which the requests came, and lets later ones of the loaded
model join as long as nobody waits for another one for long.
"""

from __future__ import annotations

import gc
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..errors import EngineError, Unrenderable
from .engine import Engine
from .inbox import Inbox
from .jobs import Job
from .offers import Offers
from .parking import Kept, places
from .usual import Usual

log = logging.getLogger(__name__)

#: Seconds for each second of loading that requests of another model wait while those of the loaded one go on.
PATIENCE = 4.0


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that waits: who shall draw it, and since when it is here."""

    model: str
    came: float


def joining(waiting: Sequence[Asked], active: str, *, busy: bool, now: float, patience: float) -> str:
    """The model whose waiting requests are taken next; empty: none are, until the loaded one is done. Pure.

    Args:
        waiting: in the order in which they came.
        active: the model that is loaded.
        busy: whether it draws.
        now: on the clock of `came`.
        patience: seconds for which requests of other models are passed by.
    """
    others = [one for one in waiting if one.model != active]
    if not others:
        return active
    first = next((one for one in waiting if one.model == active), None)
    if first is not None and (first.came <= others[0].came or now - others[0].came < patience):
        return active
    return "" if busy else others[0].model


class Rack(Inbox):
    """Engines by the names of their models; all are of one device."""

    def __init__(
        self,
        engines: Mapping[str, Engine],
        *,
        budget: int,
        on_change: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`budget`: bytes of memory that models which do not draw may take. `on_change` is called in the engine's
        thread when another one was loaded."""
        super().__init__(clock)
        self._engines = dict(engines)
        self._first = next(iter(engines))
        self._budget = budget
        self.on_change = on_change
        #: Those that are loaded, the one that was used last at the end, and whether they lie on the device.
        self._loaded: OrderedDict[str, bool] = OrderedDict()
        self._active = ""
        #: The one that is being loaded.
        self._coming = ""
        #: Seconds that loading took from the disk, and from memory.
        self._from_disk: dict[str, float] = {}
        self._from_memory: dict[str, float] = {}
        #: Why models cannot be used.
        self._broken: dict[str, str] = {}
        #: How often another model was loaded, for measurements; forwards and rows of models that were given up.
        self.swaps = 0
        self._gone = [0, 0]

    def load(self) -> None:
        """Load each model once, so that what cannot be used is known before anybody asks for it; the first stays.

        Raises:
            EngineError: the first one cannot be used. Others are left out, and the log says why.
        """
        for name in reversed(self._engines):
            try:
                self._activate(name)
            except EngineError as problem:
                if name == self._first:
                    raise
                self._leave_out(name, problem)

    # What there is

    @property
    def models(self) -> tuple[str, ...]:
        """What can be asked for; the first draws what names none."""
        return tuple(name for name in self._engines if name not in self._broken)

    @property
    def active(self) -> str:
        """The model that is loaded, or just being loaded."""
        return self._active or self._coming

    @property
    def loaded(self) -> tuple[str, ...]:
        """All that are in memory or on the device, the one that was used last at the end."""
        return tuple(self._loaded)

    @property
    def seconds(self) -> Mapping[str, float]:
        """Until each model would draw, as it was measured."""
        found = {
            name: self._from_memory.get(name, 0.0) if name in self._loaded else self._from_disk.get(name, 0.0)
            for name in self.models
        }
        return found | {self.active: 0.0}

    @property
    def loop(self) -> Rack:
        """What draws, for those who count."""
        return self

    @property
    def forwards(self) -> int:
        """Of all models so far."""
        return self._gone[0] + sum(engine.counted[0] for engine in self._engines.values())

    @property
    def rows(self) -> int:
        """Of all models so far."""
        return self._gone[1] + sum(engine.counted[1] for engine in self._engines.values())

    @property
    def slots(self) -> int:
        """Jobs of the loaded model that should be here at a time."""
        return self._engines[self._active or self._first].slots

    @property
    def most_slots(self) -> int:
        return max(engine.slots for engine in self._engines.values())

    def engine(self, name: str = "") -> Engine:
        """That of a model; empty: of the first."""
        return self._engines[name or self._first]

    @property
    def usual(self) -> Usual:
        """Of the first model."""
        return self.engine().usual

    @property
    def largest(self) -> int:
        """Of the first model."""
        return self.engine().largest

    @property
    def image_prompts(self) -> bool:
        """Of the first model."""
        return self.engine().image_prompts

    def describe(self) -> Mapping[str, Any]:
        """Of the first model."""
        return self.engine().describe()

    @property
    def offers(self) -> Offers:
        """What the operator's folders offer besides, the same for all."""
        return self.engine().offers

    # The engine's thread

    def tick(self) -> bool:
        """Hand over what is due, after loading its model where that is another one, and draw a step."""
        self._leave()
        moved = self._hand_over()
        return (self._loop.tick() if self._active else False) or moved

    @property
    def _loop(self) -> Inbox:
        return self._engines[self._active].loop

    def _begun(self) -> set[Job]:
        return {*self._loop._jobs(), *self._loop._inbox} if self._active else set()

    def _drop(self, job: Job, error: BaseException) -> None:
        if job in self._begun():
            self._loop._drop(job, error)
        super()._drop(job, error)

    def close(self) -> None:
        super().close()
        for name in self.loaded:
            self._engines[name].close()

    def _name(self, job: Job) -> str:
        return job.request.model or self._first

    def _hand_over(self) -> bool:
        for job in [job for job in self._waiting if self._name(job) not in self.models]:
            there = ", ".join(self.models)
            why = self._broken.get(self._name(job), f"there is no such model here; there are: {there}")
            self._drop(job, Unrenderable(f"The model {self._name(job)} cannot draw: {why}"))
        if not self._waiting:
            return False
        asked = [Asked(self._name(job), job.came) for job in self._waiting]
        others = [one.model for one in asked if one.model != self._active]
        patience = PATIENCE * self.seconds[others[0]] if others else 0.0
        name = joining(asked, self._active, busy=bool(self._begun()), now=self._clock(), patience=patience)
        if not name:
            return False
        if name != self._active and not self._change(name):
            return True
        due = [job for job in self._waiting if self._name(job) == name]
        self._waiting = [job for job in self._waiting if self._name(job) != name]
        self._loop.take(due)
        return bool(due)

    # Loading

    def _change(self, name: str) -> bool:
        """Load another model; where that fails the last one goes on. Gives whether it is loaded."""
        before = self._active
        try:
            self._activate(name)
        except Exception as problem:
            self._leave_out(name, problem)
            self._activate(before)
            return False
        finally:
            self.on_change()
        self.swaps += 1
        log.info(
            "another model is loaded model=%s seconds=%.2f kept=%s",
            name, self._from_memory.get(name, self._from_disk.get(name, 0.0)), ",".join(self.loaded[:-1]) or "none",
        )  # fmt: skip
        return True

    def _leave_out(self, name: str, problem: Exception) -> None:
        self._broken[name] = str(problem) or type(problem).__name__
        self._give_up(name)
        _collect()
        log.error("a model cannot be used and is left out model=%s reason=%s", name, self._broken[name])

    def _give_up(self, name: str) -> None:
        self._loaded.pop(name, None)
        forwards, rows = self._engines[name].counted
        self._engines[name].unload()
        self._gone = [self._gone[0] + forwards, self._gone[1] + rows]

    def _activate(self, name: str) -> None:
        """Raises: EngineError, and whatever moving it raises."""
        begun = time.perf_counter()
        engine = self._engines[name]
        if self._active in self._engines:
            self._engines[self._active].rest()
        self._active, self._coming = "", name
        from_memory = name in self._loaded
        on_device = self._loaded.get(name, False)
        self._make_room(name, engine)
        if not from_memory:
            try:
                engine.load()
            except EngineError:
                if not any(self._loaded.values()) or engine.device == "cpu":
                    raise
                # What was left on the device may have been too much beside it.
                self._make_room(name, engine, all_of_it=True)
                engine.load()
        elif not on_device:
            engine.held.resume(engine.device)
        self._loaded[name] = engine.device != "cpu"
        self._loaded.move_to_end(name)
        self._active = name
        (self._from_memory if from_memory else self._from_disk)[name] = time.perf_counter() - begun

    def _make_room(self, name: str, engine: Engine, *, all_of_it: bool = False) -> None:
        kept = [
            Kept(each, self._engines[each].held.bytes, there) for each, there in self._loaded.items() if each != name
        ]
        free = None if engine.device == "cpu" else int(torch.cuda.mem_get_info(engine.device)[0])
        if all_of_it and free is not None:
            free = -(1 << 60)
        needed = 0 if self._loaded.get(name, False) else engine.held.bytes
        parked, given_up = places(kept, needed, free, self._budget)
        for each in parked:
            try:
                self._engines[each].held.park()
                self._loaded[each] = False
            except Exception as problem:
                # Some quantised weights cannot be moved: they are read again.
                log.info("a model cannot be kept in memory model=%s reason=%s", each, type(problem).__name__)
                given_up = (*given_up, each)
        for each in given_up:
            self._give_up(each)
        if parked or given_up:
            _collect()


def _collect() -> None:
    """Networks hold each other in rings; their memory is wanted now."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
