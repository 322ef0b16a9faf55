"""A loaded model in the computer's memory while another one has the device, and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..common import digest
from .laying import streams

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
    """Bring everything into the computer's memory. What lies there already, and comes as it computes, stays."""
    for part in parts:
        if _hooked(part):
            part.maybe_free_model_hooks()
        else:
            for module in modules_of([part]):
                if not streams(module):
                    module.to("cpu")


def resume(parts: Sequence[Any], device: str) -> None:
    """Bring everything back onto the device."""
    for part in parts:
        if not _hooked(part):
            for module in modules_of([part]):
                if not streams(module):
                    module.to(device)


def _hooked(part: Any) -> bool:
    return any(hasattr(module, "_hf_hook") for module in modules_of([part])) and hasattr(part, "maybe_free_model_hooks")


class Held:
    """The weights of one model as they are held: in what, how many bytes, and which they are."""

    def __init__(self, weights: Path) -> None:
        self._weights = weights
        #: Pipelines and modules; none while nothing is loaded.
        self.parts: list[Any] = []
        self._bytes = 0
        #: And the state of the files that it is of.
        self._digest: tuple[str, object] = ("", None)

    def begin(self, pipeline: Any) -> None:
        """Hold this pipeline, and nothing else yet."""
        self.parts = [pipeline]

    def weigh(self) -> None:
        """Note how many bytes there are, now that all is loaded."""
        self._bytes = bytes_of(self.parts)

    @property
    def bytes(self) -> int:
        """Of the weights; before they were loaded as many as their files have."""
        return self._bytes or sum(file.stat().st_size for file in self._files() if file.suffix == ".safetensors")

    def digest(self) -> str:
        """The weights' digest, which is not computed again while no file of them has changed."""
        now = tuple((str(file), told.st_mtime_ns, told.st_size) for file in self._files() for told in (file.stat(),))
        if self._digest[1] != now:
            self._digest = (digest(self._weights), now)
        return self._digest[0]

    def park(self) -> None:
        """Bring the weights from the device into the computer's memory; nothing is drawn until `resume`."""
        park(self.parts)

    def resume(self, device: str) -> None:
        """Bring them back."""
        resume(self.parts, device)

    def _files(self) -> list[Path]:
        if self._weights.is_file():
            return [self._weights]
        return sorted(file for file in self._weights.rglob("*") if file.is_file())
