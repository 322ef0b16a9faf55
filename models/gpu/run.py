"""`scripts/gpu-run STAGE --minutes N`: one stage on whatever machine this is, within the time (docs/gpu.md)."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import torch

from ..commands.kinds import read_pipeline
from ..errors import ModelError
from ..training import recipes
from ..training.upscaler import UpscalerRecipe
from . import device
from .budget import Clock
from .job import Job
from .stage_bench import bench
from .stage_codec import codec
from .stage_denoiser import denoiser
from .stage_student import distil
from .stage_text import text
from .stage_upscaler import upscaler

ROOT = Path(__file__).resolve().parents[2]
RECIPES = ROOT / "models" / "recipes"
SHIPPED = ROOT / "models" / "weights" / "first-light"
STAGES = ("codec", "text", "denoiser", "distil", "upscaler", "bench")
#: Share of the time, and seconds at most, that are kept for figures, pictures and results.
RESERVE, RESERVE_MOST = 0.1, 40.0


def main(arguments: list[str] | None = None) -> int:
    """Run the stage; prints its figures and writes them, with the weights, into --out."""
    given = _options().parse_args(arguments)
    # What starting cost before this line counts, too: the shell says when it began.
    spent = max(0.0, time.time() - given.began) / 60 if given.began else 0.0
    clock = Clock(given.minutes - spent)
    asked: list[int] = []
    before = {n: signal.signal(n, lambda n, _: asked.append(n)) for n in (signal.SIGTERM, signal.SIGINT)}
    on = device.found()
    given.out.mkdir(parents=True, exist_ok=True)
    log = (given.out / "log.txt").open("a", encoding="utf-8")

    def report(line: str) -> None:
        told = f"[{60 * given.minutes - clock.left():6.1f} s] {line}"
        print(told, flush=True)
        log.write(told + "\n")
        log.flush()

    try:
        report(f"{given.stage} for {given.minutes:g} minutes on {device.told(on)}")
        figures = run(given, clock, on, lambda: bool(asked), report)
    except ModelError as problem:
        report(f"gpu-run: {problem}")
        return 1
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        log.close()
    figures |= {"device": device.told(on), "minutes": given.minutes, "seconds_left": round(clock.left(), 1)}
    (given.out / "figures.json").write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n")
    print(json.dumps(figures, indent=1, ensure_ascii=False))
    return 0


def run(given: argparse.Namespace, clock: Clock, on: torch.device, stopped: Any, report: Any) -> dict[str, Any]:
    """One stage.

    Raises:
        DataError, TrainingError: says what to do.
    """
    work = given.work
    # What an earlier stage gave on this machine, unless something else is named.
    start = given.start or _first(work / "weights", "model_index.json") or SHIPPED
    job = Job(
        clock=clock, reserve=min(RESERVE_MOST, 60 * RESERVE * given.minutes), device=on, pack=given.pack, work=work,
        out=given.out, start=start, codec=given.codec or _first(work / "codec-weights", "config.json") or start / "vae",
        text=given.text or _first(work / "text-weights", "tokenizer") or start, processes=given.processes,
        fresh=given.fresh, stopped=stopped, report=report,
    )  # fmt: skip
    report(f"begins from {job.start}, codec {job.codec}, text encoder {job.text}")
    if given.stage == "bench":
        return bench(job, ROOT)
    if given.stage == "upscaler":
        file = given.recipe or RECIPES / "gpu-upscaler.toml"
        plan = recipes.section(file, "upscaler", UpscalerRecipe, recipes.read(file).get("upscaler", {}))
        return upscaler(job, plan)
    recipe = read_pipeline(given.recipe or RECIPES / ("gpu-128.toml" if given.resolution == 128 else "gpu.toml"))
    train = {"codec": codec, "text": text, "denoiser": denoiser, "distil": distil}[given.stage]
    return train(job, recipe)


def _first(folder: Path, mark: str) -> Path | None:
    return folder if (folder / mark).exists() else None


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gpu-run", description=__doc__)
    add = parser.add_argument
    add("stage", choices=STAGES)
    add("--minutes", type=float, required=True, help="wall-clock time of everything, starting included")
    add("--resolution", type=int, choices=(64, 128), default=64, help="shorter side of the denoiser's pictures")
    add("--out", type=Path, default=Path(os.environ.get("OUT", "gpu-out")), help="results; $OUT if left out")
    add("--pack", type=Path, default=ROOT / "gpu-pack")
    add("--work", type=Path, default=ROOT / "runs" / "gpu", help="what is kept between calls on the same machine")
    add("--start", type=Path, help="pipeline folder to begin from")
    add("--codec", type=Path, help="folder of another codec")
    add("--text", type=Path, help="folder with another text_encoder/ and tokenizer/")
    add("--fresh", action="store_true", help="begin the stage's networks from nothing")
    add("--recipe", type=Path, help="in place of models/recipes/gpu.toml, gpu-128.toml, gpu-upscaler.toml")
    add("--processes", type=int, help="processes that draw; one a core if left out, 0 for none")
    add("--began", type=float, default=0.0, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
