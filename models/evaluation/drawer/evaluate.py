"""`daguerre evaluate` of weights that draw from drawings: every figure, measured one by one and written beside them."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import torch
from PIL import Image
from torch import Tensor

from ...data import Drawer, SpriteSet
from ...data.colours import looks
from ...errors import ModelError
from ...training.drawer_latents import premultiplied, straight_pixels
from .. import sheets
from ..features import Embed
from ..figures import rounded
from ..intervals import Share, ratio, ratio_interval
from ..kid import kid
from ..machine import machine
from ..memorised import Neighbours
from ..painter import Order, Paint
from ..validate import shares_card
from . import figures as figures
from .copies import Drawings, copies, copies_of_references, nearest, swap
from .painter import DrawerPaint, DrawerSampling
from .questions import FEWEST, Question, Questions
from .recogniser import on_ground
from .scores import Judge, Verdict, shares, told

Report = Callable[[str], None]


class Shown(Protocol):
    """What a prompt is drawn from as it is served: words, and ids of drawings (`source/name`)."""

    text: str
    ids: tuple[str, ...]


class Finder(Protocol):
    """The bank's search."""

    def shown(self, prompt: str, style: str, seed: int) -> Shown: ...


@dataclass(frozen=True, slots=True)
class DrawerPlan:
    """What is asked, and how it is drawn."""

    sampling: DrawerSampling = field(default_factory=DrawerSampling)
    #: Pictures of each of the three sets of things and of the colours; of each other set.
    each: int = 120
    few: int = 40
    #: Pictures of each side of KID.
    kid: int = 240


@dataclass(frozen=True)
class DrawerMaterial:
    """Everything that is read besides the weights; without one of the last four its figures are null."""

    sprites: SpriteSet
    drawer: Drawer
    judge: Judge
    #: Content of the recogniser's config.json.
    card: Mapping[str, Any]
    embed: Embed | None = None
    #: Weights that draw from words alone, and the captions that they know.
    before: Paint | None = None
    before_known: frozenset[str] = frozenset()
    finder: Finder | None = None


def evaluate_drawer(
    name: str, paint: DrawerPaint, material: DrawerMaterial, plan: DrawerPlan, out: Path, report: Report = print
) -> dict[str, Any]:
    """Measure what can be measured; write `evaluation.json`, `EVALUATION.md` and its pictures into `out`."""
    run = _Run(paint, material, report)
    questions = Questions(material.drawer, material.judge.model.things)
    found = run.found
    details = found["details"]
    details["questions"] = _digest(questions, plan)
    details["how"] = {"sampling": asdict(plan.sampling), **machine()}
    _judge(found, material)
    found["drawable"] = sum(len(material.drawer.targets(thing)) >= FEWEST for thing in material.drawer.trained())

    # The three sets of things, each with nothing to draw from, and beside it what no denoiser drew.
    sets = {
        "trained": questions.trained(plan.each), "cell": questions.cells(plan.each),
        "thing": questions.things(plan.each),
    }  # fmt: skip
    for key, asks in sets.items():
        verdicts = run.draw(key, asks)
        for figure in ("top1", "top5"):
            run.share(f"{key}_{figure}", shares(verdicts)[figure])
        run.draw(f"{key}, without drawings", [ask.bare() for ask in asks])
        run.judged(f"{key}, the first reference itself", asks, run.drawings([ask.references[0] for ask in asks]))
        run.judged(f"{key}, the true drawing", asks, run.drawings([ask.target for ask in asks]))
    run.share("style", shares(run.verdicts["trained"])["style"])
    run.ratio("thing_top5_over_bare", run.top5("thing"), run.top5("thing, without drawings"))

    # Words.
    seen, unseen = questions.wordings(plan.few)
    run.draw("wording, as taught", run.served(seen))
    run.draw("wording, never taught", run.served(unseen))
    run.ratio("wording_over_seen", run.top5("wording, never taught"), run.top5("wording, as taught"))
    run.share("synonym_top5", shares(run.draw("synonym", run.served(questions.synonyms(plan.few))))["top5"])
    english, foreign = questions.languages(max(8, plan.few // 2))
    run.draw("in en", run.served(english))
    for language, asks in foreign.items():
        run.draw(f"in {language}", run.served(asks))
    # As many of English as of the ten together would only seem surer.
    every = [run.top5(f"in {language}") for language in foreign]
    together = Share(sum(each.right for each in every), sum(each.total for each in every))
    run.ratio("languages_over_english", together, run.top5("in en"))
    run.ratio("zh_over_english", run.top5("in zh"), run.top5("in en"))

    # Colours.
    images = material.sprites.images
    coloured = questions.colours(plan.each, looks_when_asked(images))
    run.share("colour", shares(run.draw("colour", coloured))["colour"])

    # Copies.
    with run.timed("copies"):
        kept = run.copies(sets)
    pairs = questions.swapped(plan.few)
    again = [replace(ask, seed=ask.seed + 1) for ask, _ in pairs]
    with run.timed("swap"):
        real = (run.drawings([a.references[0] for a, _ in pairs]), run.drawings([b.references[0] for _, b in pairs]))
        changed, drawn = swap(paint, pairs, again, real)
        found["swap"] = changed.references / changed.seeds if changed.seeds else None
        details["swap"] = asdict(changed)
        run.pictures_drawn += 3 * len(pairs)

    # Distances, and the weights before.
    with run.timed("KID"), run.unless_missing("kid"):
        run.kid(plan.kid)
    with run.timed("weights before"), run.unless_missing("weights before"):
        run.before(sets["trained"])

    # Write.
    out.mkdir(parents=True, exist_ok=True)
    files = {
        f"evaluation-{key}.webp": run.sheet(key) for key in ("trained", "cell", "thing", "colour")
    } | {"evaluation-nearest.webp": kept, "evaluation-swap.webp": _swap_sheet(pairs, drawn)}  # fmt: skip
    for file, picture in files.items():
        sheets.save_small(picture, out / file)
    details["pictures"] = run.pictures_drawn
    result: dict[str, Any] = rounded(found)
    (out / "evaluation.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (out / "EVALUATION.md").write_text(figures.markdown(name, result, list(files)), encoding="utf-8")
    return result


class _Run:
    """What was drawn and judged so far."""

    def __init__(self, paint: DrawerPaint, material: DrawerMaterial, report: Report) -> None:
        self._paint, self._material, self._report = paint, material, report
        self.found = figures.blank()
        self.found["details"] |= {"intervals": {}, "sets": {}, "missing": [], "seconds": {}}
        self.pictures: dict[str, Tensor] = {}
        self.verdicts: dict[str, list[Verdict]] = {}
        self.pictures_drawn = 0
        self._rows = {f"{row['source']}/{row['name']}": row["i"] for row in material.sprites.rows}

    def draw(self, name: str, asks: Sequence[Question]) -> list[Verdict]:
        """Draw what is asked, and judge it."""
        with self.timed(name):
            self.pictures_drawn += len(asks)
            return self.judged(name, asks, self._paint(asks))

    def judged(self, name: str, asks: Sequence[Question], pictures: Tensor) -> list[Verdict]:
        """Judge pictures of a set, and keep them."""
        self.pictures[name] = pictures
        verdicts = self.verdicts[name] = self._material.judge(asks, pictures)
        if verdicts:
            self.found["details"]["sets"][name] = shares_card(shares(verdicts))
            self._report(f"{name:36} {told(shares(verdicts))}")
        return verdicts

    def drawings(self, which: Sequence[int]) -> Tensor:
        """Real drawings as the denoiser would give them."""
        return premultiplied(straight_pixels(self._material.sprites, which))

    def served(self, asks: Sequence[Question]) -> list[Question]:
        """With the words and drawings that the bank's search finds for the prompt; as asked where there is no bank."""
        finder = self._material.finder
        if finder is None:
            return list(asks)
        changed: list[Question] = []
        for ask in asks:
            shown = finder.shown(ask.text.removesuffix(f", {ask.style} style"), ask.style, ask.seed)
            style = [self._rows[each.removeprefix("style:")] for each in shown.ids if each.startswith("style:")]
            things = tuple(self._rows[each] for each in shown.ids if not each.startswith("style:"))
            changed.append(replace(ask, text=shown.text, references=things, shown_style=style[0] if style else -1))
        return changed

    def top5(self, name: str) -> Share:
        return shares(self.verdicts[name])["top5"]

    def share(self, figure: str, share: Share) -> None:
        self.found[figure] = share.value
        if share.total:
            self.found["details"]["intervals"][figure] = list(share.interval)

    def ratio(self, figure: str, above: Share, below: Share) -> None:
        self.found[figure] = ratio(above, below)
        self.found["details"]["intervals"][figure] = list(ratio_interval(above, below))

    def copies(self, sets: Iterable[str]) -> Image.Image:
        """Copies of any drawing and of references, with and without the true drawing; gives the closest pairs."""
        drawings = Drawings(self._material.sprites.images)
        asks: list[Question] = []
        near: list[Neighbours] = []
        shown: list[Tensor] = []
        for name in sets:
            asked = [each.ask for each in self.verdicts[name]]
            found = nearest(self.pictures[name], drawings)
            other = nearest(self.pictures[name], drawings, [[ask.target] for ask in asked])
            self.found["details"][f"copies, {name}"] = shares_card(
                {
                    "any": copies(found), "any but the true drawing": copies(other),
                    "references": copies_of_references(asked, found),
                }
            )  # fmt: skip
            asks, near, shown = asks + asked, near + found, shown + list(self.pictures[name])
        self.share("copies", copies(near))
        self.share("copies_of_references", copies_of_references(asks, near))
        ranked = sorted(range(len(near)), key=lambda at: near[at].ratio)[:24]
        real = self.drawings([near[at].first for at in ranked])
        return sheets.pairs(
            [on_ground(shown[at][None], 1.0)[0] for at in ranked], list(on_ground(real, 1.0)),
            [f"{near[at].ratio:.2f} {asks[at].text}" for at in ranked],
        )  # fmt: skip

    def kid(self, count: int) -> None:
        """KID of trained things and cells to the true drawings of other questions."""
        if self._material.embed is None:
            self.found["details"]["missing"].append("kid: no features")
            return
        names = ("trained", "cell", "wording, as taught", "in en")
        generated = on_ground(torch.cat([self.pictures[name] for name in names])[:count], 1.0)
        drawer = self._material.drawer
        emoji = [i for thing in drawer.trained() if thing.emoji for i in drawer.targets(thing)]
        step = max(1, len(emoji) // count)
        real = on_ground(self.drawings(emoji[::step][:count]), 1.0)
        distance = kid(self._material.embed(generated), self._material.embed(real))
        spread = 1.96 * distance.error
        self.found["kid"] = distance.value
        self.found["details"]["intervals"]["kid"] = [distance.value - spread, distance.value + spread]

    def before(self, asks: Sequence[Question]) -> None:
        """What the weights before make of the things that they know."""
        known = [ask for ask in asks if ask.thing.caption in self._material.before_known]
        if self._material.before is None or not known:
            self.found["details"]["missing"].append("weights before: none were given, or they know nothing of this")
            return
        drawn = self._material.before([Order(ask.thing.caption, ask.seed) for ask in known])
        self.judged("weights before, things that they know", known, torch.stack(drawn))
        at = [asks.index(ask) for ask in known]
        self.judged("these weights, the same things", known, self.pictures["trained"][at])

    def sheet(self, name: str, most: int = 24) -> Image.Image:
        """A reference or two, the true drawing, and what was drawn, with what was read."""
        cells: list[Tensor] = []
        labels: list[tuple[str, str]] = []
        good: list[bool | None] = []
        for verdict, picture in list(zip(self.verdicts[name], self.pictures[name], strict=True))[:most]:
            ask = verdict.ask
            styles = self._material.drawer.styles
            for i, word in [*((i, "reference") for i in ask.references[:2]), (ask.target, "true")]:
                cells.append(on_ground(self.drawings([i]), 1.0)[0])
                labels.append((word, styles[i]))
                good.append(None)
            cells.append(on_ground(picture[None], 1.0)[0])
            right = verdict.top5 if ask.colour is None else verdict.colour == ask.colour
            labels.append((ask.text, verdict.read[0] if ask.colour is None else verdict.colour))
            good.append(right)
        return sheets.labelled(cells, labels, good, columns=12, side=88)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.found["details"]["seconds"][stage] = time.monotonic() - began

    @contextmanager
    def unless_missing(self, name: str) -> Iterator[None]:
        try:
            yield
        except ModelError as problem:
            self.found["details"]["missing"].append(f"{name}: {problem}")


def _digest(questions: Questions, plan: DrawerPlan) -> str:
    """The same for the same questions, so that evaluations can be compared."""
    asked = [*questions.trained(plan.each), *questions.cells(plan.each), *questions.things(plan.each)]
    said = json.dumps([each.order() for each in asked], ensure_ascii=False)
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def looks_when_asked(images: Any) -> Mapping[int, Any]:
    """The looks of a set's drawings, each measured when it is first asked for."""
    return _Looks(images)


class _Looks(dict[int, Any]):
    def __init__(self, images: Any) -> None:
        super().__init__()
        self._images = images

    def __missing__(self, i: int) -> Any:
        self[i] = looks(torch.from_numpy(self._images[[i]]))[0]
        return self[i]


def _judge(found: dict[str, Any], material: DrawerMaterial) -> None:
    accuracy = material.card.get("accuracy", {})
    for figure, name in (("top1", "top1"), ("top5", "top5"), ("style", "style")):
        if figure in accuracy:
            found[f"recogniser_{name}"] = accuracy[figure]["value"]
            found["details"]["intervals"][f"recogniser_{name}"] = accuracy[figure]["interval"]
    found["details"]["recogniser_by_group"] = material.card.get("by_group", {})
    found["details"]["recogniser"] = material.card.get("digest", "")


def _swap_sheet(pairs: Sequence[tuple[Question, Question]], drawn: Sequence[Tensor], most: int = 16) -> Image.Image:
    cells: list[Tensor] = []
    labels: list[tuple[str, str]] = []
    for at, (ask, _) in enumerate(pairs[:most]):
        for pictures, word in zip(drawn, ("some drawings", "other drawings", "other noise"), strict=True):
            cells.append(on_ground(pictures[at][None], 1.0)[0])
            labels.append((ask.text, word))
    return sheets.labelled(cells, labels, [None] * len(cells), columns=12, side=88)
