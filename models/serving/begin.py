"""From a request to pictures at their first step: words, noise, size, what is kept of a source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from .. import upscaler
from . import drawing, solver, sources
from .adapters import Adapters
from .asks import Ask
from .drawing import Known, Lane, Picture
from .folder import native_size
from .network import Network, Variant
from .previews import Sketch

#: Most steps of a draft where the weights have no student.
DRAFT_STEPS = 6


@dataclass(frozen=True, slots=True)
class Kit:
    """What pictures are drawn with."""

    network: Network
    adapters: Adapters
    enlarge: upscaler.Upscaler | None
    sketch: Sketch | None


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a request is sampled, once drafts are settled."""

    steps: int
    guidance: float
    order: int
    #: What the metadata says of it.
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Begun:
    """A request whose pictures can be drawn."""

    pictures: tuple[Picture, ...]
    canvas: sources.Canvas | None
    about: Mapping[str, Any]


def sampling_of(ask: Ask, student: Mapping[str, Any] | None) -> Sampling:
    """Steps, guidance and order of the solver; drafts go by the student's own numbers where there is one."""
    if not ask.draft:
        return Sampling(ask.steps, ask.guidance, 2, {"sampler": solver.NAMES[2]})
    if student is None:
        steps = min(ask.steps, DRAFT_STEPS)
        return Sampling(steps, ask.guidance, 2, {"sampler": solver.NAMES[2], "draft": "few steps: no student here"})
    order = int(student["solver_order"])
    return Sampling(
        int(student["steps"]), float(student["guidance"]), order, {"sampler": solver.NAMES[order], "draft": "student"}
    )


def begin(kit: Kit, ask: Ask, first: int) -> Begun:
    """Everything up to the first step.

    Args:
        kit: loaded.
        ask: the request.
        first: number of its first picture; the others follow.

    Raises:
        Unrenderable: an adapter that is not there, a source that says nothing.
    """
    network = kit.network
    how = sampling_of(ask, kit.adapters.student)
    variant = kit.adapters.variant(ask.adapters, draft=ask.draft)
    width, height = native_size(ask.width, ask.height, network.native, max(8, network.factor))
    cells = (height // network.factor, width // network.factor)

    # Words.
    asked = [(network.words(variant, text), weight) for text, weight in _texts(kit, ask)]
    words, shares = drawing.rows_and_shares(asked, network.words(variant, ask.negative), how.guidance)

    # What is there before the first step.
    canvas = sources.canvas_of(ask.source, ask.width, ask.height) if ask.source else None
    latents = network.encode(sources.pixels(canvas.picture, (width, height))) if canvas else None
    start = solver.table(network.scheduler, how.steps).start(canvas.strength) if canvas else 0
    start = min(start, how.steps - 1)
    table = solver.table(network.scheduler, how.steps, begin=start, order=how.order)
    lane = Lane(variant.name, *cells, ask.tile)
    pictures = [
        _picture(kit, first + k, lane, variant, noise.to(network.device), latents, table, start)
        for k, noise in enumerate(drawing.noises(ask.seeds, (network.channels, *cells), ask.chaos))
    ]
    for picture in pictures:
        picture.words, picture.shares = words, shares
        picture.end = drawing.last_step(start, how.steps, ask.stop)
        if canvas is not None and canvas.mask is not None and latents is not None:
            picture.known = Known(latents, sources.latent_mask(canvas.mask, *cells).to(network.device))
    about = {
        **how.about,
        "steps": how.steps,
        "guidance": how.guidance,
        "drawn": [width, height],
        **({"first_step": start} if start else {}),
        **({"adapters": dict(used)} if (used := kit.adapters.about(ask.adapters, draft=ask.draft)) else {}),
    }
    return Begun(tuple(pictures), canvas, about)


def read_together(kit: Kit, asks: Sequence[Ask]) -> None:
    """Encode the texts of requests that begin at the same time in one forward, for `begin` to find.

    Requests with adapters are left to `begin`, and so is whatever goes wrong: it can say whose it was.
    """
    plain = [ask for ask in asks if not ask.adapters and not ask.draft]
    texts = [text for ask in plain for text in (*(text for text, _ in _texts(kit, ask)), ask.negative)]
    with suppress(Exception):
        kit.network.read(kit.network.plain, texts)


def _texts(kit: Kit, ask: Ask) -> list[tuple[str, float]]:
    """What is asked for, with weights."""
    return [(_worded(kit, ask, text), weight) for text, weight in ask.parts or ((ask.prompt, 1.0),)]


def _worded(kit: Kit, ask: Ask, text: str) -> str:
    """The text as the captions of training would say it: style at the end, an adapter's own word first."""
    styled = f"{text}, {ask.style} style" if ask.style and ask.style not in text else text
    return kit.adapters.prompt(styled, ask.adapters)


def _picture(
    kit: Kit,
    number: int,
    lane: Lane,
    variant: Variant,
    noise: Tensor,
    latents: Tensor | None,
    table: solver.Table,
    start: int,
) -> Picture:
    alpha, sigma = table.levels[start]
    sample = noise if latents is None else alpha * latents + sigma * noise
    return Picture(
        id=number, lane=lane, variant=variant, sample=sample, estimate=sample, table=table, at=start,
        end=len(table.rows), words=(), shares=(), noise=noise,
    )  # fmt: skip
