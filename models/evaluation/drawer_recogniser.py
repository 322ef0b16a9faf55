"""The judge of the drawer: which thing a picture shows, and in which style, by a network that shares nothing with it.

A residual network (1512.03385) on 64 px pictures, of the drawer's things that were drawn at least twice. What was drawn
once cannot be told from its one drawing. Styles are read half-way up, from the means and deviations of the features
(1508.06576), where outlines, shading and pixels are, and not what they show. Stored in 8 bits: less than 2.5 MB.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from ..errors import WeightsMissing, WeightsRefused

#: Side of the pictures that it reads, in pixels.
SIDE = 64
#: Plain backgrounds in [-1, 1] that a picture with alpha is read on; a thing is as visible on one as on the other.
GROUNDS = (1.0, -0.35)


class Block(nn.Module):
    """Two 3×3 convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm_second = nn.BatchNorm2d(outputs)
        # Begins as the shortcut alone (1901.09321).
        nn.init.zeros_(self.norm_second.weight)
        self.shortcut = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.AvgPool2d(stride), nn.Conv2d(inputs, outputs, 1, bias=False))

    def forward(self, features: Tensor) -> Tensor:
        inner = functional.relu(self.norm(self.first(features)))
        return functional.relu(self.norm_second(self.second(inner)) + self.shortcut(features))


class ThingRecogniser(nn.Module):
    """Pictures (B, 3, 64, 64) in [-1, 1] → logits of things (B, T) and of styles (B, Y)."""

    def __init__(
        self, things: Sequence[str], styles: Sequence[str], widths: Sequence[int] = (32, 64, 128, 224)
    ) -> None:
        """`things`: keys of `data.drawer.Thing`; `styles`: words."""
        super().__init__()
        self.things, self.styles, self.widths = tuple(things), tuple(styles), tuple(widths)
        first, second, third, fourth = widths
        self.stem = nn.Sequential(nn.Conv2d(3, first, 3, 2, 1, bias=False), nn.BatchNorm2d(first), nn.ReLU())
        self.fine = nn.Sequential(Block(first, second, 2), Block(second, second))
        self.middle = nn.Sequential(Block(second, third, 2), Block(third, third))
        self.coarse = Block(third, fourth, 2)
        self.norm = nn.BatchNorm1d(fourth)
        self.of_thing = nn.Linear(fourth, len(things))
        self.norm_style = nn.BatchNorm1d(2 * second)
        self.of_style = nn.Linear(2 * second, len(styles))

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        fine = self.fine(self.stem(pictures))
        # Styles must not bend the features that tell things apart.
        still = fine.detach().float().flatten(2)
        style = self.of_style(self.norm_style(torch.cat([still.mean(2), still.std(2)], 1)))
        pooled = self.coarse(self.middle(fine)).mean((2, 3))
        return self.of_thing(functional.dropout(self.norm(pooled), 0.2, self.training)), style


@torch.inference_mode()
def recognise(model: ThingRecogniser, pictures: Tensor, batch: int = 128) -> tuple[Tensor, Tensor]:
    """Log-probabilities of things (B, T) and of styles (B, Y), the means over `GROUNDS`.

    Args:
        pictures: (B, 4, S, S) in [-1, 1], premultiplied, as the denoiser gives them; or (B, 3, S, S) without alpha.
    """
    training = model.training
    model.eval()
    things, styles = [], []
    for part in pictures.split(batch):
        shown = [on_ground(part, ground) for ground in GROUNDS] if part.shape[1] == 4 else [part]
        read = [model(fit(each).contiguous(memory_format=torch.channels_last)) for each in shown]
        things.append(torch.stack([thing.float().log_softmax(1) for thing, _ in read]).mean(0))
        styles.append(torch.stack([style.float().log_softmax(1) for _, style in read]).mean(0))
    model.train(training)
    return torch.cat(things), torch.cat(styles)


def on_ground(pictures: Tensor, ground: float | Tensor) -> Tensor:
    """Premultiplied RGBA (B, 4, S, S) in [-1, 1] over a background in [-1, 1] → (B, 3, S, S)."""
    colour, alpha = (pictures[:, :3] + 1) / 2, (pictures[:, 3:].clamp(-1, 1) + 1) / 2
    return ((colour + (1 - alpha) * (ground + 1) / 2) * 2 - 1).clamp(-1, 1)


def fit(pictures: Tensor) -> Tensor:
    """Scale to `SIDE`."""
    if pictures.shape[-1] == SIDE:
        return pictures
    return functional.interpolate(pictures, (SIDE, SIDE), mode="bicubic", antialias=True).clamp(-1, 1)


def save(model: ThingRecogniser, folder: Path, card: Mapping[str, Any]) -> None:
    """Write `model.safetensors` (8 bits for each weight, a scale for each row) and `config.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, Tensor] = {}
    for name, value in model.state_dict().items():
        plain = value.detach().cpu().contiguous()
        if plain.is_floating_point() and plain.ndim > 1:
            scale = plain.flatten(1).abs().amax(1).clamp(min=1e-8) / 127
            tensors[f"{name}/scale"] = scale
            tensors[name] = (plain / scale.view(-1, *[1] * (plain.ndim - 1))).round().to(torch.int8)
        else:
            tensors[name] = plain
    part = folder / "model.part"
    save_file(tensors, part)
    part.chmod(0o644)  # safetensors writes 0600
    part.replace(folder / "model.safetensors")
    config = {"things": model.things, "styles": model.styles, "widths": model.widths, **card}
    (folder / "config.json").write_text(json.dumps(config, ensure_ascii=False) + "\n", encoding="utf-8")


def load(folder: Path) -> ThingRecogniser:
    """Read what `save` wrote.

    Raises:
        WeightsMissing: there is none.
        WeightsRefused: a file is damaged or of another network.
    """
    file = folder / "model.safetensors"
    if not file.is_file():
        raise WeightsMissing(
            f"There is no recogniser in {folder}. Train one: daguerre train models/recipes/recogniser-drawer.toml"
        )
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        stored = load_file(file)
        state = {
            name: value.float() * stored[f"{name}/scale"].view(-1, *[1] * (value.ndim - 1))
            if f"{name}/scale" in stored else value
            for name, value in stored.items() if not name.endswith("/scale")
        }  # fmt: skip
        model = ThingRecogniser(config["things"], config["styles"], config["widths"])
        model.load_state_dict(state)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RuntimeError) as problem:
        raise WeightsRefused(f"The recogniser in {folder} is damaged: {problem}.") from problem
    return model.eval().to(memory_format=torch.channels_last)
