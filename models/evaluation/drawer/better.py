"""Are new weights clearly better than old ones? A pure comparison of two `evaluation.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .figures import DECIDING as DRAWER_DECIDING

#: Figures of which more is better, that may decide; the suite is their mean.
DECIDING = ("object", "colour", "count", "position", "two_objects")
#: A share of memorised pictures above this is never better (goal of the evaluation).
MOST_MEMORISED = 0.02


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer and why, as sentences for the log."""

    better: bool
    reasons: tuple[str, ...]


def better(old: Mapping[str, Any], new: Mapping[str, Any]) -> Verdict:
    """Whether `new` should take the place of `old`: its suite is higher beyond both intervals, and nothing is lost.

    Lost means: one of the five figures is lower beyond both intervals; Chinese, unseen wording or memorisation fell
    out of their intervals. Where the suite was not measured before, having been measured is better. Evaluations by
    different recognisers or with different questions cannot be compared and are never "better".
    """
    if "drawer" in (old.get("kind"), new.get("kind")):
        return _better_drawer(old, new)
    if new.get("suite") is None:
        return Verdict(False, ("The new weights were not measured by the suite.",))
    if old.get("suite") is None:
        return Verdict(True, ("The old weights were never measured.",))
    for name in ("recogniser", "questions", "quick", "layout"):
        if _detail(old, name) != _detail(new, name):
            return Verdict(False, (f"The evaluations differ in their {name}: evaluate both anew.",))
    won: list[str] = []
    lost: list[str] = []
    for name in ("suite", *DECIDING, "zh_over_en", "unseen_over_seen"):
        sign = _compare(old, new, name)
        said = f"{name} {old.get(name)} → {new.get(name)}"
        if sign > 0:
            won.append(said)
        elif sign < 0:
            lost.append(said)
    if _compare(old, new, "memorised") > 0:
        lost.append(f"memorised {old.get('memorised')} → {new.get('memorised')}")
    elif (new.get("memorised") or 0.0) > max(MOST_MEMORISED, old.get("memorised") or 0.0):
        lost.append(f"memorised {new.get('memorised')} is above {MOST_MEMORISED}")
    if lost:
        return Verdict(False, tuple(f"Lost: {said}" for said in lost))
    if not any(said.startswith("suite ") for said in won):
        return Verdict(False, (f"The suite is not clearly higher: {old['suite']:.3f} → {new['suite']:.3f}.",))
    return Verdict(True, tuple(f"Won: {said}" for said in won))


def _better_drawer(old: Mapping[str, Any], new: Mapping[str, Any]) -> Verdict:
    """Of weights that draw from drawings: one of their five figures is clearly higher, none lower, copies in bounds."""
    if old.get("kind") != new.get("kind"):
        return Verdict(False, ("Only one of them draws from drawings: their questions differ, look at both.",))
    for name in ("recogniser", "questions"):
        if _detail(old, name) != _detail(new, name):
            return Verdict(False, (f"The evaluations differ in their {name}: evaluate both anew.",))
    signs = {name: _compare(old, new, name) for name in DRAWER_DECIDING}
    said = {name: f"{name} {old.get(name)} → {new.get(name)}" for name in DRAWER_DECIDING}
    lost = [said[name] for name, sign in signs.items() if sign < 0]
    lost += [
        f"{name} {new.get(name)} is above {MOST_MEMORISED}"
        for name in ("copies", "copies_of_references")
        if (new.get(name) or 0.0) > max(MOST_MEMORISED, old.get(name) or 0.0)
    ]
    if lost:
        return Verdict(False, tuple(f"Lost: {each}" for each in lost))
    won = [said[name] for name, sign in signs.items() if sign > 0]
    if not won:
        return Verdict(False, ("No figure is clearly higher.",))
    return Verdict(True, tuple(f"Won: {each}" for each in won))


def _compare(old: Mapping[str, Any], new: Mapping[str, Any], name: str) -> int:
    """1 where the new interval lies above the old one, −1 below, 0 where they meet or one is missing."""
    if old.get(name) is None or new.get(name) is None:
        return 0
    (old_low, old_high), (new_low, new_high) = _interval(old, name), _interval(new, name)
    return int(new_low > old_high) - int(new_high < old_low)


def _interval(evaluation: Mapping[str, Any], name: str) -> tuple[float, float]:
    found = (_detail(evaluation, "intervals") or {}).get(name)
    # A figure without an interval must not decide.
    return (float(found[0]), float(found[1])) if found else (float("-inf"), float("inf"))


def _detail(evaluation: Mapping[str, Any], name: str) -> Any:
    return (evaluation.get("details") or {}).get(name)
