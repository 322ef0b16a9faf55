"""The codec's discriminators: small PatchGANs (1611.07004) at full and at half size, spectrally normalised."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm


class PatchDiscriminator(nn.Module):
    """Scores every patch of 26 pixels: (B, 3, H, W) → ((B, 1, H/4, W/4), features of the hidden layers).

    Spectral norm on every layer (1802.05957) in place of batch norm, whose statistics would tie the pictures of a
    batch together, and of a gradient penalty, which needs second derivatives.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.hidden = nn.ModuleList(
            [
                spectral_norm(nn.Conv2d(3, width, 4, 2, 1)),
                spectral_norm(nn.Conv2d(width, 2 * width, 4, 2, 1)),
                spectral_norm(nn.Conv2d(2 * width, 4 * width, 3, 1, 1)),
            ]
        )
        self.score = spectral_norm(nn.Conv2d(4 * width, 1, 3, 1, 1))

    def forward(self, pictures: Tensor) -> tuple[Tensor, list[Tensor]]:
        features: list[Tensor] = []
        for layer in self.hidden:
            pictures = functional.leaky_relu(layer(pictures), 0.2)
            features.append(pictures)
        return self.score(pictures), features


class MultiScaleDiscriminator(nn.Module):
    """One `PatchDiscriminator` for each scale 1, ½, … of the same picture (pix2pixHD, 1711.11585, sec. 3.2)."""

    def __init__(self, width: int, scales: int = 2) -> None:
        super().__init__()
        self.scales = nn.ModuleList(PatchDiscriminator(width) for _ in range(scales))

    def forward(self, pictures: Tensor) -> tuple[list[Tensor], list[Sequence[Tensor]]]:
        """Scores and features, one entry for each scale."""
        scores: list[Tensor] = []
        features: list[Sequence[Tensor]] = []
        for index, discriminator in enumerate(self.scales):
            seen = functional.avg_pool2d(pictures, 2**index) if index else pictures
            score, felt = discriminator(seen)
            scores.append(score)
            features.append(felt)
        return scores, features
