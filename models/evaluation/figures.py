"""The keys of `evaluation.json`, what each is worth and what the issue wants of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

#: Exactly these, each a number or null; everything else is under "details".
KEYS = (
    "object",
    "colour",
    "count",
    "position",
    "two_objects",
    "suite",
    "zh_over_en",
    "unseen_over_seen",
    "student_over_teacher",
    "codec_psnr_db",
    "upscaler_gain_db",
    "kid",
    "kid_dcgan",
    "kid_vae",
    "memorised",
    "recogniser_accuracy",
)


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure should reach on CPU-trained and on GPU-trained weights."""

    cpu: float
    gpu: float
    #: More is better; else at most the goal.
    upwards: bool = True
    unit: str = ""

    def reached(self, value: float | None, *, gpu: bool = False) -> bool | None:
        """None where nothing was measured."""
        if value is None or not math.isfinite(value):
            return None
        goal = self.gpu if gpu else self.cpu
        return value >= goal if self.upwards else value <= goal


#: Issue 3, "Figures".
GOALS: Mapping[str, Goal] = {
    "object": Goal(0.60, 0.90),
    "suite": Goal(0.50, 0.80),
    "zh_over_en": Goal(0.9, 0.9),
    "unseen_over_seen": Goal(0.6, 0.8),
    "student_over_teacher": Goal(0.9, 0.9),
    "codec_psnr_db": Goal(28.0, 32.0, unit=" dB"),
    "upscaler_gain_db": Goal(2.0, 2.0, unit=" dB"),
    "memorised": Goal(0.02, 0.02, upwards=False),
}
#: KID's goal is relative: at most this share of the DCGAN's.
KID_SHARE = 0.5


def blank() -> dict[str, Any]:
    """An evaluation in which nothing was measured."""
    return {**dict.fromkeys(KEYS), "details": {}}


def rounded(value: Any) -> Any:
    """Numbers to five digits and no NaN, all the way down: what is written is what is read."""
    if isinstance(value, float):
        return float(f"{value:.5g}") if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(inner) for inner in value]
    return value


#: How a figure is written in a report.
FORMATS: Mapping[str, Callable[[float], str]] = {
    "codec_psnr_db": lambda value: f"{value:.2f} dB",
    "upscaler_gain_db": lambda value: f"{value:+.2f} dB",
    "kid": lambda value: f"{value:.4f}",
    "kid_dcgan": lambda value: f"{value:.4f}",
    "kid_vae": lambda value: f"{value:.4f}",
}


def told(key: str, value: float | None) -> str:
    """A figure for people; what was not measured is a dash."""
    if value is None:
        return "–"
    return FORMATS.get(key, lambda number: f"{number:.3f}")(value)
