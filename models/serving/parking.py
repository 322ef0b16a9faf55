"""A loaded model in the computer's memory while another one has the device, and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

#: Bytes of a device that are left to what is drawn, besides the weights of the active model.
SPARE = 6 * 2**30


@dataclass(frozen=True, slots=True)
class Kept:
    """A model that is loaded and does not draw just now."""

    name: str
    bytes: int
    #: Whether its weights lie on the device, where that is not the processor.
    on_device: bool = False


def places(kept: Sequence[Kept], needed: int, free: int | None, budget: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Which models leave the device for the computer's memory, and which are given up. Pure.

    Args:
        kept: those that are loaded, the one that was used longest ago first.
        needed: bytes that the next model's weights take on the device.
        free: bytes that are free there; None: the device is the processor, whose memory is the computer's.
        budget: bytes of the computer's memory that models which do not draw may take.
    """
    parked: list[str] = []
    if free is not None:
        for one in kept:
            if one.on_device and free < needed + SPARE:
                parked.append(one.name)
                free += one.bytes
    in_memory = [one for one in kept if not one.on_device or one.name in parked]
    taken = sum(one.bytes for one in in_memory)
    given_up: list[str] = []
    for one in in_memory:
        if taken > budget:
            given_up.append(one.name)
            taken -= one.bytes
    return tuple(name for name in parked if name not in given_up), tuple(given_up)


def modules_of(parts: Iterable[Any]) -> Iterator[torch.nn.Module]:
    """Every network of pipelines and modules, each once."""
    seen: set[int] = set()
    for part in parts:
        components = getattr(part, "components", None)
        inside = components.values() if isinstance(components, dict) else (part,)
        for each in inside:
            if isinstance(each, torch.nn.Module) and id(each) not in seen:
                seen.add(id(each))
                yield each


def bytes_of(parts: Iterable[Any]) -> int:
    """Of all weights and buffers."""
    return sum(
        tensor.numel() * tensor.element_size()
        for module in modules_of(parts)
        for tensor in (*module.parameters(), *module.buffers())
    )


def park(parts: Sequence[Any]) -> None:
    """Bring everything into the computer's memory. What lies there by accelerate's hooks stays in their care."""
    for part in parts:
        if _hooked(part):
            part.maybe_free_model_hooks()
        else:
            for module in modules_of([part]):
                module.to("cpu")


def resume(parts: Sequence[Any], device: str) -> None:
    """Bring everything back onto the device."""
    for part in parts:
        if not _hooked(part):
            for module in modules_of([part]):
                module.to(device)


def _hooked(part: Any) -> bool:
    return any(hasattr(module, "_hf_hook") for module in modules_of([part])) and hasattr(part, "maybe_free_model_hooks")
