"""Teach a finished model one more style or subject: LoRA (2106.09685) on the user's own pictures.

The base's weights are frozen; small matrices beside them are trained and written as an adapter. As in denoiser.py
every random number of a step comes from the seed, the step and the process, so a stopped run goes on to the same bits.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..data.importer import import_folder
from ..data.store import SpriteSet
from ..errors import TrainingError
from ..training import checkpoints, recipes
from ..training.processes import Processes
from ..training.progress import Progress
from ..training.schedule import learning_rate
from .adapter import write_adapter
from .base import check_base, native_size, open_base, picture_size, tokenize
from .card import card
from .figures import Comparison, as_function
from .lora import FinetuneRecipe, adapt, as_written, trainable
from .objective import objective_of
from .pictures import Latents, latents, prepare


@dataclass(frozen=True, slots=True)
class Finetune:
    """A fine-tune recipe file, whole."""

    name: str
    #: Pipeline folder to start from; the command line may name another.
    base: Path
    recipe: FinetuneRecipe


def read_finetune(file: Path) -> Finetune:
    """Read `finetune.toml` or one like it.

    Raises:
        TrainingError: the file is missing, or holds an unknown key or a wrong value; says which.
    """
    content = recipes.read(file)
    recipe = recipes.section(file, "finetune", FinetuneRecipe, content.pop("finetune", {}))
    if unknown := set(content) - {"kind", "name", "base"}:
        raise TrainingError(f"{file}: unknown key {min(unknown)!r}.")
    for key in ("name", "base"):
        if not isinstance(content.get(key), str):
            raise TrainingError(f'{file}: a fine-tune recipe needs a {key} = "…".')
    return Finetune(content["name"], Path(content["base"]), recipe)


def finetune_folder(
    wanted: Finetune, pictures: Path, run: Path, progress: Progress, stop: Callable[[], bool] = lambda: False
) -> Path:
    """Import a folder of pictures with captions at the base's size (`run/imported`), then `train_finetune`.

    Raises:
        DataError: the folder holds no pictures, or captions with holes; and as `train_finetune`.
    """
    check_base(wanted.base)
    size = wanted.recipe.size or native_size(wanted.base)

    def imported() -> SpriteSet:
        return import_folder(
            pictures, run / "imported", size=size, crop=wanted.recipe.crop, report=progress.line,
            progress=lambda _, done, count: progress.step("pictures", done, count, {}),
        )  # fmt: skip

    sprites = Processes().first(imported)
    assert sprites is not None  # Nothing stops in it.
    return train_finetune(wanted.recipe, sprites, wanted.base, run, progress, stop)


def train_finetune(
    recipe: FinetuneRecipe,
    sprites: SpriteSet,
    weights: Path,
    run: Path,
    progress: Progress,
    stop: Callable[[], bool] = lambda: False,
) -> Path:
    """Train to the recipe's last step, from `run`'s checkpoint where there is one; gives the adapter's folder.

    Args:
        sprites: pictures, (N, S, S, 4) uint8, and rows with `i` and `caption_<language>`; shown on white.
        weights: pipeline folder of the base; it is only read.
        run: where checkpoint, encoded pictures, `before-after.png` and the folder `adapter` are written.

    Raises:
        DataMissing: no pictures, or pictures without captions.
        WeightsMissing, WeightsRefused: the base cannot be used.
        TrainingError: the loss is not a number, the disk is full, or the checkpoint is of another run.
    """
    # The base and the pictures. bf16 where the GPU computes in it: on processors it is far slower than fp32.
    pictures = prepare(sprites, recipe.held_out)
    base = open_base(weights)
    size = picture_size(recipe.size, base)
    quick = torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    several = Processes()
    accelerator = Accelerator(mixed_precision="bf16" if quick else "no")
    device = accelerator.device
    run.mkdir(parents=True, exist_ok=True)
    parts = {"learnt": pictures.learnt, "held_out": pictures.held_out}

    def encode() -> dict[str, Latents]:
        return {
            name: latents(run / f"{name}.safetensors", base, pictures, rows, size, mirror=recipe.mirror, device=device)
            for name, rows in parts.items()
            if rows
        }

    encoded = several.first(encode) or {}
    progress.line(f"{len(pictures.learnt)} pictures of {size} px to learn from, {len(pictures.held_out)} kept out")

    # The adapter, which adds nothing yet: the moment to see what the base does.
    torch.manual_seed(recipe.seed)
    adapted = adapt(recipe, base)
    base.pipeline.to(device)
    aim = objective_of(base, recipe.shift)
    comparison = Comparison(recipe, base, aim, pictures, size, device)
    if several.main:
        comparison.before(encoded)

    # Optimiser and checkpoint.
    own = nn.ParameterList([weight for part in adapted.values() for weight in trainable(part)])
    average = AveragedModel(own, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema)) if recipe.ema else None
    shares = {"unet": 1.0, "text_encoder": recipe.text_rate}
    optimizer = torch.optim.AdamW(
        [{"params": trainable(part), "share": shares[name]} for name, part in adapted.items()],
        lr=recipe.rate, betas=(0.9, 0.99), weight_decay=recipe.weight_decay, fused=True,
    )  # fmt: skip
    modules: dict[str, nn.Module] = {"adapter": own} | ({"average": average} if average else {})
    checkpoint = run / "finetune.safetensors"
    made_of = {"base": base.digest, "pictures": pictures.digest, "size": size, "held_out": recipe.held_out}
    step = samples = 0
    if checkpoint.is_file():
        numbers = checkpoints.load(checkpoint, modules, optimizer)
        if numbers["made_of"] != made_of:
            raise TrainingError(
                f"{checkpoint} was trained on another base, other pictures or another size. Use another run folder, or "
                "delete it."
            )
        step, samples = numbers["step"], numbers["samples"]
        progress.line(f"resumed at step {step}")
    if several.main:
        (run / "finetune.json").write_text(json.dumps(asdict(recipe), indent=1))
    network = as_function(base, **{name: accelerator.prepare(part) for name, part in adapted.items()})
    prepared = accelerator.prepare(optimizer)

    def save() -> None:
        checkpoints.save(checkpoint, modules, optimizer, {"step": step, "samples": samples, "made_of": made_of})
        # Measured and shown is what the file holds.
        with as_written(own, average):
            loss, sheet = comparison.after(encoded)
            settings = {
                "kind": "lora", "base": weights.resolve().name, "base_digest": base.digest,
                "prediction": base.prediction, "rank": recipe.rank, "alpha": recipe.alpha, "parts": list(adapted),
                "trigger": recipe.trigger, "size": size, "steps": step, "samples": samples,
                "pictures": len(pictures.captions), "pictures_digest": pictures.digest, "loss": loss,
                "recipe": asdict(recipe),
            }  # fmt: skip
            write_adapter(run / "adapter", adapted, settings, card(settings, comparison.prompts))
        sheet.save(run / "before-after.png")
        progress.picture("finetune", step, "before and after", sheet)
        told = (f"{name.replace('_', ' ')} {a['base']:.4f} → {a['adapter']:.4f}" for name, a in loss.items())
        progress.line(f"step {step}: loss of base → adapter: " + ", ".join(told))

    began = saved = time.monotonic()
    first, smooth, took = samples, 0.0, 0.0
    while step < recipe.steps and not several.any(stop()):
        # One batch.
        factor = learning_rate(step, recipe.steps, recipe.warmup, recipe.decay)
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate * factor * group["share"]
        choose = random.Random(f"{recipe.seed}/{step}/{accelerator.process_index}")
        generator = torch.Generator(device).manual_seed(choose.getrandbits(60))
        clean, texts = encoded["learnt"].batch(recipe.batch, choose, generator, recipe.trigger, recipe.dropout)
        with accelerator.autocast():
            error = aim.loss(network, clean, tokenize(base, texts).to(device), generator)
        if not torch.isfinite(error):
            raise TrainingError(
                f"The loss is {error.item()} at step {step}. Lower `rate` and run again; {checkpoint} is good."
            )

        # Update.
        prepared.zero_grad(set_to_none=True)
        accelerator.backward(error)
        accelerator.clip_grad_norm_(own.parameters(), 1.0)
        prepared.step()
        if average:
            average.update_parameters(own)
        step, samples = step + 1, samples + recipe.batch * accelerator.num_processes

        # Report and save.
        if not several.main:
            continue
        smooth = error.item() if not smooth else 0.98 * smooth + 0.02 * error.item()
        pace = (samples - first) / (time.monotonic() - began)
        scalars = {"loss": smooth, "rate": recipe.rate * factor, "samples/s": pace}
        progress.step("finetune", step, recipe.steps, scalars)
        # Drawing takes long on slow machines: at most a tenth of the time goes into saving.
        if (now := time.monotonic()) - saved > max(60 * recipe.save_minutes, 9 * took):
            save()
            saved = time.monotonic()
            took = saved - now
    several.alone(save)
    return run / "adapter"
