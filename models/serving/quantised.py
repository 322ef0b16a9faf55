"""Weights in fewer bits: a loaded pipeline's linear layers by torchao (int8) or bitsandbytes (nf4), where installed."""

from __future__ import annotations

import importlib
from collections.abc import Collection
from importlib.util import find_spec
from typing import Any

from torch import nn

from .memory import PACKAGES, Quantised, shrunk
from .sizes import part_in

#: Weights that share a scale in nf4.
BLOCK = 64


def installed() -> Collection[str]:
    """Names of the packages that quantise, of those that are here."""
    return [package for package, _ in PACKAGES.values() if find_spec(package) is not None]


def quantise(pipeline: Any, how: Quantised) -> None:
    """Turn the linear layers of the parts that are worth it into fewer bits, on the processor; slow.

    As torchao and bitsandbytes do it by themselves, layers that have to be kept in float32 and the codec left out.
    """
    parts = {name: part for name, part in pipeline.components.items() if isinstance(part, nn.Module)}
    sizes = {name: part_in(name, part) for name, part in parts.items()}
    for name, small in shrunk(sizes, how).items():
        if small != sizes[name]:
            (_to_int8 if how == "int8" else _to_nf4)(parts[name])


def is_quantised(pipeline: Any) -> bool:
    """Whether any layer of it lies in fewer bits, by us or by whoever made the checkpoint."""
    parts = [part for part in pipeline.components.values() if isinstance(part, nn.Module)]
    return any(getattr(part, "quantization_method", None) or getattr(part, "_in_fewer_bits", False) for part in parts)


def _layers(part: Any) -> list[tuple[nn.Module, str, nn.Linear]]:
    """Linear layers with what holds them, but for those that the family keeps in float32, and those that are tied."""
    kept = tuple(getattr(part, "_keep_in_fp32_modules", None) or ())
    output = part.get_output_embeddings() if hasattr(part, "get_output_embeddings") else None
    found: list[tuple[nn.Module, str, nn.Linear]] = []
    for name, holder in part.named_modules():
        for own, layer in holder.named_children():
            words = [*name.split("."), own]
            # Exactly this class: others bring a forward of their own.
            if type(layer) is nn.Linear and layer is not output and not any(each in words for each in kept):
                found.append((holder, own, layer))
    return found


def _to_int8(part: Any) -> None:
    quantization: Any = importlib.import_module("torchao.quantization")
    wanted = {id(layer) for _, _, layer in _layers(part)}
    quantization.quantize_(part, quantization.Int8WeightOnlyConfig(), filter_fn=lambda layer, _: id(layer) in wanted)
    part._in_fewer_bits = True


def _to_nf4(part: Any) -> None:
    modules: Any = importlib.import_module("bitsandbytes").nn
    for holder, name, layer in _layers(part):
        if layer.in_features % BLOCK or layer.out_features % (BLOCK // 2):
            continue  # Its kernels for processors take whole blocks.
        made = modules.Linear4bit(
            layer.in_features, layer.out_features, bias=layer.bias is not None, compute_dtype=layer.weight.dtype,
            quant_type="nf4", device="meta",
        )  # fmt: skip
        # It is quantised when it is brought to a device, this one included.
        made.weight = modules.Params4bit(layer.weight.data, requires_grad=False, quant_type="nf4")
        made.bias = layer.bias
        made.train(layer.training)
        setattr(holder, name, made.to("cpu"))
    part._in_fewer_bits = True
