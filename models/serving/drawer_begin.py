"""From a request to pictures at their first step, for a denoiser that draws from drawings: as `begin`, with a bank."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image
from torch import Tensor

from ..drawer.network import Context
from ..drawer.pipeline import guidance_shares
from ..drawer.shelf import Shown
from ..errors import Unfit
from ..layout.collage import taken_apart
from ..layout.places import Arrangement, drawings, places, seed_of
from . import drawing, sources
from .begin import Begun, Kit, Sampling, layout_of, sampling_of
from .drawer_network import DrawerNetwork
from .drawing import Known, Lane, Picture
from .requests import Ask

#: One drawing: what it is drawn from, and its weight among the parts of a prompt.
_Parts = Sequence[tuple[Shown, float]]


def begin(kit: Kit, ask: Ask, first: int) -> Begun:
    """Everything up to the first step, see `begin.begin`.

    Raises:
        Unfit: tiles, adapters, a source that says nothing, a drawing that is not there any more.
    """
    network = kit.network
    assert isinstance(network, DrawerNetwork)
    if ask.tile:
        raise Unfit("These weights draw one thing on clear ground, which has no edges to be continued: no tiles.")
    if ask.adapters:
        raise Unfit(f"These weights take no adapters ({', '.join(ask.adapters)}); drawings are added to the bank.")
    network.shelf.refresh()
    how = sampling_of(ask, None, network.sampler)
    layout = layout_of(kit, ask)
    side = network.native
    lane = Lane("", side, side, tile=False)

    # What is there before the first step.
    canvas = sources.canvas_of(ask.source, ask.width, ask.height) if ask.source else None
    known = [network.encode(each) for each in _begun_from(ask, canvas, kit, side)]
    course = network.sampler.course(how.steps, canvas.strength if canvas else None)

    # Drawings and noise of each thing of each picture.
    columns: list[list[Picture]] = []
    shown: list[list[_Parts]] = []
    for k, parts in enumerate(_asked(kit, ask)):
        latents = known[k] if known else None
        noises = drawing.noises([seed_of(seed, k) for seed in ask.seeds], (4, side, side), ask.chaos)
        kept = ask.references[k] if k < len(ask.references) else ()
        seen = [
            [(network.shelf.shown(text, ask.style, seed, kept), weight) for text, weight in parts] for seed in ask.seeds
        ]
        column: list[Picture] = []
        for each, noise in zip(seen, noises, strict=True):
            words, shares = _rows(network, each, ask.negative, how)
            column.append(_picture(lane, network, noise.to(network.device), latents, course, words, shares))
        columns.append(column)
        shown.append(seen)
    pictures = [picture for row in zip(*columns, strict=True) for picture in row]
    for number, picture in enumerate(pictures, first):
        picture.id = number
        picture.end = drawing.last_step(course.begin, len(course), ask.stop)
        if canvas is not None and canvas.mask is not None:
            picture.known = Known(known[0], sources.latent_mask(canvas.mask, side, side).to(network.device))
    about = {
        **how.about, "steps": how.steps, "guidance": how.guidance, "drawn": [side, side], **network.shelf.digests,
        # Of each picture, of each of its drawings.
        "references": [[[i for one, _ in parts for i in one.ids] for parts in row] for row in zip(*shown, strict=True)],
        "found": [_told(one) for seen in shown for one, _ in seen[0]],
        **({"reference_guidance": network.reference_guidance} if network.reference_guidance else {}),
        **({"first_step": course.begin} if course.begin else {}),
        **({"layout": [layout.way, *(group.count for group in layout.groups)]} if layout is not None else {}),
    }  # fmt: skip
    if layout is None or layout.single:
        return Begun(tuple(pictures), canvas, about)
    laid_by = ask.seeds if ask.source is None or ask.source.seed is None else (ask.source.seed,) * len(ask.seeds)
    return Begun(tuple(pictures), None, about, Arrangement(layout, laid_by))


def _asked(kit: Kit, ask: Ask) -> Sequence[Sequence[tuple[str, float]]]:
    """What each drawing of one picture is asked for by, with weights."""
    layout = layout_of(kit, ask)
    if layout is not None:
        return [[(text, 1.0)] for text in drawings(layout)]
    return [ask.parts or ((ask.prompt, 1.0),)]


def _begun_from(ask: Ask, canvas: sources.Canvas | None, kit: Kit, side: int) -> list[Image.Image]:
    """What each drawing begins from: the picture, or the things that were set out in it."""
    if canvas is None or ask.source is None:
        return []
    layout = layout_of(kit, ask)
    if layout is None or layout.single or ask.source.seed is None:
        # Its own alpha is worth more than a cut-out; the canvas has none.
        own = ask.source.picture
        return [own if ask.source.use == "vary" and own.mode == "RGBA" else canvas.picture]
    return taken_apart(canvas.picture, places(layout, ask.width / ask.height, ask.source.seed), side)


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
    kept = [(context, share) for context, share in rows if abs(share) > 1e-9]
    return tuple(context for context, _ in kept), tuple(share for _, share in kept)


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
