"""Single files in their makers' layouts, with the folder of configurations beside them: the folder's own pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers as d
import familykit
import familykit_more
import numpy as np
import originalkit
import pytest
import torch
import transformers as t
from safetensors.torch import load_file, save_file

from daguerre.models.errors import WeightsRefused
from daguerre.models.serving import families
from daguerre.models.serving.engine import Engine
from daguerre.models.serving.jobwise import Jobwise
from daguerre.models.serving.loop import Loop
from daguerre.models.serving.requests import RenderRequest
from daguerre.models.serving.schedule import Pace

ASK = RenderRequest("a red apple", (3,), 2, 3.0, 32, 32)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    real = families.native_of
    monkeypatch.setattr(families, "native_of", lambda pipeline: min(64, real(pipeline)))
    pace = Pace(((1, 1.0), (2, 1.0), (4, 1.0)))
    monkeypatch.setattr("daguerre.models.serving.profile.measure", lambda *_: pace)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def loaded(weights: Path) -> Engine:
    engine = Engine(weights, device="cpu")
    engine.load()
    return engine


def same(file: Path, pipeline: Any, folder: Path) -> Engine:
    """The file draws what the folder draws."""
    pipeline.save_pretrained(folder, safe_serialization=True)
    engine = loaded(file)
    made, wanted = engine.draw(ASK).pictures[0], loaded(folder).draw(ASK).pictures[0]
    assert np.abs(np.asarray(made, int) - np.asarray(wanted, int)).max() <= 1
    assert np.asarray(made).std() > 1
    return engine


def sd21() -> Any:
    """As its makers ship it: OpenCLIP's text encoder, v-prediction."""
    torch.manual_seed(1)
    made = familykit_more.sd21()
    made.text_encoder = familykit.clip(t.CLIPTextModel)
    return made


def test_sd21_predicts_v_as_its_scheduler_says(tmp_path: Path) -> None:
    """With OpenCLIP's names; that it predicts v stands in the folder's scheduler."""
    pipeline = sd21()
    tensors = {
        **originalkit.unet(pipeline), **originalkit.codec(pipeline),
        **originalkit.open_clip(pipeline.text_encoder, "cond_stage_model.model."),
    }  # fmt: skip
    file = originalkit.written(
        pipeline, tmp_path / "v2-1.safetensors", tensors, without=("unet", "vae", "text_encoder")
    )
    engine = same(file, pipeline, tmp_path / "folder")
    assert isinstance(engine.loop, Loop)
    assert engine.loop.network.plain.pipeline.scheduler.config.prediction_type == "v_prediction"


def sdxl() -> Any:
    """Encoders of two widths, as the real ones are told apart."""
    torch.manual_seed(2)
    return d.StableDiffusionXLPipeline(
        vae=familykit.codec(),
        unet=familykit.unet(
            cross_attention_dim=96, addition_embed_type="text_time", addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=112, use_linear_projection=True,
        ),
        text_encoder=familykit.clip(t.CLIPTextModel), text_encoder_2=familykit.clip(t.CLIPTextModelWithProjection, 64),
        tokenizer=familykit.tokenizer(), tokenizer_2=familykit.tokenizer(),
        scheduler=d.EulerDiscreteScheduler(**familykit.SD),
    )  # fmt: skip


def sdxl_tensors(pipeline: Any) -> dict[str, torch.Tensor]:
    return {
        **originalkit.unet(pipeline), **originalkit.codec(pipeline),
        **originalkit.clip(pipeline.text_encoder, "conditioner.embedders.0.transformer."),
        **originalkit.open_clip(pipeline.text_encoder_2, "conditioner.embedders.1.model."),
    }  # fmt: skip


ALL_SDXL = ("unet", "vae", "text_encoder", "text_encoder_2")


def test_sdxl(tmp_path: Path) -> None:
    """Both encoders in the file."""
    pipeline = sdxl()
    file = originalkit.written(pipeline, tmp_path / "sdxl.safetensors", sdxl_tensors(pipeline), without=ALL_SDXL)
    assert isinstance(same(file, pipeline, tmp_path / "folder").loop, Loop)


def test_what_draws_into_pictures_or_finishes_them_is_named(tmp_path: Path) -> None:
    """SDXL's inpainting U-Net by its first layer, its refiner by its one encoder: whatever lies beside the file."""
    pipeline = sdxl()
    tensors = sdxl_tensors(pipeline)
    first = "model.diffusion_model.input_blocks.0.0.weight"
    wide = torch.cat([tensors[first], torch.zeros(16, 5, 3, 3)], 1)
    file = originalkit.written(pipeline, tmp_path / "paint.safetensors", {**tensors, first: wide}, without=ALL_SDXL)
    with pytest.raises(WeightsRefused, match="9 channels: it is an inpainting model"):
        loaded(file)
    refiner = {
        name.replace("embedders.1.", "embedders.0."): weight
        for name, weight in tensors.items()
        if "embedders.0." not in name
    }
    # Theirs has `model.transformer.resblocks` below the first embedder.
    file = originalkit.written(pipeline, tmp_path / "refiner.safetensors", refiner, without=ALL_SDXL)
    with pytest.raises(WeightsRefused, match="SDXL refiner: it finishes pictures"):
        loaded(file)


def sd3() -> Any:
    torch.manual_seed(3)
    return d.StableDiffusion3Pipeline(
        transformer=d.SD3Transformer2DModel(
            sample_size=16, patch_size=1, in_channels=4, num_layers=2, attention_head_dim=8, num_attention_heads=4,
            caption_projection_dim=32, joint_attention_dim=96, pooled_projection_dim=96, out_channels=4,
        ),
        vae=familykit.codec(shift_factor=0.1), text_encoder=familykit.clip(t.CLIPTextModelWithProjection),
        text_encoder_2=familykit.clip(t.CLIPTextModelWithProjection, 64), text_encoder_3=familykit.t5(96),
        tokenizer=familykit.tokenizer(), tokenizer_2=familykit.tokenizer(), tokenizer_3=familykit.tokenizer(),
        scheduler=d.FlowMatchEulerDiscreteScheduler(),
    )  # fmt: skip


def test_sd35_with_its_encoders_in_the_folder(tmp_path: Path) -> None:
    """As sd3.5_large.safetensors: transformer and codec; the encoders lie beside it, or are missed by name."""
    pipeline = sd3()
    tensors = {**originalkit.sd3(pipeline), **originalkit.codec(pipeline)}
    file = originalkit.written(pipeline, tmp_path / "sd35.safetensors", tensors, without=("transformer", "vae"))
    assert isinstance(same(file, pipeline, tmp_path / "folder").loop, Jobwise)
    for name in ("text_encoder", "text_encoder_3"):
        for weights in (tmp_path / "sd35" / name).glob("*.safetensors"):
            weights.unlink()
    said = r"holds transformer and vae alone, and .*sd35 has no weights for text_encoder, text_encoder_3"
    with pytest.raises(WeightsRefused, match=said):
        loaded(file)


def test_sd3_with_all_encoders_inside(tmp_path: Path) -> None:
    """As sd3_medium_incl_clips_t5xxlfp8.safetensors; its first encoder's projection is the identity."""
    pipeline = sd3()
    with torch.no_grad():
        pipeline.text_encoder.text_projection.weight.copy_(torch.eye(32))
    tensors = {
        **originalkit.sd3(pipeline), **originalkit.codec(pipeline), **originalkit.t5(pipeline.text_encoder_3),
        **originalkit.clip(pipeline.text_encoder, "text_encoders.clip_l.transformer."),
        **{
            f"text_encoders.clip_g.transformer.{name}": weight
            for name, weight in pipeline.text_encoder_2.state_dict().items()
        },
    }  # fmt: skip
    without = ("transformer", "vae", "text_encoder", "text_encoder_2", "text_encoder_3")
    file = originalkit.written(pipeline, tmp_path / "sd3.safetensors", tensors, without=without)
    same(file, pipeline, tmp_path / "folder")


@pytest.mark.parametrize("write", [familykit_more.flux, familykit_more.qwen, familykit_more.z_image])
def test_a_network_alone_draws_with_the_rest_of_its_folder(write: Callable[[], Any], tmp_path: Path) -> None:
    """A transformer as one file, by diffusers' names or its makers' own: the folder beside it tells the family."""
    torch.manual_seed(4)
    pipeline = write()
    tensors = pipeline.transformer.state_dict()
    file = originalkit.written(pipeline, tmp_path / "alone.safetensors", tensors, without=("transformer",))
    same(file, pipeline, tmp_path / "folder")


def full_width_flux() -> Any:
    """One block of each kind, as wide as the real one: diffusers converts no other width."""
    torch.manual_seed(5)
    made = familykit_more.flux()
    made.register_modules(
        transformer=d.FluxTransformer2DModel(
            patch_size=1, in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=128,
            num_attention_heads=24, joint_attention_dim=32, pooled_projection_dim=32, guidance_embeds=True,
        ).to(torch.bfloat16)
    )  # fmt: skip
    return made


@pytest.mark.slow
def test_flux_in_its_makers_layout(tmp_path: Path) -> None:
    """As flux1-dev.safetensors: the transformer alone, at its real width; 1 GB."""
    pipeline = full_width_flux()
    tensors = originalkit.flux(pipeline)
    assert any(name.startswith("double_blocks.0.img_attn.qkv") for name in tensors)
    file = originalkit.written(pipeline, tmp_path / "flux1-dev.safetensors", tensors, without=("transformer",))
    same(file, pipeline, tmp_path / "folder")


def test_flux_names_go_there_and_back() -> None:
    """The kit's names are those that diffusers converts: every one is taken, none is left."""
    pipeline = familykit_more.flux()
    names = set(originalkit.flux(pipeline))
    assert {"double_blocks.0.txt_attn.norm.key_norm.scale", "single_blocks.0.linear1.weight"} <= names
    assert not [name for name in names if "transformer_blocks" in name or "to_q" in name]


def test_a_file_that_nobody_knows_asks_for_its_folder(tmp_path: Path) -> None:
    """By where it would lie."""
    save_file({"layers.0.attention.weight": torch.zeros(2)}, tmp_path / "mine.safetensors")
    assert load_file(tmp_path / "mine.safetensors")
    with pytest.raises(WeightsRefused, match=rf"Put its diffusers folder beside it, as {tmp_path / 'mine'}"):
        loaded(tmp_path / "mine.safetensors")
