"""How the suite depends on steps and guidance: a grid of small suites, and its plot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .painter import Paint, Sampling
from .recogniser import Recogniser
from .suite import Asked, Scores, answer, score

STEPS = (4, 8, 16, 24)
GUIDANCE = (1.0, 2.0, 3.0, 5.0)


@dataclass(frozen=True, slots=True)
class Point:
    """One setting and what it scored."""

    sampling: Sampling
    scores: Scores


def sweep(
    asked: Sequence[Asked],
    paint_with: Callable[[Sampling], Paint],
    recogniser: Recogniser,
    *,
    steps: Sequence[int] = STEPS,
    guidance: Sequence[float] = GUIDANCE,
    report: Callable[[str], None] = lambda line: None,
) -> list[Point]:
    """The same questions and seeds with every pair of settings."""
    points: list[Point] = []
    for count in steps:
        for strength in guidance:
            sampling = Sampling(count, strength)
            points.append(Point(sampling, score(answer(asked, paint_with(sampling), recogniser))))
            report(f"{count} steps, guidance {strength:g}: suite {points[-1].scores.suite or 0:.3f}")
    return points


def best(points: Sequence[Point]) -> Sampling:
    """The setting with the highest suite; of equal ones the one with fewer steps, then less guidance."""
    found = max(points, key=lambda p: (p.scores.suite or 0.0, -p.sampling.steps, -p.sampling.guidance))
    return found.sampling


def plot(points: Sequence[Point], file: Path) -> None:
    """One line for each guidance over the steps, with its 95 % interval, as a PNG."""
    # Figure without pyplot: no global state, no window system.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    strengths = sorted({point.sampling.guidance for point in points})
    for place, strength in enumerate(strengths):
        line = sorted((p for p in points if p.sampling.guidance == strength), key=lambda p: p.sampling.steps)
        # Side by side, so that intervals do not hide each other.
        at = [p.sampling.steps + 0.25 * (place - (len(strengths) - 1) / 2) for p in line]
        values = [p.scores.suite or 0.0 for p in line]
        low = [max(0.0, v - p.scores.suite_interval[0]) for v, p in zip(values, line, strict=True)]
        high = [max(0.0, p.scores.suite_interval[1] - v) for v, p in zip(values, line, strict=True)]
        axes.errorbar(at, values, yerr=[low, high], marker="o", capsize=3, label=f"guidance {strength:g}")
    axes.set_xlabel("steps")
    axes.set_ylabel("suite (mean of five figures)")
    axes.set_ylim(bottom=0)
    axes.set_xticks(sorted({point.sampling.steps for point in points}))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110)
