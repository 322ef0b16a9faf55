"""From a request to pictures at their first step, for a denoiser that draws from drawings: as `begin`, with a bank."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image
from torch import Tensor

from ..drawer.network import Context
from ..drawer.pipeline import guidance_shares
from ..drawer.shelf import Shown
from ..errors import Unfit, Unsupported
from ..layout import Arrangement, drawings, places, seed_of, taken_apart
from . import drawing, sources
from .begin import Begun, RenderContext, Sampling, layout_of, sampling_of, seeds_of_places, told_of_picture
from .drawer_network import DrawerNetwork
from .drawing import Known, Lane, Picture
from .requests import RenderRequest

#: One drawing: what it is drawn from, and its weight among the parts of a prompt.
_Parts = Sequence[tuple[Shown, float]]


def begin(context: RenderContext, request: RenderRequest, first: int) -> Begun:
    """Everything up to the first step, see `begin.begin`.

    Raises:
        Unfit: tiles, adapters, a source that says nothing, a drawing that is not there any more.
    """
    network = context.network
    assert isinstance(network, DrawerNetwork)
    if request.tile:
        raise Unfit("These weights draw one thing on clear ground, which has no edges to be continued: no tiles.")
    if request.control:
        raise Unsupported("These weights are drawn with drawings and take no ControlNet.", "control")
    if request.adapters:
        raise Unfit(f"These weights take no adapters ({', '.join(request.adapters)}); drawings are added to the bank.")
    network.shelf.refresh()
    sampler = network.samplers.of(request)
    how = sampling_of(request, None, sampler)
    layout = layout_of(context, request)
    side, cells = network.native, network.cells
    lane = Lane("", cells, cells, tile=False)
    shape = (network.channels, cells, cells)

    # What is there before the first step.
    canvas = sources.canvas_of(request.source, request.width, request.height) if request.source else None
    known = [network.encode(each) for each in _begun_from(request, canvas, context, side)]
    course = sampler.course(how.steps, canvas.strength if canvas else None)

    # Drawings and noise of each thing of each picture.
    columns: list[list[Picture]] = []
    shown: list[list[_Parts]] = []
    for k, parts in enumerate(_asked(context, request)):
        latents = known[k] if known else None
        noises = drawing.noises([seed_of(seed, k) for seed in request.seeds], shape, request.chaos)
        kept = request.references[k] if k < len(request.references) else ()
        seen = [
            [(network.shelf.shown(text, request.style, seed, kept), weight) for text, weight in parts]
            for seed in request.seeds
        ]
        column: list[Picture] = []
        for each, noise in zip(seen, noises, strict=True):
            words, shares = _rows(network, each, request.negative, how)
            column.append(_picture(lane, network, noise.to(network.device), latents, course, words, shares))
        columns.append(column)
        shown.append(seen)
    pictures = [picture for row in zip(*columns, strict=True) for picture in row]
    for number, picture in enumerate(pictures, first):
        picture.id = number
        picture.end = drawing.last_step(course.begin, len(course), request.stop)
        if canvas is not None and canvas.mask is not None:
            picture.known = Known(known[0], sources.latent_mask(canvas.mask, cells, cells).to(network.device))
    about = {
        **how.about, "steps": how.steps, "guidance": how.guidance, "drawn": [side, side], **network.shelf.digests,
        # Of each picture, of each of its drawings.
        "references": [[[i for one, _ in parts for i in one.ids] for parts in row] for row in zip(*shown, strict=True)],
        "found": [_told(one) for seen in shown for one, _ in seen[0]],
        **({"reference_guidance": network.reference_guidance} if network.reference_guidance else {}),
        **({"first_step": course.begin} if course.begin else {}), **told_of_picture(request),
        **({"layout": [layout.way, *(group.count for group in layout.groups)]} if layout is not None else {}),
    }  # fmt: skip
    if layout is None or layout.single:
        return Begun(tuple(pictures), canvas, about)
    laid_by = seeds_of_places(request)
    return Begun(tuple(pictures), None, about, Arrangement(layout, laid_by))


def _asked(context: RenderContext, request: RenderRequest) -> Sequence[Sequence[tuple[str, float]]]:
    """What each drawing of one picture is asked for by, with weights."""
    layout = layout_of(context, request)
    if layout is not None:
        return [[(text, 1.0)] for text in drawings(layout)]
    return [request.parts or ((request.prompt, 1.0),)]


def _begun_from(
    request: RenderRequest, canvas: sources.Canvas | None, context: RenderContext, side: int
) -> list[Image.Image]:
    """What each drawing begins from: the picture, or the things that were set out in it."""
    if canvas is None or request.source is None:
        return []
    layout = layout_of(context, request)
    if layout is None or layout.single or request.source.seed is None:
        # Its own alpha is worth more than a cut-out; the canvas has none.
        own = request.source.picture
        return [own if request.source.use == "vary" and own.mode == "RGBA" else canvas.picture]
    return taken_apart(canvas.picture, places(layout, request.width / request.height, request.source.seed), side)


def _rows(
    network: DrawerNetwork, parts: _Parts, negative: str, how: Sampling
) -> tuple[tuple[Context, ...], tuple[float, ...]]:
    """The rows of one picture: words and drawings of each part, drawings alone, nothing; see `guidance_shares`."""
    total = sum(weight for _, weight in parts if weight > 0) or 1.0
    words, references, nothing = guidance_shares(how.guidance, network.reference_guidance or how.guidance)
    rows: list[tuple[Context, float]] = []
    for shown, weight in parts:
        rows.append((network.context(shown.text, shown.ids), words * weight / total))
        if shown.ids:
            rows.append((network.context(negative, shown.ids), references * weight / total))
        else:
            nothing += references * weight / total
    # What the weights of parts that push away leave over is drawn from nothing, so that all shares sum to 1.
    nothing += (words + references) * (1 - sum(weight for _, weight in parts) / total)
    rows.append((network.context(negative, ()), nothing))
    kept = [(row, share) for row, share in rows if abs(share) > 1e-9]
    return tuple(row for row, _ in kept), tuple(share for _, share in kept)


def _picture(
    lane: Lane, network: DrawerNetwork, noise: Tensor, latents: Tensor | None, course: Any,
    words: tuple[Context, ...], shares: tuple[float, ...],
) -> Picture:  # fmt: skip
    """Before its first step; `begin` numbers it."""
    sample = course.first(noise, latents)
    return Picture(
        id=0, lane=lane, variant=network.plain, sample=sample, estimate=sample, course=course, at=course.begin,
        end=len(course), words=words, shares=shares, noise=noise,
    )  # fmt: skip


def _told(shown: Shown) -> dict[str, object]:
    """What the metadata says of a find: below certainty the thing is the nearest, and was not drawn from."""
    found = shown.found
    thing = found.thing.caption if found.thing is not None else ""
    told: dict[str, object] = {"score": found.score, "how": found.how}
    if thing:
        told["thing" if found.sure else "nearest"] = thing
    if found.sure and found.rest:
        told["not_drawn"] = list(found.rest)
    return told
