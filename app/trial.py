"""Draws one small picture as a worker would, and says how that went: run by `daguerre doctor` in a process of its own.

Torch never gets into doctor's process, and what breaks there, even a crash, is one finding and not the end.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..models.errors import EngineError
from ..queue.records import ImageRequest
from .config import load
from .errors import AppError, WorkerError
from .packages import need
from .render import EngineLike, render, usual_for
from .worker import check_weights, load_engine, load_finisher

#: Side in pixels and denoising steps of the picture.
SIDE, STEPS = 64, 4
#: Seconds after which it is given up; large weights on a processor take their time.
TRIAL_TIMEOUT = 600.0


@dataclass(frozen=True, slots=True)
class Trial:
    """How the picture came about."""

    torch: str
    #: Device that it was drawn on, and the processor threads.
    device: str
    threads: int
    #: Seconds until the weights were loaded, torch's import included, and for the picture itself.
    loading: float
    drawing: float
    #: What was understood of the weights, in words; their digest.
    understood: str
    digest: str
    #: torch's CUDA and the memory of its device, in words; empty on a processor.
    cuda: str


def try_drawing(config: Path | None, model: str = "") -> Trial | str:
    """Blocking: the trial of a model, or why no picture can be drawn here and what to do; empty: the first one."""
    command = [sys.executable, "-m", "daguerre.app.trial", str(config.resolve()) if config else "", model]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=TRIAL_TIMEOUT, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        return f"no picture within {TRIAL_TIMEOUT:.0f} s"
    except OSError as error:
        return f"the Python of this installation does not start: {error}"
    try:
        told: Mapping[str, Any] = json.loads(answer.stdout.strip().rpartition("\n")[2])
        return str(told["problem"]) if "problem" in told else Trial(**told)
    except (ValueError, TypeError, KeyError):
        last = answer.stderr.strip().rpartition("\n")[2][:300]
        return f"the drawing process ended with status {answer.returncode}: {last or 'it said nothing'}"


def main() -> None:
    """One line of JSON on standard output: the fields of `Trial`, or `problem`."""
    try:
        config, model = [*sys.argv[1:], "", ""][:2]
        told = asdict(draw(Path(config) if config else None, model))
    except AppError as error:
        told = {"problem": str(error)}
    print(json.dumps(told))  # what the parent reads


def draw(config: Path | None, model: str = "") -> Trial:
    """Blocking: load the weights, draw, look at the picture and mark it.

    Raises:
        AppError: says what to do.
    """
    configuration = load(config)
    begun = time.monotonic()
    need("worker")
    model = model or next(iter(configuration.models))
    check_weights(configuration.models[model])
    devices = configuration.settings.render.devices
    engine = load_engine(configuration, devices[0] if devices else "auto", model=model)
    finisher = load_finisher(configuration)
    loaded = time.monotonic()
    request = ImageRequest(prompt="a red apple", seed=0, steps=STEPS, width=SIDE, height=SIDE)
    try:
        render(engine, request, lambda step, steps: None, finisher)
    except EngineError as error:
        raise WorkerError(str(error)) from None
    drawn = time.monotonic()
    import torch

    about = engine.describe()
    return Trial(
        torch.__version__, str(about["device"]), torch.get_num_threads(),
        round(loaded - begun, 1), round(drawn - loaded, 2), understood(engine), str(about["model_digest"]),
        _cuda(torch, str(about["device"])),
    )  # fmt: skip


def _cuda(torch: Any, device: str) -> str:
    if not device.startswith("cuda"):
        return ""
    free, total = torch.cuda.mem_get_info(device)
    used = torch.cuda.max_memory_reserved(device)
    return f"CUDA {torch.version.cuda}, {used / 2**30:.1f} GB used, {free / 2**30:.1f} of {total / 2**30:.1f} GB left"


def understood(engine: EngineLike) -> str:
    """What the engine makes of its weights: family, scheduler, size, usual steps and guidance, numbers."""
    about, usual = engine.describe(), usual_for(engine)
    guidance = f"guidance {usual.guidance:g}" if usual.guidance > 1 else "no guidance"
    return (
        f"{about['model']}: {about['family']}, scheduler {about['sampler']}, made for {about['native']} × "
        f"{about['native']} pixels in {about['precision']}; requests that say nothing else: {usual.size} × "
        f"{usual.size}, {usual.steps} steps, {guidance}"
    )


if __name__ == "__main__":
    main()
