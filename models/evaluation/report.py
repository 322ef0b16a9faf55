"""`EVALUATION.md`: the figures with their goals and intervals, and everything needed to read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .figures import GOALS, KEYS, KID_SHARE, told

NAMES: Mapping[str, str] = {
    "object": "object: the thing asked for",
    "colour": "colour: the thing in the colour asked for",
    "count": "count: exactly so many",
    "position": "position: both things, in their relation",
    "two_objects": "two objects: both there",
    "suite": "**suite**: mean of the five",
    "zh_over_en": "Chinese ÷ English",
    "unseen_over_seen": "unseen ÷ seen wording",
    "student_over_teacher": "4-step student ÷ teacher (suite)",
    "codec_psnr_db": "codec, PSNR",
    "upscaler_gain_db": "upscaler over Lanczos",
    "kid": "KID to real pictures",
    "kid_dcgan": "KID of the DCGAN",
    "kid_vae": "KID of the VAE",
    "memorised": "memorised",
    "recogniser_accuracy": "recogniser on drawings it never saw (object)",
}


#: Under the table of figures.
NOTE = (
    "Shares are of pictures of held-out combinations (colour × thing, count × thing, pairs, places) asked for in the "
    "wording of training; Wilson intervals. The recogniser's own errors are in them: compare with real pictures below."
)


#: What the two suites differ in.
ALONE = (
    "Alone means every prompt drawn in one go, as stock programs run the weights; as served, the things that a prompt "
    "lists are drawn one by one and set out, and requests lose their courtesies (docs/layout.md)."
)


def markdown(name: str, evaluation: Mapping[str, Any], files: Sequence[str]) -> str:
    """The report of `evaluation` (content of evaluation.json); `files` are pictures beside it."""
    details = evaluation["details"]
    parts = [
        f"# Evaluation of {name}",
        "Written by `daguerre evaluate`; the same numbers are in `evaluation.json`. "
        + f"{details['asked']} questions were asked."
        + (" A **quick** run: wide intervals." if details.get("quick") else ""),
        _figures(evaluation),
        NOTE,
        _section("By language and wording", _languages(details)),
        _section("As served, by the denoiser alone, and of real pictures", _ceilings(details)),
        _section("How", _how(details)),
        _section("Not measured", [f"- {line}" for line in details.get("missing", [])]),
        _section("Pictures", [f"![{file}]({file})" for file in files]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _figures(evaluation: Mapping[str, Any]) -> str:
    intervals = evaluation["details"].get("intervals", {})
    lines = ["| figure | measured | 95 % interval | goal (CPU-trained) | reached |", "|---|---|---|---|---|"]
    for key in KEYS:
        value, goal = evaluation[key], GOALS.get(key)
        interval = intervals.get(key)
        between = f"{told(key, interval[0])} to {told(key, interval[1])}" if interval and value is not None else "–"
        wanted, reached = "–", None
        if goal:
            wanted = f"{'≥' if goal.upwards else '≤'} {goal.cpu:g}{goal.unit}"
            reached = goal.reached(value)
        elif key == "kid" and evaluation["kid_dcgan"] is not None:
            limit = KID_SHARE * evaluation["kid_dcgan"]
            wanted = f"≤ {told(key, limit)} (half of the DCGAN's)"
            reached = None if value is None else value <= limit
        mark = "–" if reached is None else "yes" if reached else "**no**"
        lines.append(f"| {NAMES[key]} | {told(key, value)} | {between} | {wanted} | {mark} |")
    return "\n".join(lines)


def _languages(details: Mapping[str, Any]) -> list[str]:
    languages = details.get("languages", {})
    if not languages:
        return []
    names = list(languages)
    lines = [f"| figure | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    kinds = sorted({kind for shares in languages.values() for kind in shares})
    lines += [f"| {kind} | {' | '.join(_share(languages[name].get(kind)) for name in names)} |" for kind in kinds]
    wording = details.get("wording", {})
    lines += ["", f"Seen wording: {_share(wording.get('seen'))}; unseen wording: {_share(wording.get('unseen'))}."]
    return lines


def _ceilings(details: Mapping[str, Any]) -> list[str]:
    columns = [(key, details[key]) for key in ("generated", "alone", "reconstructed", "composites") if details.get(key)]
    if not columns:
        return []
    heads = {
        "generated": "as served",
        "alone": "denoiser alone",
        "reconstructed": "real, through the codec",
        "composites": "real composites",
    }
    lines = [f"| figure | {' | '.join(heads[key] for key, _ in columns)} |", "|---" * (len(columns) + 1) + "|"]
    kinds = sorted({kind for _, shares in columns for kind in shares})
    lines += [f"| {kind} | {' | '.join(_share(shares.get(kind)) for _, shares in columns)} |" for kind in kinds]
    if suite := details.get("alone_suite"):
        low, high = suite["interval"]
        lines += [
            "",
            f"Suite of the denoiser alone: {told('suite', suite['value'])} ({low:.3f} to {high:.3f}). {ALONE}",
        ]
    accuracy = details.get("recogniser_card", {}).get("unseen_drawings", {})
    if accuracy:
        told_all = ", ".join(f"{kind} {_share(share)}" for kind, share in accuracy.items())
        lines += ["", f"On drawings that the recogniser never saw: {told_all}."]
    return lines


def _how(details: Mapping[str, Any]) -> list[str]:
    machine = details.get("machine", {})
    lines = [f"- {label}: {text}" for label, text in machine.items()]
    sampling = details.get("sampling", {})
    if sampling:
        lines.append(f"- sampling: {sampling.get('steps')} steps, guidance {sampling.get('guidance')}")
    if details.get("best_sampling"):
        best = details["best_sampling"]
        lines.append(f"- best of the sweep: {best['steps']} steps, guidance {best['guidance']:g}")
    if kinds := details.get("codec_psnr_db_by_kind"):
        told = ", ".join(f"{kind} {value:.1f}" for kind, value in kinds.items() if value is not None)
        lines.append(
            f"- codec by kind of drawing, dB: {told}; its figure above is of emoji, which the scenes are made of"
        )
    seconds = details.get("seconds", {})
    if seconds:
        lines.append("- seconds: " + ", ".join(f"{stage} {spent:.0f}" for stage, spent in seconds.items()))
    return lines


def _section(title: str, lines: Sequence[str]) -> str:
    return "\n".join([f"## {title}", "", *lines]) if lines else ""


def _share(share: Mapping[str, Any] | None) -> str:
    if not share or share.get("value") is None:
        return "–"
    low, high = share["interval"]
    return f"{share['value']:.2f} ({low:.2f} to {high:.2f}; {share['pictures']})"
