"""From a request to pictures at their first step: words, noise, size, what is kept of a source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from PIL import Image
from torch import Tensor

from ..common import native_size, upscaler
from ..errors import ControlUnfit
from ..layout import NOTHING, Arrangement, Layout, Names, drawings, places, read, seed_of, taken_apart
from . import drawing, solver, sources
from .adapters import Adapters
from .controls import Controls, map_of
from .drawer_finish import DrawerSketch
from .drawer_network import DrawerNetwork
from .drawing import Known, Lane, Picture
from .embeddings import Embeddings
from .images import ImagePrompts
from .network import Network, Variant, Words
from .previews import Sketch
from .requests import RenderRequest
from .samplers import Sampler
from .samplers import course as table_course
from .stock import Run

#: Most steps of a draft where the weights have no student.
DRAFT_STEPS = 6


@dataclass(frozen=True, slots=True)
class RenderContext:
    """What pictures are drawn with."""

    network: Network | DrawerNetwork
    #: None for what takes no adapters.
    adapters: Adapters | None
    enlarge: upscaler.Upscaler | None
    sketch: Sketch | DrawerSketch | None
    #: What prompts are read as layouts of; nothing: they are drawn as they stand.
    names: Names = NOTHING
    #: None for what takes no textual inversions.
    embeddings: Embeddings | None = None
    #: None where no pictures can be read as prompts.
    images: ImagePrompts | None = None
    #: None where there can be no ControlNets.
    controls: Controls | None = None


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a request is sampled, once drafts are settled."""

    steps: int
    guidance: float
    #: Order of the student's solver; 0: the sampler of the weights.
    order: int
    #: What the metadata says of it.
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Begun:
    """A request whose pictures can be drawn."""

    #: With a layout the drawings of the first picture, then those of the next.
    pictures: tuple[Picture, ...]
    canvas: sources.Canvas | None
    about: Mapping[str, Any]
    #: How drawings are set out in the pictures; None where each drawing is a picture.
    arrangement: Arrangement | None = None


#: Texts with weights that one drawing is asked for by.
_Texts = Sequence[tuple[str, float]]


def sampling_of(request: RenderRequest, student: Mapping[str, Any] | None, sampler: Sampler) -> Sampling:
    """Steps, guidance and sampler; drafts go by the student's own numbers where there is one."""
    if not request.draft:
        return Sampling(request.steps, request.guidance, 0, {"sampler": sampler.name})
    if student is None:
        steps = min(request.steps, DRAFT_STEPS)
        return Sampling(steps, request.guidance, 0, {"sampler": sampler.name, "draft": "few steps: no student here"})
    order = int(student["solver_order"])
    return Sampling(
        int(student["steps"]), float(student["guidance"]), order, {"sampler": solver.NAMES[order], "draft": "student"}
    )


def begin(context: RenderContext, request: RenderRequest, first: int) -> Begun:
    """Everything up to the first step.

    Args:
        context: of the loaded engine.
        request: as it was submitted.
        first: number of its first picture; the others follow.

    Raises:
        Unrenderable: an adapter that is not there, a source that says nothing.
    """
    network = context.network
    assert isinstance(network, Network)
    assert context.adapters is not None
    embedded: Mapping[str, str] = {}
    if context.embeddings is not None:
        request, embedded = context.embeddings.settled(request)
    sampler = network.samplers.of(request)
    how = sampling_of(request, context.adapters.student, sampler)
    variant = context.adapters.variant(request.adapters, draft=request.draft)
    layout = layout_of(context, request)
    several = layout is not None and not layout.single
    # Things are drawn as large as the model draws them, whatever their picture is.
    asked_size = (network.native, network.native) if several else (request.width, request.height)
    width, height = native_size(*asked_size, network.native, max(8, network.factor), network.most_pixels)
    cells = (height // network.factor, width // network.factor)

    # What is there before the first step.
    source, seen = request.source, None
    prompted = prompted_by(request) if context.images is not None else None
    shown, controlled = None, dict[str, Any]()
    if request.control:
        shown, variant, controlled = _controlled(context, request, variant, (width, height))
        source = prompted = None
    if prompted is not None and context.images is not None and source is not None:
        # Read as a prompt: drawn from noise alone, in as many steps as without it.
        seen, variant = context.images.see(source.picture), context.images.variant(variant, prompted)
        source = None
    canvas = sources.canvas_of(source, request.width, request.height) if source else None
    begun_from = _begun_from(request, canvas, layout if several else None, network.native)
    known = [network.encode(sources.pixels(picture, (width, height))) for picture in begun_from]
    strength = canvas.strength if canvas else None
    course: solver.Table | Run = (
        table_course(solver.scheduler_for(network.plain.pipeline.scheduler), how.steps, strength, how.order)
        if how.order
        else sampler.course(how.steps, strength)
    )

    # Words and noise of each drawing of each picture.
    drawn = _drawn(context, request)
    spoken = [request.negative, *(text for texts in drawn for text, _ in texts)]
    # All rows of a picture are as long as its longest text.
    count = max(network.chunks(variant, text) for text in spoken)
    cut = max(network.cut(variant, text) for text in spoken)
    lane = Lane(variant.name, *cells, request.tile, count)
    unasked = network.encode_prompt(variant, request.negative, count)
    unasked = unasked if seen is None else seen.rows(unasked, asked=False)
    unasked = unasked if shown is None else replace(unasked, shown=shown)
    shape = (network.channels, *cells)
    columns: list[list[Picture]] = []
    for k, texts in enumerate(drawn):
        latents = known[k] if known else None
        asked = [(network.encode_prompt(variant, text, count), weight) for text, weight in texts]
        if seen is not None:
            asked = [(seen.rows(words, asked=True), weight) for words, weight in asked]
        if shown is not None:
            asked = [(replace(words, shown=shown), weight) for words, weight in asked]
        words, shares = drawing.rows_and_shares(asked, unasked, how.guidance)
        seeds = [seed_of(seed, k) for seed in request.seeds]
        columns.append(
            [
                _picture(lane, variant, noise.to(network.device), latents, _own(course, seed, shape), words, shares)
                for seed, noise in zip(seeds, drawing.noises(seeds, shape, request.chaos), strict=True)
            ]
        )
    pictures = [picture for row in zip(*columns, strict=True) for picture in row]
    for number, picture in enumerate(pictures, first):
        picture.id = number
        picture.end = drawing.last_step(course.begin, len(course), request.stop)
        if canvas is not None and canvas.mask is not None:
            picture.known = Known(known[0], sources.latent_mask(canvas.mask, *cells).to(network.device))
    about = {
        **how.about,
        "steps": how.steps,
        "guidance": how.guidance,
        "drawn": [width, height],
        **({"cut": f"{cut} tokens at the end were not read"} if cut else {}),
        **({"chunks": count} if count > 1 else {}),
        **({"unheeded": "the negative prompt: guidance is 1"} if request.negative and how.guidance == 1 else {}),
        **({"compiled": True} if network.compiled(variant, *cells, tile=request.tile) else {}),
        **({"decoded": "in tiles"} if network.tiles(*cells) else {}),
        **({"first_step": course.begin} if course.begin else {}),
        **({"adapters": dict(used)} if (used := context.adapters.about(request.adapters, draft=request.draft)) else {}),
        **({"embeddings": dict(embedded)} if embedded else {}),
        **controlled,
        **told_of_picture(request, context.images.digest if seen is not None and context.images else "", prompted),
        **({"layout": [layout.way, *(group.count for group in layout.groups)]} if layout is not None else {}),
    }
    if layout is None or layout.single:
        return Begun(tuple(pictures), canvas, about)
    # Things are varied where they lie.
    laid_by = seeds_of_places(request)
    return Begun(tuple(pictures), None, about, Arrangement(layout, laid_by))


def _controlled(
    context: RenderContext, request: RenderRequest, variant: Variant, size: tuple[int, int]
) -> tuple[Tensor, Variant, dict[str, Any]]:
    """What the ControlNet that is asked for is shown, at the size that is drawn; the networks with it; the metadata.

    Raises:
        ControlUnfit: there is no picture for it, or it cannot be used.
    """
    source = request.source
    if source is None or source.use != "vary":
        raise ControlUnfit(f"The ControlNet {request.control} needs a picture that says where things are: send one.")
    assert context.controls is not None
    variant, digest = context.controls.variant(variant, request.control)
    picture = sources.canvas_of(source, *size).picture
    shown = map_of(request.control, picture).to(context.network.device)
    return shown, variant, {"control": request.control, "control_digest": digest}


def prompted_by(request: RenderRequest) -> float | None:
    """How much its picture counts as a prompt; None where it has none that is one."""
    source = request.source
    return source.scale if source is not None and source.use == "vary" else None


def told_of_picture(request: RenderRequest, digest: str = "", scale: float | None = None) -> Mapping[str, Any]:
    """What the metadata say of a picture to vary: that it was read as a prompt, by which adapter, or begun from."""
    if request.source is None or request.source.use != "vary" or request.control:
        return {}
    return (
        {"image_prompt": "ip-adapter", "ip_adapter": digest, "image_scale": scale}
        if digest
        else {"image_prompt": "begun from"}
    )


def seeds_of_places(request: RenderRequest) -> tuple[int, ...]:
    """The seed by which the things of each picture are set out."""
    source = request.source
    return request.seeds if source is None or source.seed is None else (source.seed,) * len(request.seeds)


def _begun_from(
    request: RenderRequest, canvas: sources.Canvas | None, layout: Layout | None, side: int
) -> list[Image.Image]:
    """What each drawing begins from, if anything: the picture, or the things that were set out in it."""
    if canvas is None:
        return []
    if layout is None or request.source is None or request.source.seed is None:
        return [canvas.picture]
    laid = places(layout, request.width / request.height, request.source.seed)
    return taken_apart(canvas.picture, laid, side)


def layout_of(context: RenderContext, request: RenderRequest) -> Layout | None:
    """The request read as things to be set out, or None where it is drawn as it stands."""
    drawn_on = request.source is not None and (request.source.use != "vary" or request.source.seed is None)
    if request.raw or request.parts or drawn_on or request.tile:
        return None
    return read(request.prompt, context.names)


def drawings_of(context: RenderContext, request: RenderRequest) -> int:
    """How many drawings the request takes."""
    return len(request.seeds) * len(_drawn(context, request))


def read_together(context: RenderContext, requests: Sequence[RenderRequest]) -> None:
    """Encode the texts of requests that begin at the same time in one forward, for `begin` to find.

    Requests with adapters are left to `begin`, and so is whatever goes wrong: it can say whose it was.
    """
    plain = [request for request in requests if not request.adapters and not request.draft]
    texts = [
        text
        for request in plain
        for text in (*(text for texts in _drawn(context, request) for text, _ in texts), request.negative)
    ]
    with suppress(Exception):
        context.network.read(context.network.plain, texts)


def _drawn(context: RenderContext, request: RenderRequest) -> Sequence[_Texts]:
    """What each drawing of one picture is asked for by, with weights."""
    layout = layout_of(context, request)
    if layout is not None:
        return [[(_worded(context, request, text), 1.0)] for text in drawings(layout)]
    return [[(_worded(context, request, text), weight) for text, weight in request.parts or ((request.prompt, 1.0),)]]


def _worded(context: RenderContext, request: RenderRequest, text: str) -> str:
    """The text as the captions of training would say it: style at the end, an adapter's own word first."""
    styled = f"{text}, {request.style} style" if request.style and request.style not in text else text
    return context.adapters.prompt(styled, request.adapters) if context.adapters is not None else styled


def _own(course: solver.Table | Run, seed: int, shape: tuple[int, int, int]) -> solver.Table | Run:
    """One picture's: a table holds nothing of anybody, a scheduler has a history and noise of its own."""
    if isinstance(course, solver.Table):
        return course
    own = course.fresh()
    own.generator = drawing.generator_after(seed, shape)
    return own


def _picture(
    lane: Lane,
    variant: Variant,
    noise: Tensor,
    latents: Tensor | None,
    course: solver.Table | Run,
    words: tuple[Words, ...],
    shares: tuple[float, ...],
) -> Picture:
    """Before its first step; `begin` numbers it."""
    sample = course.first(noise, latents)
    return Picture(
        id=0, lane=lane, variant=variant, sample=sample, estimate=sample, course=course, at=course.begin,
        end=len(course), words=words, shares=shares, noise=noise,
    )  # fmt: skip
