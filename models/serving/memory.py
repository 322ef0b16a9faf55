"""How a pipeline is laid onto a device whose memory it may not fill: decided before anything is loaded. Pure.

Sizes are bytes of weights as they will lie there, with what a picture's activations take on top.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ..errors import WeightsRefused

#: `whole`: all parts on the device. `parts`: each comes when it is its turn (`enable_model_cpu_offload`). `layers`:
#: each layer does, many times slower (`enable_sequential_cpu_offload`).
Way = Literal["whole", "parts", "layers"]
GIB = 2**30
#: What the driver, kernels and fragments of memory take.
OVERHEAD = GIB
#: Activations of a picture: bytes for each of its pixels, measured by others for SDXL's and FLUX's decoders at 1024².
BYTES_PER_PIXEL = 2_600


@dataclass(frozen=True, slots=True)
class Plan:
    """How a pipeline is laid out, and what the device has to hold at a time."""

    way: Way
    bytes: int


def plan(parts: Mapping[str, int], budget: int, pixels: int, *, together: bool = False) -> Plan:
    """The fastest way that fits.

    Args:
        parts: bytes of each part's weights.
        budget: bytes that the device has free.
        pixels: of the pictures that are drawn.
        together: the parts are used by themselves and must all lie there.

    Raises:
        WeightsRefused: nothing fits; says how much would.
    """
    beside = OVERHEAD + BYTES_PER_PIXEL * pixels
    whole, largest = sum(parts.values()) + beside, max(parts.values(), default=0) + beside
    ways: tuple[tuple[Way, int], ...] = (("whole", whole),)
    if not together:
        # Of a layer at a time there is never more than a small part; the activations remain.
        ways += (("parts", largest), ("layers", max(parts.values(), default=0) // 20 + beside))
    for way, needed in ways:
        if needed <= budget:
            return Plan(way, needed)
    raise WeightsRefused(
        f"These weights need {whole / GIB:.1f} GiB of the device's memory"
        + ("" if together else f", or {ways[-1][1] / GIB:.1f} GiB when their layers come one by one")
        + f", and {budget / GIB:.1f} GiB are free. Use a smaller model, fewer megapixels, or one worker a device."
    )
