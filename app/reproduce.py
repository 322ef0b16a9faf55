"""`daguerre reproduce`: make a picture again from what its file says, and compare every pixel."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops

from ..models.errors import EngineError
from ..queue.errors import RenderRefused
from .errors import Refused
from .finishing import Finisher
from .making import MAKING, Making, read_making
from .render import EngineLike, ask_of
from .settings import Configuration
from .worker import check_weights, load_engine

#: What of the engine decides about pixels, in words; told when it is another here.
DECIDES = {
    "model_digest": "the model",
    "upscaler": "the upscaler",
    "bank": "the drawings that it is drawn from",
    "reference_guidance": "the guidance by drawings",
    "adapters": "an adapter",
    "engine": "the engine's version",
    "sampler": "the sampler",
    "steps": "the number of steps",
    "drawn": "the size it was drawn at",
    "layout": "how its things are set out",
    "draft": "the student for drafts",
    "canonical": "the batch shape",
    "device": "the kind of device",
    "precision": "the precision",
    "compiled": "whether the network was compiled",
    "torch": "the version of torch",
    "diffusers": "the version of diffusers",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the picture made again compares."""

    #: Share of pixels that differ, and by how much at most (0 to 255).
    differing: float
    largest: int
    #: What is another here than it was there.
    reasons: tuple[str, ...]

    @property
    def identical(self) -> bool:
        """Whether every pixel is the same."""
        return self.differing == 0

    def lines(self) -> Sequence[str]:
        """For people."""
        if self.identical:
            return ("identical: every pixel is the same", *(f"although {each}" for each in self.reasons))
        told = f"different: {self.differing:.1%} of the pixels, by at most {self.largest} of 255"
        return (told, *(f"because {each}" for each in self.reasons or ("the file was changed after it was made",)))


def reproduce(
    configuration: Configuration, file: Path, source: Path | None = None, mask: Path | None = None
) -> Verdict:
    """Make the picture of `file` again with the configured weights.

    Raises:
        AppError: the file does not say how it was made, or a part of it is missing here; says what to do.
    """
    old, making = read_picture(file)
    if making.request.source is not None and source is None:
        raise Refused(f"{file} began from another picture: name that one with --source (and its --mask).")
    drew = str(making.engine.get("model", ""))
    model = drew if drew in configuration.models else next(iter(configuration.models))
    check_weights(configuration.models[model])
    settings = configuration.settings.render
    device = settings.devices[0] if settings.devices else "auto"
    engine = load_engine(
        configuration, device, model=model, precision=str(making.engine.get("precision", "")),
        compiled=bool(making.engine.get("compiled")),
    )  # fmt: skip
    files = {name: path.read_bytes() for name, path in _named(making, source, mask).items()}
    return compare(engine, old, making, files)


def read_picture(file: Path) -> tuple[Image.Image, Making]:
    """The picture of a PNG and what it says of its making.

    Raises:
        Refused: it is no PNG of ours with its text still in it.
    """
    try:
        picture = Image.open(io.BytesIO(file.read_bytes()), formats=("PNG",))
        picture.load()
        return picture, read_making(str(picture.info[MAKING]))
    except KeyError:
        raise Refused(
            f"{file} does not say how it was made: chat programs take such notes off. Use the file as it was stored."
        ) from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as problem:
        raise Refused(f"{file} cannot be used: {problem}") from None


def compare(engine: EngineLike, old: Image.Image, making: Making, files: Mapping[str, bytes]) -> Verdict:
    """Draw it again, label and mark it as it was, and compare.

    Raises:
        Refused: it cannot be drawn here at all; says why.
    """
    request = making.request
    try:
        # Set out again only if it was.
        ask = replace(ask_of(request, files), raw="layout" not in making.engine)
        # No picture depends on its neighbours, but chaos mixes each one's noise with the first one's.
        own = request.seeds[making.picture]
        seeds = (request.seeds[0], own) if request.chaos and making.picture else (own,)
        # From the same drawings, whatever the bank would choose now.
        references = _references(making)
        drawn = engine.draw(replace(ask, seeds=seeds, references=references), lambda _: None)
    except (EngineError, RenderRefused) as problem:
        raise Refused(str(problem)) from None
    finisher = Finisher(watermark=bool(making.watermark))
    one = request.model_copy(update={"count": 1, "seed": own})
    made, _ = finisher.finish(drawn.pictures[-1:], one, job=making.watermark, model="")
    new = Image.open(io.BytesIO(made[0]))
    return Verdict(*_difference(old, new), tuple(_reasons(making.engine, drawn.about)))


def _named(making: Making, source: Path | None, mask: Path | None) -> Mapping[str, Path]:
    wanted = making.request.source
    pairs = ((wanted.picture, source), (wanted.mask, mask)) if wanted else ()
    return {name: path for name, path in pairs if name and path is not None}


def _difference(old: Image.Image, new: Image.Image) -> tuple[float, int]:
    """Share of differing pixels, and the largest difference of any channel."""
    if old.size != new.size or old.mode != new.mode:
        return 1.0, 255
    bands = ImageChops.difference(old, new).split()
    most = bands[0]
    for band in bands[1:]:
        most = ImageChops.lighter(most, band)
    histogram = most.histogram()
    return 1 - histogram[0] / sum(histogram), max(value for value, count in enumerate(histogram) if count)


def _reasons(then: Mapping[str, Any], now: Mapping[str, Any]) -> Sequence[str]:
    # Pictures from before it could be chosen do not name it.
    then = {"precision": now.get("precision"), **then}
    return [
        f"{words} is another: {_short(then.get(name))} then, {_short(now.get(name))} now"
        for name, words in DECIDES.items()
        if then.get(name) != now.get(name)
    ]


def _short(value: object) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 24 else f"{text[:12]}…"


def _references(making: Making) -> tuple[tuple[str, ...], ...]:
    """Ids of the drawings that each drawing of the picture was drawn from; none where the file says nothing sound."""
    try:
        shown: Any = making.engine["references"][making.picture]
        return tuple(tuple(str(each) for each in ids) for ids in shown)
    except (KeyError, IndexError, TypeError):
        return ()
