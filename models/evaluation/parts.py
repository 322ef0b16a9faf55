"""The parts of an evaluation: each puts its figures, with their intervals, into the content of evaluation.json."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ..errors import ModelError
from . import optional, sheets
from .features import Embed
from .intervals import Share, ratio_interval
from .kid import kid
from .material import Material, Plan
from .memorised import neighbours
from .painter import Order, Paint
from .recogniser import Found
from .suite import Answer, Asked, Scores, figure, total
from .validate import FIGURES, shares_card


def put(found: dict[str, Any], name: str, value: float | None, interval: Sequence[float]) -> None:
    """A figure with its interval; nothing where it was not measured."""
    found[name] = value
    if value is not None:
        found["details"]["intervals"][name] = list(interval)


@contextmanager
def unless_missing(found: dict[str, Any], name: str) -> Iterator[None]:
    """A part whose material is not there stays null, and the report says why; other errors are errors."""
    try:
        yield
    except ModelError as problem:
        found["details"]["missing"].append(f"{name}: {problem}")


def suite(found: dict[str, Any], scores: Scores) -> None:
    """The five figures, their mean, the two ratios; by language and wording into the details."""
    for name, share in scores.figures.items():
        if name in found:
            put(found, name, share.value, share.interval)
    put(found, "suite", scores.suite, scores.suite_interval)
    put(found, "zh_over_en", scores.zh_over_en, scores.zh_over_en_interval)
    put(found, "unseen_over_seen", scores.unseen_over_seen, scores.unseen_over_seen_interval)
    for name in (*FIGURES.values(), "suite", "zh_over_en", "unseen_over_seen"):
        if found[name] is None:
            found["details"]["missing"].append(f"{name}: not asked, or nothing right to compare with")
    found["details"]["generated"] = shares_card(scores.figures)
    found["details"]["languages"] = {name: shares_card(shares) for name, shares in scores.languages.items()}
    found["details"]["wording"] = shares_card(scores.wording)


def alone(found: dict[str, Any], scores: Scores) -> None:
    """What the denoiser makes of every prompt in one go, as stock programs run it; into the details."""
    found["details"]["alone"] = shares_card(scores.figures)
    found["details"]["alone_suite"] = {"value": scores.suite, "interval": list(scores.suite_interval)}
    found["details"]["alone_unseen_over_seen"] = scores.unseen_over_seen


def recogniser(found: dict[str, Any], material: Material) -> None:
    """Its accuracy on drawings that it never saw is the figure; all of it goes into the details."""
    card = material.card.get("accuracy", {})
    found["details"]["recogniser_card"] = card
    unseen = card.get("unseen_drawings", {}).get("object")
    if unseen:
        put(found, "recogniser_accuracy", unseen["value"], unseen["interval"])


def student(found: dict[str, Any], teacher: Scores, fast: Scores) -> None:
    """Suite of the student ÷ suite of the teacher; the interval is that of all their answers pooled."""
    found["details"]["student"] = shares_card(fast.figures)
    if teacher.suite and fast.suite is not None:
        pooled = [total([scores.figures[name] for name in FIGURES.values()]) for scores in (fast, teacher)]
        put(found, "student_over_teacher", fast.suite / teacher.suite, ratio_interval(pooled[0], pooled[1]))


def distances(
    found: dict[str, Any], answers: Sequence[Answer], paint: Paint, material: Material, plan: Plan, embed: Embed
) -> None:
    """KID to real pictures of one thing on white: of the model, and of each baseline there is.

    Pictures that the suite asked for serve; the rest are the same prompts with further seeds.
    """
    single = [each for each in answers if _plain(each.asked)]
    if not single:
        found["details"]["missing"].append("kid: no question asks for one thing on white")
        return
    generated = [each.picture for each in single][: plan.pictures]
    missing = range(plan.pictures - len(generated))
    generated += paint([Order(single[i % len(single)].asked.prompt, 1_000_000 + i) for i in missing])
    real = embed(material.single(plan.pictures))
    measured = {"kid": kid(embed(torch.stack(generated)), real)}
    for name, folder in (("kid_dcgan", material.dcgan), ("kid_vae", material.vae)):
        with unless_missing(found, name):
            measured[name] = kid(embed(optional.baseline(folder, plan.pictures)), real)
    for name, distance in measured.items():
        spread = 1.96 * distance.error
        put(found, name, distance.value, (distance.value - spread, distance.value + spread))
    found["details"]["kid_pictures"] = plan.pictures


def memorised(found: dict[str, Any], answers: Sequence[Answer], material: Material) -> Image.Image:
    """Share of pictures of one thing that are copies of a drawing; gives the sheet of the closest pairs."""
    single = [each for each in answers if each.asked.scene.kind == "single"]
    drawings = material.sprites.images[material.drawings()]
    near = neighbours([answer.picture for answer in single], drawings)
    share = Share(sum(each.copied for each in near), len(near))
    put(found, "memorised", share.value, share.interval)
    ranked = sorted(zip(single, near, strict=True), key=lambda pair: pair[1].ratio)[:24]
    return sheets.pairs(
        [answer.picture for answer, _ in ranked],
        [_on_white(drawings[each.first]) for _, each in ranked],
        [f"{answer.asked.scene.things[0].concept}: {each.ratio:.2f}" for answer, each in ranked],
    )


def sheet(answers: Sequence[Answer], name: str, most: int = 48) -> Image.Image:
    """Pictures of one figure with what was asked for and what was read."""
    chosen = [each for each in answers if figure(each.asked.scene) == name and each.asked.seen][:most]
    labels = [(asked_for(each.asked), read_as(each.found)) for each in chosen]
    return sheets.labelled([each.picture for each in chosen], labels, [each.right for each in chosen])


def asked_for(asked: Asked) -> str:
    """The question in Latin letters, whatever its language: `zh: blue star, cat face`."""
    things = [" ".join(filter(None, (thing.colour, thing.concept))) for thing in asked.scene.things]
    named = f"{len(things)} x {things[0]}" if asked.scene.kind == "count" else ", ".join(things)
    return f"{asked.language}: {named}"


def read_as(found: Sequence[Found]) -> str:
    """What the recogniser says of a picture, surest first."""
    if not found:
        return "nothing"
    more = f" +{len(found) - 3}" if len(found) > 3 else ""
    return ", ".join(f"{thing.colour} {thing.concept}" for thing in found[:3]) + more


def _plain(asked: Asked) -> bool:
    scene = asked.scene
    return (
        scene.kind == "single" and asked.seen and (scene.background, scene.gradient, scene.aspect) == ("white", None, 1)
    )


def _on_white(drawing: Any) -> Tensor:
    """(S, S, 4) uint8 → (3, S, S) in [-1, 1]."""
    pixels = torch.tensor(drawing).permute(2, 0, 1).float()
    alpha = pixels[3:] / 255
    return (pixels[:3] / 127.5 - 1) * alpha + 1 - alpha
