"""Pictures as the engine serves them: several things drawn one by one and set out, one thing without courtesies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..common import native_size
from ..layout import Layout, Names, collage, drawings, places, read, seed_of
from ..serving.finish import to_image
from .painter import Order, Paint


def laid_out(paint: Paint, names: Names, native: int) -> Paint:
    """`paint` behind the same layouts as `serving.begin`; what is not understood as things is painted as it stands.

    Args:
        names: what layouts are read of.
        native: side in pixels that the model was trained at.
    """

    def painted(orders: Sequence[Order]) -> list[Tensor]:
        found = [read(order.prompt, names) for order in orders]
        parts = [_parts(order, layout) for order, layout in zip(orders, found, strict=True)]
        drawn = iter(paint([part for each in parts for part in each]))
        pictures: list[Tensor] = []
        for order, layout, each in zip(orders, found, parts, strict=True):
            own = [next(drawn) for _ in each]
            pictures.append(own[0] if layout is None or layout.single else _set_out(order, layout, own, native))
        return pictures

    return painted


def _parts(order: Order, layout: Layout | None) -> list[Order]:
    if layout is None:
        return [order]
    if layout.single:
        return [Order(layout.groups[0].text, order.seed, order.aspect)]
    return [Order(text, seed_of(order.seed, k)) for k, text in enumerate(drawings(layout))]


def _set_out(order: Order, layout: Layout, drawn: Sequence[Tensor], native: int) -> Tensor:
    size = native_size(round(1000 * order.aspect), 1000, native)
    laid = places(layout, size[0] / size[1], order.seed)
    picture = collage([to_image(each[None]) for each in drawn], laid, size, ground=layout.ground)
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 127.5 - 1
