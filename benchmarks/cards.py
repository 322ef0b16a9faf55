"""Which model lies how on which card: calculated from the makers' configurations, without any weights or card.

    .venv/bin/python benchmarks/cards.py

prints the tables of docs/gpu.md. Networks are built on torch's meta device, so that parameters are counted and none is
there; what pictures take is what models/serving/memory.py takes for granted before it has measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import diffusers as d
import torch
import transformers as t

from daguerre.models.errors import WeightsRefused
from daguerre.models.serving.memory import GIB, Part, Plan, Quantise, plan
from daguerre.models.serving.sizes import part_in

CARDS = (8, 12, 16, 24, 48, 80)
#: Of a card's memory, what is free when nothing else runs.
FREE = 0.95


def clip(width: int, layers: int, heads: int, kind: Any = t.CLIPTextModel) -> Any:
    return kind(
        t.CLIPTextConfig(
            hidden_size=width, intermediate_size=4 * width, num_hidden_layers=layers, num_attention_heads=heads,
            projection_dim=width, vocab_size=49_408,
        )
    )  # fmt: skip


def clips() -> Mapping[str, Any]:
    """CLIP ViT-L/14 and OpenCLIP ViT-bigG/14."""
    return {"text_encoder": clip(768, 12, 12), "text_encoder_2": clip(1280, 32, 20, t.CLIPTextModelWithProjection)}


def t5() -> Any:
    """T5 v1.1 XXL's encoder."""
    return t.T5EncoderModel(
        t.T5Config(d_model=4096, d_kv=64, d_ff=10_240, num_layers=24, num_heads=64, feed_forward_proj="gated-gelu")
    )


def codec(channels: int) -> Any:
    return d.AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=channels, sample_size=1024,
    )  # fmt: skip


def sd15() -> Mapping[str, Any]:
    unet = d.UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8)
    return {"text_encoder": clip(768, 12, 12), "unet": unet, "vae": codec(4)}


def sdxl() -> Mapping[str, Any]:
    unet = d.UNet2DConditionModel(
        sample_size=128, block_out_channels=(320, 640, 1280), transformer_layers_per_block=(1, 2, 10),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"), cross_attention_dim=2048,
        attention_head_dim=(5, 10, 20), use_linear_projection=True, addition_embed_type="text_time",
        addition_time_embed_dim=256, projection_class_embeddings_input_dim=2816,
    )  # fmt: skip
    return {**clips(), "unet": unet, "vae": codec(4)}


def sd35() -> Mapping[str, Any]:
    transformer = d.SD3Transformer2DModel(
        sample_size=128, num_layers=38, attention_head_dim=64, num_attention_heads=38, joint_attention_dim=4096,
        caption_projection_dim=2432, pooled_projection_dim=2048, in_channels=16, out_channels=16,
        pos_embed_max_size=192, qk_norm="rms_norm",
    )  # fmt: skip
    return {**clips(), "text_encoder_3": t5(), "transformer": transformer, "vae": codec(16)}


def flux() -> Mapping[str, Any]:
    return {
        "text_encoder": clip(768, 12, 12), "text_encoder_2": t5(),
        "transformer": d.FluxTransformer2DModel(guidance_embeds=True), "vae": codec(16),
    }  # fmt: skip


def qwen() -> Mapping[str, Any]:
    encoder = t.Qwen2_5_VLForConditionalGeneration(
        t.Qwen2_5_VLConfig(
            text_config={
                "hidden_size": 3584, "intermediate_size": 18_944, "num_hidden_layers": 28, "num_attention_heads": 28,
                "num_key_value_heads": 4, "vocab_size": 152_064,
            },
            vision_config={
                "depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "out_hidden_size": 3584,
            },
        )
    )  # fmt: skip
    return {"text_encoder": encoder, "transformer": d.QwenImageTransformer2DModel(), "vae": d.AutoencoderKLQwenImage()}


def z_image() -> Mapping[str, Any]:
    encoder = t.Qwen3Model(
        t.Qwen3Config(
            hidden_size=2560, intermediate_size=9728, num_hidden_layers=36, num_attention_heads=32,
            num_key_value_heads=8, head_dim=128, vocab_size=151_936,
        )
    )  # fmt: skip
    return {"text_encoder": encoder, "transformer": d.ZImageTransformer2DModel(), "vae": codec(16)}


#: Model, its parts, side of its pictures, whether its pictures share steps.
MODELS: tuple[tuple[str, Callable[[], Mapping[str, Any]], int, bool], ...] = (
    ("SD 1.5", sd15, 512, True), ("SDXL", sdxl, 1024, True), ("SD 3.5 large", sd35, 1024, False),
    ("FLUX.1", flux, 1024, False), ("Qwen-Image", qwen, 1024, False), ("Z-Image", z_image, 1024, False),
)  # fmt: skip


def parts_of(build: Callable[[], Mapping[str, Any]]) -> Mapping[str, Part]:
    """Sizes in half precision."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device("meta"):
            return {name: part_in(name, module, 2) for name, module in build().items()}
    finally:
        torch.set_default_dtype(before)


def cell(found: Plan | None, side: int) -> str:
    if found is None:
        return "–"
    return found.way + (", tiles" if found.decoded < side * side else "")


def row(name: str, parts: Mapping[str, Part], side: int, together: bool, how: Quantise) -> str:
    """One line of a table."""
    cells: list[str] = []
    for card in CARDS:
        try:
            found = plan(
                parts, round(FREE * card * GIB), side * side, together=together, quantise=how,
                installed=("torchao", "bitsandbytes"),
            )  # fmt: skip
        except WeightsRefused:
            found = None
        cells.append(cell(found, side))
    return f"| {name} | {' | '.join(cells)} |"


def tables() -> str:
    """All of it, as docs/gpu.md has it."""
    head = ["| model | " + " | ".join(f"{card} GB" for card in CARDS) + " |", "| --- |" + " --- |" * len(CARDS)]
    sizes = {name: parts_of(build) for name, build, _, _ in MODELS}
    told = ["| model | text encoders | network | codec | all, GiB |", "| --- | --- | --- | --- | --- |"]
    for name, parts in sizes.items():
        kinds = (
            sum(part.bytes for part in parts.values() if part.kind == kind) for kind in ("encoder", "network", "codec")
        )
        whole = sum(part.bytes for part in parts.values()) / GIB
        told.append(f"| {name} | {' | '.join(f'{size / GIB:.1f}' for size in kinds)} | {whole:.1f} |")
    lines = [*told]
    for how in ("auto", "int8", "nf4"):
        lines += ["", f'`quantize = "{how}"`:', "", *head]
        lines += [row(name, sizes[name], side, together, how) for name, _, side, together in MODELS]
    return "\n".join(lines)


if __name__ == "__main__":
    print(tables())
