"""Every row of a batch to the last bit as if it were alone, and convolutions that go round the edges."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

#: Largest sum of weights that is kept a second time, in the order that oneDNN multiplies in, in bytes: for
#: larger networks putting them into that order at each call is little beside the multiplying.
PACKED = 256 * 2**20


def rows_apart(unet: nn.Module) -> None:
    """Let no row of a batch on a processor depend on how many there are, nor on the threads, to the last bit.

    In float32 matrix products sum in another order for other numbers of rows: linear layers multiply each row by
    itself. Convolutions all go by oneDNN, which torch leaves for some numbers of rows, and take at least as many rows
    as there are threads, the first one repeated: for fewer oneDNN sums in another order (all measured). Their weights
    are put into its order once where there is room: 3 to 10 % faster for any number of rows, a third for a single one.
    In bfloat16 all goes by oneDNN: bits may depend on the number of rows (see `canonical`); packing makes two rows
    twice as fast.
    """
    layers_apart(unet)
    forward = unet.forward

    def enough(sample: Tensor, timestep: Any, encoder_hidden_states: Tensor, **others: Any) -> Any:
        rows, least = len(sample), least_rows()
        if rows >= least:
            return forward(sample, timestep, encoder_hidden_states, **others)
        more = {name: filled(value, least) for name, value in others.items()}
        times = filled(timestep, least) if isinstance(timestep, Tensor) and timestep.ndim else timestep
        made = forward(padded(sample, least), times, padded(encoder_hidden_states, least), **more)
        return (made[0][:rows],)

    unet.forward = enough


def layers_apart(network: nn.Module) -> None:
    """The layers of `rows_apart`; whoever calls the network gives it as many rows as there are threads."""
    layers = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    packs = _packs(layers)
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            layer.forward = PackedConvolution(layer, packs=packs) if _onednn(layer) else layer.forward
        elif layer.weight.dtype == torch.bfloat16:
            layer.forward = PackedLinear(layer) if packs else layer.forward
        else:
            layer.forward = partial(linear_by_row, layer)


def can_bfloat16() -> bool:
    """Whether this processor has native bfloat16; elsewhere it would be slower than float32."""
    return _onednn() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _onednn(layer: nn.Conv2d | None = None) -> bool:
    """Whether there is oneDNN as it was measured, and it takes `layer`."""
    there = platform.machine() in {"x86_64", "AMD64"} and torch.backends.mkldnn.is_available()
    return there and (layer is None or not isinstance(layer.padding, str))


def _packs(layers: Sequence[nn.Conv2d | nn.Linear]) -> bool:
    """Whether a network can keep its weights packed, beside those that adapters and copies are made from."""
    packed = [layer for layer in layers if isinstance(layer, nn.Conv2d) or layer.weight.dtype == torch.bfloat16]
    return _onednn() and sum(layer.weight.numel() * layer.weight.element_size() for layer in packed) <= PACKED


class PackedConvolution:
    """A convolution by oneDNN, with its weights in oneDNN's own order where `packs`."""

    def __init__(self, layer: nn.Conv2d, *, packs: bool = True) -> None:
        self._layer = layer
        # Made for the size that comes first, which is the model's own; others are right too, and reordered if need be.
        self._weight: Tensor | None = None if packs else layer.weight

    def __call__(self, rows: Tensor) -> Tensor:
        """(R, C, H, W) → (R, C', H', W')"""
        layer = self._layer
        padding: Any = layer.padding
        if layer.padding_mode != "zeros":
            rows = functional.pad(rows, layer._reversed_padding_repeated_twice, mode=layer.padding_mode)
            padding = (0, 0)
        if self._weight is None:
            shape = [max(8, len(rows)), *rows.shape[1:]]
            self._weight = torch._C._nn.mkldnn_reorder_conv2d_weight(
                layer.weight.detach().to_mkldnn(), padding, layer.stride, layer.dilation, layer.groups, shape
            )
        return torch.ops.mkldnn._convolution_pointwise(
            rows, self._weight, layer.bias, padding, layer.stride, layer.dilation, layer.groups, "none", [], ""
        )


class PackedLinear:
    """A linear layer with its weights in oneDNN's own order."""

    def __init__(self, layer: nn.Linear) -> None:
        self._bias = layer.bias
        self._weight: Tensor = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach(), None)

    def __call__(self, rows: Tensor) -> Tensor:
        """(R, …, in) → (R, …, out)"""
        return torch.ops.mkldnn._linear_pointwise(rows, self._weight, self._bias, "none", [], "")


def least_rows() -> int:
    """Of a network on a processor at least: with fewer, a row's last bits depend on how many there are."""
    return max(torch.get_num_threads(), 1 if _onednn() else 2)


def filled(value: Any, rows: int) -> Any:
    """Every tensor in it with its first row repeated up to so many rows."""
    if isinstance(value, Mapping):
        return {name: filled(inner, rows) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [filled(inner, rows) for inner in value]
    return padded(value, rows) if isinstance(value, Tensor) else value


def linear_by_row(layer: nn.Linear, rows: Tensor) -> Tensor:
    """(R, …, in) → (R, …, out), each row a product of its own; batched, which is faster than one after the other."""
    flat = rows.reshape(rows.shape[0], -1, layer.in_features)
    weight = layer.weight.t().expand(rows.shape[0], -1, -1)
    if layer.bias is None:
        made = torch.bmm(flat, weight)
    else:
        made = torch.baddbmm(layer.bias.expand(rows.shape[0], flat.shape[1], -1), flat, weight)
    return made.view(*rows.shape[:-1], layer.out_features)


def padded(rows: Tensor, size: int) -> Tensor:
    """`rows` (n, …) with its first row repeated up to `size`: the one batch shape that exact pictures are drawn in."""
    missing = size - len(rows)
    return rows if missing <= 0 else torch.cat([rows, rows[:1].expand(missing, *rows.shape[1:])])


@contextmanager
def circular(modules: Iterable[nn.Module], on: bool) -> Iterator[None]:
    """While it lasts, convolutions see the other edge beyond an edge, so that the picture can be laid side by side."""
    layers = [each for module in modules for each in module.modules() if isinstance(each, nn.Conv2d)] if on else []
    kept = [layer.padding_mode for layer in layers]
    for layer in layers:
        layer.padding_mode = "circular"
    try:
        yield
    finally:
        for layer, mode in zip(layers, kept, strict=True):
            layer.padding_mode = mode
