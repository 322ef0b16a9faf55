"""What is known of pipeline families: whether they draw from text, at which size, in how many steps, in which numbers.

Everything that a checkpoint tells itself is read from it; the tables hold what its makers say elsewhere.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..common import check_folder, class_of
from ..errors import WeightsRefused

#: Pipelines that draw from more than a text, by words of their class's name, and what they want.
_WANT: tuple[tuple[str, str], ...] = (
    ("Inpaint", "a picture and a mask: it paints into pictures"),
    ("Img2Img", "a picture to begin from: it is a refiner, or changes pictures"),
    ("ControlNet", "a control picture"),
    ("Upscale", "a picture to enlarge"),
    ("Edit", "a picture to edit"),
    ("Kontext", "a picture to edit"),
    ("Layered", "a picture to take apart"),
    ("Video", "frames: it makes videos"),
    ("Audio", "sound: it makes sound"),
    ("Prior", "the decoder that draws from its embeddings"),
)
#: Side in pixels of families that tell none themselves.
_SIDES: Mapping[str, int] = {"StableDiffusionXLPipeline": 1024, "StableDiffusionPipeline": 512}
_SIDE_OF_OTHERS = 1024
#: Families that are trained in half precision of 16 bits with 5 of exponent: they overflow in no layer.
_FLOAT16 = ("StableDiffusionPipeline", "StableDiffusionXL", "IF", "Kandinsky", "LatentConsistency", "Wuerstchen")


@dataclass(frozen=True, slots=True)
class Habits:
    """How a model is used where nobody says otherwise."""

    steps: int
    guidance: float


#: Steps and guidance that makers recommend, by class; by signs in the name of the folder, which come first.
_HABITS: Mapping[str, Habits] = {
    "StableDiffusionPipeline": Habits(30, 7.5), "StableDiffusionXLPipeline": Habits(30, 6.0),
    "StableDiffusion3Pipeline": Habits(28, 4.5), "FluxPipeline": Habits(28, 3.5), "Flux2Pipeline": Habits(28, 4.0),
    "ChromaPipeline": Habits(35, 5.0), "QwenImagePipeline": Habits(50, 4.0), "ZImagePipeline": Habits(28, 4.0),
    "PixArtAlphaPipeline": Habits(20, 4.5), "PixArtSigmaPipeline": Habits(20, 4.5), "SanaPipeline": Habits(20, 4.5),
    "HunyuanDiTPipeline": Habits(50, 5.0), "AuraFlowPipeline": Habits(50, 3.5), "Lumina2Pipeline": Habits(30, 4.0),
    "CogView4Pipeline": Habits(50, 3.5), "LatentConsistencyModelPipeline": Habits(4, 8.5),
    "SanaSprintPipeline": Habits(2, 4.5), "IFPipeline": Habits(100, 7.0), "Kandinsky3Pipeline": Habits(25, 3.0),
    "KandinskyV22CombinedPipeline": Habits(50, 4.0),
}  # fmt: skip
_SIGNS: tuple[tuple[re.Pattern[str], Habits], ...] = tuple(
    (re.compile(rf"(?:^|[^a-z]){word}(?:[^a-z]|$)", re.IGNORECASE), habits)
    for word, habits in (
        ("schnell", Habits(4, 1.0)),
        ("lightning", Habits(4, 1.0)),
        ("hyper", Habits(4, 1.0)),
        ("lcm", Habits(4, 1.0)),
        ("tcd", Habits(4, 1.0)),
        ("klein", Habits(4, 1.0)),
        ("sprint", Habits(2, 4.5)),
        ("turbo", Habits(4, 1.0)),
    )
)
#: Z-Image-Turbo is told to take nine.
_TURBO: Mapping[str, Habits] = {"ZImagePipeline": Habits(9, 1.0), "StableDiffusion3Pipeline": Habits(4, 1.0)}
_TURBO_SIGN = re.compile(r"(?:^|[^a-z])turbo(?:[^a-z]|$)", re.IGNORECASE)
#: Of a model that nobody knows.
_USUAL = Habits(30, 5.0)


def habits_of(kind: str, name: str, scheduler: Any = None) -> Habits:
    """Steps and guidance of a pipeline class `kind` in a folder or file called `name`."""
    if _TURBO_SIGN.search(name) and kind in _TURBO:
        return _TURBO[kind]
    for sign, habits in _SIGNS:
        if sign.search(name):
            return habits
    if scheduler is not None and type(scheduler).__name__ in ("LCMScheduler", "TCDScheduler"):
        return Habits(4, 1.0)
    return _HABITS.get(kind, _USUAL)


def check_drawing(kind: Any) -> None:
    """Refuse a pipeline class that does not draw from text alone.

    Raises:
        WeightsRefused: says what it wants.
    """
    takes = inspect.signature(kind.__call__).parameters
    name = kind.__name__
    check_name(name)
    if "prompt" not in takes:
        needs = ", ".join(
            each for each, one in takes.items() if one.default is one.empty and each not in ("self", "kwargs")
        )
        raise WeightsRefused(f"{name} takes no prompt but {needs or 'nothing'}. Use a text-to-image model.")
    if "num_inference_steps" not in takes:
        raise WeightsRefused(f"{name} does not draw in denoising steps, and only such models are drawn with here.")


def check_name(name: str) -> None:
    """The same by the name of the class alone.

    Raises:
        WeightsRefused: says what it wants.
    """
    for word, wants in _WANT:
        if word in name:
            raise WeightsRefused(f"{name} draws from {wants}. Requests are texts: use a text-to-image model.")


def check_told(weights: Path) -> None:
    """Refuse a folder by what its JSON tells, in a millisecond and without torch: what loading would refuse as well.

    Raises:
        WeightsMissing, WeightsRefused: with what to do.
    """
    check_folder(weights)
    if weights.is_file():
        return
    check_name(class_of(weights))
    told: dict[str, Any] = {}
    for part in ("unet", "vae"):
        # What is not there, or not to be read, is for loading to name.
        with suppress(OSError, ValueError):
            told[part] = json.loads((weights / part / "config.json").read_text(encoding="utf-8"))
    channels, latent = told.get("unet", {}).get("in_channels"), told.get("vae", {}).get("latent_channels")
    if isinstance(channels, int) and isinstance(latent, int):
        check_channels(channels, latent)


def check_network(pipeline: Any) -> None:
    """Refuse a text-to-image pipeline whose network wants more than a text.

    Raises:
        WeightsRefused: says what it wants.
    """
    unet, vae = pipeline.components.get("unet"), pipeline.components.get("vae")
    if unet is None or vae is None or not hasattr(vae.config, "latent_channels"):
        return
    check_channels(unet.config.in_channels, vae.config.latent_channels)


def check_channels(channels: int, latent: int) -> None:
    """Whether a U-Net takes latents and nothing else.

    Raises:
        WeightsRefused: says what it wants.
    """
    if channels == 2 * latent + 1:
        raise WeightsRefused(
            f"This U-Net takes {channels} channels: it is an inpainting model, which draws only into pictures with a "
            "mask. Use its text-to-image model; that paints into pictures here as well."
        )
    if channels == 2 * latent:
        raise WeightsRefused(
            f"This U-Net takes {channels} channels: it changes pictures by what it is told (InstructPix2Pix, depth). "
            "Requests are texts: use a text-to-image model."
        )
    if channels != latent:
        raise WeightsRefused(
            f"This U-Net takes {channels} channels and its codec has {latent}: they do not belong together."
        )


def factor_of(pipeline: Any) -> int:
    """Pixels along one side of what the network sees as one."""
    parts = pipeline.components
    if not any(name in parts for name in ("vae", "movq", "vqgan", "vqvae", "decoder_movq")):
        return 1  # DeepFloyd's networks see pixels.
    for name in ("vae_scale_factor", "movq_scale_factor"):
        if isinstance(found := getattr(pipeline, name, None), int | float) and found:
            return int(found)
    codec = next((parts[name] for name in ("movq", "decoder_movq") if parts.get(name) is not None), None)
    blocks = getattr(codec.config, "block_out_channels", None) if codec is not None else None
    return 2 ** (len(blocks) - 1) if blocks else 8


def native_of(pipeline: Any) -> int:
    """Side in pixels of the square pictures that a pipeline was made for."""
    part = next(
        (
            found
            for name in ("transformer", "unet", "decoder_unet", "decoder")
            if (found := pipeline.components.get(name)) is not None
        ),
        None,
    )
    factor = factor_of(pipeline)
    for cells in (
        getattr(pipeline, "default_sample_size", None),
        getattr(part.config, "sample_size", None) if part is not None else None,
    ):
        if found := side_of(cells):
            return found * factor
    default = inspect.signature(type(pipeline).__call__).parameters.get("height")
    if default is not None and isinstance(default.default, int):
        return default.default
    return _SIDES.get(type(pipeline).__name__, _SIDE_OF_OTHERS)


def side_of(cells: object) -> int:
    """Of a `sample_size`: a number, height and width, or nothing at all (0)."""
    if isinstance(cells, list | tuple) and cells and all(isinstance(each, int | float) for each in cells):
        product = 1.0
        for each in cells[-2:]:
            product *= float(each)
        return round(product ** (1 / len(cells[-2:])))
    return int(cells) if isinstance(cells, int | float) and cells else 0


def half_of(kind: str) -> str:
    """The half precision that a family was made for: `float16` or `bfloat16`."""
    return "float16" if kind.startswith(_FLOAT16) else "bfloat16"
