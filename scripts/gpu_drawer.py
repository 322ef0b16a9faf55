"""Train the drawer's denoiser on a lent GPU, for some minutes: `pack` at home, `train` there (docs/gpu.md).

A pack holds the drawings as sheets of pictures, their rows, and diffusers, which such machines lack. `train` measures
its pace for some steps, plans as many as the time allows, so that the rate reaches zero in time, saves every 90 seconds
and stops by itself. The same command goes on from the checkpoint as long as the machine is held.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import lzma
import statistics
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from daguerre.models.data import SpriteSet, load
from daguerre.models.drawer.network import DrawerDenoiser
from daguerre.models.errors import DataError, ModelError, TrainingError
from daguerre.models.training import Lines
from daguerre.models.training.drawer import train_drawer
from daguerre.models.training.drawer_run import export_denoiser, open_start, read_drawer

#: Drawings along one side of a sheet, and its WebP quality.
ACROSS, QUALITY = 32, 90
#: Bytes that travel to the machine at most, the tracked files of the tree counted.
TRAVELS = 62 * 2**20
#: Steps by which the pace is measured; and more steps than any lease holds.
TRIED, MANY = 30, 10_000_000
#: Share of the time, and most seconds, that are kept for results; share that is not planned.
KEPT, MOST_KEPT, SPARE = 0.1, 40.0, 0.05


def pack(sprites: SpriteSet, folder: Path, quality: int = QUALITY) -> int:
    """Write sheets, rows and packages; gives their bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    rows = sprites.rows
    (folder / "rows.json.xz").write_bytes(lzma.compress(json.dumps(rows, ensure_ascii=False).encode(), preset=6))
    side, each = sprites.images.shape[1], ACROSS**2
    for number, begin in enumerate(range(0, len(rows), each)):
        sheet = np.zeros((each, side, side, 4), np.uint8)
        part = np.asarray(sprites.images[[row["i"] for row in rows[begin : begin + each]]])
        sheet[: len(part)] = np.where(part[..., 3:] == 0, 0, part)
        whole = sheet.reshape(ACROSS, ACROSS, side, side, 4).swapaxes(1, 2).reshape(ACROSS * side, ACROSS * side, 4)
        Image.fromarray(whole).save(folder / f"sheet-{number:03}.webp", quality=quality, alpha_quality=95, method=4)
    with tarfile.open(folder / "site.tar.xz", "w:xz") as tar:
        for file in importlib.metadata.files("diffusers") or ():
            if file.suffix != ".pyc" and ".." not in file.parts:
                tar.add(Path(str(file.locate())), str(file))
    return sum(file.stat().st_size for file in folder.iterdir())


def unpack(folder: Path) -> SpriteSet:
    """What `pack` wrote, in memory.

    Raises:
        DataError: it is not there, or cut.
    """
    try:
        rows = json.loads(lzma.decompress((folder / "rows.json.xz").read_bytes()))
        parts = []
        for file in sorted(folder.glob("sheet-*.webp")):
            whole = np.asarray(Image.open(file).convert("RGBA"))
            side = whole.shape[0] // ACROSS
            parts.append(whole.reshape(ACROSS, side, ACROSS, side, 4).swapaxes(1, 2).reshape(-1, side, side, 4))
        return SpriteSet(np.concatenate(parts)[: len(rows)], [row | {"i": i} for i, row in enumerate(rows)])
    except (OSError, ValueError, EOFError, lzma.LZMAError) as problem:
        raise DataError(f"There is no whole pack in {folder} ({problem}). Make it with: scripts/gpu-run pack") from None


def train(given: argparse.Namespace, began: float) -> dict[str, float]:
    """Train until the time is over; gives the figures.

    Raises:
        DataError, TrainingError: says what to do.
    """
    minutes = 60 * given.minutes
    end = began + minutes - min(KEPT * minutes, MOST_KEPT)
    cuda = torch.cuda.is_available()
    torch.set_float32_matmul_precision("high")
    sprites = unpack(given.pack)
    wanted = read_drawer(given.recipe)
    wanted = replace(wanted, start=str(given.start or wanted.start))
    tokenizer, text, start = open_start(wanted)
    moments: list[float] = []
    done = {"steps": 0, "samples": 0}

    def run(steps: int, most: int) -> None:
        """Train towards `steps`, `most` of them in this call at most."""

        def stop() -> bool:
            moments.append(time.monotonic())
            return moments[-1] > end or len(moments) > most

        def each_save(model: DrawerDenoiser, step: int, samples: int) -> None:
            export_denoiser(model, given.out / "denoiser")
            done.update(steps=step, samples=samples)

        moments.clear()
        recipe = replace(wanted.drawer, steps=steps, batch=given.batch or wanted.drawer.batch, save_minutes=1.5)
        train_drawer(
            recipe, wanted.feed, sprites, text, tokenizer, start, given.work, Lines(every=15), stop, each_save,
            "cuda" if cuda else "cpu",
        )  # fmt: skip

    # The pace, then as many steps as fit.
    run(MANY, TRIED)
    gaps = [after - before for before, after in pairwise(moments)]
    if len(gaps) < 2:
        raise TrainingError("No step fits into the time that is left. Give more --minutes.")
    pace = statistics.median(gaps[len(gaps) // 3 :])
    further = int((end - time.monotonic()) * (1 - SPARE) / pace)
    print(f"{pace:.3f} s a step: {further} more until {end - time.monotonic():.0f} s from now")
    if further > 0:
        run(done["steps"] + further, MANY)
    return {**done, "seconds_of_a_step": round(pace, 4), "epochs": round(done["samples"] / len(sprites.rows), 2)}


def tree_size() -> int:
    """Bytes of the tracked files of the working tree; 0 without git."""
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return 0
    files = [Path(name.decode()) for name in listed.split(b"\0") if name]
    return sum(file.lstat().st_size for file in files if file.exists())


def main(arguments: list[str] | None = None) -> int:
    """Pack, or train."""
    began = time.monotonic()
    parser = argparse.ArgumentParser(prog="gpu-run", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack", help="write what the machine needs beside the working tree")
    packing.add_argument("--data", type=Path, default=Path("data"), help="folder with sprites64")
    packing.add_argument("--quality", type=int, default=QUALITY, help="of the pictures, 1 to 100")
    training = commands.add_parser("train", help="train until the time is over")
    training.add_argument("--minutes", type=float, default=8.0, help="of everything, starting included")
    training.add_argument("--recipe", type=Path, default=Path("models/recipes/drawer.toml"))
    training.add_argument("--batch", type=int, default=0, help="in place of the recipe's")
    training.add_argument("--start", type=Path, help="an exported denoiser to begin from")
    training.add_argument("--work", type=Path, default=Path("runs/gpu"), help="folder of the checkpoint")
    training.add_argument("--out", type=Path, default=Path("runs/gpu/out"), help="folder of the results")
    for command in (packing, training):
        command.add_argument("--pack", type=Path, default=Path("gpu-pack"))
    given = parser.parse_args(arguments)
    try:
        if given.command == "pack":
            size, tree = pack(load(given.data / "sprites64").only(tier="A"), given.pack, given.quality), tree_size()
            print(f"the pack has {size / 1e6:.1f} MB, the working tree {tree / 1e6:.1f} MB")
            if size + tree > TRAVELS:
                raise DataError(f"Only {TRAVELS / 1e6:.1f} MB travel. Pack again with a lower --quality.")
        else:
            given.out.mkdir(parents=True, exist_ok=True)
            figures = train(given, began)
            (given.out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
            print(json.dumps(figures))
    except ModelError as problem:
        sys.stderr.write(f"gpu-run: {problem}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
