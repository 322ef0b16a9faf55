"""From a drawn RGBA picture to what is delivered: enlarged with its alpha, on white or on nothing, within a source."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..common import cut_out, ground_of, upscaler
from ..drawer.network import DrawerDenoiser
from . import sources

#: Opacity below which a pixel's colour is no colour: nothing is divided by less.
FAINT = 0.02
#: Opacities that enlarging and denoising leave where nothing is, and where all is covered.
CLEAR, COVERED = 0.04, 0.97
LANCZOS = Image.Resampling.LANCZOS


def finish(
    enlarge: upscaler.Upscaler | None, sample: Tensor, size: tuple[int, int], *, transparent: bool = False,
    canvas: sources.Canvas | None = None,
) -> Image.Image:  # fmt: skip
    """Bring one picture (1, 4, S, S), premultiplied in [-1, 1], to `size`.

    Where nothing was begun from it stands in the middle, as large as it fits; a source's picture is stretched back.
    """
    thing = enlarged(enlarge, sample)
    if canvas is None:
        side = min(size)
        whole = Image.new("RGBA", size)
        whole.paste(_resized(thing, (side, side)), ((size[0] - side) // 2, (size[1] - side) // 2))
        return whole if transparent else _on(whole, (255, 255, 255))
    ground = ground_of(canvas.picture) or (255, 255, 255)
    stretched = _resized(thing, size)
    if canvas.mask is None:
        return stretched if transparent else _on(stretched, ground)
    made = sources.blend(canvas.picture, _on(stretched, ground), canvas.mask)
    return cut_out(made) if transparent else made


def enlarged(enlarge: upscaler.Upscaler | None, sample: Tensor) -> Image.Image:
    """Straight RGBA, four times as large where there is an upscaler.

    The upscaler knows pictures on white, W = rgb + (1 − α), and draws alpha as a picture of its own; the colours are
    what W leaves: (W − (1 − α)) / α.
    """
    values = torch.nan_to_num((sample / 2 + 0.5).float()).clamp(0, 1)
    alpha = values[:, 3:]
    alpha = torch.where(alpha < CLEAR, 0.0, torch.where(alpha > COVERED, 1.0, alpha))
    rgb = torch.minimum(values[:, :3], alpha)
    on_white = rgb + 1 - alpha
    if enlarge is not None:
        both = torch.cat([on_white, alpha.expand(-1, 3, -1, -1)]).to(enlarge.dtype) * 2 - 1
        # One after the other: no pixel depends on what else is enlarged.
        large = [(upscaler.upscale(enlarge, each[None]).float() / 2 + 0.5).clamp(0, 1) for each in both]
        on_white, alpha = large[0], large[1].mean(1, keepdim=True)
        alpha = torch.where(alpha < CLEAR, 0.0, torch.where(alpha > COVERED, 1.0, alpha))
    colours = ((on_white - (1 - alpha)) / alpha.clamp(min=FAINT)).clamp(0, 1) * (alpha > 0)
    pixels = torch.cat([colours, alpha], 1)[0].permute(1, 2, 0).cpu().numpy()
    return Image.fromarray((pixels * 255).round().astype(np.uint8))


class DrawerSketch:
    """Previews: the estimate by the codec itself, on white; at this size it takes a fraction of a step."""

    def __init__(self, denoiser: DrawerDenoiser) -> None:
        """Takes its codec."""
        self._denoiser = denoiser

    def picture(self, estimate: Tensor) -> Tensor:
        """(1, C, h, w) → (1, 3, S, S) in [-1, 1]."""
        return self._denoiser.on_white(estimate).cpu()

    def image(self, estimate: Tensor, size: tuple[int, int]) -> Image.Image:
        """Of the shape of a picture of `size`: the drawing in the middle."""
        pixels = (self.picture(estimate)[0] / 2 + 0.5).clamp(0, 1).permute(1, 2, 0).numpy()
        square = Image.fromarray((pixels * 255).round().astype(np.uint8))
        scale = square.width / min(size)
        whole = Image.new("RGB", (round(size[0] * scale), round(size[1] * scale)), "white")
        whole.paste(square, ((whole.width - square.width) // 2, (whole.height - square.height) // 2))
        return whole


def _resized(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Alpha goes along, so that edges keep their own colour."""
    if picture.size == size:
        return picture
    return picture.convert("RGBa").resize(size, LANCZOS).convert("RGBA")


def _on(picture: Image.Image, colour: tuple[int, int, int]) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", picture.size, colour), picture).convert("RGB")
