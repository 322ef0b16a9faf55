"""What a row of a batch is drawn by: its words, and the networks that it goes through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Words:
    """One text: (1, length, width), and for SDXL the pooled vector (1, width)."""

    states: Tensor
    pooled: Tensor | None = None
    #: A picture beside them, (1, 1, …) as its encoder sees it.
    image: Tensor | None = None
    #: What a ControlNet is shown beside them, (1, 3, H, W) in [0, 1].
    shown: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Variant:
    """A U-Net and text encoders with some adapters merged in. The empty name is the plain one."""

    name: str
    pipeline: Any
    unet: Any
    #: How much a picture counts beside the words; None: rows have none.
    scale: float | None = None
    #: The ControlNet beside the U-Net (`controls.Control`); None: rows are shown nothing.
    control: Any = None

    @property
    def reads_pictures(self) -> bool:
        """Whether its rows need a picture beside their words."""
        return self.scale is not None or self.control is not None
