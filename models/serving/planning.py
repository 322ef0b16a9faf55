"""How weights will be laid out on a device, found before any is loaded.

From the headers of their files, what is free, and what is known of this model's activations.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from ..drawer.pipeline import is_drawer
from ..errors import WeightsRefused
from . import families
from .loading import check_device, kind_of, numbers_of
from .memory import WAYS, WAYS_OF_BITS, Activations, Plan, Quantise, Way, check_installed, needs, plan, shrunk
from .quantised import installed
from .sizes import sizes_in

#: Pipelines whose pictures share steps; see `parts.steps_together`.
_TOGETHER = frozenset({"StableDiffusionPipeline", "StableDiffusionXLPipeline"})


@dataclass(frozen=True, slots=True)
class Room:
    """What of a device may be used, and how."""

    #: Bytes; 0: what is free, and on a processor no bound.
    memory: int = 0
    quantise: Quantise = "auto"
    #: Of the largest pictures that are drawn, where that is more than the model's own.
    pixels: int = 0


def plan_of(
    weights: Path,
    device: str,
    dtype: str,
    room: Room,
    budget: int,
    takes: Activations | None = None,
    slower: int = 0,
) -> Plan:
    """How these weights are laid out there; see `memory.plan`.

    `budget`: bytes that may be used; 0: no bound.

    Raises:
        WeightsMissing, WeightsRefused, DeviceMissing: as `load_pipeline`, or nothing fits.
    """
    if is_drawer(weights):
        return Plan("whole", 0)
    families.check_told(weights)
    kind = kind_of(weights)
    families.check_drawing(kind)
    packages = installed()
    check_installed(room.quantise, packages)
    parts = sizes_in(weights, numbers_of(kind, device, dtype).itemsize)
    already = families.quantised_by(weights)
    if already and room.quantise not in ("auto", "off"):
        raise WeightsRefused(f'{weights} is quantised already ({already}): set [render] quantize to "auto" or "off".')
    if not budget:
        how = room.quantise if room.quantise in ("int8", "nf4") else ""
        return Plan("whole", needs(shrunk(parts, how), "whole"), how)
    only: tuple[Way, ...] = WAYS if not already else WAYS_OF_BITS
    if already == "gguf":
        only = ("whole", "encoders", "parts")
    if getattr(kind, "model_cpu_offload_seq", None) is None:
        only = tuple(way for way in only if way != "parts")
    return plan(
        parts,
        budget,
        max(families.native_told(weights, kind.__name__) ** 2, room.pixels),
        together=kind.__name__ in _TOGETHER,
        quantise="off" if already else room.quantise,
        installed=packages,
        takes=takes,
        only=only,
        slower=slower,
    )


def budget_of(device: str, memory: int) -> int:
    """Bytes that may be used on a device, as long as nothing of ours is there; 0: no bound.

    Raises:
        DeviceMissing: there is no such device.
    """
    check_device(device)
    if not device.startswith("cuda"):
        return memory
    free, total = torch.cuda.mem_get_info(device)
    if memory:
        # Whatever is planned, no more is taken from those who share the card.
        torch.cuda.set_per_process_memory_fraction(min(1.0, memory / total), device)
    return min(int(free), memory) if memory else int(free)
