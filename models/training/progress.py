"""How a training run tells where it stands: lines for people, scalars and pictures for TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from ..common import Lines, Progress

__all__ = ["Lines", "Progress", "TensorBoard"]


class TensorBoard:
    """Scalars and sample grids into an event folder, on top of another way of reporting."""

    def __init__(self, folder: Path, inner: Progress, every: int = 20) -> None:
        from torch.utils.tensorboard import SummaryWriter  # slow to import, and only runs that ask for it need it

        self._writer = SummaryWriter(str(folder))
        self._inner = inner
        self._every = every

    def line(self, text: str) -> None:
        self._inner.line(text)

    def step(self, stage: str, step: int, steps: int, scalars: Mapping[str, float]) -> None:
        self._inner.step(stage, step, steps, scalars)
        if step % self._every == 0:
            for name, value in scalars.items():
                self._writer.add_scalar(f"{stage}/{name}", value, step)

    def picture(self, stage: str, step: int, name: str, picture: Image.Image) -> None:
        self._inner.picture(stage, step, name, picture)
        self._writer.add_image(f"{stage}/{name}", np.asarray(picture.convert("RGB")), step, dataformats="HWC")
        self._writer.flush()
