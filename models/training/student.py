"""Distil a student that needs four steps and no guidance: piecewise rectified flow (PeRFlow, 2405.07510, sec. 3).

The noise levels from 1 to 0 are cut into as many windows as the student has steps. Inside a window the teacher's
guided path is followed by several small steps; the student learns the straight line from its beginning to its end.
The student is the teacher's denoiser plus a low-rank adapter (LoRA, 2106.09685), so it ships in a few hundred kB and
opens with the stock `load_lora_weights`.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast, T5EncoderModel

from .loop import BROKEN, Objective, State, Stop, never, train
from .progress import Progress
from .sources import Source
from .tokenizer import tokenize

#: Layers that get an adapter: attention, its feed-forward, the residual blocks' convolutions and time projections.
ADAPTED = ["to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2", "conv1", "conv2", "time_emb_proj"]


@dataclass(frozen=True, slots=True)
class StudentRecipe:
    """Every number of a distillation."""

    #: Steps of the student: σ goes through 1, 1 − 1/n, …, 0.
    windows: int = 4
    #: Guidance of the teacher that the student takes over.
    guidance: float = 3.0
    #: Teacher's steps inside a window.
    inner: int = 4
    rank: int = 8
    batch: int = 16
    steps: int = 1_500
    rate: float = 1e-3
    warmup: int = 50
    #: Running average of the adapter.
    ema: float = 0.99
    seed: int = 5
    save_minutes: float = 2.0


class Averages(nn.Module):
    """Exponential running averages of some parameters, under their names."""

    def __init__(self, values: dict[str, Tensor]) -> None:
        super().__init__()
        self._names = list(values)
        for index, value in enumerate(values.values()):
            self.register_buffer(f"value{index}", value.detach().clone())

    def update(self, values: dict[str, Tensor], keep: float) -> None:
        """value ← keep · value + (1 − keep) · new."""
        for index, name in enumerate(self._names):
            self.get_buffer(f"value{index}").lerp_(values[name].detach(), 1 - keep)

    @torch.no_grad()
    def put(self, parameters: nn.ParameterDict) -> None:
        """Give the parameters the averages' values."""
        for index, name in enumerate(self._names):
            parameters[name].copy_(self.get_buffer(f"value{index}"))


def train_student(
    recipe: StudentRecipe,
    source: Source,
    unet: UNet2DConditionModel,
    text: T5EncoderModel,
    tokenizer: PreTrainedTokenizerFast,
    run: Path,
    progress: Progress,
    stop: Stop = never,
    each_save: Callable[[int], None] = lambda step: None,
) -> None:
    """Train an adapter on `unet` (left in place, active, averaged) to the recipe's last step; resumes from `run`.

    Raises:
        TrainingError: the loss is not a number, or the checkpoint cannot be used.
    """
    distilling = Distilling(recipe, source, unet, text, tokenizer, each_save)
    train(distilling, run, progress, stop)
    distilling.averages.put(distilling.adapter)


class Distilling(Objective):
    """The teacher's guided path through a window → one straight step, by an adapter on the same network."""

    name = "student"
    broken = BROKEN.replace(" and run again", "")
    accelerator: Accelerator

    def __init__(
        self,
        recipe: StudentRecipe,
        source: Source,
        unet: UNet2DConditionModel,
        text: T5EncoderModel,
        tokenizer: PreTrainedTokenizerFast,
        each_save: Callable[[int], None],
    ) -> None:
        super().__init__(recipe)
        self._source, self._unet, self._text, self._tokenizer = source, unet, text, tokenizer
        self._each_save = each_save
        # On processors as the teacher was trained in this process: accelerate holds one precision for each.
        self.accelerator = Accelerator(mixed_precision="bf16" if torch.cuda.is_available() else None)
        torch.manual_seed(recipe.seed)
        add_adapter(unet, recipe.rank)
        unet.to(self.accelerator.device)
        text.to(self.accelerator.device).requires_grad_(False)
        trained = {name: value for name, value in unet.named_parameters() if value.requires_grad}
        self.adapter = nn.ParameterDict({name.replace(".", "/"): value for name, value in trained.items()})
        self.averages = Averages(dict(self.adapter.items()))
        self.optimizers = torch.optim.AdamW(trained.values(), lr=recipe.rate, betas=(0.9, 0.99), weight_decay=0.0)
        self.stepped = [self.optimizers]
        self.modules = {"adapter": self.adapter, "average": self.averages}

    def clipped(self) -> list[nn.Parameter]:
        return list(self.adapter.values())

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        """See `Objective`: from the beginning of a window to where the teacher would be at its end."""
        recipe, device = self.recipe, self.accelerator.device
        choose = random.Random(f"student/{recipe.seed}/{step}")
        generator = torch.Generator(device).manual_seed(choose.getrandbits(60))
        clean, texts = self._source.batch(recipe.batch, choose, generator)
        states = self._text(tokenize(self._tokenizer, texts).to(device))[0]
        silence = self._text(tokenize(self._tokenizer, [""] * len(texts)).to(device))[0]
        begin, target, sigma = window(recipe, self._unet, clean, states, silence, generator)
        with self.accelerator.autocast():
            velocity = self._unet(begin, sigma * 1000, states).sample
        # The same weight as the teacher's loss: the error of the implied picture.
        weight = sigma.square() / sigma.clamp(min=0.3)
        loss = ((velocity.float() - target).square().mean((1, 2, 3)) * weight).mean()
        return loss, {"loss": loss.item()}

    def update(self, loss: Tensor, step: int) -> None:
        super().update(loss, step)
        # The average of the first steps would be mostly the start: Keras' and Adam's way of growing the memory.
        self.averages.update(dict(self.adapter.items()), min(self.recipe.ema, (1 + step) / (10 + step)))

    def saved(self, state: State, *, last: bool) -> None:
        """See `Objective`: what was stopped on its way is not exported."""
        if not last or state.step >= self.steps:
            with averaged(self.adapter, self.averages):
                self._each_save(state.step)


@torch.no_grad()
def window(
    recipe: StudentRecipe,
    unet: UNet2DConditionModel,
    clean: Tensor,
    states: Tensor,
    silence: Tensor,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor, Tensor]:
    """A random window for each row.

    Returns:
        Where it begins (B, 4, h, w), the mean velocity of the teacher's guided path through it (same shape), and the
        noise level of its beginning (B,).
    """
    device = clean.device
    index = torch.randint(recipe.windows, (len(clean),), generator=generator, device=device)
    sigma = 1 - index.float() / recipe.windows
    noise = torch.randn(clean.shape, generator=generator, device=device)
    level = sigma[:, None, None, None]
    begin = ((1 - level) * clean + level * noise).contiguous(memory_format=torch.channels_last)
    both = torch.cat([states, silence])
    state, width = begin, 1 / recipe.windows / recipe.inner
    with teacher(unet):
        for inner in range(recipe.inner):
            times = (sigma - inner * width).repeat(2) * 1000
            asked, unasked = unet(torch.cat([state, state]), times, both).sample.float().chunk(2)
            state = state - width * (unasked + recipe.guidance * (asked - unasked))
    return begin, (begin - state) * recipe.windows, sigma


def add_adapter(unet: UNet2DConditionModel, rank: int) -> None:
    """Give the denoiser a fresh adapter, the only part of it that is trained."""
    unet.requires_grad_(False)
    unet.add_adapter(LoraConfig(r=rank, lora_alpha=rank, init_lora_weights="gaussian", target_modules=ADAPTED))


@contextmanager
def teacher(unet: UNet2DConditionModel) -> Iterator[None]:
    """The denoiser without its adapter."""
    unet.disable_adapters()
    try:
        yield
    finally:
        unet.enable_adapters()


@contextmanager
def averaged(adapter: nn.ParameterDict, average: Averages) -> Iterator[None]:
    """The adapter with its running averages in place."""
    kept = Averages(dict(adapter.items()))
    average.put(adapter)
    try:
        yield
    finally:
        kept.put(adapter)


def export_student(unet: UNet2DConditionModel, recipe: StudentRecipe, folder: Path) -> None:
    """Write `folder/pytorch_lora_weights.safetensors` in half precision, and how it is to be sampled."""
    layers = {name: value.detach().half() for name, value in get_peft_model_state_dict(unet).items()}
    StableDiffusionPipeline.save_lora_weights(folder, unet_lora_layers=layers, safe_serialization=True)
    (folder / "pytorch_lora_weights.safetensors").chmod(0o644)
    settings = {"steps": recipe.windows, "guidance": 1.0, "solver_order": 1, "teacher_guidance": recipe.guidance}
    (folder / "config.json").write_text(json.dumps(settings, indent=1) + "\n")
