"""Pictures out of a stock pipeline: its estimate after a step, its codec's pictures, and whether they are any."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ..errors import NoPicture


def check_drawn(picture: Image.Image) -> None:
    """Refuse a picture that is no picture: what is not a number is shown as black.

    Raises:
        NoPicture: all of it is black to the bit.
    """
    if is_black(picture):
        raise NoPicture(
            "The model computed no picture: every pixel is black, as where its numbers overflow. Try another seed; the "
            "operator may set [render] dtype to bfloat16 or float32."
        )


def is_black(picture: Image.Image) -> bool:
    """To the bit, as only what is no number is shown."""
    return all(most == 0 for _, most in _extrema(picture))


def _extrema(picture: Image.Image) -> Sequence[tuple[float, float]]:
    found: Any = picture.convert("RGB").getextrema()
    return found


def estimate_of(pipeline: Any, index: int, latents: Tensor, before: list[tuple[float, Tensor]]) -> Tensor | None:
    """x0 by the slope of the last step: exact for Euler on a flow, where x moves along v; None at the first step."""
    sigmas = getattr(pipeline.scheduler, "sigmas", None)
    if sigmas is None or index + 1 >= len(sigmas):
        return latents
    now = float(sigmas[index + 1])
    last = before[0] if before else None
    before[:] = [(now, latents.clone())]
    if last is None or last[0] == now or last[1].shape != latents.shape:
        return None
    return latents - now * (last[1] - latents) / (last[0] - now)


def decoded(pipeline: Any, latents: Tensor, size: tuple[int, int]) -> list[Image.Image]:
    """The codec's pictures of latents as this family packs and scales them."""
    vae = pipeline.vae
    if hasattr(pipeline, "_unpack_latents") and latents.ndim == 3:
        latents = pipeline._unpack_latents(latents, size[1], size[0], pipeline.vae_scale_factor)
    made = vae.decode(raw_latents(vae, latents).to(vae.dtype), return_dict=False)[0]
    if made.ndim == 5:
        made = made[:, :, 0]
    return pipeline.image_processor.postprocess(made, output_type="pil")


def raw_latents(vae: Any, latents: Tensor) -> Tensor:
    """What the codec decodes: some scale and shift all channels alike, some each by what was measured of it."""
    scale = getattr(vae.config, "scaling_factor", None)
    means, deviations = (getattr(vae.config, name, None) for name in ("latents_mean", "latents_std"))
    if means is not None and deviations is not None:
        shape = (1, -1, *[1] * (latents.ndim - 2))
        mean, deviation = (torch.tensor(each, device=latents.device).view(shape) for each in (means, deviations))
        return latents * deviation / (scale or 1.0) + mean
    with suppress(TypeError):
        return latents / float(scale or 1.0) + float(getattr(vae.config, "shift_factor", None) or 0.0)
    return latents
