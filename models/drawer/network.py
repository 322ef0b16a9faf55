"""The denoiser that draws from drawings: a stock latent U-Net that sees drawings beside the noisy picture.

Words come by cross-attention, drawings as further input channels: latents of the same codec, at their own places, with
a channel for each that says whether it is there (as inpainting networks read what is known, LDM, 2112.10752, sec. 4.5;
references of the thing in other styles: RDM, 2204.11824; Re-Imagen, 2209.14491). What they say is worked out once for
all steps (`read`), since it does not depend on the noise.

Shapes: B pictures, S their side, h = w the latents' side, C latent channels, L words, W their width.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from diffusers import AutoencoderKL, ModelMixin, UNet2DConditionModel
from PIL import Image
from torch import Tensor, nn

from ..common import cut_out

Part = TypeVar("Part", bound=ModelMixin)

#: Most drawings of the thing; one more, in the last place, shows the style.
MOST = 2
SLOTS = MOST + 1
WHITE = (255, 255, 255)


@dataclass(frozen=True, slots=True)
class Context:
    """What one batch is drawn from; fixed over all steps."""

    #: Of the text encoder, (B, L, W).
    states: Tensor
    #: Latents of the drawings one after the other, then for each where it is there, (B, SLOTS · C + SLOTS, h, w).
    drawn: Tensor

    @classmethod
    def of(cls, states: Tensor, latents: Tensor, known: Tensor) -> Context:
        """Of latents (B, SLOTS, C, h, w) and which of them are there, (B, SLOTS) bool."""
        there = known.to(latents.dtype)[:, :, None, None, None]
        masks = there[:, :, 0].expand(-1, -1, *latents.shape[-2:])
        # Not by a product: what is left out may hold anything.
        seen = torch.where(known[:, :, None, None, None], latents, 0.0)
        return cls(states, torch.cat([seen.flatten(1, 2), masks], 1))

    def rows(self, index: Tensor) -> Context:
        """The context of some pictures, in another order or repeated."""
        return Context(self.states[index], self.drawn[index])


class DrawerDenoiser(nn.Module):
    """x_t, t, words and references → the clean picture, all as latents; and the codec they are latents of."""

    def __init__(self, unet: UNet2DConditionModel, vae: AutoencoderKL) -> None:
        """Takes both over.

        Raises:
            ValueError: they do not belong together.
        """
        super().__init__()
        self.unet: Any = unet
        self.vae: Any = vae.requires_grad_(False).eval()
        #: Of latents.
        self.channels: int = self.vae.config.latent_channels
        #: Sides of latents and of pictures.
        self.latent: int = self.unet.config.sample_size
        self.size: int = self.latent * 2 ** (len(self.vae.config.block_out_channels) - 1)
        found, wanted = self.unet.config.in_channels, channels_in(self.channels)
        if found != wanted:
            raise ValueError(f"its U-Net reads {found} channels, not {wanted}: it does not draw from drawings")

    @property
    def dtype(self) -> torch.dtype:
        """What the U-Net computes in."""
        return self.unet.dtype

    @property
    def device(self) -> torch.device:
        """Where it lies."""
        return self.unet.device

    # Pictures and latents

    @torch.no_grad()
    def encode(self, pictures: Tensor) -> Tensor:
        """(B, 4, S, S) premultiplied in [-1, 1] → latents (B, C, h, w) of the pictures on white, float32."""
        white = (pictures[:, :3] + 1 - pictures[:, 3:]).to(self.vae.device, self.vae.dtype)
        found = self.vae.encode(white.contiguous(memory_format=torch.channels_last)).latent_dist.mode().float()
        return (found - self._shift) * self.vae.config.scaling_factor

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Latents (B, C, h, w) → (B, 4, S, S) premultiplied in [-1, 1], float32: what is drawn, cut from its ground."""
        # Training knows no other ground than white: a drawing that fills its picture is not cut.
        cut = [cut_out(_picture(each), WHITE) for each in self.on_white(latents).cpu()]
        found = [premultiplied(torch.from_numpy(np.array(each))) for each in cut]
        return torch.stack(found).to(latents.device) if found else latents.new_zeros(0, 4, self.size, self.size)

    @torch.no_grad()
    def on_white(self, latents: Tensor) -> Tensor:
        """Latents (B, C, h, w) → opaque pictures (B, 3, S, S) in [-1, 1], float32."""
        raw = (latents / self.vae.config.scaling_factor + self._shift).to(self.vae.device, self.vae.dtype)
        # One after the other: no pixel depends on what else is decoded.
        made = [self.vae.decode(each[None], return_dict=False)[0].float() for each in raw]
        return torch.cat(made).nan_to_num().clamp(-1, 1) if made else raw.new_zeros(0, 3, self.size, self.size)

    @property
    def _shift(self) -> float:
        return float(self.vae.config.shift_factor or 0.0)

    # Drawing

    def read(self, words: Tensor, references: Tensor | None = None, known: Tensor | None = None) -> Context:
        """What a batch is drawn from.

        Args:
            words: (B, L, W) of the text encoder.
            references: (B, SLOTS, 4, S, S) premultiplied in [-1, 1]: `MOST` of the thing, one in the style; or none.
            known: (B, SLOTS) bool; False where there is none.
        """
        latents = torch.zeros(len(words), SLOTS, self.channels, self.latent, self.latent, device=words.device)
        if references is None or known is None:
            known = torch.zeros(len(words), SLOTS, dtype=torch.bool, device=words.device)
        elif bool(known.any()):
            latents[known] = self.encode(references[known])
        return Context.of(words, latents, known)

    def forward(self, noisy: Tensor, time: Tensor, context: Context) -> Tensor:
        """(B, C, h, w) float32, (B,) in [0, 1] (1 is noise), what it is drawn from → the clean latents, float32.

        The U-Net gives the velocity v = ε − x₀ of the rectified flow x_t = (1 − t) x₀ + t ε (2209.03003), so that
        x₀ = x_t − t v.
        """
        kind = self.dtype
        seen = torch.cat([noisy.to(kind), context.drawn.to(kind)], 1).contiguous(memory_format=torch.channels_last)
        states = context.states.to(kind)
        velocity = self.unet(seen, 1000 * time, encoder_hidden_states=states, return_dict=False)[0]
        return noisy - time[:, None, None, None] * velocity.float()


def channels_in(latents: int) -> int:
    """Channels that a U-Net reads: the noisy picture, the drawings, and which of them are there."""
    return latents + SLOTS * latents + SLOTS


def widened(unet: UNet2DConditionModel) -> UNet2DConditionModel:
    """A U-Net of noisy latents alone, changed in place to read drawings too: at first it says what it said before."""
    old: Any = unet.conv_in
    new = nn.Conv2d(channels_in(old.in_channels), old.out_channels, old.kernel_size, padding=old.padding)
    with torch.no_grad():
        new.weight.zero_()
        new.weight[:, : old.in_channels] = old.weight
        new.bias.copy_(old.bias)
    unet.conv_in = new.to(old.weight.device, old.weight.dtype)
    unet.register_to_config(in_channels=new.in_channels)
    return unet


def opened(folder: Path, kind: torch.dtype = torch.float32, *, widen: bool = False) -> DrawerDenoiser:
    """`unet/` and `vae/` of a folder, with a codec in float32: it is small, and half precision may overflow in it.

    Args:
        folder: an exported denoiser, a weights folder, or with `widen` also a pipeline whose U-Net reads no drawings.
        kind: what the U-Net computes in.
        widen: see `widened`.

    Raises:
        OSError, ValueError, SafetensorError: a part is missing, damaged or of another shape; says which.
    """
    unet: Any = _part(UNet2DConditionModel, folder / "unet", kind)
    vae: Any = _part(AutoencoderKL, folder / "vae", torch.float32)
    if widen and unet.config.in_channels == vae.config.latent_channels:
        widened(unet)
    return DrawerDenoiser(unet, vae)


def premultiplied(pixels: Tensor) -> Tensor:
    """uint8 (S, S, 4), straight → (4, S, S) premultiplied in [-1, 1]."""
    values = pixels.permute(2, 0, 1).float() / 255
    return torch.cat([values[:3] * values[3:], values[3:]]) * 2 - 1


def _part(model: type[Part], folder: Path, kind: torch.dtype) -> Part:
    read: Any = model.from_pretrained
    found, told = read(
        folder, local_files_only=True, use_safetensors=True, torch_dtype=kind, output_loading_info=True
    )  # fmt: skip
    if strange := [*told["unexpected_keys"], *told["missing_keys"]]:
        raise ValueError(f"{folder.name} is of another version of this program: {strange[0]}")
    return found


def _picture(pixels: Tensor) -> Image.Image:
    """(3, S, S) in [-1, 1] → RGB."""
    return Image.fromarray(((pixels + 1) * 127.5).round().byte().permute(1, 2, 0).numpy())
