"""A weights folder before anything in it is opened: is it there, is it harmless, which one is it. No torch."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import WeightsMissing, WeightsRefused, explained

#: Libraries whose classes a pipeline folder may name, beside the packages of diffusers' own pipelines; anything else
#: would be code from a checkpoint.
TRUSTED = frozenset({"diffusers", "transformers"})
PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl", ".pickle")
#: Parts that a picture can be drawn without: never loaded, whatever they are.
UNUSED = frozenset({"safety_checker", "feature_extractor", "image_encoder", "watermarker"})
#: Largest side of a picture that the model itself draws, as a multiple of the size it was trained at.
LARGEST = 2
#: Part by which a picture may have more or fewer pixels than native² and is drawn as it is.
ABOUT = 0.07
#: Of a folder: these say nothing about its pictures.
BESIDE = frozenset({"training.json", "evaluation.json"})
#: `diffusion_pytorch_model.fp16-00001-of-00002.safetensors`: the word is the variant.
_VARIANT = re.compile(r"^[\w-]+\.(?P<variant>[A-Za-z]\w*?)(?:-\d+-of-\d+)?\.safetensors$")


def native_size(width: int, height: int, native: int, multiple: int = 8, most_pixels: int = 0) -> tuple[int, int]:
    """Size the model draws at for a delivered size: about native², the same aspect, multiples of `multiple` pixels.

    What is asked for larger than native² is drawn as large as it is, up to `most_pixels`; 0: never larger. What has
    about as many pixels is drawn as it is too, so that nothing is scaled: 1216 × 832 of a model made for 1024.
    """
    fits = max(width, height) <= native * LARGEST and not width % multiple and not height % multiple
    if fits and abs(width * height / (native * native) - 1) <= ABOUT:
        return width, height
    aspect = (width / height) ** 0.5
    area = max(native * native, min(width * height, most_pixels))
    longest = native * LARGEST if area == native * native else max(width, height)

    def side(length: float) -> int:
        return max(multiple, min(longest, multiple * round(length / multiple)))

    return side(area**0.5 * aspect), side(area**0.5 / aspect)


def check_folder(weights: Path) -> None:
    """Refuse a folder, or a file other than .safetensors, before anything in it is opened.

    Pickles beside .safetensors files are never opened and do no harm; a part that has nothing else is refused.

    Raises:
        WeightsMissing, WeightsRefused: with what to do.
    """
    if weights.is_file():
        if weights.suffix == ".gguf":
            _check_beside(weights)
            return
        if weights.suffix != ".safetensors":
            raise WeightsRefused(f"{weights} is no .safetensors file; only such files are opened. Convert it.")
        return
    for name, (library, kind) in parts_of(weights).items():
        if library not in TRUSTED and not _own_package(library):
            raise WeightsRefused(
                f"{weights / 'model_index.json'} wants code of its own for {name} ({library}). That is never run."
            )
        if not (weights / name).is_dir():
            raise WeightsMissing(
                f"The part {name} ({kind}) of {weights} is missing: there is no folder {name}. Fetch the whole model "
                "again."
            )
    pickled = [folder for folder in sorted(weights.glob("*/")) if folder.name not in UNUSED and _only_pickles(folder)]
    if pickled:
        found = sorted(file.name for folder in pickled for file in folder.iterdir() if file.suffix in PICKLES)
        raise WeightsRefused(
            f"{weights} has only pickled files for {', '.join(folder.name for folder in pickled)} "
            f"({', '.join(found[:3])}), which can run code when opened. Convert them to safetensors, or fetch the "
            "model's .safetensors files."
        )


def _check_beside(file: Path) -> None:
    """Whether a GGUF file, which is the network alone, has the rest of its model beside it.

    Raises:
        WeightsRefused: with what to put where.
    """
    beside = file.with_suffix("")
    if find_spec("gguf") is None:
        raise WeightsRefused(
            f"{file} is a GGUF file, and the package gguf is not installed here: pip install gguf, or "
            "all three, in the project: .venv/bin/pip install -c requirements.lock -e '.[worker,quantize]'."
        )
    if not (beside / "model_index.json").is_file():
        raise WeightsRefused(
            f"{file} is a GGUF file: the quantised network alone. Put the diffusers folder of its model into {beside}: "
            "model_index.json, text encoders, tokenizers, scheduler and codec as they are, and of the transformer its "
            "config.json."
        )
    check_folder(beside)


def parts_of(weights: Path) -> Mapping[str, tuple[str, str]]:
    """Library and class of each part of a folder that is drawn with, as `model_index.json` names them.

    Raises:
        WeightsMissing, WeightsRefused: there is none, or it is none.
    """
    return {
        name: (str(value[0]), str(value[1]))
        for name, value in index_of(weights).items()
        if name not in UNUSED and isinstance(value, list) and len(value) == 2 and value[0] is not None
    }


def class_of(weights: Path) -> str:
    """Name of the pipeline class of a folder.

    Raises:
        WeightsMissing, WeightsRefused: it tells none.
    """
    kind = index_of(weights).get("_class_name")
    if isinstance(kind, list):
        raise WeightsRefused(f"{weights / 'model_index.json'} wants code of its own ({kind[0]}). That is never run.")
    if not isinstance(kind, str) or not kind:
        raise WeightsRefused(
            f"{weights / 'model_index.json'} names no pipeline class (_class_name). Fetch or export the weights again."
        )
    return kind


def index_of(weights: Path) -> Mapping[str, Any]:
    """What `model_index.json` says.

    Raises:
        WeightsMissing, WeightsRefused: there is none, or it cannot be read; says why.
    """
    index = weights / "model_index.json"
    if not index.is_file():
        raise WeightsMissing(
            f"No pipeline in {weights} (model_index.json is missing). The shipped weights lie in models/weights/ "
            "of the repository; another folder is named by [render] weights in config.toml."
        )
    with explained(WeightsRefused, f"{index} is damaged: {{problem}}. Fetch or export the weights again."):
        content = index.read_bytes()
        if content.startswith(b"\xef\xbb\xbf"):
            raise WeightsRefused(f"{index} begins with a byte order mark; save it as UTF-8 without one.")
        parts: Any = json.loads(content)
    if not isinstance(parts, dict):
        raise WeightsRefused(
            f"{index} is damaged: it holds no object ({{…}}) but something else. Fetch or export the weights again."
        )
    return parts


def variant_of(weights: Path) -> str | None:
    """The variant that must be asked for, such as `fp16`: of parts that have no files without one; None: none.

    Raises:
        WeightsRefused: two parts need two.
    """
    needed: dict[str, str] = {}
    for name in parts_of(weights):
        files = [file.name for file in (weights / name).glob("*.safetensors")]
        said = {match["variant"] for file in files if (match := _VARIANT.match(file))}
        if said and all(_VARIANT.match(file) for file in files):
            needed[name] = "fp16" if "fp16" in said else min(said)
    if len(set(needed.values())) > 1:
        told = ", ".join(f"{name} as {variant}" for name, variant in needed.items())
        raise WeightsRefused(f"{weights} has its parts in different variants only ({told}). Fetch all in one.")
    return next(iter(needed.values()), None)


def files_of(weights: Path, name: str) -> Sequence[Path]:
    """The .safetensors files of a part that are loaded: those without a variant, or of the one that is asked for."""
    files = sorted((weights / name).glob("*.safetensors"))
    said = {file: match["variant"] if (match := _VARIANT.match(file.name)) else None for file in files}
    plain = [file for file in files if said[file] is None]
    if plain:
        return plain
    variant = variant_of(weights)
    return [file for file in files if said[file] == variant]


def _only_pickles(folder: Path) -> bool:
    endings = {file.suffix for file in folder.iterdir() if file.is_file()}
    return bool(endings & set(PICKLES)) and ".safetensors" not in endings


def _own_package(library: str) -> bool:
    """Whether it is one of diffusers' own pipelines, whose classes are installed with it."""
    found = find_spec("diffusers")
    if found is None or not found.submodule_search_locations or not library.isidentifier():
        return False
    return any((Path(place) / "pipelines" / library).is_dir() for place in found.submodule_search_locations)


def digest(weights: Path) -> str:
    """sha256 over every weight and configuration file of a folder, in order of their names, or of one file."""
    files: Iterable[Path] = [weights] if weights.is_file() else sorted(weights.rglob("*"))
    total = hashlib.sha256()
    for file in files:
        if file.suffix in {".safetensors", ".gguf", ".json"} and file.name not in BESIDE:
            name = file.name if file == weights else file.relative_to(weights).as_posix()
            total.update(name.encode())
            with file.open("rb") as opened:
                total.update(hashlib.file_digest(opened, "sha256").digest())
    return total.hexdigest()


def digest_of(folder: Path) -> str:
    """As `digest`, of one part of a folder of weights: its tensors alone."""
    total = hashlib.sha256()
    for file in sorted(folder.glob("*.safetensors")):
        with file.open("rb") as opened:
            total.update(hashlib.file_digest(opened, "sha256").digest())
    return total.hexdigest()
