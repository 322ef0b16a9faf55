"""Train the baselines: alternating steps for the DCGAN, the evidence lower bound for the VAE; one loop for both."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Container, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from ..data.store import SpriteSet
from ..errors import TrainingError
from . import checkpoints
from .baselines import SIZE, DcganShape, Discriminator, Generator, Vae, VaeShape, sample, save_baseline
from .losses import require_finite
from .pictures import grid, of_concepts, save_grid, single_pictures
from .progress import Progress

Stop = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class DcganRecipe:
    """The tutorials' numbers; `steps` of one discriminator and one generator update each."""

    latent: int = 100
    width: int = 64
    batch: int = 64
    steps: int = 400
    rate: float = 2e-4
    beta1: float = 0.5
    seed: int = 1
    save_minutes: float = 2.0


@dataclass(frozen=True, slots=True)
class VaeRecipe:
    """A plain VAE; `deviation` is that of p(x|z), in units of pictures in [-1, 1]."""

    latent: int = 128
    width: int = 32
    batch: int = 64
    steps: int = 1_000
    rate: float = 1e-3
    #: With the mean squared error near deviation², the Gaussian's best deviation, neither term drowns the other
    #: (2006.13202).
    deviation: float = 0.25
    seed: int = 1
    save_minutes: float = 2.0


@dataclass(frozen=True)
class _Parts:
    """What the loop needs to know of a baseline."""

    model: Generator | Vae
    shape: DcganShape | VaeShape
    modules: Mapping[str, nn.Module]
    optimizers: Mapping[str, Optimizer]
    #: One update on a batch of pictures, called with (pictures, step); gives the losses to report.
    update: Callable[[Tensor, int], dict[str, float]]
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))


def train_dcgan(
    recipe: DcganRecipe,
    sprites: SpriteSet,
    concepts: Container[str],
    run: Path,
    progress: Progress,
    stop: Stop = lambda: False,
    device: torch.device | str = "cpu",
) -> Generator:
    """Train or go on training; `run` then holds `dcgan/` (weights), `samples.png`, the recipe and a checkpoint.

    Raises:
        TrainingError: a loss is not a number, there is nothing to train on, or the checkpoint cannot be used.
    """
    torch.manual_seed(recipe.seed)
    shape = DcganShape(recipe.latent, recipe.width)
    generator = Generator(shape).to(device, memory_format=torch.channels_last)
    discriminator = Discriminator(shape).to(device, memory_format=torch.channels_last)
    betas = (recipe.beta1, 0.999)
    optimizers = {
        "generator": torch.optim.Adam(generator.parameters(), lr=recipe.rate, betas=betas, fused=True),
        "discriminator": torch.optim.Adam(discriminator.parameters(), lr=recipe.rate, betas=betas, fused=True),
    }

    def update(pictures: Tensor, step: int) -> dict[str, float]:
        fakes = generator(torch.randn(len(pictures), recipe.latent).to(device))
        # Real and fake go through in two batches, as in the paper: each has batch statistics of its own.
        judged, guessed = discriminator(pictures), discriminator(fakes.detach())
        loss_d = gan_loss(judged, real=True) + gan_loss(guessed, real=False)
        require_finite(loss_d, step, run / "dcgan.safetensors")
        _descend(optimizers["discriminator"], loss_d)
        # The discriminator's own gradients are of no use here, and an eighth of the time.
        discriminator.requires_grad_(False)
        loss_g = gan_loss(discriminator(fakes), real=True)
        require_finite(loss_g, step, run / "dcgan.safetensors")
        _descend(optimizers["generator"], loss_g)
        discriminator.requires_grad_(True)
        return {
            "D": loss_d.item(),
            "G": loss_g.item(),
            "D(x)": judged.sigmoid().mean().item(),
            "D(G(z))": guessed.sigmoid().mean().item(),
        }

    modules = {"generator": generator, "discriminator": discriminator}
    parts = _Parts(generator, shape, modules, optimizers, update, torch.device(device))
    _train("dcgan", recipe, parts, of_concepts(sprites, concepts), run, progress, stop)
    return generator.eval()


def train_vae(
    recipe: VaeRecipe,
    sprites: SpriteSet,
    concepts: Container[str],
    run: Path,
    progress: Progress,
    stop: Stop = lambda: False,
    device: torch.device | str = "cpu",
) -> Vae:
    """Train or go on training; `run` then holds `vae/` (weights), `samples.png`, the recipe and a checkpoint.

    Raises:
        TrainingError: a loss is not a number, there is nothing to train on, or the checkpoint cannot be used.
    """
    torch.manual_seed(recipe.seed)
    shape = VaeShape(recipe.latent, recipe.width)
    model = Vae(shape).to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=recipe.rate, fused=True)

    def update(pictures: Tensor, step: int) -> dict[str, float]:
        mean, log_variance = model.encode(pictures)
        noise = torch.randn(mean.shape).to(device)
        decoded = model(mean + (0.5 * log_variance).exp() * noise)
        reconstruction, divergence = elbo_terms(decoded, pictures, mean, log_variance, recipe.deviation)
        # Per pixel, so that the rate does not depend on the size of the pictures.
        loss = (reconstruction + divergence) / pictures[0].numel()
        require_finite(loss, step, run / "vae.safetensors")
        _descend(optimizer, loss)
        return {"mse": functional.mse_loss(decoded, pictures).item(), "kl": divergence.item()}

    parts = _Parts(model, shape, {"model": model}, {"model": optimizer}, update, torch.device(device))
    _train("vae", recipe, parts, of_concepts(sprites, concepts), run, progress, stop)
    return model.eval()


def gan_loss(logits: Tensor, *, real: bool) -> Tensor:
    """−E log σ(D) for `real`, else −E log(1 − σ(D)); the generator's loss is that of its fakes called real."""
    return functional.softplus(-logits if real else logits).mean()


def elbo_terms(
    decoded: Tensor, pictures: Tensor, mean: Tensor, log_variance: Tensor, deviation: float
) -> tuple[Tensor, Tensor]:
    """−E log p(x|z) without its constant, and KL(q(z|x) ‖ N(0, 1)) (1312.6114, appendix B); nats per picture."""
    reconstruction = (decoded - pictures).square().flatten(1).sum(1).mean() / (2 * deviation**2)
    divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean()
    return reconstruction, divergence


def _train(
    name: str,
    recipe: DcganRecipe | VaeRecipe,
    parts: _Parts,
    images: Tensor,
    run: Path,
    progress: Progress,
    stop: Stop,
) -> None:
    # Set up.
    if not len(images):
        raise TrainingError(
            "The sprite set holds none of the recipe's concepts. Build it with: scripts/start data build"
        )
    images = images.to(parts.device)
    checkpoint = run / f"{name}.safetensors"
    step = samples = 0
    if checkpoint.is_file():
        numbers = checkpoints.load(checkpoint, parts.modules, parts.optimizers)
        step, samples = numbers["step"], numbers["samples"]
        progress.line(f"resumed at step {step}")
    run.mkdir(parents=True, exist_ok=True)
    (run / f"{name}.json").write_text(json.dumps(asdict(recipe), indent=1))
    saved = began = time.monotonic()
    first = step

    def save() -> None:
        numbers: dict[str, Any] = {"step": step, "samples": samples}
        checkpoints.save(checkpoint, parts.modules, parts.optimizers, numbers)
        save_baseline(parts.model, parts.shape, run / name, {"recipe": asdict(recipe), **numbers})
        drawn = sample(parts.model, 64, seed=0)
        save_grid(drawn, 8, run / "samples.png", zoom=2)
        progress.picture(name, step, "samples", grid(drawn, 8))

    while step < recipe.steps and not stop():
        # One batch, one update.
        scalars = parts.update(single_pictures(images, recipe.batch, SIZE), step)
        step, samples = step + 1, samples + recipe.batch

        # Report and save.
        pace = (step - first) * recipe.batch / (time.monotonic() - began)
        progress.step(name, step, recipe.steps, scalars | {"samples/s": pace})
        if time.monotonic() - saved > 60 * recipe.save_minutes:
            save()
            saved = time.monotonic()
    save()
    progress.line(f"{name} stands at step {step}, {samples} samples")


def _descend(optimizer: Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
