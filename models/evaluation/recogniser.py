"""The recogniser: what is where in a picture, read by a detector that shares nothing with the networks it judges.

A centre-point detector (CenterNet, 1904.07850) on a small residual network (1512.03385) with one step of a feature
pyramid (1612.03144). Cells have a stride of 8 px; pictures have a shorter side of `SIDE` px.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from ..common import WORDS
from ..errors import WeightsMissing, WeightsRefused, explained
from ..training import checkpoints

#: Shorter side of the pictures that it reads, and pixels per cell.
SIDE, STRIDE = 64, 8
#: Colour classes: `WORDS`, then "no one colour".
COLOURS = len(WORDS) + 1


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that was seen."""

    concept: str
    #: Probability of that concept × sureness that there is a thing at all.
    score: float
    #: Centre in [-1, 1] of the picture, x to the right, y down.
    x: float
    y: float
    #: Side of its sprite ÷ shorter side of the picture.
    side: float
    #: Word that the colour head gives it.
    colour: str


@dataclass(frozen=True, slots=True)
class Maps:
    """What the network says of every cell, each (B, …, h, w)."""

    #: Logit of being the centre of a thing, (B, 1, h, w).
    centre: Tensor
    #: Logits of the concepts, (B, C, h, w).
    concepts: Tensor
    #: Centre's offset from the cell's middle in cells (x, y), and the logarithm of the side in cells.
    box: Tensor
    #: Logits of `WORDS` and of no one colour, (B, 12, h, w).
    colours: Tensor


class Block(nn.Module):
    """Two 3×3 convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.convolve = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.again = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm_again = nn.BatchNorm2d(outputs)
        # Begins as the shortcut alone (1901.09321).
        nn.init.zeros_(self.norm_again.weight)
        self.shortcut = nn.Identity()
        if stride > 1 or inputs != outputs:
            pool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
            self.shortcut = nn.Sequential(pool, nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, features: Tensor) -> Tensor:
        inner = functional.relu(self.norm(self.convolve(features)))
        return functional.relu(self.norm_again(self.again(inner)) + self.shortcut(features))


class Recogniser(nn.Module):
    """Pictures (B, 3, H, W) in [-1, 1], H and W multiples of 16 → `Maps` of H/8 × W/8 cells."""

    def __init__(self, concepts: Sequence[str], widths: Sequence[int] = (32, 64, 128, 160)) -> None:
        super().__init__()
        self.concepts = tuple(concepts)
        self.widths = tuple(widths)
        #: Sureness from which a peak counts as a thing; training sets it on real composites.
        self.threshold = 0.3
        first, second, third, fourth = widths
        self.stem = nn.Sequential(nn.Conv2d(3, first, 3, 2, 1, bias=False), nn.BatchNorm2d(first), nn.ReLU())
        self.fine = nn.Sequential(Block(first, first), Block(first, second, 2), Block(second, second))
        self.cells = nn.Sequential(Block(second, third, 2), Block(third, third))
        # Twice as coarse, for what only the whole of a large thing tells.
        self.coarse = nn.Sequential(Block(third, fourth, 2), Block(fourth, fourth))
        self.lift = nn.Conv2d(fourth, third, 1, bias=False)
        self.merge = nn.Sequential(nn.BatchNorm2d(third), nn.ReLU(), nn.Conv2d(third, fourth, 3, 1, 1, bias=False))
        self.merged = nn.Sequential(nn.BatchNorm2d(fourth), nn.ReLU())
        self.heads = nn.Conv2d(fourth, 1 + len(concepts) + 3 + COLOURS, 1)
        # A cell holds a centre rarely: begin by saying so (RetinaNet, 1708.02002, sec. 4.1).
        nn.init.zeros_(self.heads.bias)
        with torch.no_grad():
            self.heads.bias[0] = -3.0

    def forward(self, pictures: Tensor) -> Maps:
        cells = self.cells(self.fine(self.stem(pictures)))
        above = functional.interpolate(self.lift(self.coarse(cells)), size=cells.shape[-2:], mode="nearest")
        values = self.heads(self.merged(self.merge(cells + above)))
        centre, concepts, box, colours = values.split([1, len(self.concepts), 3, COLOURS], 1)
        return Maps(centre, concepts, box, colours)


@torch.inference_mode()
def read(model: Recogniser, pictures: Tensor, batch: int = 64) -> list[list[Found]]:
    """What each picture shows, surest first; pictures (B, 3, H, W) in [-1, 1] of any size and device."""
    seen: list[list[Found]] = []
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    for part in pictures.split(batch):
        fitted = fit(part.to(device)).contiguous(memory_format=torch.channels_last)
        seen += found(model, model(fitted), min(fitted.shape[-2:]))
    model.train(training)
    return seen


def fit(pictures: Tensor) -> Tensor:
    """Scale to a shorter side of `SIDE`, the longer one to the nearest multiple of 16."""
    height, width = pictures.shape[-2:]
    scale = SIDE / min(height, width)
    wanted = [max(SIDE, 16 * round(side * scale / 16)) for side in (height, width)]
    if [height, width] == wanted:
        return pictures
    return functional.interpolate(pictures.float(), size=wanted, mode="bicubic", antialias=True).clamp(-1, 1)


def found(model: Recogniser, maps: Maps, shorter: int) -> list[list[Found]]:
    """Peaks of the centre map (largest of their 3×3 neighbours, 1904.07850 sec. 4) above the threshold."""
    sure = maps.centre.sigmoid()
    peaks = (sure == functional.max_pool2d(sure, 3, 1, 1)) & (sure > model.threshold)
    batch, _, high, wide = sure.shape
    results: list[list[Found]] = [[] for _ in range(batch)]
    for picture, _, row, column in peaks.nonzero().tolist():
        probabilities = maps.concepts[picture, :, row, column].softmax(0)
        best = int(probabilities.argmax())
        across, down, side = maps.box[picture, :, row, column].tolist()
        # "No one colour" is for training only: a question about colour wants one of the words.
        colour = WORDS[int(maps.colours[picture, : len(WORDS), row, column].argmax())]
        results[picture].append(
            Found(
                concept=model.concepts[best],
                score=float(probabilities[best]) * float(sure[picture, 0, row, column]),
                x=2 * (column + 0.5 + across) / wide - 1,
                y=2 * (row + 0.5 + down) / high - 1,
                side=float(torch.tensor(side).exp()) * STRIDE / shorter,
                colour=colour,
            )
        )
    return [sorted(things, key=lambda thing: -thing.score) for things in results]


def save(model: Recogniser, folder: Path, card: dict[str, object]) -> None:
    """Write `model.safetensors` (fp16) and `config.json` (concepts, widths, threshold, and `card`)."""
    half = {name: value.half() if value.is_floating_point() else value for name, value in model.state_dict().items()}
    checkpoints.write_weights(half, folder)
    config = {"concepts": model.concepts, "widths": model.widths, "threshold": model.threshold, **card}
    (folder / "config.json").write_text(json.dumps(config, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def load(folder: Path) -> Recogniser:
    """Open what `save` wrote, in full precision.

    Raises:
        WeightsMissing: there is no recogniser in the folder.
        WeightsRefused: its files are damaged or do not belong together.
    """
    config, weights = folder / "config.json", folder / "model.safetensors"
    if not config.is_file() or not weights.is_file():
        raise WeightsMissing(
            f"No recogniser in {folder}. Train one: scripts/start train models/recipes/recogniser.toml"
        )
    with explained(WeightsRefused, f"The recogniser in {folder} cannot be used ({{problem}}). Train it again."):
        content = json.loads(config.read_text(encoding="utf-8"))
        model = Recogniser(content["concepts"], content["widths"])
        model.threshold = float(content["threshold"])
        model.load_state_dict(load_file(weights))
    return model.eval().to(memory_format=torch.channels_last)
