"""From a latent to the picture that is delivered: codec, upscaler, size, cut-out, what is kept of a source."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..common import cut_out, upscaler
from ..errors import NoPicture
from . import sources
from .network import Network

#: Pixels that a tile is continued by on each side before it is enlarged: more than the upscaler looks ahead.
MARGIN = 16


def finish(
    network: Network,
    enlarge: upscaler.Upscaler | None,
    latent: Tensor,
    size: tuple[int, int],
    *,
    tile: bool = False,
    transparent: bool = False,
    canvas: sources.Canvas | None = None,
) -> Image.Image:
    """Decode one latent (1, C, h, w), enlarge it, bring it to `size`. Alone, so that no pixel depends on neighbours.

    Raises:
        NoPicture: what was computed is no picture.
    """
    picture = network.decode(latent, tile=tile)
    if not bool(torch.isfinite(picture).all()):
        raise NoPicture(
            "The model computed no picture: its numbers overflowed, or its weights are damaged. Try another seed; the "
            "operator may set [render] dtype to bfloat16 or float32."
        )
    picture = picture.clamp(-1, 1)
    margin = min(MARGIN, *picture.shape[-2:]) if tile else 0
    wide = torch.nn.functional.pad(picture, (margin,) * 4, mode="circular") if margin else picture
    if enlarge is not None:
        grown = upscaler.upscale(enlarge, wide.to(enlarge.dtype)).float()
        margin *= grown.shape[-1] // wide.shape[-1]
        wide = grown
    made = _scaled(to_image(wide), margin, size)
    if canvas is not None and canvas.mask is not None:
        made = sources.blend(canvas.picture, made, canvas.mask)
    return cut_out(made) if transparent else made


def _scaled(picture: Image.Image, margin: int, size: tuple[int, int]) -> Image.Image:
    """The middle of `picture`, without `margin`, at `size`; the kernel sees the margin."""
    width, height = picture.size
    box = (margin, margin, width - margin, height - margin)
    if (box[2] - box[0], box[3] - box[1]) == size:
        return picture.crop(box) if margin else picture
    return picture.resize(size, Image.Resampling.LANCZOS, box=box)


def to_image(picture: Tensor) -> Image.Image:
    """(1, 3, H, W) in [-1, 1] → RGB, rounded as diffusers does."""
    values = (picture[0] / 2 + 0.5).clamp(0, 1).permute(1, 2, 0).cpu().float().numpy()
    return Image.fromarray((values * 255).round().astype(np.uint8))
