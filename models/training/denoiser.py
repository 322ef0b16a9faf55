"""Train the denoiser and its text encoder together: noise → latent, steered by words.

Every random number of a step comes from the run's seed, the step and the process, never from what ran before: a run
that was stopped goes on to the same bits, and several processes see different pictures.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from accelerate import Accelerator
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import PreTrainedTokenizerFast, T5EncoderModel

from ..errors import TrainingError
from . import networks
from .distil import Teacher
from .loop import Objective, State, Stop, never, train
from .objectives import by_data, objective
from .processes import Processes
from .progress import Progress
from .sources import SceneSource, Source
from .tokenizer import tokenize


@dataclass(frozen=True, slots=True)
class DenoiserRecipe:
    """Every number of a denoiser run; saved beside its results."""

    channels: tuple[int, ...] = (128, 128, 192)
    attention: tuple[bool, ...] = (False, True, True)
    #: `flow` or `epsilon` (objectives.py).
    objective: str = "flow"
    #: Pictures of one update in each process.
    batch: int = 16
    steps: int = 6_000
    rate: float = 5e-4
    #: The text encoder's share of the rate.
    text_rate: float = 0.2
    warmup: int = 200
    #: Share of the steps, at the end, in which the rate goes to zero.
    decay: float = 1.0
    weight_decay: float = 0.01
    ema: float = 0.999
    #: Share of the captions that are dropped, for classifier-free guidance (2207.12598).
    dropout: float = 0.1
    #: Mean of the logit-normal noise level; above 0 means more noise.
    shift: float = 0.8
    seed: int = 1
    save_minutes: float = 2.0
    #: torch.compile the network: a tenth more pictures on processors too, after minutes; takes a C++ compiler.
    compile: bool = False
    #: Compute in bfloat16 on processors with AMX: 1.6 times as many pictures. Others pass it over.
    tiles: bool = False


class TextToLatent(nn.Module):
    """Text encoder and denoiser as one module, for one optimiser and one average."""

    def __init__(self, text: T5EncoderModel, unet: UNet2DConditionModel) -> None:
        super().__init__()
        self.text = text
        self.unet = unet

    def forward(self, noisy: Tensor, times: Tensor, tokens: Tensor) -> Tensor:
        """Prediction (B, 4, h, w) for noisy latents at times (B,) in [0, 1000] and tokens (B, L)."""
        states = self.text(tokens)[0]
        predicted: Tensor = self.unet(noisy, times, states).sample
        return predicted


def build(recipe: DenoiserRecipe, text: T5EncoderModel) -> TextToLatent:
    """A fresh denoiser, drawn from torch's current random state, on a copy of `text`."""
    unet = networks.denoiser(recipe.channels, recipe.attention, text.config.d_model)
    nn.init.zeros_(unet.conv_out.weight)
    return TextToLatent(copy.deepcopy(text), unet.to(memory_format=torch.channels_last))


#: Called with the averaged networks, steps and samples so far.
EachSave = Callable[[TextToLatent, int, int], None]


def train_denoiser(
    recipe: DenoiserRecipe,
    source: Source,
    text: T5EncoderModel,
    tokenizer: PreTrainedTokenizerFast,
    run: Path,
    progress: Progress,
    stop: Stop = never,
    each_save: EachSave = lambda model, step, samples: None,
    start: UNet2DConditionModel | None = None,
    teacher: Teacher | None = None,
) -> TextToLatent:
    """Train to the recipe's last step, from `run`'s checkpoint where there is one; gives the averaged networks.

    Args:
        source: where batches of latents and their captions come from.
        each_save: called by the first process with the averaged networks, steps and samples so far.
        start: a denoiser to begin from instead of a fresh one (`warm_start` tells what fits).
        teacher: earlier weights that have a say in the target; needs a source that says what it shows.

    Raises:
        TrainingError: the loss is not a number, or the checkpoint cannot be used.
    """
    denoising = Denoising(recipe, source, text, tokenizer, progress, each_save, start, teacher)
    train(denoising, run, progress, stop)
    return denoising.average.module


class Denoising(Objective):
    """Noise → latent, by the recipe's objective; bf16 on CUDA, and on processors with AMX where it is asked for."""

    name = "denoiser"
    kept = ("step", "samples")
    model: TextToLatent
    average: AveragedModel
    accelerator: Accelerator

    def __init__(
        self,
        recipe: DenoiserRecipe,
        source: Source,
        text: T5EncoderModel,
        tokenizer: PreTrainedTokenizerFast,
        progress: Progress,
        each_save: EachSave,
        start: UNet2DConditionModel | None,
        teacher: Teacher | None,
    ) -> None:
        if teacher is not None and not isinstance(source, SceneSource):
            raise TrainingError("This run's batches come without their scenes: leave [distil] weights empty.")
        super().__init__(recipe)
        self._source, self._tokenizer, self._each_save, self._teacher = source, tokenizer, each_save, teacher
        self._aim = objective(recipe.objective, shift=recipe.shift)

        # On processors without tiles bf16 is two hundred times slower than fp32.
        tiles = recipe.tiles and torch.cpu.get_capabilities().get("amx_bf16", False)
        self.several = Processes()
        self.accelerator = Accelerator(mixed_precision="bf16" if torch.cuda.is_available() or tiles else "no")
        self.count = recipe.batch * self.accelerator.num_processes

        # Networks, their average and the optimiser.
        torch.manual_seed(recipe.seed)
        self.model = model = build(recipe, text)
        if start is not None:
            progress.line(warm_start(model.unet, start))
        place(model, self.accelerator.device)
        self.average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema))
        self.optimizers = torch.optim.AdamW(
            [
                {"params": model.unet.parameters(), "share": 1.0},
                {"params": model.text.parameters(), "share": recipe.text_rate},
            ],
            lr=recipe.rate, betas=(0.9, 0.99), weight_decay=recipe.weight_decay, fused=True,
        )  # fmt: skip
        self.stepped = [self.optimizers]
        self.modules = {"model": model, "average": self.average}

    def ready(self) -> None:
        trained, prepared = self.accelerator.prepare(self.model, self.optimizers)
        self.stepped = [prepared]
        self._network = torch.compile(trained) if self.recipe.compile else trained

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        recipe, accelerator, source = self.recipe, self.accelerator, self._source
        choose = random.Random(f"{recipe.seed}/{step}/{accelerator.process_index}")
        generator = torch.Generator(accelerator.device).manual_seed(choose.getrandbits(60))
        target = by_data
        if self._teacher is not None and isinstance(source, SceneSource):
            clean, texts, scenes = source.scenes(recipe.batch, choose, generator)
            texts = dropped(texts, recipe.dropout, choose)
            target = partial(self._teacher.target, scenes=scenes, texts=texts)
        else:
            clean, texts = source.batch(recipe.batch, choose, generator)
            texts = dropped(texts, recipe.dropout, choose)
        tokens = tokenize(self._tokenizer, texts).to(accelerator.device)
        with accelerator.autocast():
            loss = self._aim.loss(self._network, clean, tokens, generator, target)
        return loss, {"loss": loss.item()}

    def saved(self, state: State, *, last: bool) -> None:
        self._each_save(self.average.module, state.step, state.samples)


def place(model: TextToLatent, device: torch.device) -> None:
    """Move the networks to where they are trained, with the attention that trains soonest there."""
    model.to(device)
    if device.type == "cpu":
        # Few places attend to few words: the fused kernel only costs, a tenth of a step in fp32, a third in bf16.
        model.unet.set_attn_processor(AttnProcessor())


def warm_start(unet: UNet2DConditionModel, start: UNet2DConditionModel) -> str:
    """Copy every tensor of `start` whose name and shape fit into `unet`; says how much did."""
    own = unet.state_dict()
    fitting = {k: v for k, v in start.state_dict().items() if k in own and own[k].shape == v.shape}
    unet.load_state_dict(fitting, strict=False)
    left = sorted(set(own) - set(fitting))
    return f"warm start: {len(fitting)} of {len(own)} tensors" + (f"; fresh: {', '.join(left[:5])}" if left else "")


def dropped(texts: Sequence[str], share: float, choose: random.Random) -> list[str]:
    """The captions with a `share` of them emptied."""
    return ["" if choose.random() < share else text for text in texts]
