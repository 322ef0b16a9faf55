"""The denoiser with its text encoder, as a diffusers pipeline: RGBA pictures of one thing from words and drawings.

`save_pretrained` and `from_pretrained` are diffusers' own, and so are the classes of all parts: other programs open
each of them. Here a folder is opened by `load`, which runs no class but the ones below.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, DiffusionPipeline, DPMSolverMultistepScheduler, UNet2DConditionModel
from diffusers.pipelines.pipeline_utils import ImagePipelineOutput
from PIL import Image
from torch import Tensor
from transformers import PreTrainedTokenizerFast, T5EncoderModel

from .network import MOST, SLOTS, Context, DrawerDenoiser, opened, premultiplied
from .reading import Reader
from .shelf import Shelves

NAME = "DrawerPipeline"


def scheduler() -> DPMSolverMultistepScheduler:
    """Rectified flow x_t = (1 − t) x₀ + t ε with x₀ predicted, by DPM-Solver++ 2M."""
    return DPMSolverMultistepScheduler(
        prediction_type="sample", use_flow_sigmas=True, flow_shift=1.0, solver_order=2, solver_type="midpoint",
        algorithm_type="dpmsolver++", final_sigmas_type="zero",
    )  # fmt: skip


class DrawerPipeline(DiffusionPipeline):
    """text_encoder, tokenizer, unet, vae, scheduler; `reference_guidance` 0 means: as much as the words'."""

    model_cpu_offload_seq = "text_encoder->vae->unet->vae"

    def __init__(
        self, text_encoder: T5EncoderModel, tokenizer: PreTrainedTokenizerFast, unet: UNet2DConditionModel,
        vae: AutoencoderKL, scheduler: DPMSolverMultistepScheduler, reference_guidance: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.register_modules(
            text_encoder=text_encoder, tokenizer=tokenizer, unet=unet, vae=vae, scheduler=scheduler
        )  # fmt: skip
        self.register_to_config(reference_guidance=reference_guidance)

    @property
    def denoiser(self) -> DrawerDenoiser:
        """U-Net and codec together."""
        return DrawerDenoiser(self.unet, self.vae)

    @torch.no_grad()
    def __call__(
        self, prompt: str | Sequence[str], *, references: Sequence[Image.Image] = (),
        style_reference: Image.Image | None = None, negative_prompt: str = "", num_inference_steps: int = 16,
        guidance_scale: float = 3.0, reference_guidance: float | None = None,
        generator: torch.Generator | Sequence[torch.Generator] | None = None, output_type: str = "pil",
        num_images_per_prompt: int = 1,
    ) -> ImagePipelineOutput:  # fmt: skip
        """Draw.

        Args:
            prompt: as training says it: `<caption>, <style> style`.
            references: up to two drawings of the thing in other styles, RGBA.
            style_reference: another thing in the style wanted.
            guidance_scale: of the words; `reference_guidance`: of the drawings, as much if None.
            output_type: "pil" gives RGBA pictures, "pt" straight RGBA (B, 4, S, S) in [0, 1].
        """
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        prompts = [each for each in prompts for _ in range(num_images_per_prompt)]
        denoiser = self.denoiser
        given = reference_guidance if reference_guidance is not None else self.config.reference_guidance
        shares = guidance_shares(guidance_scale, given or guidance_scale)
        reader = Reader(self.text_encoder, self.tokenizer)
        shown = stacked(references, style_reference, denoiser.size)
        rows = [
            [context_of(denoiser, reader(each), shown) for each in prompts],
            [context_of(denoiser, reader(negative_prompt), shown)] * len(prompts),
            [context_of(denoiser, reader(negative_prompt), None)] * len(prompts),
        ]
        contexts = [joined(row) for row, share in zip(rows, shares, strict=True) if share]
        generators = list(generator) if isinstance(generator, list | tuple) else [generator] * len(prompts)
        shape = (1, denoiser.channels, denoiser.latent, denoiser.latent)
        noise = [torch.randn(shape, generator=each) for each in generators]
        sample = torch.cat(noise).to(denoiser.device)
        self.scheduler.set_timesteps(num_inference_steps)
        for time in self.progress_bar(self.scheduler.timesteps):
            times = torch.full((len(sample),), float(time) / 1000, device=sample.device)
            made = [denoiser(sample, times, each) for each in contexts]
            clean = torch.stack([s * x for s, x in zip(filter(None, shares), made, strict=True)]).sum(0)
            sample = self.scheduler.step(clean, time, sample).prev_sample
        pictures = straight(denoiser.decode(sample))
        if output_type == "pt":
            return ImagePipelineOutput(pictures)  # type: ignore[arg-type]
        return ImagePipelineOutput([to_rgba(each) for each in pictures])


def guidance_shares(words: float, references: float) -> tuple[float, float, float]:
    """Shares of (words and references, references alone, nothing) in the prediction.

    x̂ = x̂₀ + g_ref (x̂_refs − x̂₀) + g_text (x̂_text,refs − x̂_refs): guidance of each apart (2209.14491, eq. 5).
    """
    return words, references - words, 1 - references


def context_of(denoiser: DrawerDenoiser, states: Tensor, shown: Shelves | None) -> Context:
    """What one picture is drawn from; of the same shape with and without references, so that rows can share a step."""
    device = denoiser.device
    if shown is None:
        return denoiser.read(states.to(device))
    return denoiser.read(states.to(device), shown.pictures.to(device), shown.known.to(device))


def joined(contexts: Sequence[Context]) -> Context:
    """Contexts of rows, one under the other."""
    if len(contexts) == 1:
        return contexts[0]
    return Context(torch.cat([each.states for each in contexts]), torch.cat([each.drawn for each in contexts]))


def stacked(references: Sequence[Image.Image], style: Image.Image | None, side: int) -> Shelves:
    """Pictures as the denoiser reads them; what has no alpha is opaque."""
    pictures = torch.full((1, SLOTS, 4, side, side), -1.0)
    known = torch.zeros(1, SLOTS, dtype=torch.bool)
    for place, each in [*enumerate(references[:MOST]), (MOST, style)]:
        if each is not None:
            pictures[0, place] = premultiplied(torch.from_numpy(np.array(fitted(each, side))))
            known[0, place] = True
    return Shelves(pictures, known)


def fitted(picture: Image.Image, side: int) -> Image.Image:
    """RGBA, square, the whole picture in its middle."""
    whole = picture.convert("RGBA").convert("RGBa")
    scale = side / max(whole.size)
    width, height = (max(1, round(length * scale)) for length in whole.size)
    scaled = whole.resize((width, height), Image.Resampling.LANCZOS).convert("RGBA")
    square = Image.new("RGBA", (side, side))
    square.paste(scaled, ((side - width) // 2, (side - height) // 2))
    return square


def straight(sample: Tensor) -> Tensor:
    """(B, 4, S, S) premultiplied in [-1, 1] → straight RGBA in [0, 1]."""
    values = (sample / 2 + 0.5).clamp(0, 1)
    alpha = values[:, 3:]
    return torch.cat([(values[:, :3] / alpha.clamp(min=1e-3)).clamp(0, 1), alpha], 1)


def to_rgba(pixels: Tensor) -> Image.Image:
    """(4, S, S) straight in [0, 1] → RGBA."""
    values = (pixels * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    return Image.fromarray(values)


def is_drawer(weights: Path) -> bool:
    """Whether a folder's index names this pipeline."""
    try:
        return json.loads((weights / "model_index.json").read_text(encoding="utf-8"))["_class_name"] == NAME
    except (OSError, ValueError, KeyError, TypeError):
        return False


def load(weights: Path, kind: torch.dtype) -> DrawerPipeline:
    """Open a folder: its parts one by one, by these classes and no others.

    Raises:
        OSError, ValueError, KeyError, safetensors.SafetensorError: a part is missing or damaged.
    """
    told: dict[str, Any] = json.loads((weights / "model_index.json").read_text(encoding="utf-8"))
    only = {"local_files_only": True}
    denoiser = opened(weights, kind)
    # The words are read in full precision, as in training: they are few.
    encoder = T5EncoderModel.from_pretrained(
        weights / "text_encoder", use_safetensors=True, dtype=torch.float32, **only
    )
    return DrawerPipeline(
        encoder, PreTrainedTokenizerFast.from_pretrained(weights / "tokenizer", **only), denoiser.unet, denoiser.vae,
        DPMSolverMultistepScheduler.from_pretrained(weights / "scheduler", **only),
        float(told.get("reference_guidance") or 0.0),
    )  # fmt: skip
