"""A whole pipeline folder of stock classes with random weights, small enough to render in milliseconds."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL, DPMSolverMultistepScheduler, StableDiffusionPipeline, UNet2DConditionModel
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel

WORDS = ("<pad>", "</s>", "<unk>", "a", "red", "blue", "apple", "pizza")


def toy_codec() -> AutoencoderKL:
    """Four pixels along one side of a latent."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(8, 8, 8), layers_per_block=1, latent_channels=4, norm_num_groups=4,
        mid_block_add_attention=False, sample_size=16, scaling_factor=1.0,
    )  # fmt: skip


def toy_unet(channels: int = 4, side: int = 4) -> UNet2DConditionModel:
    """Reads `channels` of `side` × `side` latents."""
    return UNet2DConditionModel(
        sample_size=side, in_channels=channels, block_out_channels=(16, 32), layers_per_block=1, norm_num_groups=8,
        attention_head_dim=8, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=24, addition_embed_type="text", addition_embed_type_num_heads=4,
    )  # fmt: skip


def write_toy_weights(folder: Path) -> Path:
    """Draws at 16 px (4×4 latents) from a handful of words."""
    torch.manual_seed(11)
    words = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    StableDiffusionPipeline(
        vae=toy_codec(),
        unet=toy_unet(),
        text_encoder=T5EncoderModel(
            T5Config(vocab_size=len(WORDS), d_model=24, d_kv=8, d_ff=32, num_layers=1, num_heads=3, dropout_rate=0.0)
        ),
        tokenizer=PreTrainedTokenizerFast(
            tokenizer_object=words, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=8
        ),
        scheduler=DPMSolverMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, steps_offset=1),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    ).save_pretrained(folder, safe_serialization=True)  # fmt: skip
    return folder
