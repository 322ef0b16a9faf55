"""Train the codec, pictures ⇄ latents, as the VAE + GAN of the tutorials (LDM, 2112.10752; VQGAN, 2012.09841).

Autoencoder: L_recon + L_KL + λ (L_G + features), discriminators: L_D. The adversary joins for the last share of the
steps, when the colours are right and only sharpness is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..data import SpriteSet
from ..errors import TrainingError, explained
from . import losses, networks
from .adversary import MultiScaleDiscriminator
from .loop import Objective, State, Stop, never, require_finite, train
from .losses import psnr
from .pictures import grid, random_pictures, split
from .progress import Progress


@dataclass(frozen=True, slots=True)
class CodecRecipe:
    """Every number of a codec run; saved beside its results."""

    channels: tuple[int, ...] = (32, 64, 64)
    #: Pictures are cut to `crop` pixels and twice as many for the first `crop_share` of the steps: many small updates
    #: early. The rest is trained at `size`, since group norm sees other statistics there.
    size: int = 64
    crop: int = 32
    crop_share: float = 0.7
    batch: int = 8
    steps: int = 4_400
    rate: float = 8e-4
    warmup: int = 100
    ema: float = 0.998
    #: Weight of the L1 between neighbouring-pixel differences.
    edges: float = 0.5
    #: Weights of the L1 (edges included), and of each picture's logarithm of its squared error, of which PSNR is made.
    pixels: float = 1.0
    decibels: float = 0.0
    #: Weight of what decoded z ~ N(0, 1), a quarter as many as pictures, leave [-1, 1] by.
    overflow: float = 0.0
    #: Weight of the KL divergence from N(0, 1), per latent number, the deviation held at `noise`.
    kl: float = 5e-4
    noise: float = 0.1
    #: Share of the batches that are trained at half size as well.
    equivariance: float = 0.25
    #: Train the decoder alone: latents, and with them a trained denoiser, stay valid.
    freeze_encoder: bool = False
    #: Share of a frozen encoder's own deviation that its latents are moved by.
    jitter: float = 1.0
    #: Kinds of drawings to train on; all of them if empty.
    kinds: tuple[str, ...] = ()
    #: Share of the steps, the last ones, that have the adversary; 0 for none.
    adversary_share: float = 0.0
    #: Its own first steps, in which it learns and the autoencoder does not listen yet.
    adversary_alone: int = 100
    #: Channels of its first layer.
    adversary_width: int = 32
    adversary_rate: float = 1e-3
    #: λ: gradient of L_G + features ÷ gradient of the reconstruction, at the decoder's last layer; and λ's bound.
    adversary_weight: float = 0.5
    adversary_cap: float = 0.2
    #: Weight of feature matching beside L_G.
    features: float = 10.0
    #: Share of the adversary's batches that also decode z ~ N(0, 1), and the weight of their part of L_G and L_D.
    prior: float = 0.25
    prior_weight: float = 0.1
    seed: int = 1
    save_minutes: float = 2.0

    @property
    def adversary_from(self) -> int:
        """First step with the adversary."""
        return self.steps - round(self.adversary_share * self.steps)


@dataclass(frozen=True)
class Reconstruction:
    """What one batch gives."""

    #: Pictures as decoded and as they should be, (B, 3, H, W).
    decoded: Tensor
    target: Tensor
    #: Means of the latents, (B, 4, H/4, W/4).
    mean: Tensor
    #: L_recon + L_KL.
    loss: Tensor


def train_codec(
    recipe: CodecRecipe,
    sprites: SpriteSet,
    run: Path,
    progress: Progress,
    stop: Stop = never,
    start: Path | None = None,
    device: torch.device | str = "cpu",
) -> AutoencoderKL:
    """Train to the recipe's last step, from `run`'s checkpoint where there is one; gives the averaged codec.

    Args:
        start: a folder with an exported AutoencoderKL to begin from, in place of fresh weights.

    Raises:
        TrainingError: a loss is not a number, the checkpoint cannot be used, or `start` does not fit the recipe.
    """
    torch.manual_seed(recipe.seed)
    model = begin(recipe, start).to(device, memory_format=torch.channels_last)
    coding = Coding(recipe, model, sprites, progress, device)
    train(coding, run, progress, stop)
    return coding.average.module


class Coding(Objective):
    """Pictures → latents → the same pictures; the adversary joins for the last steps."""

    name = "codec"
    model: AutoencoderKL
    average: AveragedModel

    def __init__(
        self,
        recipe: CodecRecipe,
        model: AutoencoderKL,
        sprites: SpriteSet,
        progress: Progress,
        device: torch.device | str,
    ) -> None:
        super().__init__(recipe)
        self._progress = progress
        self.model = model
        self.average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema))
        optimizer = torch.optim.AdamW(
            self.clipped(), lr=recipe.rate, betas=(0.9, 0.99), weight_decay=0.0, fused=True
        )  # fmt: skip
        self.stepped = [optimizer]
        self.modules = {"model": model, "average": self.average}
        self.optimizers = {"codec": optimizer}
        self._adversary = None
        if recipe.adversary_share > 0:
            self._adversary = Adversary(recipe, model, device)
            self.modules["discriminator"] = self._adversary.discriminator
            self.optimizers["discriminator"] = self._adversary.optimizer
        self._images = split(sprites.only(kinds=recipe.kinds))[0].to(device)

    def clipped(self) -> list[nn.Parameter]:
        return [weight for weight in self.model.parameters() if weight.requires_grad]

    def learn(self, step: int, checkpoint: Path) -> dict[str, float]:
        recipe, adversary = self.recipe, self._adversary
        cropped = step < recipe.crop_share * recipe.steps
        count, side = (2 * recipe.batch, recipe.crop) if cropped else (recipe.batch, recipe.size)
        pictures = random_pictures(self._images, count, side, zoom=recipe.size / side)
        half = bool(torch.rand(()) < recipe.equivariance)
        self._made = made = reconstruct(self.model, pictures, recipe, half=half)
        loss = made.loss
        # The adversary learns first, then says what it sees.
        if adversary is not None and step >= recipe.adversary_from:
            alone = step < recipe.adversary_from + recipe.adversary_alone
            loss = loss + adversary.step(made, step, checkpoint, alone=alone)
        require_finite(loss, step, checkpoint)
        self.update(loss, step)
        scalars = {"loss": loss.item(), "psnr": psnr(functional.mse_loss(made.decoded.detach(), made.target))}
        return scalars | (adversary.scalars if adversary is not None else {})

    def told(self, state: State, scalars: Mapping[str, float]) -> Mapping[str, float]:
        """As they are."""
        return scalars

    def saved(self, state: State, *, last: bool) -> None:
        if not last:
            shown = torch.stack([self._made.target, self._made.decoded], 1).flatten(0, 1)
            self._progress.picture("codec", state.step, "reconstructions", grid(shown, 8, zoom=2))


def begin(recipe: CodecRecipe, start: Path | None) -> AutoencoderKL:
    """A fresh codec, or the one of a folder; its encoder frozen where the recipe says so.

    Raises:
        TrainingError: there is no codec in the folder, it has another shape, or a fresh encoder would be frozen.
    """
    if start is None:
        if recipe.freeze_encoder:
            raise TrainingError("freeze_encoder needs a codec to start from: a folder with config.json and weights.")
        model = networks.codec(recipe.channels)
        quiet_residuals(model)
        return model
    with explained(TrainingError, f"Cannot start from {start}: {{problem}}"):
        model = AutoencoderKL.from_pretrained(start, local_files_only=True, use_safetensors=True).float()
    found = tuple(model.config.block_out_channels)
    if found != tuple(recipe.channels):
        raise TrainingError(f"The codec in {start} has channels {list(found)}; write them into the recipe.")
    if recipe.freeze_encoder:
        model.encoder.requires_grad_(False)
        model.quant_conv.requires_grad_(False)
    return model


def reconstruct(model: AutoencoderKL, pictures: Tensor, recipe: CodecRecipe, *, half: bool) -> Reconstruction:
    """Encode and decode one batch (pictures in [-1, 1]); with `half` at half size from a half-size latent.

    Half-size latents that decode to half-size pictures scale as pictures do (2502.14831) and are easier to denoise.
    """
    frozen = recipe.freeze_encoder
    with torch.set_grad_enabled(torch.is_grad_enabled() and not frozen):
        posterior = model.encode(pictures).latent_dist
    # A fixed small deviation trains sooner than a learnt one, which begins at 1 and drowns the picture; `logvar` is
    # drawn to the same value, so that stock programs sample what was trained. A frozen encoder keeps its own.
    deviation = recipe.jitter * posterior.std if frozen else recipe.noise
    latent = posterior.mean + deviation * torch.randn(posterior.mean.shape).to(pictures.device)
    target = pictures
    if half:
        latent = functional.interpolate(latent, scale_factor=0.5, mode="area")
        target = functional.interpolate(pictures, scale_factor=0.5, mode="area")
    decoded = model.decode(latent).sample
    loss = recipe.pixels * losses.reconstruction(decoded, target, recipe.edges)
    if recipe.decibels:
        loss = loss + recipe.decibels * losses.decibels(decoded, target)
    if recipe.overflow:
        drawn = torch.randn(-(-len(latent) // 4), *latent.shape[1:]).to(pictures.device)
        loss = loss + recipe.overflow * losses.overflow(model.decode(drawn).sample)
    if not frozen:
        loss = loss + recipe.kl * losses.divergence(posterior.mean, posterior.logvar, recipe.noise)
    return Reconstruction(decoded, target, posterior.mean, loss)


class Adversary:
    """The discriminators with their optimiser, and what they add to the autoencoder's loss."""

    def __init__(self, recipe: CodecRecipe, model: AutoencoderKL, device: torch.device | str) -> None:
        self.recipe = recipe
        self.model = model
        self.discriminator = MultiScaleDiscriminator(recipe.adversary_width).to(
            device, memory_format=torch.channels_last
        )
        self.optimizer = torch.optim.AdamW(
            self.discriminator.parameters(), lr=recipe.adversary_rate, betas=(0.5, 0.9), weight_decay=0.0, fused=True
        )
        #: Of the last step, to be reported.
        self.scalars: dict[str, float] = {}

    def step(self, made: Reconstruction, step: int, checkpoint: Path, *, alone: bool) -> Tensor:
        """Update the discriminators on one batch; gives λ (L_G + features), 0 while they learn alone.

        Raises:
            TrainingError: their loss is not a number.
        """
        recipe = self.recipe
        from_prior = self.decode_prior(made.mean) if torch.rand(()) < recipe.prior else None

        # L_D.
        real, _ = self.discriminator(made.target)
        fake, _ = self.discriminator(made.decoded.detach())
        loss = losses.hinge_discriminator(real, fake)
        if from_prior is not None:
            scores, _ = self.discriminator(from_prior.detach())
            loss = loss + recipe.prior_weight * torch.stack([functional.relu(1 + s).mean() for s in scores]).mean()
        require_finite(loss, step, checkpoint)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        if alone:
            self.scalars = {"D": loss.item()}
            return torch.zeros_like(made.loss)

        # L_G and feature matching, through discriminators that stand still.
        self.discriminator.requires_grad_(False)
        with torch.no_grad():
            _, wanted = self.discriminator(made.target)
        fake, felt = self.discriminator(made.decoded)
        fooling, matching = losses.hinge_generator(fake), losses.feature_matching(wanted, felt)
        adversarial = fooling + recipe.features * matching
        weight = losses.adaptive_weight(
            made.loss, adversarial, self.model.decoder.conv_out.weight, recipe.adversary_weight, recipe.adversary_cap
        )
        if from_prior is not None:
            scores, _ = self.discriminator(from_prior)
            adversarial = adversarial + recipe.prior_weight * losses.hinge_generator(scores)
        self.discriminator.requires_grad_(True)
        self.scalars = {
            "D": loss.item(), "G": fooling.item(), "features": matching.item(), "weight": weight.item(),
        }  # fmt: skip
        return weight * adversarial

    def decode_prior(self, mean: Tensor) -> Tensor:
        """Decode as many z ~ N(0, 1) as there are pictures in the batch.

        Latents become N(0, 1) only after training, by `latents.normalise`; until then z takes the batch's mean and
        deviation per channel. A frozen encoder is normalised already.
        """
        z = torch.randn(mean.shape).to(mean.device)
        if not self.recipe.freeze_encoder:
            found = mean.detach()
            z = found.mean((0, 2, 3), keepdim=True) + found.std((0, 2, 3), keepdim=True) * z
        decoded: Tensor = self.model.decode(z.contiguous(memory_format=torch.channels_last)).sample
        return decoded


def quiet_residuals(model: nn.Module) -> None:
    """Begin every residual block as the identity (zero-init of its last convolution, 1901.09321)."""
    for name, module in model.named_modules():
        if name.endswith("conv2") and isinstance(module, nn.Conv2d):
            nn.init.zeros_(module.weight)
