"""The suite: pictures of every question, read by the recogniser, counted by figure, language and wording."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..data import Scene
from .intervals import Share, mean_interval, ratio, ratio_interval
from .judge import right
from .painter import Order, Paint
from .recogniser import Found, Recogniser, read
from .validate import FIGURES


@dataclass(frozen=True, slots=True)
class Asked:
    """A `questions.Question` with a seed: what was said, what it means, and how it was said."""

    prompt: str
    scene: Scene
    #: `en`, `zh`, …
    language: str
    #: Whether training says it with such words.
    seen: bool
    seed: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of it."""

    asked: Asked
    #: (3, H, W) in [-1, 1].
    picture: Tensor
    found: tuple[Found, ...]
    right: bool


@dataclass(frozen=True, slots=True)
class Scores:
    """Counted answers."""

    #: By figure of `FIGURES` (and `size`), seen wording only: the five make the suite.
    figures: Mapping[str, Share]
    #: The same by language.
    languages: Mapping[str, Mapping[str, Share]]
    #: Questions that were asked in both wordings, by `seen` and `unseen`.
    wording: Mapping[str, Share]

    @property
    def suite(self) -> float | None:
        """Mean of the five figures; None where one was not asked."""
        values = [self.figures[name].value for name in FIGURES.values() if name in self.figures]
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if len(known) == len(FIGURES) else None

    @property
    def suite_interval(self) -> tuple[float, float]:
        return mean_interval([self.figures.get(name, Share(0, 0)) for name in FIGURES.values()])

    @property
    def zh_over_en(self) -> float | None:
        """Chinese ÷ English over all questions of the five figures."""
        return ratio(self.pooled("zh"), self.pooled("en"))

    @property
    def zh_over_en_interval(self) -> tuple[float, float]:
        return ratio_interval(self.pooled("zh"), self.pooled("en"))

    @property
    def unseen_over_seen(self) -> float | None:
        """Unseen wording ÷ seen wording."""
        return ratio(self.wording["unseen"], self.wording["seen"])

    @property
    def unseen_over_seen_interval(self) -> tuple[float, float]:
        return ratio_interval(self.wording["unseen"], self.wording["seen"])

    def pooled(self, language: str) -> Share:
        """All questions of the five figures in one language."""
        shares = [share for name, share in self.languages.get(language, {}).items() if name in FIGURES.values()]
        return total(shares)


def total(shares: Sequence[Share]) -> Share:
    """All of them as one."""
    return Share(sum(share.right for share in shares), sum(share.total for share in shares))


def answer(
    asked: Sequence[Asked], paint: Paint, recogniser: Recogniser, report: Callable[[str], None] = lambda line: None
) -> list[Answer]:
    """Draw every question and read every picture."""
    pictures = paint([Order(one.prompt, one.seed, one.scene.aspect) for one in asked])
    return judge_pictures(asked, pictures, recogniser, report)


def judge_pictures(
    asked: Sequence[Asked],
    pictures: Sequence[Tensor],
    recogniser: Recogniser,
    report: Callable[[str], None] = lambda line: None,
) -> list[Answer]:
    """Read pictures that are there already: real composites, reconstructions."""
    found: list[list[Found]] = [[] for _ in asked]
    for shape in sorted({tuple(picture.shape) for picture in pictures}):
        places = [place for place, picture in enumerate(pictures) if tuple(picture.shape) == shape]
        seen = read(recogniser, torch.stack([pictures[place] for place in places]))
        for place, things in zip(places, seen, strict=True):
            found[place] = things
    answers = [
        Answer(one, picture, tuple(things), right(one.scene, things))
        for one, picture, things in zip(asked, pictures, found, strict=True)
    ]
    report(f"{sum(each.right for each in answers)} of {len(answers)} right")
    return answers


def score(answers: Sequence[Answer]) -> Scores:
    """Count them."""
    seen = [each for each in answers if each.asked.seen]
    languages = sorted({each.asked.language for each in seen})
    return Scores(
        figures=_by_figure(seen),
        languages={name: _by_figure([each for each in seen if each.asked.language == name]) for name in languages},
        wording=_wording(answers),
    )


def figure(scene: Scene) -> str:
    """The figure that a question of this kind counts for."""
    return FIGURES.get(scene.kind, scene.kind)


def _by_figure(answers: Sequence[Answer]) -> dict[str, Share]:
    grouped: dict[str, list[bool]] = {}
    for each in answers:
        grouped.setdefault(figure(each.asked.scene), []).append(each.right)
    return {name: Share(sum(right), len(right)) for name, right in sorted(grouped.items())}


def _wording(answers: Sequence[Answer]) -> dict[str, Share]:
    """Unseen against seen wording of the same scenes in the same languages, so that nothing else differs."""
    unseen = [each for each in answers if not each.asked.seen]
    alike = {(each.asked.scene, each.asked.language) for each in unseen}
    seen = [each for each in answers if each.asked.seen and (each.asked.scene, each.asked.language) in alike]
    groups = {"seen": seen, "unseen": unseen}
    return {name: Share(sum(each.right for each in group), len(group)) for name, group in groups.items()}
