"""What `daguerre evaluate` does; the command line itself is in app/."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ..common import check_folder
from ..data import load
from ..data.colours import looks_of
from ..data.describe import names_of
from ..errors import DataMissing
from .evaluate import evaluate
from .material import Material, Plan, ask, open_recogniser, subset
from .painter import Sampling
from .questions import questions

#: The recogniser that ships with the code.
RECOGNISER = Path(__file__).parent / "weights" / "recogniser"
#: Questions of each figure and language that a quick evaluation asks.
QUICK = 6
#: Questions of an evaluation for each one that is asked at every point of the sweep.
SWEPT = 8

Concepts = Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class Folders:
    """What an evaluation reads besides the weights; None for what is not there."""

    #: A built sprite set, as `runs/data/sprites64`.
    sprites: Path
    #: Where converted features are kept.
    cache: Path
    recogniser: Path = RECOGNISER
    dcgan: Path | None = None
    vae: Path | None = None
    #: A built set of large sprites, for the upscaler.
    crisp: Path | None = None


def evaluate_weights(
    weights: Path,
    folders: Folders,
    concepts: Concepts,
    *,
    out: Path | None = None,
    quick: bool = False,
    each: int | None = None,
    sampling: Sampling | None = None,
    threads: int | None = None,
    report: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Evaluate a pipeline folder; results are written beside the weights, or into `out`.

    Only concepts that both the weights' vocabulary and the recogniser know are asked for. `each` is how many questions
    of every figure and language are asked, spread over all there are; None for all of them.

    Raises:
        DataMissing: no sprites are built, or nothing can be asked.
        WeightsMissing, WeightsRefused: the weights or the recogniser cannot be opened.
    """
    check_folder(weights)
    if threads is not None:
        torch.set_num_threads(threads)
    recogniser, card = open_recogniser(folders.recogniser)
    sprites = load(folders.sprites)
    known = vocabulary(weights)
    asked_for = {
        name: aliases
        for name, aliases in concepts.items()
        if name in recogniser.concepts and (known is None or name in known)
    }
    rows = [row for row in sprites.rows if row["caption_en"] in asked_for and row["tier"] == "A"]
    if not rows:
        raise DataMissing(
            f"{folders.sprites} holds no drawing of what {weights.name} can draw. Build the data set anew."
        )
    report(f"{len(asked_for)} concepts, {len(rows)} drawings")
    known_looks = looks_of(sprites.images, [row["i"] for row in rows], 128)
    asked = ask(questions(rows, asked_for, names_of(rows, asked_for), known_looks))
    each = each or (QUICK if quick else None)
    plan = Plan.quickly(sampling or Sampling()) if quick else Plan(sampling or Sampling())
    if each and not quick:
        # The sweep asks sixteen times over: it gets its share of what is asked.
        plan = replace(plan, sweep=max(1, min(plan.sweep, each // SWEPT)))
    material = Material(
        sprites,
        asked_for,
        recogniser,
        card,
        subset(asked, each) if each else asked,
        folders.cache,
        folders.dcgan,
        folders.vae,
        folders.crisp,
    )
    return evaluate(weights, material, plan, out or weights, report)


def vocabulary(weights: Path) -> frozenset[str] | None:
    """The concepts that weights say they know; None where they say nothing."""
    file = weights / "vocabulary.json"
    if not file.is_file():
        return None
    return frozenset(json.loads(file.read_text(encoding="utf-8"))["concepts"])
