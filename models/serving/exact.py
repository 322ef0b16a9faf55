"""Every row of a batch to the last bit as if it were alone, and convolutions that go round the edges."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn


def rows_apart(unet: nn.Module) -> None:
    """Let no row of a batch on a processor depend on how many there are, to the last bit.

    Matrix products sum in another order for other numbers of rows, convolutions only for a single row (measured). So
    linear layers multiply each row by itself, and a single row goes in twice.
    """
    for module in unet.modules():
        if isinstance(module, nn.Linear):
            module.forward = partial(_linear, module)
    forward = unet.forward

    def at_least_two(sample: Tensor, timestep: Any, encoder_hidden_states: Tensor, **others: Any) -> Any:
        if len(sample) > 1:
            return forward(sample, timestep, encoder_hidden_states, **others)
        twice = {name: _twice(value) for name, value in others.items()}
        times = _twice(timestep) if isinstance(timestep, Tensor) and timestep.ndim else timestep
        made = forward(sample.repeat(2, 1, 1, 1), times, encoder_hidden_states.repeat(2, 1, 1), **twice)
        return (made[0][:1],)

    unet.forward = at_least_two


def _twice(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _twice(inner) for name, inner in value.items()}
    return torch.cat([value, value]) if isinstance(value, Tensor) else value


def _linear(layer: nn.Linear, rows: Tensor) -> Tensor:
    """(R, …, in) → (R, …, out), each row a product of its own; batched, which is faster than one after the other."""
    flat = rows.reshape(len(rows), -1, layer.in_features)
    weight = layer.weight.t().expand(len(rows), -1, -1)
    if layer.bias is None:
        made = torch.bmm(flat, weight)
    else:
        made = torch.baddbmm(layer.bias.expand(len(rows), flat.shape[1], -1), flat, weight)
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
