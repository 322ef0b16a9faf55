"""What weights will take on a device, read from the headers of their files: no tensor is opened."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path
from typing import Any, Literal

from safetensors import safe_open

from ..common import files_of, parts_of
from ..errors import WeightsRefused, explained
from .memory import Part

#: Numbers that are brought to what the device computes in; all others lie as they are.
_FLOATS = frozenset({"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"})
_WIDTHS: Mapping[str, int] = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "I16": 2}
#: Blocks that are streamed one by one: a list right below the network.
_BLOCK = re.compile(r"^([A-Za-z_]+)\.(\d+)\.")
#: Tables that are looked things up in, and no linear layers.
_TABLES = re.compile(r"(^|\.)(embed_tokens|pos_embed|\w*embeddings?|shared|wte|wpe|relative_attention_bias)\.weight$")
#: Where the parts of a single file in the original layout begin; what fits none belongs to the network.
_PREFIXES: tuple[tuple[str, str], ...] = (
    ("first_stage_model.", "vae"), ("vae.", "vae"), ("cond_stage_model.", "text_encoder"),
    ("conditioner.", "text_encoder"), ("text_encoders.", "text_encoder"), ("model.diffusion_model.", "network"),
)  # fmt: skip


def sizes_in(weights: Path, width: int) -> Mapping[str, Part]:
    """The parts of a folder or a file, with numbers of `width` bytes.

    Raises:
        WeightsRefused: a file is damaged.
    """
    if not weights.is_file():
        return sizes_in_folder(weights, width)
    beside = weights.with_suffix("")
    others = sizes_in_folder(beside, width) if (beside / "model_index.json").is_file() else {}
    if weights.suffix == ".gguf":
        # As it lies in the file it lies on the device; blocks are about what they are in any transformer.
        size = weights.stat().st_size
        network = Part(size, block=size // 16, rest=size // 16, layer=size // 64)
        return {**{name: part for name, part in others.items() if part.kind != "network"}, "transformer": network}
    tensors: dict[str, list[tuple[str, str, list[int]]]] = defaultdict(list)
    for name, numbers, shape in _tensors(weights):
        prefix, part = next(((sign, part) for sign, part in _PREFIXES if name.startswith(sign)), ("", "network"))
        tensors[part].append((name.removeprefix(prefix), numbers, shape))
    return {**others, **{name: part_of(name, inside, width) for name, inside in tensors.items()}}


def sizes_in_folder(weights: Path, width: int) -> Mapping[str, Part]:
    """As `sizes_in`, of a folder; parts without weights are left out."""
    found: dict[str, Part] = {}
    for name in parts_of(weights):
        if files := files_of(weights, name):
            found[name] = part_of(name, (one for file in files for one in _tensors(file)), width)
    return found


def part_of(name: str, tensors: Iterable[tuple[str, str, Iterable[int]]], width: int) -> Part:
    """One part from the names, kinds and shapes of its tensors."""
    blocks: dict[str, int] = defaultdict(int)
    layers: dict[str, int] = defaultdict(int)
    linears = total = 0
    for tensor, numbers, sides in tensors:
        shape = list(sides)
        count = prod(shape)
        size = count * (width if numbers in _FLOATS else _WIDTHS.get(numbers, 1))
        total += size
        if len(shape) == 2 and numbers in _FLOATS and tensor.endswith("weight") and not _TABLES.search(tensor):
            linears += count
        block = _BLOCK.match(tensor)
        blocks[f"{block[1]}.{block[2]}" if block else ""] += size
        layers[tensor.rpartition(".")[0]] += size
    rest = blocks.pop("", 0)
    return Part(
        total, kind_of(name), linears, width, max(blocks.values(), default=0), rest, max(layers.values(), default=0)
    )


def kind_of(name: str) -> Literal["network", "encoder", "codec"]:
    """What a part of that name is for."""
    if any(word in name for word in ("text_encoder", "image_encoder", "language_model")):
        return "encoder"
    return "codec" if any(word in name for word in ("vae", "movq", "vqgan", "vqvae")) else "network"


def part_in(name: str, module: Any, width: int = 0) -> Part:
    """As `part_of`, of a module that is there: its weights as they are, or in numbers of `width` bytes."""
    told = ((each, "F32", weight.shape) for each, weight in module.named_parameters())
    width = width or next((weight.element_size() for weight in module.parameters()), 2)
    return part_of(name, told, width)


def _tensors(file: Path) -> list[tuple[str, str, list[int]]]:
    """Name, kind of numbers and shape of each tensor of a file."""
    found: list[tuple[str, str, list[int]]] = []
    damaged = explained(WeightsRefused, f"{file} is damaged and cannot be used: {{problem}}. Fetch it again.")
    with damaged, safe_open(file, framework="np") as opened:
        for name in opened.keys():  # noqa: SIM118  no mapping
            told = opened.get_slice(name)
            found.append((name, told.get_dtype(), list(told.get_shape())))
    return found
