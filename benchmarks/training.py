"""How much of the machine's matrix-multiplication peak the denoiser's training loop reaches.

    python -P benchmarks/training.py [--channels 128,128,192] [--size 64] [--batch 16] [--compile] [--json FILE]

Peak, training and, with --compile, compiled training alternate in one run, so that other work on the machine weighs
on all of them. The operations are counted by torch's own counter over a forward and a backward pass; the optimiser and
the average count as time only.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.flop_counter import FlopCounterMode

from daguerre.models.training import networks
from daguerre.models.training.denoiser import DenoiserRecipe, build, place
from daguerre.models.training.objectives import Flow


def main() -> None:
    options = _options()
    torch.manual_seed(0)
    channels = tuple(int(each) for each in options.channels.split(","))
    recipe = DenoiserRecipe(channels=channels, attention=(False, *(True,) * (len(channels) - 1)), batch=options.batch)
    model = build(recipe, networks.text_encoder(6_144, 192, 3))
    place(model, torch.device("cpu"))
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    side = options.size // networks.LATENT_FACTOR
    clean = torch.randn(options.batch, 4, side, side)
    tokens = torch.randint(2, 6_000, (options.batch, networks.TEXT_LENGTH))
    generator = torch.Generator().manual_seed(0)

    def step(network: nn.Module = model) -> None:
        optimizer.zero_grad(set_to_none=True)
        Flow().loss(network, clean, tokens, generator).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        average.update_parameters(model)

    with FlopCounterMode(display=False) as counter:
        Flow().loss(model, clean, tokens, generator).backward()
    flop = counter.get_total_flops()
    one = torch.randn(2048, 2048)

    def multiply() -> None:
        one @ one

    steps = {"": step}
    if options.compile:
        steps["compiled_"] = partial(step, torch.compile(model))
    for work in (multiply, *steps.values()):
        work()
    peaks: list[float] = []
    paces: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(options.rounds):
        peaks.append(2 * 2048**3 * rate(multiply, 0.7) / 1e9)
        for name, work in steps.items():
            paces[name].append(rate(work, 4.0))
    peak = statistics.median(peaks)
    figures = {
        "parameters_m": sum(p.numel() for p in model.unet.parameters()) / 1e6,
        "gflop_per_sample": flop / options.batch / 1e9,
        "matmul_peak_gflop_per_s": peak,
        "threads": torch.get_num_threads(),
    }
    for name, turns in paces.items():
        pace = statistics.median(turns)
        figures |= {
            f"{name}samples_per_s": pace * options.batch,
            f"{name}gflop_per_s": pace * flop / 1e9,
            f"{name}share_of_peak": pace * flop / 1e9 / peak,
        }
    for name, value in figures.items():
        print(f"{name:26} {value:.3g}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


def rate(work: Callable[[], None], seconds: float) -> float:
    """Calls per second."""
    began, calls = time.monotonic(), 0
    while time.monotonic() - began < seconds:
        work()
        calls += 1
    return calls / (time.monotonic() - began)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--channels", default="128,128,192")
    parser.add_argument("--size", type=int, default=64, help="side of the pictures in pixels")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument(
        "--compile", action="store_true", help="the recipe's `compile` as well; takes a C++ compiler and minutes"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
