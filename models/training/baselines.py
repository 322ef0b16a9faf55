"""The tutorials' two plain generators, kept as peers to beat: DCGAN (1511.06434) and a convolutional VAE (1312.6114).

Both draw 64-pixel pictures (B, 3, 64, 64) in [-1, 1] from a vector z ~ N(0, 1), without a caption.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ..errors import WeightsMissing, WeightsRefused, explained
from .checkpoints import write_weights

#: Side of the pictures; the networks are built for no other.
SIZE = 64


@dataclass(frozen=True, slots=True)
class DcganShape:
    """Widths of a DCGAN: the tutorials' are the defaults."""

    latent: int = 100
    #: Generator 8, 4, 2, 1 times as many channels, from 4 to 32 pixels; the discriminator the other way round.
    width: int = 64


@dataclass(frozen=True, slots=True)
class VaeShape:
    """Widths of a VAE: `width` times 1, 2, 4, 8 channels from 32 to 4 pixels."""

    latent: int = 128
    width: int = 32


class Generator(nn.Module):
    """z (B, latent) → pictures (B, 3, 64, 64): transposed convolutions, batch norm, ReLU, at last tanh."""

    def __init__(self, shape: DcganShape) -> None:
        super().__init__()
        self.latent = shape.latent
        widths = [shape.width * times for times in (8, 4, 2, 1)]
        layers: list[nn.Module] = _up(shape.latent, widths[0], stride=1, padding=0)
        for above, below in itertools.pairwise(widths):
            layers += _up(above, below, stride=2, padding=1)
        layers += [nn.ConvTranspose2d(widths[-1], 3, 4, 2, 1, bias=False), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        self.apply(_dcgan_init)

    def forward(self, z: Tensor) -> Tensor:
        pictures: Tensor = self.layers(z[:, :, None, None])
        return pictures


class Discriminator(nn.Module):
    """Pictures (B, 3, 64, 64) → logits (B,) of being real: strided convolutions, batch norm but in the first.

    The sigmoid of the tutorials is taken inside the loss, where log σ cannot overflow.
    """

    def __init__(self, shape: DcganShape) -> None:
        super().__init__()
        widths = [shape.width * times for times in (1, 2, 4, 8)]
        layers: list[nn.Module] = [nn.Conv2d(3, widths[0], 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
        for above, below in itertools.pairwise(widths):
            layers += [nn.Conv2d(above, below, 4, 2, 1, bias=False), nn.BatchNorm2d(below), nn.LeakyReLU(0.2)]
        layers.append(nn.Conv2d(widths[-1], 1, 4, 1, 0, bias=False))
        self.layers = nn.Sequential(*layers)
        self.apply(_dcgan_init)

    def forward(self, pictures: Tensor) -> Tensor:
        logits: Tensor = self.layers(pictures)
        return logits.flatten()


class Vae(nn.Module):
    """q(z|x) and p(x|z), both Gaussian, from strided convolutions with batch norm and ReLU."""

    def __init__(self, shape: VaeShape) -> None:
        super().__init__()
        self.latent = shape.latent
        widths = [shape.width * times for times in (1, 2, 4, 8)]
        layers: list[nn.Module] = []
        for above, below in zip([3, *widths[:-1]], widths, strict=True):
            layers += [nn.Conv2d(above, below, 4, 2, 1, bias=False), nn.BatchNorm2d(below), nn.ReLU()]
        self.encoder = nn.Sequential(*layers, nn.Flatten(), nn.Linear(widths[-1] * 16, 2 * shape.latent))
        layers = _up(shape.latent, widths[-1], stride=1, padding=0)
        for above, below in zip(widths[:0:-1], widths[-2::-1], strict=True):
            layers += _up(above, below, stride=2, padding=1)
        layers += [nn.ConvTranspose2d(widths[0], 3, 4, 2, 1), nn.Tanh()]
        self.decoder = nn.Sequential(*layers)

    def encode(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z|x), each (B, latent)."""
        mean, log_variance = self.encoder(pictures).chunk(2, 1)
        return mean, log_variance

    def forward(self, z: Tensor) -> Tensor:
        pictures: Tensor = self.decoder(z[:, :, None, None])
        return pictures


@torch.no_grad()
def sample(model: Generator | Vae, n: int, seed: int) -> Tensor:
    """`n` pictures (n, 3, 64, 64) in [-1, 1] from z ~ N(0, 1); the same for the same seed, on the CPU."""
    device = next(model.parameters()).device
    noise = torch.randn(n, model.latent, generator=torch.Generator().manual_seed(seed))
    training = model.training
    model.eval()
    pictures = torch.cat([model(part.to(device)).float().cpu() for part in noise.split(64)])
    model.train(training)
    return pictures.clamp(-1, 1)


def save_baseline(model: Generator | Vae, shape: DcganShape | VaeShape, folder: Path, card: dict[str, Any]) -> None:
    """Write `model.safetensors` and `config.json` (kind, widths, and what `card` says of the training)."""
    kind = "vae" if isinstance(model, Vae) else "dcgan"
    write_weights(model.state_dict(), folder)
    (folder / "config.json").write_text(json.dumps({"kind": kind, "shape": asdict(shape), "training": card}, indent=1))


def load_baseline(folder: Path) -> Generator | Vae:
    """Open what `save_baseline` wrote, ready for `sample`.

    Raises:
        WeightsMissing: there is no baseline in the folder.
        WeightsRefused: its files are damaged or do not belong together.
    """
    config, weights = folder / "config.json", folder / "model.safetensors"
    if not config.is_file() or not weights.is_file():
        raise WeightsMissing(
            f"No baseline in {folder}. Train one: scripts/start train models/recipes/baseline-dcgan.toml"
        )
    with explained(WeightsRefused, f"The baseline in {folder} cannot be used ({{problem}}). Train it again."):
        content = json.loads(config.read_text())
        model: Generator | Vae
        if content["kind"] == "vae":
            model = Vae(VaeShape(**content["shape"]))
        else:
            model = Generator(DcganShape(**content["shape"]))
        model.load_state_dict(load_file(weights))
    return model.eval()


def _up(above: int, below: int, *, stride: int, padding: int) -> list[nn.Module]:
    return [nn.ConvTranspose2d(above, below, 4, stride, padding, bias=False), nn.BatchNorm2d(below), nn.ReLU()]


def _dcgan_init(module: nn.Module) -> None:
    """Weights from N(0, 0.02), as in section 4 of the paper."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
