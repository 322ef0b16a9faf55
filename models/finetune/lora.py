"""Which numbers a fine-tune has, and the small matrices beside the base's weights that it trains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from peft import LoraConfig
from torch import nn
from torch.optim.swa_utils import AveragedModel

from ..errors import TrainingError
from .base import Base

#: Layers of the U-Net that `targets` of a recipe may name.
TARGETS: Mapping[str, tuple[str, ...]] = {
    "attention": ("to_q", "to_k", "to_v", "to_out.0"),
    "feedforward": ("ff.net.0.proj", "ff.net.2"),
    "convolution": ("conv1", "conv2", "conv_shortcut", "proj_in", "proj_out"),
}
#: Attention layers of CLIP text encoders. Stock diffusers cannot read adapters of any other text encoder.
TEXT_TARGETS = ("q_proj", "k_proj", "v_proj", "out_proj")


@dataclass(frozen=True, slots=True)
class FinetuneRecipe:
    """Every number of a fine-tune; saved beside its results."""

    rank: int = 8
    #: The adapter counts alpha/rank times.
    alpha: float = 8.0
    #: Groups of `TARGETS`.
    targets: tuple[str, ...] = ("attention",)
    #: Side of the pictures in pixels; 0 for what the base was trained on.
    size: int = 0
    #: Cut pictures that are not square to their middle; otherwise white fills them up.
    crop: bool = False
    #: Put before every caption, so that prompts can ask for what was learnt; may be empty.
    trigger: str = ""
    #: Pictures of one update in each process.
    batch: int = 4
    steps: int = 600
    rate: float = 1e-3
    #: A CLIP text encoder's share of the rate; 0 leaves it without an adapter.
    text_rate: float = 0.0
    warmup: int = 20
    #: Share of the steps, at the end, in which the rate goes to zero.
    decay: float = 1.0
    weight_decay: float = 0.01
    #: Average over the steps; 0 for none.
    ema: float = 0.0
    #: Share of the captions that are dropped, for classifier-free guidance (2207.12598).
    dropout: float = 0.1
    #: Mean of the logit-normal noise level of flow bases; above 0 means more noise.
    shift: float = 0.3
    #: Mirror half of the pictures; not where left and right matter, as in writing.
    mirror: bool = False
    #: Share of the pictures that are only measured on, where there are ten or more.
    held_out: float = 0.1
    #: Compute activations twice instead of keeping them: less memory, a third slower.
    checkpointing: bool = False
    #: Drawn before and after at each save; where empty, captions of the set.
    prompts: tuple[str, ...] = ()
    sample_steps: int = 16
    guidance: float = 3.0
    seed: int = 1
    save_minutes: float = 2.0


def adapt(recipe: FinetuneRecipe, base: Base) -> dict[str, nn.Module]:
    """Put fresh LoRA matrices, which add nothing yet, beside the base's weights.

    Returns:
        The parts of the pipeline that have some, by name: `unet`, and `text_encoder` where the recipe wants it.

    Raises:
        TrainingError: the recipe asks for what there is not.
    """
    if strange := set(recipe.targets) - set(TARGETS):
        raise TrainingError(f"[finetune] targets knows {', '.join(TARGETS)}, not {', '.join(sorted(strange))}.")
    if recipe.rank < 1 or recipe.batch < 1 or not recipe.targets:
        raise TrainingError("[finetune] rank and batch must be 1 or more, and targets must name something.")
    settings = LoraConfig(
        r=recipe.rank, lora_alpha=recipe.alpha, init_lora_weights="gaussian",
        target_modules=[layer for group in recipe.targets for layer in TARGETS[group]],
    )  # fmt: skip
    unet, text = base.pipeline.unet, base.pipeline.text_encoder
    unet.add_adapter(settings)
    unet.to(memory_format=torch.channels_last)
    if recipe.checkpointing:
        unet.enable_gradient_checkpointing()
    if not recipe.text_rate:
        return {"unet": unet}
    try:
        text.add_adapter(replace(settings, target_modules=list(TEXT_TARGETS)))
    except ValueError as problem:
        raise TrainingError(
            "Programs read adapters of CLIP text encoders only, and this base has another: set text_rate = 0."
        ) from problem
    return {"unet": unet, "text_encoder": text}


def trainable(part: nn.Module) -> list[nn.Parameter]:
    """The LoRA matrices of a part, in order."""
    return [weight for weight in part.parameters() if weight.requires_grad]


@contextmanager
def as_written(own: nn.ParameterList, average: AveragedModel | None) -> Iterator[None]:
    """The matrices as the adapter file holds them, averaged and in half precision; afterwards exactly as they were."""
    kept = [weight.detach().clone() for weight in own]
    best = list(average.module) if average else kept
    try:
        with torch.no_grad():
            for weight, smooth in zip(own, best, strict=True):
                weight.copy_(smooth.half())
        yield
    finally:
        with torch.no_grad():
            for weight, before in zip(own, kept, strict=True):
                weight.copy_(before)
