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
from safetensors.torch import save_file
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
        block_out_channels=(8,) * blocks, layers_per_block=1, norm_num_groups=4, mid_block_add_attention=False,
        sample_size=32, **({"latent_channels": 4} | more),
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


def write_sd15_file(folder: Path) -> Path:
    """The same as one .safetensors file in the layout of the original checkpoints, its configurations beside it."""
    file = folder / "model.safetensors"
    beside = write_sd15(folder / "model")
    pipeline: Any = StableDiffusionPipeline.from_pretrained(beside, local_files_only=True)
    tensors = {f"model.diffusion_model.{_original_unet(name)}": w for name, w in pipeline.unet.state_dict().items()}
    tensors |= {f"first_stage_model.{_original_codec(name)}": w for name, w in pipeline.vae.state_dict().items()}
    prefix = "" if any(name.startswith("text_model.") for name in pipeline.text_encoder.state_dict()) else "text_model."
    tensors |= {
        f"cond_stage_model.transformer.{prefix}{name}": w for name, w in pipeline.text_encoder.state_dict().items()
    }
    save_file({name: weight.contiguous().clone() for name, weight in tensors.items()}, file)
    for weights in beside.rglob("*.safetensors"):
        weights.unlink()
    return file


def _original_unet(name: str) -> str:
    """Name of a tensor of `unet()` in a checkpoint of CompVis: blocks are counted through, parts have other names."""
    places = (
        ("time_embedding.linear_1", "time_embed.0"), ("time_embedding.linear_2", "time_embed.2"),
        ("conv_norm_out", "out.0"), ("conv_out", "out.2"), ("conv_in", "input_blocks.0.0"),
        ("down_blocks.0.resnets.0", "input_blocks.1.0"), ("down_blocks.0.downsamplers.0.conv", "input_blocks.2.0.op"),
        ("down_blocks.1.resnets.0", "input_blocks.3.0"), ("down_blocks.1.attentions.0", "input_blocks.3.1"),
        ("mid_block.resnets.0", "middle_block.0"), ("mid_block.attentions.0", "middle_block.1"),
        ("mid_block.resnets.1", "middle_block.2"),
        ("up_blocks.0.resnets.0", "output_blocks.0.0"), ("up_blocks.0.attentions.0", "output_blocks.0.1"),
        ("up_blocks.0.resnets.1", "output_blocks.1.0"), ("up_blocks.0.attentions.1", "output_blocks.1.1"),
        ("up_blocks.0.upsamplers.0.conv", "output_blocks.1.2.conv"),
        ("up_blocks.1.resnets.0", "output_blocks.2.0"), ("up_blocks.1.resnets.1", "output_blocks.3.0"),
    )  # fmt: skip
    parts = (
        ("norm1", "in_layers.0"), ("conv1", "in_layers.2"), ("time_emb_proj", "emb_layers.1"),
        ("norm2", "out_layers.0"), ("conv2", "out_layers.3"), ("conv_shortcut", "skip_connection"),
    )  # fmt: skip
    old, new = next(place for place in places if name.startswith(place[0] + "."))
    rest = name.removeprefix(old)
    if ".resnets." in old:
        for part, original in parts:
            rest = rest.replace(part, original)
    return new + rest


def _original_codec(name: str, blocks: int = 2) -> str:
    for part, original in (
        ("mid_block.resnets.0", "mid.block_1"), ("mid_block.resnets.1", "mid.block_2"), ("conv_norm_out", "norm_out"),
        ("conv_shortcut", "nin_shortcut"), (".resnets.", ".block."), ("downsamplers.0", "downsample"),
        ("upsamplers.0", "upsample"), ("down_blocks", "down"),
        *((f"up_blocks.{k}.", f"up.{blocks - 1 - k}.") for k in range(blocks)),
    ):  # fmt: skip
        name = name.replace(part, original)
    return name
