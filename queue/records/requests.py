"""What a member asks for: one frozen, checked record that every process understands.

Pure: no I/O, no Discord, no torch. `bot`, `web` and the command line build it, the job table stores it as JSON,
the worker reads it. Limits here are what the product can do at all; a server's own limits lie in its settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    ValidationError,
    model_serializer,
)

from ..errors import InvalidRequest
from .flags import Flag, flags_of

#: Longest prompt, in characters. Discord's own option limit is 6,000; the text encoder reads far less.
MAX_PROMPT = 1_000
#: Pictures of one request.
MAX_COUNT = 4
#: Seeds are unsigned 32-bit, as Midjourney's are.
MAX_SEED = 2**32 - 1

Prompt = Annotated[str, StringConstraints(strip_whitespace=True, max_length=MAX_PROMPT)]
#: Longest side of a delivered picture in pixels; 4 million pixels at most follow from it.
LONGEST_SIDE = 2048
#: Sides up to here may be asked of every model; see `usual.check_size` for longer ones.
EVERY_SIDE = 1024
#: Side of a delivered picture in pixels. The engine renders at the model's own size and scales to this.
Side = Annotated[int, Field(ge=64, le=LONGEST_SIDE, multiple_of=16)]


Percent = Annotated[int, Field(ge=0, le=100)]
#: Name of a file in the picture store, or of an adapter, a model, a style.
Name = Annotated[str, StringConstraints(max_length=200)]


#: Samplers that a request may name, as models/serving/samplers.py has them; which of them fit depends on the model.
SAMPLERS = (
    *("ddim", "ddpm", "deis", "dpm++-2m", "dpm++-2m-karras", "dpm++-2m-exponential", "dpm++-2m-sde"),
    *("dpm++-2m-sde-karras", "dpm++-2s", "euler", "euler-a", "euler-karras", "heun", "kdpm2", "kdpm2-a", "lcm", "pndm"),
    *("tcd", "unipc"),
)


class Part(BaseModel):
    """A part of a prompt with its weight: `cat::2 dog` is ("cat", 2) and ("dog", 1); negative ones push away."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    text: Annotated[Prompt, Field(min_length=1)]
    weight: Annotated[float, Field(ge=-10.0, le=10.0, allow_inf_nan=False)] = 1.0


#: Fields of a source that came later, as they are where nobody said them.
UNSAID = (("seed", None), ("fit", "crop"), ("scale", None))


class Source(BaseModel):
    """A picture that the request begins from. Files are names in the picture store; the worker is sent their bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    #: `vary`: the picture, noised by `strength` and drawn again. `inpaint`: where `mask` is white, drawn again.
    #: `outpaint`: drawn on beyond its edges by `expand`.
    use: Literal["vary", "inpaint", "outpaint"] = "vary"
    picture: Annotated[Name, Field(min_length=1)]
    mask: Name = ""
    #: Share of the noise that is added: 0 keeps the picture, 1 forgets it.
    strength: Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)] = 0.6
    #: Left, top, right, bottom in percent of the picture's sides.
    expand: Annotated[tuple[Percent, Percent, Percent, Percent], Field(strict=False)] = (0, 0, 0, 0)
    #: Into another shape: `crop` cuts off what is too much, `pad` keeps all of it and fills up by its edges.
    fit: Literal["crop", "pad"] = "crop"
    #: Of a picture that was drawn here: the seed by which its things were set out, so that each is varied in its place.
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] | None = None
    #: Of a picture to `vary`: read as a prompt where the model has an IP-Adapter, counting so much beside the words;
    #: None: begun from by `strength` in any case, as it is where the model has none.
    scale: Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)] | None = None

    @model_serializer(mode="wrap")
    def _without_what_is_not_said(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """As below: workers of an earlier version know none of them."""
        told: dict[str, Any] = handler(self)
        return {name: value for name, value in told.items() if (name, value) not in UNSAID}


class ImageRequest(BaseModel):
    """One `/imagine`: immutable, JSON in and out, the same on every host."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    #: Raised when a field changes its meaning, so that an old queue meets new code knowingly.
    version: Literal[1] = 1
    prompt: Annotated[Prompt, Field(min_length=1)]
    #: What the picture should not show.
    negative: Annotated[Prompt, Flag("words", ("no",), "--no clouds", times=16, option="no")] = ""
    #: How many pictures; picture k (from 0) is drawn with seed + k, modulo 2**32.
    count: Annotated[int, Field(ge=1, le=MAX_COUNT), Flag("whole", ("n", "count"), "--n 4")] = 1
    seed: Annotated[int, Field(ge=0, le=MAX_SEED), Flag("whole", ("seed",), "--seed 7")]
    #: Denoising steps.
    steps: Annotated[int, Field(ge=1, le=100), Flag("whole", ("steps",), "--steps 16")] = 16
    #: Classifier-free guidance scale; 1 means none.
    guidance: Annotated[float, Field(ge=1.0, le=20.0, allow_inf_nan=False)] = 3.0
    #: Delivered size in pixels.
    width: Side = 256
    height: Side = 256
    #: Name of the model that shall draw it; empty: whichever a worker has.
    model: Annotated[str, StringConstraints(max_length=100), Flag("name", ("model",), "--model first-light")] = ""
    #: The prompt in weighted parts; empty: as it stands.
    parts: Annotated[tuple[Part, ...], Field(max_length=16, strict=False)] = ()
    #: A drawing style the model was taught, such as `noto`; empty: any.
    style: Annotated[Name, Flag("name", ("style",), "--style noto")] = ""
    #: Spread of the first noise between the pictures of one grid, in percent; 0: independent seeds.
    chaos: Annotated[Percent, Flag("whole", ("c", "chaos"), "--chaos 30")] = 0
    #: Percent of the steps after which drawing ends.
    stop: Annotated[int, Field(ge=10, le=100), Flag("whole", ("stop",), "--stop 80")] = 100
    #: Edges that fit together.
    tile: Annotated[bool, Flag("switch", ("tile",))] = False
    #: By the student in few steps, where the model has one.
    draft: Annotated[bool, Flag("switch", ("draft",))] = False
    #: With the background cut away.
    transparent: Annotated[bool, Flag("switch", ("transparent",))] = False
    #: Drawn as one picture, whatever things it lists; otherwise these may be drawn one by one and set out.
    raw: Annotated[bool, Flag("switch", ("raw",))] = False
    #: What steps the picture, in place of the model's own scheduler; empty: that one.
    sampler: Annotated[Name, Flag("name", ("sampler",), "--sampler euler-a", choices=SAMPLERS, named=True)] = ""
    #: With an SVG of each picture beside it, traced (queue/pictures/vector.py).
    svg: Annotated[bool, Flag("switch", ("svg",))] = False
    #: Names of LoRA adapters in the worker's folder.
    adapters: Annotated[
        tuple[Name, ...], Field(max_length=4, strict=False),
        Flag("name", ("lora",), "--lora stamps", times=4, option="lora"),
    ] = ()  # fmt: skip
    #: Name of a ControlNet in the worker's folder, which is shown the picture of `source`: that says where things are
    #: then, and is not begun from.
    control: Annotated[Name, Flag("name", ("control",), "--control canny", option="control")] = ""
    source: Source | None = None
    #: With a visible mark that it was made by a trained model.
    label: bool = False

    @model_serializer(mode="wrap")
    def _without_what_is_not_said(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Workers of an earlier version do not know the later fields: they are only told when they say something."""
        told: dict[str, Any] = handler(self)
        return {name: value for name, value in told.items() if name not in LATER or (value and value != LATER[name])}

    @property
    def pixels(self) -> int:
        return self.width * self.height

    @property
    def seeds(self) -> tuple[int, ...]:
        """One seed for each picture."""
        return tuple((self.seed + k) % (MAX_SEED + 1) for k in range(self.count))

    @property
    def source_names(self) -> tuple[str, ...]:
        """Names in the picture store of the files that it begins from, each once."""
        if self.source is None:
            return ()
        return tuple(dict.fromkeys(name for name in (self.source.picture, self.source.mask) if name))


#: Fields of version 1 as it began. Whatever came later is told to workers only where it says something; empty says
#: nothing either.
FIRST = frozenset({"version", "prompt", "negative", "count", "seed", "steps", "guidance", "width", "height"})
LATER: Mapping[str, Any] = {
    name: field.default for name, field in ImageRequest.model_fields.items() if name not in FIRST
}
_SCHEMA = ImageRequest.model_json_schema()["properties"]
#: Every flag of a prompt, in the order in which they are written and explained.
FLAGS: tuple[Flag, ...] = flags_of(
    {
        name: (flag, _SCHEMA[name])
        for name, field in ImageRequest.model_fields.items()
        for flag in field.metadata
        if isinstance(flag, Flag)
    }
)


def image_request(**fields: Any) -> ImageRequest:
    """Build a request from what somebody typed.

    Raises:
        InvalidRequest: names the first bad field, what is wrong with it and the allowed range.
    """
    try:
        return ImageRequest(**fields)
    except ValidationError as problems:
        first = problems.errors()[0]
        field = str(first["loc"][0]) if first["loc"] else "request"
        raise InvalidRequest(field=field, kind=first["type"], limits=dict(first.get("ctx", {}))) from None
