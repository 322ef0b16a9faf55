"""Which scheduler steps a U-Net's rows: the checkpoint's own, or another that the operator named; never one in silence.

DPM-Solver++ of order 1 and 2 (midpoint) is a table of numbers that steps all rows of a batch at once (solver.py). Every
other one is a stock scheduler object for each row (stock.py), so that one that diffusers adds later works by itself.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import diffusers
from diffusers import DPMSolverMultistepScheduler

from ..errors import Unsupported, WeightsRefused
from . import solver
from .requests import RenderRequest
from .stock import Run

#: What `[render] sampler` may name: the class, what of the checkpoint's configuration it changes, and the class for
#: flow models where that is another one; None where there is none.
SAMPLERS: Mapping[str, tuple[str, Mapping[str, Any], str | None]] = {
    "ddim": ("DDIMScheduler", {}, None),
    "ddpm": ("DDPMScheduler", {}, None),
    "deis": ("DEISMultistepScheduler", {}, "DEISMultistepScheduler"),
    "dpm++ 2m": ("DPMSolverMultistepScheduler", {}, "DPMSolverMultistepScheduler"),
    "dpm++ 2m karras": ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True}, None),
    "dpm++ 2m exponential": ("DPMSolverMultistepScheduler", {"use_exponential_sigmas": True}, None),
    "dpm++ 2m sde": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}, None),
    "dpm++ 2m sde karras": (
        "DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++", "use_karras_sigmas": True}, None,
    ),
    "dpm++ 2s": ("DPMSolverSinglestepScheduler", {}, None),
    "euler": ("EulerDiscreteScheduler", {}, "FlowMatchEulerDiscreteScheduler"),
    "euler a": ("EulerAncestralDiscreteScheduler", {}, None),
    "euler karras": ("EulerDiscreteScheduler", {"use_karras_sigmas": True}, None),
    "heun": ("HeunDiscreteScheduler", {}, "FlowMatchHeunDiscreteScheduler"),
    "kdpm2": ("KDPM2DiscreteScheduler", {}, None),
    "kdpm2 a": ("KDPM2AncestralDiscreteScheduler", {}, None),
    "lcm": ("LCMScheduler", {}, None),
    "pndm": ("PNDMScheduler", {"skip_prk_steps": True}, None),
    "tcd": ("TCDScheduler", {}, None),
    "unipc": ("UniPCMultistepScheduler", {}, "UniPCMultistepScheduler"),
}  # fmt: skip
#: Settings that only one way of solving or spacing may set: another sampler begins without them.
_OF_ONE_WAY = ("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas", "use_lu_lambdas", "thresholding")
#: Steps with which a scheduler is tried when the weights are loaded.
_TRIED = (1, 4)


@dataclass(frozen=True, slots=True)
class Sampler:
    """How rows are stepped."""

    #: Never stepped itself: each row has a copy.
    scheduler: Any
    #: As the metadata says it.
    name: str
    #: By a table for all rows at once, of that order; 0: a stock object for each row.
    order: int

    def course(self, steps: int, strength: float | None = None) -> solver.Table | Run:
        """A run of `steps`, whole or, with `strength`, of its last part."""
        if not self.order:
            return Run(self.scheduler, steps, strength)
        return course(self.scheduler, steps, strength, self.order)


def course(scheduler: Any, steps: int, strength: float | None, order: int) -> solver.Table:
    """The same by a table."""
    begin = 0 if strength is None else min(solver.start(steps, strength), steps - 1)
    return solver.table(scheduler, steps, begin=begin, order=order)


def sampler_of(own: Any, wanted: str = "") -> Sampler:
    """The checkpoint's own scheduler, or the one that `[render] sampler` names, tried with a few steps.

    Raises:
        WeightsRefused: rows cannot be stepped by it; says why and what can.
    """
    scheduler = own if not wanted else chosen(own, wanted)
    order = table_order(scheduler)
    made = Sampler(scheduler, solver.NAMES[order] if order else name_of(scheduler), order)
    try:
        for steps in _TRIED:
            tried = made.course(steps)
            if isinstance(tried, Run):
                tried.try_out()
    except Exception as problem:
        raise WeightsRefused(
            f"the scheduler {type(scheduler).__name__} cannot step this model ({type(problem).__name__}: {problem}). "
            f"Name another in [render] sampler: {', '.join(SAMPLERS)}."
        ) from problem
    return made


class Samplers:
    """Those of one model: its own or the operator's, and others that requests name, each tried when first named."""

    def __init__(self, own: Any, wanted: str = "") -> None:
        """Raises: WeightsRefused, as `sampler_of`."""
        self._own = own
        self.usual = sampler_of(own, wanted)
        self._named: dict[str, Sampler] = {}

    def of(self, request: RenderRequest) -> Sampler:
        """What steps this request. Raises: Unsupported, says why."""
        name = spelt(request.sampler)
        if not name:
            return self.usual
        if name not in self._named:
            with for_members():
                self._named[name] = sampler_of(self._own, name)
        return self._named[name]


@contextmanager
def for_members() -> Iterator[None]:
    """A sampler that a request names and the model cannot be drawn with is that request's fault."""
    try:
        yield
    except WeightsRefused as problem:
        raise Unsupported(str(problem), "sampler") from problem


def spelt(name: str) -> str:
    """`euler-a` of a prompt, where spaces end a name, is "euler a"."""
    return name.casefold().replace("-", " ")


def chosen(own: Any, wanted: str) -> Any:
    """The scheduler of that name for the model that `own` belongs to: same noise schedule, same prediction.

    Raises:
        WeightsRefused: there is none of that name, or not for such a model.
    """
    if wanted.casefold() not in SAMPLERS:
        raise WeightsRefused(f"There is no sampler {wanted!r}; there are: {', '.join(SAMPLERS)}.")
    kind, changed, of_flows = SAMPLERS[wanted.casefold()]
    config = dict(own.config)
    if is_flow(own):
        if of_flows is None or changed:
            able = ", ".join(name for name, one in SAMPLERS.items() if one[2] and not one[1])
            raise WeightsRefused(f"The sampler {wanted!r} is not for flow models, which take: {able}.")
        kind = of_flows
        shift = config.get("flow_shift", config.get("shift", 1.0))
        changed = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": shift, "shift": shift}
    elif type(own).__name__.startswith("EDM"):
        # The network is conditioned as Karras et al. 2022 do it; only their schedulers do that.
        able = {"euler": "EDMEulerScheduler", "dpm++ 2m": "EDMDPMSolverMultistepScheduler"}
        if wanted.casefold() not in able:
            raise WeightsRefused(f"The sampler {wanted!r} is not for EDM models, which take: {', '.join(able)}.")
        kind = able[wanted.casefold()]
    for name in _OF_ONE_WAY:
        config.pop(name, None)
    for name in ("algorithm_type", "solver_type", "solver_order", "_use_default_values", "variance_type"):
        config.pop(name, None)
    found: Any = getattr(diffusers, kind)
    known = inspect.signature(found.__init__).parameters
    return found.from_config(
        {name: value for name, value in config.items() if name in known},
        **{name: value for name, value in changed.items() if name in known},
    )


def is_flow(scheduler: Any) -> bool:
    """Whether the model predicts the velocity of a flow."""
    return type(scheduler).__name__.startswith("FlowM") or scheduler.config.get("prediction_type") == "flow_prediction"


def table_order(scheduler: Any) -> int:
    """The order of the table that equals this scheduler; 0 where there is none."""
    config = scheduler.config
    same = (
        type(scheduler) is DPMSolverMultistepScheduler
        and config.algorithm_type == "dpmsolver++"
        and config.solver_type == "midpoint"
        and not config.thresholding
        and config.solver_order in solver.NAMES
        and config.get("variance_type") is None
        and not config.get("use_dynamic_shifting")
    )
    return int(config.solver_order) if same else 0


def name_of(scheduler: Any) -> str:
    """As the metadata says it: the class, and what of its settings makes it another method."""
    config = scheduler.config
    told = [type(scheduler).__name__.removesuffix("Scheduler")]
    algorithm = config.get("algorithm_type")
    if algorithm not in (None, "dpmsolver++"):
        told.append(str(algorithm))
    told += [name for name in ("karras", "exponential", "beta", "flow") if config.get(f"use_{name}_sigmas")]
    return " ".join(told)
