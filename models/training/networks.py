"""The four networks, all stock diffusers and transformers classes, so that anybody's program opens our weights.

Shapes: picture (B, 3, H, W) in [-1, 1]; latent (B, 4, H/4, W/4); text (B, 24) token ids → (B, 24, 192).
"""

from __future__ import annotations

from collections.abc import Sequence

from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import T5Config, T5EncoderModel

#: Tokens of one prompt; longer prompts are cut.
TEXT_LENGTH = 24
LATENT_CHANNELS = 4
#: Pixels per latent cell along one side.
LATENT_FACTOR = 4


def codec(channels: Sequence[int]) -> AutoencoderKL:
    """f4c4 autoencoder (LDM, 2112.10752, sec. 3.1); no attention, so that it runs at any size."""
    blocks = len(channels)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * blocks,
        up_block_types=("UpDecoderBlock2D",) * blocks,
        block_out_channels=tuple(channels),
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=8,
        mid_block_add_attention=False,
        sample_size=64,
    )


def denoiser(channels: Sequence[int], attention: Sequence[bool], text_width: int) -> UNet2DConditionModel:
    """Velocity U-Net; text by cross-attention and, pooled, through the time embedding (adaptive group norm)."""
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=tuple(channels),
        layers_per_block=1,
        down_block_types=tuple("CrossAttnDownBlock2D" if a else "DownBlock2D" for a in attention),
        up_block_types=tuple("CrossAttnUpBlock2D" if a else "UpBlock2D" for a in reversed(attention)),
        cross_attention_dim=text_width,
        attention_head_dim=8,
        norm_num_groups=16,
        # Pooled text joins the time embedding: with it colour, outline and layout follow the prompt far sooner.
        addition_embed_type="text",
        addition_embed_type_num_heads=8,
        resnet_time_scale_shift="scale_shift",
    )


def text_encoder(vocabulary: int, width: int, layers: int) -> T5EncoderModel:
    """Small bidirectional encoder with relative positions (T5, 1910.10683); padding is read as silence."""
    return T5EncoderModel(
        T5Config(
            vocab_size=vocabulary,
            d_model=width,
            d_kv=width // 6,
            d_ff=2 * width,
            num_layers=layers,
            num_heads=6,
            feed_forward_proj="gated-gelu",
            dropout_rate=0.0,
            pad_token_id=0,
            eos_token_id=1,
        )
    )
