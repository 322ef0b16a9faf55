"""Every drawing of a set as latents, encoded once and kept; those that are given another colour are encoded anew."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..data import SpriteSet
from ..data.colours import recolour
from ..drawer.network import SLOTS, DrawerDenoiser
from .drawer_feed import Batch
from .latents import fingerprint
from .progress import Progress

#: In a run's folder.
FILE = "latents.safetensors"
#: Pictures that are encoded at a time: on processors few, which stay in their caches (0.20 s for 64 of them, by 64 at
#: a time 0.33 s).
FEW, MANY = 8, 256


class Drawings:
    """The latents of a sprite set's drawings."""

    def __init__(self, sprites: SpriteSet, denoiser: DrawerDenoiser, file: Path, progress: Progress) -> None:
        """Reads `file` where it is of this codec and these drawings, else encodes all and writes it.

        They lie where the denoiser does.
        """
        self._sprites, self._denoiser = sprites, denoiser
        self.made_of = {"codec": fingerprint(denoiser.vae), "drawings": _digest(sprites)}
        latents = self._read(file)
        if latents is None:
            latents = self._encoded(progress)
            file.parent.mkdir(parents=True, exist_ok=True)
            part = file.with_suffix(".part")
            save_file({"latents": latents}, part, metadata=self.made_of)
            part.replace(file)
        #: fp16 (N, C, h, w).
        self.latents = latents.to(denoiser.device)

    def targets(self, batch: Batch) -> Tensor:
        """What is to be drawn, (B, C, h, w) float32."""
        found = self.latents[torch.tensor(batch.targets, device=self.latents.device)].float()
        if batch.colours:
            at = list(batch.colours)
            pixels = straight_pixels(self._sprites, [batch.targets[place] for place in at])
            pixels[:, :3] = recolour(pixels[:, :3], pixels[:, 3:], list(batch.colours.values()))
            found[at] = self._denoiser.encode(premultiplied(pixels))
        return found

    def references(self, batch: Batch) -> Tensor:
        """What it is drawn from, (B, SLOTS, C, h, w) float32; anything where there is none."""
        index = batch.shown.clamp(min=0).flatten().to(self.latents.device)
        return self.latents[index].float().unflatten(0, (-1, SLOTS))

    def _read(self, file: Path) -> Tensor | None:
        try:
            with safe_open(file, "pt") as opened:
                return opened.get_tensor("latents") if opened.metadata() == self.made_of else None
        except (OSError, SafetensorError):
            return None

    def _encoded(self, progress: Progress) -> Tensor:
        count, parts = len(self._sprites.images), []
        size = FEW if self._denoiser.device.type == "cpu" else MANY
        for begin in range(0, count, size):
            pixels = straight_pixels(self._sprites, range(begin, min(begin + size, count)))
            parts.append(self._denoiser.encode(premultiplied(pixels)).half().cpu())
            progress.step("latents", begin + len(pixels), count, {})
        return torch.cat(parts).contiguous()


def straight_pixels(sprites: SpriteSet, which: Sequence[int]) -> Tensor:
    """Drawings as straight RGBA in [0, 1], (B, 4, S, S)."""
    return torch.from_numpy(sprites.images[np.asarray(which)]).permute(0, 3, 1, 2).float() / 255


def premultiplied(pixels: Tensor) -> Tensor:
    """Straight RGBA in [0, 1] → premultiplied in [-1, 1], (B, 4, S, S)."""
    alpha = pixels[:, 3:]
    return torch.cat([pixels[:, :3] * alpha, alpha], 1) * 2 - 1


def _digest(sprites: SpriteSet) -> str:
    found = hashlib.sha256(str(sprites.images.shape).encode())
    for begin in range(0, len(sprites.images), 1024):
        found.update(np.ascontiguousarray(sprites.images[begin : begin + 1024]).data)
    return found.hexdigest()
