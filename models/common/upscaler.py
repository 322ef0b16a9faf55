"""The upscaler: pictures four times as wide and high, with the crisp edges of the drawings it learnt from.

It lies beside the pipeline as `upscaler/` in a weights folder, in the files of any diffusers model; model_index.json
does not name it, so stock programs open the folder and leave it alone.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from ..errors import WeightsRefused, explained
from .replacing import without_paths

#: Folder below a weights folder.
FOLDER = "upscaler"
FILE = "diffusion_pytorch_model.safetensors"


class Upscaler(ModelMixin, ConfigMixin):
    """Bicubic enlargement plus a learnt difference (VDSR, 1511.04587, sec. 3.1).

    All convolutions work at the small size; the last one gives `factor²` values for each pixel, which PixelShuffle lays
    out (1609.05158, eq. 4). Residual blocks without normalisation (EDSR, 1707.02921): any size gives the same result.
    """

    @register_to_config
    # Keywords only: diffusers takes what is given by position for a default and forgets it.
    def __init__(self, *, width: int = 48, blocks: int = 6, factor: int = 4) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.body = nn.ModuleList([Block(width) for _ in range(blocks)])
        self.tail = nn.Conv2d(width, 3 * factor**2, 3, padding=1)
        icnr(self.tail, factor)

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, 3, H, W) in about [-1, 1] → (B, 3, factor·H, factor·W), not clamped."""
        factor: int = self.config.factor
        begun = features = self.head(pictures)
        for block in self.body:
            features = block(features)
        detail = functional.pixel_shuffle(self.tail(features + begun), factor)
        # antialias: Pillow's kernel (a = -0.5), which rings less than torch's own (a = -0.75).
        return detail + functional.interpolate(pictures, scale_factor=factor, mode="bicubic", antialias=True)


class Block(nn.Module):
    """(B, C, H, W) → the same; begins as the identity (zero-init, 1901.09321)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, features: Tensor) -> Tensor:
        return features + self.second(functional.relu(self.first(features)))


@torch.no_grad()
def icnr(layer: nn.Conv2d, factor: int) -> None:
    """Begin all `factor²` filters of one colour alike, and small, so that no checkerboard has to be unlearnt
    (1707.02937, sec. 3).
    """
    alike = 0.1 * layer.weight[:: factor**2]
    layer.weight.copy_(alike.repeat_interleave(factor**2, dim=0))
    layer.bias.zero_()


@torch.inference_mode()
def upscale(model: Upscaler, pictures: Tensor) -> Tensor:
    """Enlarge pictures one at a time, so that no pixel depends on how many there are.

    Args:
        model: on the device and of the type of `pictures`.
        pictures: (B, 3, H, W), or (B, 4, H, W) with straight alpha; every channel in [-1, 1], alpha -1 is transparent.

    Returns:
        (B, 3 or 4, factor·H, factor·W), clamped to [-1, 1].
    """
    return torch.cat([_one(model, picture[None]) for picture in pictures]).clamp(-1, 1)


def upscale_image(model: Upscaler, picture: Image.Image) -> Image.Image:
    """The same for a Pillow picture; its alpha, where it has one, stays."""
    mode = "RGBA" if "A" in picture.getbands() or "transparency" in picture.info else "RGB"
    pixels = torch.from_numpy(np.array(picture.convert(mode))).permute(2, 0, 1)[None]
    pixels = (pixels.to(model.device, model.dtype) / 127.5 - 1).contiguous(memory_format=torch.channels_last)
    large = ((upscale(model, pixels)[0].float() + 1) * 127.5).round().byte()
    return Image.fromarray(large.permute(1, 2, 0).cpu().numpy(), mode)


def _one(model: Upscaler, picture: Tensor) -> Tensor:
    if picture.shape[1] == 3:
        return model(picture)
    # Alpha is enlarged as a grey picture, colours as an opaque one: each edge is then crisp by itself, and since the
    # colours go on beyond it, no fringe of the invisible colour shows where the two are not quite in line.
    colours, alpha = picture[:, :3], picture[:, 3:]
    grey = model(alpha.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)).mean(1, keepdim=True)
    return torch.cat([model(spread(colours, (alpha + 1) / 2)), grey], 1)


def spread(colours: Tensor, alpha: Tensor) -> Tensor:
    """Fill what is transparent with the colours nearest to it (pull-push, Gortler 1996, sec. 3.3).

    `colours` (B, 3, H, W) in [-1, 1], `alpha` (B, 1, H, W) in [0, 1] → (B, 3, H, W); opaque pixels stay as they are.
    """
    if min(colours.shape[-2:]) == 1:
        seen = (colours * alpha).mean((-2, -1), keepdim=True) / alpha.mean((-2, -1), keepdim=True).clamp_min(1e-4)
        return torch.lerp(seen.expand_as(colours), colours, alpha)
    halve = {"kernel_size": 2, "ceil_mode": True}
    weight = functional.avg_pool2d(alpha, **halve)
    coarse = functional.avg_pool2d(colours * alpha, **halve) / weight.clamp_min(1e-4)
    # One opaque pixel of four is enough to be sure of a colour.
    coarse = spread(coarse, (4 * weight).clamp(max=1))
    return torch.lerp(functional.interpolate(coarse, size=colours.shape[-2:], mode="bilinear"), colours, alpha)


def save(model: Upscaler, folder: Path) -> None:
    """Write `folder`/config.json and half-precision weights; the model stays as it is."""
    copy.deepcopy(model).half().save_pretrained(folder, safe_serialization=True)
    # safetensors writes 0600, which another user's worker could not read.
    (folder / FILE).chmod(0o644)
    without_paths(folder)


def load(folder: Path, *, kind: torch.dtype = torch.float32, device: str = "cpu") -> Upscaler:
    """Read what `save` wrote; nothing is fetched, and no pickle is opened.

    Raises:
        WeightsRefused: a file is missing or damaged, or it is another network's.
    """
    with explained(
        WeightsRefused,
        f"The upscaler in {folder} cannot be used: {{problem}}. Export it again, or delete the folder to go without.",
    ):
        name = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("_class_name")
        if name != Upscaler.__name__:
            raise ValueError(f"its config.json describes a {name}")
        model, found = Upscaler.from_pretrained(
            folder, dtype=kind, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
        if wrong := [key for keys in found.values() for key in keys]:
            raise ValueError(f"these weights do not fit: {wrong[:3]}")
        return model.to(device, memory_format=torch.channels_last).eval().requires_grad_(False)
