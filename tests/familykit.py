"""Whole pipeline folders of other families, of stock classes with random weights, small enough for milliseconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    PNDMScheduler,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from tokenizers import Tokenizer, models, pre_tokenizers
from toyweights import WORDS
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    PreTrainedTokenizerFast,
    T5Config,
    T5EncoderModel,
)

SD = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}


def tokenizer(length: int = 8) -> PreTrainedTokenizerFast:
    words = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=length
    )


def clip(kind: Any, width: int = 32) -> Any:
    return kind(
        CLIPTextConfig(
            vocab_size=len(WORDS), hidden_size=width, intermediate_size=37, num_hidden_layers=2, num_attention_heads=4,
            max_position_embeddings=8, projection_dim=width, bos_token_id=0, eos_token_id=2, pad_token_id=0,
        )
    ).eval()  # fmt: skip


def t5(width: int = 32) -> T5EncoderModel:
    return T5EncoderModel(
        T5Config(vocab_size=len(WORDS), d_model=width, d_kv=8, d_ff=32, num_layers=1, num_heads=4, dropout_rate=0.0)
    ).eval()


def codec(blocks: int = 2, **more: Any) -> AutoencoderKL:
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * blocks, up_block_types=("UpDecoderBlock2D",) * blocks,
        block_out_channels=(8,) * blocks, layers_per_block=1, latent_channels=4, norm_num_groups=4,
        mid_block_add_attention=False, sample_size=32, **more,
    )  # fmt: skip


def unet(**more: Any) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=16, block_out_channels=(16, 32), layers_per_block=1, norm_num_groups=8, attention_head_dim=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        **more,
    )  # fmt: skip


def write_sd15(folder: Path) -> Path:
    """As Stable Diffusion 1.5: epsilon, PNDM, CLIP."""
    torch.manual_seed(21)
    StableDiffusionPipeline(
        vae=codec(), unet=unet(cross_attention_dim=32), text_encoder=clip(CLIPTextModel), tokenizer=tokenizer(),
        scheduler=PNDMScheduler(**SD, skip_prk_steps=True), safety_checker=None, feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder, safe_serialization=True)  # fmt: skip
    return folder


def write_sdxl(folder: Path) -> Path:
    """As SDXL: two CLIP encoders, pooled text and sizes beside the time."""
    torch.manual_seed(22)
    StableDiffusionXLPipeline(
        vae=codec(),
        unet=unet(
            cross_attention_dim=64, addition_embed_type="text_time", addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=80,
        ),
        text_encoder=clip(CLIPTextModel), text_encoder_2=clip(CLIPTextModelWithProjection), tokenizer=tokenizer(),
        tokenizer_2=tokenizer(), scheduler=EulerDiscreteScheduler(**SD),
    ).save_pretrained(folder, safe_serialization=True)  # fmt: skip
    return folder


def write_flux(folder: Path) -> Path:
    """As FLUX: packed latents, a transformer, flow matching."""
    torch.manual_seed(23)
    FluxPipeline(
        transformer=FluxTransformer2DModel(
            patch_size=1, in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16,
            num_attention_heads=2, joint_attention_dim=32, pooled_projection_dim=32, axes_dims_rope=(4, 4, 8),
            guidance_embeds=True,
        ),
        vae=codec(shift_factor=0.1), text_encoder=clip(CLIPTextModel), text_encoder_2=t5(), tokenizer=tokenizer(),
        tokenizer_2=tokenizer(), scheduler=FlowMatchEulerDiscreteScheduler(),
    ).save_pretrained(folder, safe_serialization=True)  # fmt: skip
    return folder


def write_sd3(folder: Path) -> Path:
    """As Stable Diffusion 3: three encoders, joint attention, flow matching."""
    torch.manual_seed(24)
    StableDiffusion3Pipeline(
        transformer=SD3Transformer2DModel(
            sample_size=16, patch_size=1, in_channels=4, num_layers=1, attention_head_dim=8, num_attention_heads=4,
            caption_projection_dim=32, joint_attention_dim=64, pooled_projection_dim=64, out_channels=4,
        ),
        vae=codec(shift_factor=0.1), text_encoder=clip(CLIPTextModelWithProjection),
        text_encoder_2=clip(CLIPTextModelWithProjection), text_encoder_3=t5(64), tokenizer=tokenizer(),
        tokenizer_2=tokenizer(), tokenizer_3=tokenizer(), scheduler=FlowMatchEulerDiscreteScheduler(),
    ).save_pretrained(folder, safe_serialization=True)  # fmt: skip
    return folder
