"""What setting things out costs, and what it looks like beside the same prompts drawn in one go.

    python -P benchmarks/layout.py [--weights FOLDER] [--threads N] [--sheet FILE]

Each prompt is drawn as a grid of four, as served and `--raw`, turn by turn; seconds are medians, and ratios are of one
run. `-P` keeps this folder off the import path, where queue.py would stand in for the standard library's.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import replace
from pathlib import Path

from PIL import Image

from daguerre.models.serving import RenderRequest
from daguerre.models.serving.engine import Engine

PROMPTS = (
    "a red apple", "a pumpkin on a blue background", "a cat and a dog", "five roses", "两只熊猫和一辆汽车",
    "a fox, a pizza, a banana and a rocket",
)  # fmt: skip
#: Pixels between the pictures of the sheet, and its pictures' side.
GAP, SIDE = 4, 160


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, default=Path("models/weights/first-light"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--sheet", type=Path)
    wanted = parser.parse_args()
    engine = Engine(wanted.weights, device="cpu", threads=wanted.threads)
    engine.load()
    rows: list[list[Image.Image]] = []
    for prompt in PROMPTS:
        served = RenderRequest(prompt, (0, 1, 2, 3), 16, 4.0, 256, 256)
        raw = replace(served, raw=True)
        seconds: dict[str, list[float]] = {"served": [], "raw": []}
        for _ in range(wanted.times):
            for name, ask in (("served", served), ("raw", raw)):
                begun = time.perf_counter()
                drawn = engine.draw(ask)
                seconds[name].append(time.perf_counter() - begun)
                if len(seconds[name]) == 1:
                    rows.append([*drawn.pictures])
        medians = {name: statistics.median(each) for name, each in seconds.items()}
        told = {"prompt": prompt, **{name: round(value, 2) for name, value in medians.items()}}
        print(json.dumps({**told, "ratio": round(medians["served"] / medians["raw"], 2)}, ensure_ascii=False))
    if wanted.sheet is not None:
        sheet(rows).save(wanted.sheet, quality=82)


def sheet(rows: list[list[Image.Image]]) -> Image.Image:
    """One line for each prompt: four as served, a gap, four in one go."""
    lines = [[*rows[k], *rows[k + 1]] for k in range(0, len(rows), 2)]
    step = SIDE + GAP
    whole = Image.new("RGB", (8 * step + 4 * GAP, len(lines) * step), "white")
    for y, line in enumerate(lines):
        for x, picture in enumerate(line):
            small = picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
            whole.paste(small, (x * step + (4 * GAP if x >= 4 else 0), y * step))
    return whole


if __name__ == "__main__":
    main()
