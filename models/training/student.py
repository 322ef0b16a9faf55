"""Distil a student that needs four steps and no guidance: piecewise rectified flow (PeRFlow, 2405.07510, sec. 3).

The noise levels from 1 to 0 are cut into as many windows as the student has steps. Inside a window the teacher's
guided path is followed by several small steps; the student learns the straight line from its beginning to its end.
The student is the teacher's denoiser plus a low-rank adapter (LoRA, 2106.09685), so it ships in a few hundred kB and
opens with the stock `load_lora_weights`.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast, T5EncoderModel

from ..errors import TrainingError
from . import checkpoints
from .progress import Progress
from .schedule import learning_rate
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

    def values(self) -> dict[str, Tensor]:
        """The averages by name."""
        return {name: self.get_buffer(f"value{index}") for index, name in enumerate(self._names)}


def train_student(
    recipe: StudentRecipe,
    source: Source,
    unet: UNet2DConditionModel,
    text: T5EncoderModel,
    tokenizer: PreTrainedTokenizerFast,
    run: Path,
    progress: Progress,
    stop: Callable[[], bool] = lambda: False,
    each_save: Callable[[int], None] = lambda step: None,
) -> None:
    """Train an adapter on `unet` (left in place, active, averaged) to the recipe's last step; resumes from `run`.

    Raises:
        TrainingError: the loss is not a number, or the checkpoint cannot be used.
    """
    # Set up: the teacher is the same network with its adapter switched off.
    # On processors as the teacher was trained in this process: accelerate holds one precision for each.
    accelerator = Accelerator(mixed_precision="bf16" if torch.cuda.is_available() else None)
    torch.manual_seed(recipe.seed)
    add_adapter(unet, recipe.rank)
    unet.to(accelerator.device)
    text.to(accelerator.device).requires_grad_(False)
    trained = {name: value for name, value in unet.named_parameters() if value.requires_grad}
    adapter = nn.ParameterDict({name.replace(".", "/"): value for name, value in trained.items()})
    average = Averages(dict(adapter.items()))
    optimizer = torch.optim.AdamW(trained.values(), lr=recipe.rate, betas=(0.9, 0.99), weight_decay=0.0)
    modules = {"adapter": adapter, "average": average}
    checkpoint = run / "student.safetensors"
    step = 0
    if checkpoint.is_file():
        step = checkpoints.load(checkpoint, modules, optimizer)["step"]
        progress.line(f"resumed at step {step}")
    run.mkdir(parents=True, exist_ok=True)
    (run / "student.json").write_text(json.dumps(asdict(recipe), indent=1))
    saved, smooth = time.monotonic(), 0.0

    while step < recipe.steps and not stop():
        # One batch: the beginning of a window, and where the teacher would be at its end.
        factor = learning_rate(step, recipe.steps, recipe.warmup)
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate * factor
        choose = random.Random(f"student/{recipe.seed}/{step}")
        generator = torch.Generator(accelerator.device).manual_seed(choose.getrandbits(60))
        clean, texts = source.batch(recipe.batch, choose, generator)
        states = text(tokenize(tokenizer, texts).to(accelerator.device))[0]
        silence = text(tokenize(tokenizer, [""] * len(texts)).to(accelerator.device))[0]
        begin, target, sigma = window(recipe, unet, clean, states, silence, generator)

        # Update.
        with accelerator.autocast():
            velocity = unet(begin, sigma * 1000, states).sample
        # The same weight as the teacher's loss: the error of the implied picture.
        weight = sigma.square() / sigma.clamp(min=0.3)
        loss = ((velocity.float() - target).square().mean((1, 2, 3)) * weight).mean()
        if not torch.isfinite(loss):
            raise TrainingError(f"The loss is {loss.item()} at step {step}. Lower `rate`; {checkpoint} is good.")
        optimizer.zero_grad(set_to_none=True)
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(trained.values(), 1.0)
        optimizer.step()
        # The average of the first steps would be mostly the start: Keras' and Adam's way of growing the memory.
        average.update(dict(adapter.items()), min(recipe.ema, (1 + step) / (10 + step)))
        step += 1

        # Report and save.
        smooth = loss.item() if not smooth else 0.98 * smooth + 0.02 * loss.item()
        progress.step("student", step, recipe.steps, {"loss": smooth, "rate": recipe.rate * factor})
        if time.monotonic() - saved > 60 * recipe.save_minutes or step == recipe.steps:
            checkpoints.save(checkpoint, modules, optimizer, {"step": step})
            with averaged(adapter, average):
                each_save(step)
            saved = time.monotonic()
    checkpoints.save(checkpoint, modules, optimizer, {"step": step})
    with torch.no_grad():
        for name, value in average.values().items():
            adapter[name].copy_(value)


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
    kept = {name: value.detach().clone() for name, value in adapter.items()}
    with torch.no_grad():
        for name, value in average.values().items():
            adapter[name].copy_(value)
    try:
        yield
    finally:
        with torch.no_grad():
            for name, value in kept.items():
                adapter[name].copy_(value)


def export_student(unet: UNet2DConditionModel, recipe: StudentRecipe, folder: Path) -> None:
    """Write `folder/pytorch_lora_weights.safetensors` in half precision, and how it is to be sampled."""
    layers = {name: value.detach().half() for name, value in get_peft_model_state_dict(unet).items()}
    StableDiffusionPipeline.save_lora_weights(folder, unet_lora_layers=layers, safe_serialization=True)
    (folder / "pytorch_lora_weights.safetensors").chmod(0o644)
    settings = {"steps": recipe.windows, "guidance": 1.0, "solver_order": 1, "teacher_guidance": recipe.guidance}
    (folder / "config.json").write_text(json.dumps(settings, indent=1) + "\n")
