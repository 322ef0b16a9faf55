"""Tiny checkpoints as single files in their makers' layouts: diffusers' conversion the other way round."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import familykit
import torch
from safetensors.torch import save_file
from torch import Tensor

Tensors = Mapping[str, Tensor]


def written(pipeline: Any, file: Path, tensors: Tensors, *, without: tuple[str, ...]) -> Path:
    """The file, and beside it the pipeline's folder without the weights of those parts."""
    beside = file.with_suffix("")
    pipeline.save_pretrained(beside, safe_serialization=True)
    for name in without:
        for weights in (beside / name).glob("*.safetensors"):
            weights.unlink()
    save_file({name: weight.contiguous().clone() for name, weight in tensors.items()}, file)
    return file


def unet(pipeline: Any) -> Tensors:
    """Of CompVis and Stability AI."""
    places = {"add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2"}
    made: dict[str, Tensor] = {}
    for name, weight in pipeline.unet.state_dict().items():
        place = next((new + name.removeprefix(old) for old, new in places.items() if name.startswith(old)), None)
        made[f"model.diffusion_model.{place or familykit._original_unet(name)}"] = weight
    return made


def codec(pipeline: Any, prefix: str = "first_stage_model.") -> Tensors:
    return {prefix + familykit._original_codec(name): weight for name, weight in pipeline.vae.state_dict().items()}


def clip(encoder: Any, prefix: str) -> Tensors:
    """CLIP ViT-L, as transformers names it, below a prefix."""
    states = encoder.state_dict()
    inner = "" if any(name.startswith("text_model.") for name in states) else "text_model."
    return {prefix + inner + name: weight for name, weight in states.items() if name != "text_projection.weight"}


def open_clip(encoder: Any, prefix: str) -> Tensors:
    """OpenCLIP: query, key and value in one matrix, the projection the other way round."""
    made: dict[str, Tensor] = {}
    joined: dict[str, dict[str, Tensor]] = {}
    places = (
        ("embeddings.position_embedding.weight", "positional_embedding"),
        ("embeddings.token_embedding.weight", "token_embedding.weight"), ("final_layer_norm.", "ln_final."),
        ("encoder.layers.", "transformer.resblocks."), ("layer_norm1", "ln_1"), ("layer_norm2", "ln_2"),
        (".fc1.", ".c_fc."), (".fc2.", ".c_proj."), (".self_attn.", ".attn."),
    )  # fmt: skip
    for name, weight in encoder.state_dict().items():
        place = name.removeprefix("text_model.")
        for old, new in places:
            place = place.replace(old, new)
        if place == "text_projection.weight":
            made[prefix + "text_projection"] = weight.T
        elif found := re.match(r"(.*\.attn\.)([qkv])_proj\.(\w+)$", place):
            joined.setdefault(f"{found[1]}in_proj_{found[3]}", {})[found[2]] = weight
        else:
            made[prefix + place] = weight
    return made | {prefix + name: torch.cat([each[k] for k in "qkv"]) for name, each in joined.items()}


def t5(encoder: Any) -> Tensors:
    return {f"text_encoders.t5xxl.transformer.{name}": weight for name, weight in encoder.state_dict().items()}


def _swapped(weight: Tensor) -> Tensor:
    """Shift before scale, where diffusers has it the other way round."""
    scale, shift = weight.chunk(2)
    return torch.cat([shift, scale])


def _renamed(states: Tensors, pairs: tuple[tuple[str, str], ...], swapped: Callable[[str], bool]) -> dict[str, Tensor]:
    made: dict[str, Tensor] = {}
    joined: dict[str, list[Tensor]] = {}
    # One after the other in the order of the joined matrix.
    order = ("to_q", "to_k", "to_v", "add_q_proj", "add_k_proj", "add_v_proj", "proj_mlp")
    ranked = sorted(states, key=lambda name: next((k for k, each in enumerate(order) if f"{each}." in name), -1))
    for name in ranked:
        weight = states[name]
        for pattern, place in pairs:
            if re.search(pattern, name):
                new = re.sub(pattern, place, name)
                break
        else:
            new = name
        value = _swapped(weight) if swapped(name) else weight
        if found := re.match(r"(.*)\+\d(\..*)$", new):
            joined.setdefault(found[1] + found[2], []).append(value)
        else:
            made[new] = value
    return made | {name: torch.cat(each) for name, each in joined.items()}


def sd3(pipeline: Any) -> Tensors:
    """Stability AI's transformer of Stable Diffusion 3."""
    joint = r"^transformer_blocks\.(\d+)\."
    pairs = (
        (r"^pos_embed\.pos_embed$", "pos_embed"), (r"^pos_embed\.proj", "x_embedder.proj"),
        (r"^time_text_embed\.timestep_embedder\.linear_1", "t_embedder.mlp.0"),
        (r"^time_text_embed\.timestep_embedder\.linear_2", "t_embedder.mlp.2"),
        (r"^time_text_embed\.text_embedder\.linear_1", "y_embedder.mlp.0"),
        (r"^time_text_embed\.text_embedder\.linear_2", "y_embedder.mlp.2"),
        *(
            (joint + rf"attn\.{each}\.", rf"joint_blocks.\1.x_block.attn.qkv+{k}.")
            for k, each in enumerate(("to_q", "to_k", "to_v"))
        ),
        *(
            (joint + rf"attn\.{each}\.", rf"joint_blocks.\1.context_block.attn.qkv+{k}.")
            for k, each in enumerate(("add_q_proj", "add_k_proj", "add_v_proj"))
        ),
        (joint + r"attn\.to_out\.0", r"joint_blocks.\1.x_block.attn.proj"),
        (joint + r"attn\.to_add_out", r"joint_blocks.\1.context_block.attn.proj"),
        (joint + r"norm1\.linear", r"joint_blocks.\1.x_block.adaLN_modulation.1"),
        (joint + r"norm1_context\.linear", r"joint_blocks.\1.context_block.adaLN_modulation.1"),
        (joint + r"ff\.net\.0\.proj", r"joint_blocks.\1.x_block.mlp.fc1"),
        (joint + r"ff\.net\.2", r"joint_blocks.\1.x_block.mlp.fc2"),
        (joint + r"ff_context\.net\.0\.proj", r"joint_blocks.\1.context_block.mlp.fc1"),
        (joint + r"ff_context\.net\.2", r"joint_blocks.\1.context_block.mlp.fc2"),
        (r"^proj_out", "final_layer.linear"), (r"^norm_out\.linear", "final_layer.adaLN_modulation.1"),
    )  # fmt: skip
    last = f"transformer_blocks.{pipeline.transformer.config.num_layers - 1}.norm1_context."
    made = _renamed(pipeline.transformer.state_dict(), pairs, lambda name: name.startswith(("norm_out.linear", last)))
    return {f"model.diffusion_model.{name}": weight for name, weight in made.items()}


def flux(pipeline: Any, prefix: str = "") -> Tensors:
    """Black Forest Labs' transformer of FLUX.1."""
    double, single = r"^transformer_blocks\.(\d+)\.", r"^single_transformer_blocks\.(\d+)\."
    embedders = (("timestep_embedder", "time_in"), ("text_embedder", "vector_in"), ("guidance_embedder", "guidance_in"))
    sides = (("to_q", "to_k", "to_v"), ("add_q_proj", "add_k_proj", "add_v_proj"))
    pairs = (
        *((rf"^time_text_embed\.{old}\.linear_1", f"{new}.in_layer") for old, new in embedders),
        *((rf"^time_text_embed\.{old}\.linear_2", f"{new}.out_layer") for old, new in embedders),
        (r"^context_embedder", "txt_in"), (r"^x_embedder", "img_in"),
        (double + r"norm1\.linear", r"double_blocks.\1.img_mod.lin"),
        (double + r"norm1_context\.linear", r"double_blocks.\1.txt_mod.lin"),
        *(
            (double + rf"attn\.{each}\.", rf"double_blocks.\1.{side}_attn.qkv+{k}.")
            for side, names in zip(("img", "txt"), sides, strict=True)
            for k, each in enumerate(names)
        ),
        (double + r"attn\.norm_q\.weight", r"double_blocks.\1.img_attn.norm.query_norm.scale"),
        (double + r"attn\.norm_k\.weight", r"double_blocks.\1.img_attn.norm.key_norm.scale"),
        (double + r"attn\.norm_added_q\.weight", r"double_blocks.\1.txt_attn.norm.query_norm.scale"),
        (double + r"attn\.norm_added_k\.weight", r"double_blocks.\1.txt_attn.norm.key_norm.scale"),
        (double + r"ff\.net\.0\.proj", r"double_blocks.\1.img_mlp.0"),
        (double + r"ff\.net\.2", r"double_blocks.\1.img_mlp.2"),
        (double + r"ff_context\.net\.0\.proj", r"double_blocks.\1.txt_mlp.0"),
        (double + r"ff_context\.net\.2", r"double_blocks.\1.txt_mlp.2"),
        (double + r"attn\.to_out\.0", r"double_blocks.\1.img_attn.proj"),
        (double + r"attn\.to_add_out", r"double_blocks.\1.txt_attn.proj"),
        (single + r"norm\.linear", r"single_blocks.\1.modulation.lin"),
        *(
            (single + rf"{each}\.(weight|bias)", rf"single_blocks.\1.linear1+{k}.\2")
            for k, each in enumerate((r"attn\.to_q", r"attn\.to_k", r"attn\.to_v", "proj_mlp"))
        ),
        (single + r"attn\.norm_q\.weight", r"single_blocks.\1.norm.query_norm.scale"),
        (single + r"attn\.norm_k\.weight", r"single_blocks.\1.norm.key_norm.scale"),
        (single + r"proj_out", r"single_blocks.\1.linear2"),
        (r"^proj_out", "final_layer.linear"), (r"^norm_out\.linear", "final_layer.adaLN_modulation.1"),
    )  # fmt: skip
    made = _renamed(pipeline.transformer.state_dict(), pairs, lambda name: name.startswith("norm_out.linear"))
    return {prefix + name: weight for name, weight in made.items()}
