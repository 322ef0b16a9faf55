"""The keys of a drawer's `evaluation.json`, what each is called and what it should reach; its report in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..figures import Goal

#: Exactly these beside "kind" and "details", each a number or null.
NAMES: Mapping[str, str] = {
    "drawable": "things that it was trained to draw, of four drawings or more",
    "trained_top1": "trained thing in a trained style, top-1",
    "trained_top5": "trained thing in a trained style, top-5",
    "cell_top1": "held-out cell (this thing never in this style), top-1",
    "cell_top5": "held-out cell, top-5",
    "thing_top1": "held-out thing (never trained), top-1",
    "thing_top5": "held-out thing, top-5",
    "thing_top5_over_bare": "held-out thing, top-5: with drawings ÷ without",
    "style": "in the style asked for (trained things)",
    "colour": "in the colour asked for, measured in pixels",
    "wording_over_seen": "sentences never taught ÷ those taught (top-5)",
    "synonym_top5": "by words never taught, top-5",
    "languages_over_english": "ten languages ÷ English (top-5)",
    "zh_over_english": "Chinese ÷ English (top-5)",
    "copies": "copies of a drawing of the drawer",
    "copies_of_references": "copies of a drawing that it was drawn from",
    "swap": "change by other drawings ÷ change by other noise",
    "kid": "KID to real drawings (64 px)",
    "recogniser_top1": "the judge on real drawings that it never saw, top-1",
    "recogniser_top5": "the judge on real drawings that it never saw, top-5",
    "recogniser_style": "the judge of styles on real drawings that it never saw",
}
#: Issue "The picture, second".
GOALS: Mapping[str, Goal] = {
    "drawable": Goal(1300, 1300),
    "trained_top1": Goal(0.75, 0.75),
    "trained_top5": Goal(0.90, 0.90),
    "cell_top5": Goal(0.70, 0.70),
    "thing_top5": Goal(0.50, 0.50),
    "thing_top5_over_bare": Goal(1.5, 1.5),
    "colour": Goal(0.85, 0.85),
    "wording_over_seen": Goal(0.8, 0.8),
    "languages_over_english": Goal(0.9, 0.9),
    "copies": Goal(0.02, 0.02, upwards=False),
    "copies_of_references": Goal(0.02, 0.02, upwards=False),
}
#: Figures of which more is better, that may decide between weights.
DECIDING = ("trained_top1", "trained_top5", "cell_top5", "thing_top5", "colour")

NOTE = (
    "A picture is right if the judge (models/evaluation/drawer/recogniser.py) puts the thing asked for first, or among "
    "its first five, of all things that were drawn at least twice. Its own errors are in every figure: compare with "
    "the true drawings and with the references themselves below. Intervals of shares are Wilson's, of ratios Katz's."
)


def blank() -> dict[str, Any]:
    """An evaluation in which nothing was measured."""
    return {"kind": "drawer", **dict.fromkeys(NAMES), "details": {}}


def told(key: str, value: float | None) -> str:
    """A figure for people; what was not measured is a dash."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:.0f}" if key == "drawable" else f"{value:.4f}" if key == "kid" else f"{value:.3f}"


def markdown(name: str, evaluation: Mapping[str, Any], files: Sequence[str]) -> str:
    """`EVALUATION.md` of an evaluation (content of evaluation.json); `files` are pictures beside it."""
    details = evaluation["details"]
    intervals = details.get("intervals", {})
    lines = [
        f"# Evaluation of {name}", "",
        f"Written by `daguerre evaluate`; the same numbers are in `evaluation.json`. {details['pictures']} pictures.",
        "",
        "| figure | measured | 95 % interval | goal | reached |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for key, label in NAMES.items():
        value, goal = evaluation[key], GOALS.get(key)
        between = intervals.get(key)
        span = f"{told(key, between[0])} to {told(key, between[1])}" if between and value is not None else "–"
        wanted = f"{'≥' if goal.upwards else '≤'} {goal.cpu:g}" if goal else "–"
        reached = goal.reached(value) if goal else None
        mark = "–" if reached is None else "yes" if reached else "**no**"
        lines.append(f"| {label} | {told(key, value)} | {span} | {wanted} | {mark} |")
    lines += ["", NOTE, "", "## Every set", "", *_sets(details["sets"]), "", "## The judge by group of emoji", ""]
    lines += _groups(details.get("recogniser_by_group", {}))
    lines += ["", "## How", "", *(f"- {key}: {value}" for key, value in details.get("how", {}).items())]
    if details.get("missing"):
        lines += ["", "## Not measured", "", *(f"- {line}" for line in details["missing"])]
    lines += ["", "## Pictures", "", *(f"![{file}]({file})\n" for file in files)]
    return "\n".join(lines).rstrip() + "\n"


def _sets(sets: Mapping[str, Mapping[str, Any]]) -> list[str]:
    columns = ("top1", "top5", "siblings_top1", "style", "colour")
    lines = [
        "| set | pictures | top-1 | top-5 | top-1 or a sibling | style | colour |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, found in sets.items():
        cells = [f"{found[each]['value']:.3f}" if found.get(each) else "–" for each in columns]
        lines.append(f"| {name} | {found['top1']['pictures']} | " + " | ".join(cells) + " |")
    return lines


def _groups(groups: Mapping[str, Mapping[str, Any]]) -> list[str]:
    lines = ["| real drawings that it never saw | drawings | top-1 | top-5 |", "|---|---|---|---|"]
    for name, found in groups.items():
        lines.append(
            f"| {name} | {found['top1']['pictures']} | {found['top1']['value']:.3f} | {found['top5']['value']:.3f} |"
        )
    return lines
