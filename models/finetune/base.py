"""The model that a fine-tune starts from: any local Stable Diffusion class folder, opened safely and frozen."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor

from ..common import check_folder, digest
from ..errors import TrainingError, WeightsMissing, WeightsRefused, explained

#: Names of a denoiser's file without and with half precision.
WHOLE, HALF = "diffusion_pytorch_model*.safetensors", "diffusion_pytorch_model*.fp16*.safetensors"


@dataclass(frozen=True, slots=True)
class Base:
    """A pipeline whose own weights will not be changed."""

    #: Of its folder.
    name: str
    #: fp32 on the CPU; no gradient anywhere.
    pipeline: StableDiffusionPipeline
    #: sha256 over the folder's weights and settings (`engine.digest`).
    digest: str
    #: `epsilon`, `v_prediction` or `flow_prediction`.
    prediction: str
    #: Side in pixels of the pictures that it was trained on.
    size: int

    @property
    def multiple(self) -> int:
        """Sides of pictures must be a multiple of so many pixels."""
        depth = len(self.pipeline.unet.config.block_out_channels) - 1
        return int(self.pipeline.vae_scale_factor * 2**depth)


def open_base(folder: Path) -> Base:
    """Open a pipeline folder; nothing is fetched, no pickle is read, no code of its own is run.

    Raises:
        WeightsMissing, WeightsRefused: it is not such a folder, or one that cannot be fine-tuned; says what to do.
    """
    check_base(folder)
    halves = set((folder / "unet").glob(HALF))
    only_half = bool(halves) and not set((folder / "unet").glob(WHOLE)) - halves
    with explained(
        WeightsRefused, f"The weights in {folder} cannot be opened: {{problem}}. Fetch or export them again."
    ):
        pipeline = StableDiffusionPipeline.from_pretrained(
            folder, dtype=torch.float32, variant="fp16" if only_half else None, local_files_only=True,
            use_safetensors=True, safety_checker=None, requires_safety_checker=False, feature_extractor=None,
            image_encoder=None,
        )  # fmt: skip
    unet, vae = pipeline.unet, pipeline.vae
    if unet.config.in_channels != vae.config.latent_channels:
        raise WeightsRefused(
            f"{folder} takes {unet.config.in_channels} channels (an inpainting or depth model); fine-tune the "
            "text-to-image model it was made from."
        )
    if unet.config.time_cond_proj_dim is not None:
        raise WeightsRefused(f"{folder} is a few-step student; fine-tune its teacher, which was trained with noise.")
    pipeline.set_progress_bar_config(disable=True)
    for part in (unet, vae, pipeline.text_encoder):
        part.requires_grad_(False).eval()
    prediction = pipeline.scheduler.config.prediction_type
    return Base(folder.resolve().name, pipeline, digest(folder), prediction, native_size(folder))


def tokenize(base: Base, texts: Sequence[str]) -> Tensor:
    """Token ids (B, L), padded and cut exactly as the stock pipeline does it."""
    tokenizer = base.pipeline.tokenizer
    encoded = tokenizer(
        list(texts), padding="max_length", max_length=tokenizer.model_max_length, truncation=True, return_tensors="pt"
    )
    ids: Tensor = encoded.input_ids
    return ids


def check_base(folder: Path) -> None:
    """Refuse a folder before anything in it is opened.

    Raises:
        WeightsMissing, WeightsRefused: with what to do.
    """
    if folder.is_file():
        raise WeightsRefused(
            f"{folder} is a single file: it holds neither tokenizer nor settings, and diffusers would fetch them from "
            "the network. Convert it once, where there is one, with StableDiffusionPipeline.from_single_file(file)"
            ".save_pretrained(folder), and name that folder."
        )
    if not folder.is_dir():
        raise WeightsMissing(f"There is no folder {folder}. `base` of the recipe names a pipeline folder on this disk.")
    check_folder(folder)
    kind = json.loads((folder / "model_index.json").read_text(encoding="utf-8")).get("_class_name")
    if kind != "StableDiffusionPipeline":
        raise WeightsRefused(f"{folder} holds a {kind}; only StableDiffusionPipeline folders can be fine-tuned here.")


def native_size(folder: Path) -> int:
    """Side in pixels of the pictures that a checked base was trained on; reads its settings only.

    Raises:
        WeightsRefused: they are damaged.
    """
    with explained(WeightsRefused, f"The settings in {folder} are damaged: {{problem}}. Fetch or export it again."):
        unet, vae = (json.loads((folder / part / "config.json").read_text("utf-8")) for part in ("unet", "vae"))
        return int(unet["sample_size"] * 2 ** (len(vae["block_out_channels"]) - 1))


def picture_size(wanted: int, base: Base) -> int:
    """Side of the pictures in pixels; the base's own where 0 is wanted.

    Raises:
        TrainingError: the network cannot halve it as often as it does.
    """
    size = wanted or base.size
    if size < 1 or size % base.multiple:
        raise TrainingError(f"[finetune] size = {size} does not fit this base: take a multiple of {base.multiple}.")
    return size
