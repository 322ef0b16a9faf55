"""The one training loop: set up or resume, one batch, one update, report, save, stop.

What differs from run to run is an `Objective`. Every random number of a step comes from the run's seed and the step, or
from torch's state, which checkpoints keep: a run that was stopped goes on to the same bits.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Generic, TypeVar

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from ..common import Progress
from ..errors import TrainingError
from . import checkpoints
from .processes import Processes
from .schedule import learning_rate

T = TypeVar("T")
Stop = Callable[[], bool]


#: What is told where a loss is not a number.
BROKEN = "The loss is {loss} at step {step}. Lower `rate` and run again; {checkpoint} is good."


def never() -> bool:
    """Nobody asks to stop."""
    return False


@dataclass(slots=True)
class State:
    """How far a run is."""

    step: int = 0
    #: Pictures or texts seen, by all processes; counted, since a recipe's batch may change between two calls.
    samples: int = 0
    #: Seconds of all calls so far.
    seconds: float = 0.0
    #: Of this call: where and when it began.
    first_step: int = 0
    first_sample: int = 0
    began: float = field(default_factory=time.monotonic)

    def pace(self) -> float:
        """Samples per second of this call."""
        return (self.samples - self.first_sample) / (time.monotonic() - self.began)


class Objective:
    """What a run trains, and how one batch is learnt; subclasses set the attributes and say at least `loss`."""

    #: Of the stage, as progress tells it; the recipe is kept as `<name>.json`.
    name: ClassVar[str]
    #: Of the checkpoint, where it is not `name`.
    file: ClassVar[str] = ""
    #: Which numbers of the state a checkpoint keeps.
    kept: ClassVar[tuple[str, ...]] = ("step",)
    #: What is told where the loss is not a number.
    broken: ClassVar[str] = BROKEN
    #: Norm that gradients are cut to; None for as they are.
    clip: ClassVar[float | None] = 1.0

    #: With `steps` and `save_minutes`; saved beside the results.
    recipe: Any
    modules: Mapping[str, nn.Module]
    optimizers: checkpoints.Optimizers
    #: Those that `update` steps; the schedule of the rate is theirs. A group's `share` is its part of the rate.
    stepped: list[Optimizer]
    #: What gradients are cut of, and what is averaged into `average`.
    model: nn.Module
    average: AveragedModel | None = None
    accelerator: Accelerator | None = None
    #: Several processes on one run; None for a stage that one process trains alone.
    several: Processes | None = None
    #: Samples of one update.
    count: int = 0

    def __init__(self, recipe: Any, steps: int | None = None) -> None:
        """`steps`: of the whole run, where the recipe does not say it."""
        self.recipe = recipe
        self.steps: int = recipe.steps if steps is None else steps
        self._smooth = 0.0

    def ready(self) -> None:
        """Called once, after the checkpoint was read."""

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        """Scalar loss of one batch, and what else is told of it."""
        raise NotImplementedError

    def factor(self, step: int) -> float:
        """Share of the full rate."""
        recipe = self.recipe
        return learning_rate(step, self.steps, recipe.warmup, getattr(recipe, "decay", 1.0))

    def learn(self, step: int, checkpoint: Path) -> dict[str, float]:
        """One batch and one update; gives what is told of it."""
        loss, scalars = self.loss(step)
        require_finite(loss, step, checkpoint, self.broken)
        self.update(loss, step)
        return scalars

    def update(self, loss: Tensor, step: int) -> None:
        """One step down the gradient, and of the running average."""
        for optimizer in self.stepped:
            optimizer.zero_grad(set_to_none=True)
        if self.accelerator is None:
            loss.backward()
        else:
            self.accelerator.backward(loss)
        if self.clip is not None:
            clip = nn.utils.clip_grad_norm_ if self.accelerator is None else self.accelerator.clip_grad_norm_
            clip(self.clipped(), self.clip)
        for optimizer in self.stepped:
            optimizer.step()
        if self.average is not None:
            self.average.update_parameters(self.model)

    def clipped(self) -> Iterable[nn.Parameter]:
        """Weights whose gradients are cut together."""
        return self.model.parameters()

    def told(self, state: State, scalars: Mapping[str, float]) -> Mapping[str, float]:
        """What progress is told after a step: the mean loss of about the last 50, the rate, the pace."""
        loss = scalars["loss"]
        self._smooth = loss if not self._smooth else 0.98 * self._smooth + 0.02 * loss
        told = {"loss": self._smooth, "rate": self.recipe.rate * self.factor(state.step - 1)}
        return told | {"samples/s": state.pace()} if "samples" in self.kept else told

    def tell(self, progress: Progress, state: State, scalars: Mapping[str, float]) -> None:
        """Report a step."""
        progress.step(self.name, state.step, self.steps, self.told(state, scalars))

    def save_due(self, seconds: float, took: float) -> bool:
        """Whether it is time to save: `seconds` after the last time, which took `took`."""
        return seconds > 60 * self.recipe.save_minutes

    def saved(self, state: State, *, last: bool) -> None:
        """Called after each checkpoint; `last`: at the end of this call, where the run may have been stopped."""

    def about(self) -> dict[str, Any]:
        """What the run is made of, kept with the recipe."""
        return asdict(self.recipe)

    def made_of(self) -> dict[str, Any]:
        """Further content of the checkpoint's header, which must be the same when a run goes on."""
        return {}


def require_finite(loss: Tensor, step: int, checkpoint: Path, broken: str = BROKEN) -> None:
    """Stop a run before it learns from a broken loss.

    Raises:
        TrainingError: the loss is not a number.
    """
    if not torch.isfinite(loss):
        raise TrainingError(broken.format(loss=loss.item(), step=step, checkpoint=checkpoint))


def train(objective: Objective, run: Path, progress: Progress, stop: Stop = never) -> State:
    """Train to the recipe's last step, from `run`'s checkpoint where there is one, or until `stop`.

    Raises:
        TrainingError: the loss is not a number, or the checkpoint cannot be used or written.
    """
    # Set up, or go on.
    several, main = objective.several, objective.several is None or objective.several.main
    checkpoint = run / f"{objective.file or objective.name}.safetensors"
    made_of = objective.made_of()
    rates = [[group["lr"] for group in optimizer.param_groups] for optimizer in objective.stepped]
    scheduled = list(zip(objective.stepped, rates, strict=True))
    state = State()
    if checkpoint.is_file():
        numbers = checkpoints.load(checkpoint, objective.modules, objective.optimizers)
        if {name: numbers.get(name) for name in made_of} != made_of:
            raise TrainingError(
                f"{checkpoint} was trained on another base, other pictures or another size. Use another run folder, or "
                "delete it."
            )
        state = State(**{name: numbers[name] for name in objective.kept})
        progress.line(f"resumed at step {state.step}")
    if main:
        run.mkdir(parents=True, exist_ok=True)
        (run / f"{objective.name}.json").write_text(json.dumps(objective.about(), indent=1))
    objective.ready()
    state.first_step, state.first_sample, before = state.step, state.samples, state.seconds
    saved = state.began = time.monotonic()
    took = 0.0

    def save(*, last: bool = False) -> None:
        kept = {name: getattr(state, name) for name in objective.kept}
        checkpoints.save(checkpoint, objective.modules, objective.optimizers, kept | made_of)
        objective.saved(state, last=last)

    while state.step < objective.steps and not (stop() if several is None else several.any(stop())):
        # One batch, one update.
        factor = objective.factor(state.step)
        for optimizer, full in scheduled:
            for group, rate in zip(optimizer.param_groups, full, strict=True):
                group["lr"] = rate * factor * group.get("share", 1.0)
        scalars = objective.learn(state.step, checkpoint)
        state.step, state.samples = state.step + 1, state.samples + objective.count
        state.seconds = before + time.monotonic() - state.began

        # Report and save.
        if not main:
            continue
        objective.tell(progress, state, scalars)
        if objective.save_due((now := time.monotonic()) - saved, took):
            save()
            saved = time.monotonic()
            took = saved - now
    if several is None:
        save(last=True)
    else:
        several.alone(lambda: save(last=True))
    return state


class Ahead(Generic[T]):
    """Makes the batch of the next step in a thread of its own while this step computes; a context."""

    def __init__(self, batch: Callable[[int], T], threads: int = 1) -> None:
        """`batch`: by the number of the step, the same at every call. Without `threads` each is made when asked for."""
        self._batch = batch
        self._pool = ThreadPoolExecutor(threads) if threads else None
        self._coming: dict[int, Future[T]] = {}

    def __call__(self, step: int) -> T:
        """The batch of a step."""
        if self._pool is None:
            return self._batch(step)
        coming = self._coming.pop(step, None) or self._pool.submit(self._batch, step)
        found = coming.result()
        self._coming = {step + 1: self._pool.submit(self._batch, step + 1)}
        return found

    def __enter__(self) -> Ahead[T]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
