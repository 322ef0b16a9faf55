"""The render engine against what people run otherwise, on the same weights in the same run.

    python -P benchmarks/render.py --quick --json render.json
    python -P benchmarks/render_plot.py render.json docs/performance-render.png

Open loop: requests arrive by a Poisson process whether or not earlier ones are done, at 0.3, 0.6, 0.9 and 1.2 of what
the plain pipeline manages, and once all together. Compared: (a) `pipe(prompt)` first come, first served; (b) the same
compiled, with `--compile`; (c) requests of one shape that arrive within 50 ms together in one call; (d) ours, compiled
with `--compile`. All in one precision. (b) compiles for minutes for each shape, so one call is measured, and what a
queue before it comes to is worked out for the traces of that shape.

The traces are played by a virtual clock: it goes on by what each forward, decode or call really took, in the time that
the process computed, and jumps over idle time. So with `--threads 1` a busy machine hardly changes the figures, and
hours of light load take minutes; with more threads the machine should be idle. `-P` keeps this folder off the import
path, where queue.py would stand in for the standard library's.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline
from torch.utils.flop_counter import FlopCounterMode

from daguerre.app.config import load
from daguerre.models.common import native_size
from daguerre.models.serving import Progress, RenderRequest, schedule
from daguerre.models.serving.engine import Engine
from daguerre.models.serving.finish import finish
from daguerre.models.serving.jobs import Cancelled

# At the end: `-P` keeps this folder off the path because of queue.py, which stands in for the standard library's.
sys.path.append(str(Path(__file__).parent))
from render_traces import USUAL, Arrival, Clock, Outcome, figures, make_trace

#: Window of request-level batching, in seconds.
WINDOW = 0.05
LOADS = (0.3, 0.6, 0.9, 1.2)
#: How often the traces are played that ratios are taken of.
TURNS = 3
#: What requests must agree on to share one call of the stock pipeline.
SHAPE = attrgetter("steps", "guidance", "width", "height")


def play_ours(engine: Engine, trace: Sequence[Arrival]) -> tuple[list[Outcome], dict[str, Any]]:
    """The trace through the engine's own loop."""
    loop: Any = engine.loop
    clock = Clock(engine.device)
    loop._clock = clock
    outcomes = [Outcome(arrival) for arrival in trace]
    jobs: list[tuple[Outcome, Any]] = []
    coming = list(outcomes)
    late_steps: list[int] = []
    steps_after: dict[int, int] = {}
    rows, forwards = loop.rows, loop.forwards
    while coming or jobs:
        now = clock()
        while coming and coming[0].arrival.at <= now:
            outcome = coming.pop(0)

            def told(progress: Progress, outcome: Outcome = outcome) -> None:
                if progress.preview and outcome.preview != outcome.preview:
                    outcome.preview = clock()
                if id(outcome) in steps_after:
                    steps_after[id(outcome)] += 1

            job = loop.submit(outcome.arrival.ask, told)
            job.came = outcome.arrival.at
            jobs.append((outcome, job))
        for outcome, job in jobs:
            if outcome.arrival.at + outcome.arrival.cancel <= now and id(outcome) not in steps_after:
                steps_after[id(outcome)] = 0
                job.cancel()
        busy = loop.tick()
        for outcome, job in [pair for pair in jobs if pair[1].result.done()]:
            jobs.remove((outcome, job))
            outcome.done = clock()
            outcome.cancelled = isinstance(job.result.exception(), Cancelled)
            if outcome.cancelled:
                late_steps.append(steps_after[id(outcome)])
        if not busy and not jobs and coming:
            clock.wait_until(coming[0].arrival.at)
    loop._clock = Clock(engine.device)
    return outcomes, {
        "cancel_steps": max(late_steps, default=0), "rows": loop.rows - rows, "forwards": loop.forwards - forwards,
    }  # fmt: skip


class Baseline:
    """The stock pipeline with the same upscaler; `together` requests of one kind in one call."""

    def __init__(self, engine: Engine, weights: Path, window: float | None) -> None:
        kind = getattr(torch, engine.describe()["precision"])
        self.pipeline: Any = DiffusionPipeline.from_pretrained(weights, dtype=kind, local_files_only=True)
        self.pipeline.to(engine.device)
        self.pipeline.set_progress_bar_config(disable=True)
        self.pipeline.unet.to(memory_format=torch.channels_last)
        self.context: Any = engine.loop._context  # pyright: ignore
        self.window = window
        self.device = engine.device

    @torch.inference_mode()
    def draw(self, asks: Sequence[RenderRequest]) -> None:
        one, network = asks[0], self.context.network
        width, height = native_size(one.width, one.height, network.native)
        latents = self.pipeline(
            [ask.prompt for ask in asks], num_inference_steps=one.steps, guidance_scale=one.guidance, width=width,
            height=height, generator=[torch.Generator().manual_seed(ask.seeds[0]) for ask in asks],
            output_type="latent",
        ).images  # fmt: skip
        for latent in latents:
            finish(network, self.context.enlarge, latent[None].float(), (one.width, one.height))

    def play(self, trace: Sequence[Arrival]) -> list[Outcome]:
        """First come, first served; cancelling helps only those that have not begun."""
        clock = Clock(self.device)
        outcomes = [Outcome(arrival) for arrival in trace]
        left = list(outcomes)
        while left:
            clock.wait_until(left[0].arrival.at + (self.window or 0.0))
            now = clock()
            first = left[0]
            if first.arrival.at + first.arrival.cancel <= now:
                first.cancelled, first.done = True, now
                left.pop(0)
                continue
            batch = [first]
            if self.window is not None:
                alike = [
                    each for each in left[1:]
                    if each.arrival.at <= now and SHAPE(each.arrival.ask) == SHAPE(first.arrival.ask)
                ]  # fmt: skip
                batch += alike[:7]
            self.draw([each.arrival.ask for each in batch])
            for each in batch:
                each.done = clock()
                left.remove(each)
        return outcomes


class Compiled:
    """(b): `pipe(prompt)` with its U-Net compiled, first come, first served; requests of the usual shape only."""

    def __init__(self, engine: Engine, weights: Path) -> None:
        """Compiles; minutes. Reason in `missing` where it cannot."""
        self.seconds, self.missing = float("nan"), ""
        if engine.device == "cpu" and not (shutil.which("g++") or shutil.which("clang++")):
            self.missing = "not measured: no compiler"
            return
        own = Baseline(engine, weights, None)
        own.pipeline.unet = torch.compile(own.pipeline.unet)
        own.draw([USUAL])
        self.seconds = spent(engine, lambda: own.draw([USUAL]))

    def play(self, trace: Sequence[Arrival]) -> list[Outcome]:
        """What one server that takes `seconds` for each makes of a trace."""
        now, outcomes = 0.0, list[Outcome]()
        for arrival in trace:
            now = max(now, arrival.at) + self.seconds
            outcomes.append(Outcome(arrival, done=now))
        return outcomes


def spent(engine: Engine, work: Callable[[], object], times: int = 3) -> float:
    """Best of some runs."""
    taken: list[float] = []
    for _ in range(times):
        clock = Clock(engine.device)
        work()
        taken.append(clock())
    return min(taken)


def machine() -> str:
    """The processor's name, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def matmul_peak(engine: Engine) -> float:
    """FLOP/s of a large matrix product in the precision of the U-Net, the best of some."""
    side = 1536 if engine.device == "cpu" else 8192
    kind = getattr(torch, engine.describe()["precision"])
    a = torch.randn(side, side, dtype=kind, device=engine.device)
    return 2 * side**3 / spent(engine, lambda: a @ a, 6)


def flop_of_row(engine: Engine, plain: Baseline) -> float:
    """Of one row at the model's own size, counted in the stock U-Net: packed layers are unknown to the counter."""
    network: Any = engine.loop._context.network  # pyright: ignore
    cells = network.native // network.factor
    unet = plain.pipeline.unet
    states = network.encode_prompt(network.plain, "").states.to(unet.dtype).repeat(2, 1, 1)
    sample = torch.zeros(2, network.channels, cells, cells, device=network.device, dtype=unet.dtype)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        unet(sample, torch.zeros(2, device=network.device), encoder_hidden_states=states, return_dict=False)
    return counter.get_total_flops() / 2


def bit_identical(engine: Engine, count: int = 32) -> bool:
    """Mixed requests all together and each alone."""
    asks = [arrival.ask for arrival in make_trace(float("inf"), 1.0, count, mixed=True, seed=7)]
    jobs = [engine.submit(ask) for ask in asks]
    while not all(job.result.done() for job in jobs):
        engine.loop.tick()
    return all(
        job.result.result().pictures[0].tobytes() == engine.draw(ask).pictures[0].tobytes()
        for job, ask in zip(jobs, asks, strict=True)
    )


def alone(engine: Engine, plain: Baseline, quick: bool) -> dict[str, Any]:
    """One picture and one grid with nobody else about; seconds."""
    single = USUAL
    grid = replace(single, seeds=(1, 2, 3, 4))
    plain.draw([single])
    stock, ours = spent(engine, lambda: plain.draw([single])), spent(engine, lambda: engine.draw(single))
    shown: list[float] = []

    def draw_grid() -> None:
        clock, seen = Clock(engine.device), list[float]()
        engine.draw(grid, lambda progress: seen.append(clock()) if progress.preview else None)
        shown.append(seen[0])

    grids = [spent(engine, draw_grid, 1) for _ in range(3)]
    schedule.PREVIEW_SECONDS, usual = float("inf"), schedule.PREVIEW_SECONDS
    quiet = [spent(engine, lambda: engine.draw(grid), 1) for _ in range(3)]
    schedule.PREVIEW_SECONDS = usual
    drafts = [spent(engine, lambda: engine.draw(replace(grid, draft=True)), 1) for _ in range(3)]
    return {
        "sequential_s": stock, "single_s": ours, "single_over_sequential": stock / ours,
        "grid_p50_s": statistics.median(grids), "first_preview_p50_s": statistics.median(shown),
        "preview_overhead": min(grids) / min(quiet) - 1,
        "draft": engine.draw(replace(grid, draft=True)).about["draft"], "draft_grid_p50_s": statistics.median(drafts),
        "bit_identical": bit_identical(engine, 8 if quick else 32),
    }  # fmt: skip


def play_all(
    engine: Engine, baselines: Mapping[str, Baseline | Compiled], seconds: dict[str, Any], count: int
) -> dict[str, Any]:
    """Every trace through every way of serving it."""
    stock, burst = seconds["sequential_s"], float("inf")
    compared = {(0.9, False), (burst, False), (burst, True)}
    kinds = [*((rate, False) for rate in (*LOADS, burst)), (0.9, True), (burst, True)]
    table: dict[str, Any] = {}
    for rate, mixed in kinds:
        trace = make_trace(rate, 1 / stock, count, mixed=mixed, seed=1)
        name = f"{'mixed' if mixed else 'single'}_{'burst' if rate == burst else rate}"
        turns: list[dict[str, Any]] = []
        # What conclusions are drawn from is played in turns: a machine may change its pace from minute to minute.
        for _ in range(TURNS if (rate, mixed) in compared else 1):
            outcomes, extra = play_ours(engine, trace)
            turns.append({"ours": figures(outcomes, seconds["single_s"]) | extra})
            for who, baseline in baselines.items():
                if mixed and isinstance(baseline, Compiled):
                    continue
                turns[-1][who] = figures(baseline.play(trace), stock)
        table[name] = turns[0] | {"turns": turns}
        report({f"{name} {who}": {k: round(v, 3) for k, v in row.items()} for who, row in turns[0].items()})
    return table


def conclude(engine: Engine, plain: Baseline, table: dict[str, Any]) -> dict[str, float]:
    """What the traces come to, and how much of the machine was used at the best batch."""

    def ratio(name: str, key: str) -> float:
        """The middle one of the turns."""
        return statistics.median(turn["ours"][key] / turn["sequential"][key] for turn in table[name]["turns"])

    peak, row = matmul_peak(engine), flop_of_row(engine, plain)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "throughput_over_sequential": ratio("single_burst", "pictures_per_s"),
        "throughput_over_sequential_mixed": ratio("mixed_burst", "pictures_per_s"),
        "throughput_over_request_batching": statistics.median(
            turn["ours"]["pictures_per_s"] / turn["request_batching"]["pictures_per_s"]
            for turn in table["single_burst"]["turns"]
        ),
        "goodput_over_sequential": table["single_0.9"]["ours"]["goodput_per_s"]
        / max(1e-9, table["single_0.9"]["sequential"]["goodput_per_s"]),
        "p95_over_sequential": ratio("single_0.9", "p95"),
        "cancel_steps": max(each["ours"]["cancel_steps"] for each in table.values()),
        "flop_over_peak": max(rows * row / seconds for rows, seconds in pace(engine)) / peak,
        "matmul_gflops": peak / 1e9,
        "row_gflop": row / 1e9,
        "peak_memory_mb": memory if engine.device == "cpu" else torch.cuda.max_memory_allocated() / 2**20,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, default=load(None).weights)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--precision", default="float32", help="of the U-Net on a processor: float32 or bfloat16")
    parser.add_argument("--quick", action="store_true", help="fewer requests; at most 10 minutes on 2 idle cores")
    parser.add_argument("--requests", type=int, help="of each trace")
    parser.add_argument("--compile", action="store_true", help="ours, and baseline (b): each takes minutes")
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    count = wanted.requests or (12 if wanted.quick else 60)
    with tempfile.TemporaryDirectory() as programs:
        engine = Engine(
            wanted.weights, device=wanted.device, threads=wanted.threads, precision=wanted.precision,
            programs=Path(programs) if wanted.compile else None,
        )  # fmt: skip
        engine.load()
    loop: Any = engine.loop
    loop._clock = Clock(engine.device)
    found: dict[str, Any] = {
        "machine": machine(), "threads": torch.get_num_threads(),
        **{name: engine.describe()[name] for name in ("device", "precision", "torch", "diffusers", "model")},
        "compiled": loop._context.network.program is not None,
        "requests": count, "slots": engine.slots, "pace": [list(pair) for pair in pace(engine)],
    }  # fmt: skip
    plain = Baseline(engine, wanted.weights, None)
    baselines: dict[str, Baseline | Compiled] = {
        "sequential": plain, "request_batching": Baseline(engine, wanted.weights, WINDOW)
    }  # fmt: skip
    if wanted.compile:
        compiled = Compiled(engine, wanted.weights)
        found["compiled_s"] = compiled.missing or compiled.seconds
        if not compiled.missing:
            baselines["compiled"] = compiled
    found |= alone(engine, plain, wanted.quick)
    report(found)
    found["traces"] = play_all(engine, baselines, found, count)
    found |= (ends := conclude(engine, plain, found["traces"]))
    report(ends)
    if wanted.json:
        wanted.json.write_text(json.dumps(found, indent=1) + "\n")


def pace(engine: Engine) -> tuple[tuple[int, float], ...]:
    """Measured (rows, seconds of a forward) at the model's own size."""
    loop: Any = engine.loop
    network = loop._context.network
    cells = network.native // network.factor
    return loop._paces.get(network, network.plain, cells, cells).seconds


def report(values: dict[str, Any]) -> None:
    for name, value in values.items():
        print(f"{name:34} {round(value, 4) if isinstance(value, float) else value}", flush=True)


if __name__ == "__main__":
    main()
