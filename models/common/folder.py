"""A weights folder before anything in it is opened: is it there, is it harmless, which one is it. No torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..errors import WeightsMissing, WeightsRefused

#: Libraries whose classes a pipeline folder may name; anything else would be code from a checkpoint.
TRUSTED = frozenset({"diffusers", "transformers"})
PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl", ".pickle")
#: Largest side of a picture that the model itself draws, as a multiple of the size it was trained at.
LARGEST = 2
#: Of a folder: these say nothing about its pictures.
BESIDE = frozenset({"training.json", "evaluation.json"})


def native_size(width: int, height: int, native: int, multiple: int = 8) -> tuple[int, int]:
    """Size the model draws at for a delivered size: about native², the same aspect, multiples of `multiple` pixels."""
    aspect = (width / height) ** 0.5
    longest = native * LARGEST

    def side(length: float) -> int:
        return max(multiple, min(longest, multiple * round(length / multiple)))

    return side(native * aspect), side(native / aspect)


def check_folder(weights: Path) -> None:
    """Refuse a folder, or a file other than .safetensors, before anything in it is opened.

    Raises:
        WeightsMissing, WeightsRefused: with what to do.
    """
    if weights.is_file():
        if weights.suffix != ".safetensors":
            raise WeightsRefused(f"{weights} is no .safetensors file; only such files are opened. Convert it.")
        return
    index = weights / "model_index.json"
    if not index.is_file():
        raise WeightsMissing(
            f"No pipeline in {weights} (model_index.json is missing). The shipped weights lie in models/weights/ "
            "of the repository; another folder is named by [render] weights in config.toml."
        )
    pickles = sorted(file.name for file in weights.rglob("*") if file.suffix in PICKLES)
    if pickles:
        raise WeightsRefused(
            f"{weights} holds pickled files ({', '.join(pickles[:3])}), which can run code when opened. "
            "Convert them to safetensors and delete them."
        )
    try:
        parts: dict[str, Any] = json.loads(index.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as problem:
        raise WeightsRefused(f"{index} is damaged: {problem}. Fetch or export the weights again.") from problem
    for name, value in parts.items():
        if isinstance(value, list) and value and value[0] is not None and value[0] not in TRUSTED:
            raise WeightsRefused(f"{index} wants code of its own for {name} ({value[0]}). That is never run.")


def digest(weights: Path) -> str:
    """sha256 over every weight and configuration file of a folder, in order of their names, or of one file."""
    files: Iterable[Path] = [weights] if weights.is_file() else sorted(weights.rglob("*"))
    total = hashlib.sha256()
    for file in files:
        if file.suffix in {".safetensors", ".json"} and file.name not in BESIDE:
            name = file.name if file == weights else file.relative_to(weights).as_posix()
            total.update(name.encode())
            with file.open("rb") as opened:
                total.update(hashlib.file_digest(opened, "sha256").digest())
    return total.hexdigest()
