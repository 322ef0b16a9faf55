"""What is known of pipeline families: whether they draw from text, at which size, in how many steps, in which numbers.

Everything that a checkpoint tells itself is read from it; the tables hold what its makers say elsewhere.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..common import check_folder, class_of, parts_of
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
#: Who quantises checkpoints: the package that reads them, and what pip installs.
_QUANTISERS: Mapping[str, tuple[str, str]] = {
    "bitsandbytes": ("bitsandbytes", "bitsandbytes"),
    "torchao": ("torchao", "torchao"),
    "quanto": ("optimum.quanto", "optimum-quanto"),
}
#: Families that are trained in half precision of 16 bits with 5 of exponent: they overflow in no layer.
_FLOAT16 = ("StableDiffusionPipeline", "StableDiffusionXL", "IF", "Kandinsky", "LatentConsistency", "Wuerstchen")


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
    wanted = [each for each, one in takes.items() if one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD]
    if needs := [each for each in wanted if each not in ("self", "prompt")]:
        raise WeightsRefused(
            f"{name} draws from {', '.join(needs)} beside a prompt. Requests are texts: use a text-to-image model, or "
            "the folder that holds all of its stages."
        )
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
    if weights.is_file() and weights.suffix != ".gguf":
        return
    folder = weights.with_suffix("") if weights.is_file() else weights
    check_name(class_of(folder))
    channels = config_of(folder, "unet").get("in_channels")
    latent = config_of(folder, "vae").get("latent_channels")
    if isinstance(channels, int) and isinstance(latent, int):
        check_channels(channels, latent)
    if not weights.is_file():
        check_quantised(weights)


def config_of(folder: Path, part: str) -> Mapping[str, Any]:
    """What a part tells of itself; what is not there, or not to be read, is for loading to name."""
    with suppress(OSError, ValueError):
        told: Any = json.loads((folder / part / "config.json").read_text(encoding="utf-8"))
        return told if isinstance(told, dict) else {}
    return {}


def check_quantised(weights: Path) -> None:
    """Whether what quantised a folder's parts is installed here.

    Raises:
        WeightsRefused: names the part and the package.
    """
    for name in parts_of(weights):
        told = config_of(weights, name).get("quantization_config")
        if not isinstance(told, dict):
            continue
        method = str(told.get("quant_method", "")) or ("bitsandbytes" if "load_in_4bit" in told else "")
        package, pip = _QUANTISERS.get(method, ("", ""))
        if not package:
            raise WeightsRefused(
                f"The part {name} of {weights} is quantised by {method or 'something that it does not tell'}, which is "
                "not read here. Use the model as its makers saved it; [render] quantize makes it smaller."
            )
        if find_spec(package) is None:
            raise WeightsRefused(
                f"The part {name} of {weights} is quantised by {method}, and the package {package} is not installed "
                f"here: pip install {pip}."
            )


def quantised_by(weights: Path) -> str:
    """By what weights are quantised as they lie there; empty: by nothing."""
    if weights.is_file():
        return "gguf" if weights.suffix == ".gguf" else ""
    told = [config_of(weights, name).get("quantization_config") for name in parts_of(weights)]
    found = [str(each.get("quant_method") or "bitsandbytes") for each in told if isinstance(each, dict)]
    return found[0] if found else ""


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


def native_told(weights: Path, kind: str) -> int:
    """As `native_of`, by the JSON of a folder, or of the one beside a file; about, for planning."""
    folder = weights.with_suffix("") if weights.is_file() else weights
    network = config_of(folder, "transformer") or config_of(folder, "unet")
    blocks = config_of(folder, "vae").get("block_out_channels")
    if cells := side_of(network.get("sample_size")):
        return cells * (2 ** (len(blocks) - 1) if isinstance(blocks, list) and blocks else 8)
    return _SIDES.get(kind, _SIDE_OF_OTHERS)


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
