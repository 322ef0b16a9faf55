"""What the fine-tuning tests start from: tiny pipelines of three kinds, and drawings to learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    PNDMScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from PIL import Image, ImageDraw
from transformers import CLIPTextConfig, CLIPTextModel

from daguerre.models.data.store import SpriteSet
from daguerre.models.training import networks
from daguerre.models.training.progress import Lines
from daguerre.models.training.tokenizer import train_tokenizer

COLOURS = {"red": "#d02020", "green": "#20a040", "blue": "#2040c0", "yellow": "#e0c020", "black": "#101010"}


class Told(Lines):
    """Keeps what a run told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.sheets: list[Image.Image] = []
        super().__init__(self.lines.append)

    def picture(self, stage: str, step: int, name: str, picture: Image.Image) -> None:
        """Keep the sheet."""
        assert (stage, name) == ("finetune", "before and after")
        self.sheets.append(picture)


def drawings(count: int, size: int = 32) -> SpriteSet:
    """Rings of several colours on clear ground."""
    images, rows = [], []
    for index in range(count):
        name = list(COLOURS)[index % len(COLOURS)]
        picture = Image.new("RGBA", (size, size))
        edge = 3 + index % 4
        ImageDraw.Draw(picture).ellipse((edge, edge, size - edge, size - edge), outline=COLOURS[name], width=4)
        images.append(np.asarray(picture))
        rows.append({"i": index, "name": f"ring-{index}.png", "caption_en": f"a {name} ring"})
    return SpriteSet(np.stack(images), rows)


def stock_like(prediction: str) -> StableDiffusionPipeline:
    """A random pipeline of the family of Stable Diffusion 1.5 (PNDM, ε) and 2.1 (DDIM, v): CLIP, 16 tokens."""
    torch.manual_seed(0)
    tokenizer = train_tokenizer(["a red ring", "a blue ring", "green yellow black"] * 20, 300)
    tokenizer.model_max_length = 16
    text = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=16, bos_token_id=1, eos_token_id=1, pad_token_id=0,
    )  # fmt: skip
    unet = UNet2DConditionModel(
        sample_size=8, in_channels=4, out_channels=4, block_out_channels=(16, 32), layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32, attention_head_dim=8, norm_num_groups=8, use_linear_projection=True,
    )  # fmt: skip
    betas: dict[str, Any] = {
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "steps_offset": 1,
    }
    scheduler = (
        PNDMScheduler(**betas, skip_prk_steps=True)
        if prediction == "epsilon"
        else DDIMScheduler(**betas, clip_sample=False, prediction_type=prediction, rescale_betas_zero_snr=True)
    )
    vae = networks.codec((16, 32, 32))
    vae.register_to_config(scaling_factor=0.18215)
    return assembled(unet, vae, CLIPTextModel(text), tokenizer, scheduler)


def ours() -> StableDiffusionPipeline:
    """A random pipeline of our own kind: T5, pooled text in the time embedding, velocity."""
    torch.manual_seed(1)
    tokenizer = train_tokenizer(["a red ring", "a blue ring", "green yellow black"] * 20, 300)
    unet = networks.denoiser((16, 32), (False, True), 48)
    unet.register_to_config(sample_size=8)
    scheduler = DPMSolverMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, steps_offset=1)
    return assembled(unet, networks.codec((16, 32, 32)), networks.text_encoder(300, 48, 2), tokenizer, scheduler)


def assembled(unet: UNet2DConditionModel, vae: AutoencoderKL, text: Any, tokenizer: Any, scheduler: Any) -> Any:
    return StableDiffusionPipeline(
        vae=vae, text_encoder=text, tokenizer=tokenizer, unet=unet, scheduler=scheduler, safety_checker=None,
        feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
