"""`python -m daguerre.models.evaluation.drawer.quick DENOISER`: a denoiser in training, judged in three minutes.

Small fixed sets: trained things, held-out cells and held-out things, with drawings to draw from and without, and
colours measured in pixels. The same denoiser gives the same numbers.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ...data import drawer, load
from ...errors import ModelError
from ..sheets import labelled
from .evaluate import looks_when_asked
from .painter import DrawerSampling, drawer_painter, open_denoiser, open_words
from .questions import Question, Questions
from .recogniser import load as load_recogniser
from .recogniser import on_ground
from .scores import Judge, Verdict, shares, told

#: The judge that ships with the code.
RECOGNISER = Path(__file__).parents[1] / "weights" / "recogniser-drawer"


@dataclass(frozen=True, slots=True)
class QuickPlan:
    """What is read and how much is asked."""

    denoiser: Path
    words: Path
    sprites: Path
    recogniser: Path = RECOGNISER
    each: int = 40
    sampling: DrawerSampling = field(default_factory=lambda: DrawerSampling(steps=8))
    sheet: Path | None = None


def quick(plan: QuickPlan, report: Callable[[str], None] = print) -> dict[str, list[Verdict]]:
    """Draw and judge every set; each one's figures are told as they come.

    Raises:
        DataError, EngineError: say what to do.
    """
    began, worked = time.monotonic(), time.process_time()
    sprites = load(plan.sprites)
    found = drawer(sprites.rows)
    judge = Judge(load_recogniser(plan.recogniser), found)
    paint = drawer_painter(open_denoiser(plan.denoiser), open_words(plan.words), sprites, plan.sampling)
    sets = quick_sets(Questions(found, judge.model.things), sprites.images, plan.each)
    verdicts: dict[str, list[Verdict]] = {}
    pictures = {}
    for name, asks in sets.items():
        pictures[name] = paint(asks)
        verdicts[name] = judge(asks, pictures[name])
        report(f"{name:24} {told(shares(verdicts[name]))}")
    passed, work = time.monotonic() - began, time.process_time() - worked
    report(f"{sum(map(len, sets.values()))} pictures, {passed:.0f} s, processor {work:.0f} s")
    if plan.sheet is not None:
        rows = [name for name in sets if "without" not in name]
        shown = [(picture, verdict) for name in rows for picture, verdict in
                 zip(pictures[name][:16], verdicts[name][:16], strict=True)]  # fmt: skip
        drawn = [on_ground(picture[None], 1.0)[0] for picture, _ in shown]
        labels = [(each.ask.text, each.read[0]) for _, each in shown]
        plan.sheet.parent.mkdir(parents=True, exist_ok=True)
        labelled(drawn, labels, [each.top5 for _, each in shown], side=96).save(plan.sheet)
    return verdicts


def quick_sets(questions: Questions, images: Any, each: int) -> dict[str, list[Question]]:
    """The fixed small sets, by what they are called."""
    asked = {
        "trained thing": questions.trained(each),
        "held-out cell": questions.cells(each),
        "held-out thing": questions.things(each),
    }
    bare = {f"{name}, without refs": [ask.bare() for ask in asks] for name, asks in asked.items()}
    return asked | bare | {"colour": questions.colours(each, looks_when_asked(images))}


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, judge, print."""
    parser = argparse.ArgumentParser(prog="python -m daguerre.models.evaluation.drawer.quick", description=__doc__)
    parser.add_argument("denoiser", type=Path, help="folder of an exported denoiser")
    parser.add_argument("--words", type=Path, default=Path("models/weights/first-light"), help="whose text encoder")
    parser.add_argument("--sprites", type=Path, default=Path("runs/data/sprites64"))
    parser.add_argument("--recogniser", type=Path, default=RECOGNISER)
    parser.add_argument("--each", type=int, default=40, help="pictures of each set")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--references", type=float, default=DrawerSampling().references, help="guidance by drawings")
    parser.add_argument("--text", type=float, default=DrawerSampling().text, help="guidance by words")
    parser.add_argument("--sheet", type=Path, help="picture file for a contact sheet")
    given = parser.parse_args(arguments)
    sampling = DrawerSampling(given.steps, given.references, given.text)
    plan = QuickPlan(
        given.denoiser, given.words, given.sprites, given.recogniser, given.each, sampling, given.sheet
    )  # fmt: skip
    try:
        # Told at once, also into a file.
        quick(plan, partial(print, flush=True))
    except ModelError as problem:
        parser.exit(1, f"{problem}\n")


if __name__ == "__main__":
    main()
