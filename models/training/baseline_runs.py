"""Train the baselines: alternating steps for the DCGAN, the evidence lower bound for the VAE."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional
from torch.optim import Optimizer

from ..data import SpriteSet
from ..errors import TrainingError
from .baselines import SIZE, DcganShape, Discriminator, Generator, Vae, VaeShape, sample, save_baseline
from .loop import Objective, State, Stop, never, require_finite, train
from .pictures import grid, of_concepts, save_grid, single_pictures
from .progress import Progress

Device = torch.device | str


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


class Baseline(Objective):
    """What both have in common: one sprite a picture, and weights and samples at each save."""

    kept = ("step", "samples")

    def __init__(
        self, recipe: DcganRecipe | VaeRecipe, images: Tensor, run: Path, progress: Progress, device: Device
    ) -> None:
        if not len(images):
            raise TrainingError(
                "The sprite set holds none of the recipe's concepts. Build it with: scripts/start data build"
            )
        super().__init__(recipe)
        self._images, self._run, self._progress, self._device = images.to(device), run, progress, device
        self.count = recipe.batch
        self.stepped = []

    def pictures(self) -> Tensor:
        """One batch."""
        return single_pictures(self._images, self.recipe.batch, SIZE)

    def factor(self, step: int) -> float:
        """The rate stays."""
        return 1.0

    def told(self, state: State, scalars: Mapping[str, float]) -> Mapping[str, float]:
        """As they are, and the pace."""
        return scalars | {"samples/s": state.pace()}

    def saved(self, state: State, *, last: bool) -> None:
        card = {"recipe": asdict(self.recipe), "step": state.step, "samples": state.samples}
        save_baseline(self.model, self.shape, self._run / self.name, card)
        drawn = sample(self.model, 64, seed=0)
        save_grid(drawn, 8, self._run / "samples.png", zoom=2)
        self._progress.picture(self.name, state.step, "samples", grid(drawn, 8))
        if last:
            self._progress.line(f"{self.name} stands at step {state.step}, {state.samples} samples")


class DcganTraining(Baseline):
    """L_D, then L_G, on each batch."""

    name = "dcgan"

    def __init__(self, recipe: DcganRecipe, images: Tensor, run: Path, progress: Progress, device: Device) -> None:
        super().__init__(recipe, images, run, progress, device)
        torch.manual_seed(recipe.seed)
        self.shape = DcganShape(recipe.latent, recipe.width)
        self.model = Generator(self.shape).to(device, memory_format=torch.channels_last)
        self.discriminator = Discriminator(self.shape).to(device, memory_format=torch.channels_last)
        self.modules = {"generator": self.model, "discriminator": self.discriminator}
        self.optimizers = {
            name: torch.optim.Adam(network.parameters(), lr=recipe.rate, betas=(recipe.beta1, 0.999), fused=True)
            for name, network in self.modules.items()
        }

    def learn(self, step: int, checkpoint: Path) -> dict[str, float]:
        pictures, discriminator = self.pictures(), self.discriminator
        fakes = self.model(torch.randn(len(pictures), self.recipe.latent).to(self._device))
        # Real and fake go through in two batches, as in the paper: each has batch statistics of its own.
        judged, guessed = discriminator(pictures), discriminator(fakes.detach())
        loss_d = gan_loss(judged, real=True) + gan_loss(guessed, real=False)
        require_finite(loss_d, step, checkpoint)
        _descend(self.optimizers["discriminator"], loss_d)
        # The discriminator's own gradients are of no use here, and an eighth of the time.
        discriminator.requires_grad_(False)
        loss_g = gan_loss(discriminator(fakes), real=True)
        require_finite(loss_g, step, checkpoint)
        _descend(self.optimizers["generator"], loss_g)
        discriminator.requires_grad_(True)
        return {
            "D": loss_d.item(), "G": loss_g.item(), "D(x)": judged.sigmoid().mean().item(),
            "D(G(z))": guessed.sigmoid().mean().item(),
        }  # fmt: skip


class VaeTraining(Baseline):
    """L_recon + L_KL: the evidence lower bound."""

    name = "vae"
    clip = None

    def __init__(self, recipe: VaeRecipe, images: Tensor, run: Path, progress: Progress, device: Device) -> None:
        super().__init__(recipe, images, run, progress, device)
        torch.manual_seed(recipe.seed)
        self.shape = VaeShape(recipe.latent, recipe.width)
        self.model = Vae(self.shape).to(device, memory_format=torch.channels_last)
        self.modules = {"model": self.model}
        optimizer = torch.optim.Adam(self.model.parameters(), lr=recipe.rate, fused=True)
        self.optimizers, self.stepped = {"model": optimizer}, [optimizer]

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        pictures = self.pictures()
        mean, log_variance = self.model.encode(pictures)
        noise = torch.randn(mean.shape).to(self._device)
        decoded = self.model(mean + (0.5 * log_variance).exp() * noise)
        reconstruction, divergence = elbo_terms(decoded, pictures, mean, log_variance, self.recipe.deviation)
        # Per pixel, so that the rate does not depend on the size of the pictures.
        loss = (reconstruction + divergence) / pictures[0].numel()
        return loss, {"mse": functional.mse_loss(decoded, pictures).item(), "kl": divergence.item()}


def train_dcgan(
    recipe: DcganRecipe, sprites: SpriteSet, concepts: Container[str], run: Path, progress: Progress,
    stop: Stop = never, device: Device = "cpu",
) -> Generator:  # fmt: skip
    """Train or go on training; `run` then holds `dcgan/` (weights), `samples.png`, the recipe and a checkpoint.

    Raises:
        TrainingError: a loss is not a number, there is nothing to train on, or the checkpoint cannot be used.
    """
    training = DcganTraining(recipe, of_concepts(sprites, concepts), run, progress, device)
    train(training, run, progress, stop)
    return training.model.eval()


def train_vae(
    recipe: VaeRecipe, sprites: SpriteSet, concepts: Container[str], run: Path, progress: Progress,
    stop: Stop = never, device: Device = "cpu",
) -> Vae:  # fmt: skip
    """Train or go on training; `run` then holds `vae/` (weights), `samples.png`, the recipe and a checkpoint.

    Raises:
        TrainingError: a loss is not a number, there is nothing to train on, or the checkpoint cannot be used.
    """
    training = VaeTraining(recipe, of_concepts(sprites, concepts), run, progress, device)
    train(training, run, progress, stop)
    return training.model.eval()


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


def _descend(optimizer: Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
