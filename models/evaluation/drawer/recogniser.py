"""The judge of the drawer: which thing a picture shows, and in which style; it shares nothing with what it judges.

Linear discriminants (Fisher 1936) of `features` with a learned correction, on the things that were drawn
at least twice: what was drawn once cannot be told from its one drawing. Seven drawings of a thing are few for a network
that begins from pixels (docs/training-log.md). Stored in 8 bits: 2 MB.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from ...errors import WeightsMissing, WeightsRefused, explained
from ...training import checkpoints
from .features import GROUNDS, STYLE_SIZE, THING_SIZE, describe


class ThingRecogniser(nn.Module):
    """Descriptions (B, THING_SIZE + STYLE_SIZE) → logits of things (B, T) and of styles (B, Y)."""

    def __init__(self, things: Sequence[str], styles: Sequence[str], width: int = 320, hidden: int = 768) -> None:
        """`things`: keys of `data.drawer.Thing`; `styles`: words; `width`: discriminants kept."""
        super().__init__()
        self.things, self.styles, self.width, self.hidden = tuple(things), tuple(styles), width, hidden
        self.discriminants = nn.Linear(THING_SIZE, width)
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width)
        self.of_thing = nn.Linear(width, len(things))
        self.style_norm = nn.BatchNorm1d(STYLE_SIZE)
        self.style_up = nn.Linear(STYLE_SIZE, 96)
        self.of_style = nn.Linear(96, len(styles))
        # Begins as the discriminants alone.
        nn.init.zeros_(self.down.weight)
        nn.init.zeros_(self.down.bias)

    def forward(self, described: Tensor) -> tuple[Tensor, Tensor]:
        where, how = described.split([THING_SIZE, STYLE_SIZE], 1)
        kept = self.discriminants(where)
        more = functional.gelu(self.up(functional.dropout(kept, 0.15, self.training)))
        kept = kept + self.down(functional.dropout(more, 0.3, self.training))
        styled = functional.gelu(self.style_up(self.style_norm(how)))
        return self.of_thing(functional.dropout(kept, 0.15, self.training)), self.of_style(styled)


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
        read = [model(describe(part, ground)) for ground in GROUNDS]
        things.append(torch.stack([thing.float().log_softmax(1) for thing, _ in read]).mean(0))
        styles.append(torch.stack([style.float().log_softmax(1) for _, style in read]).mean(0))
    model.train(training)
    return torch.cat(things), torch.cat(styles)


def on_ground(pictures: Tensor, ground: float) -> Tensor:
    """Premultiplied RGBA (B, 4, S, S) in [-1, 1] over a background in [-1, 1] → (B, 3, S, S)."""
    colour, alpha = (pictures[:, :3] + 1) / 2, (pictures[:, 3:].clamp(-1, 1) + 1) / 2
    return ((colour + (1 - alpha) * (ground + 1) / 2) * 2 - 1).clamp(-1, 1)


def save(model: ThingRecogniser, folder: Path, card: Mapping[str, Any]) -> None:
    """Write `model.safetensors` (8 bits for each weight, a scale for each row) and `config.json`."""
    tensors: dict[str, Tensor] = {}
    for name, value in model.state_dict().items():
        plain = value.detach().cpu().contiguous()
        if plain.is_floating_point() and plain.ndim > 1:
            scale = plain.flatten(1).abs().amax(1).clamp(min=1e-8) / 127
            tensors[f"{name}/scale"] = scale
            tensors[name] = (plain / scale.view(-1, *[1] * (plain.ndim - 1))).round().to(torch.int8)
        else:
            tensors[name] = plain
    checkpoints.write_weights(tensors, folder)
    config = {"things": model.things, "styles": model.styles, "width": model.width, "hidden": model.hidden, **card}
    (folder / "config.json").write_text(json.dumps(config, ensure_ascii=False) + "\n", encoding="utf-8")


def save_card(folder: Path, more: Mapping[str, Any]) -> None:
    """Add to what `config.json` says."""
    file = folder / "config.json"
    content = json.loads(file.read_text(encoding="utf-8")) | dict(more)
    file.write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")


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
    with explained(WeightsRefused, f"The recogniser in {folder} is damaged: {{problem}}."):
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        stored = load_file(file)
        state = {
            name: value.float() * stored[f"{name}/scale"].view(-1, *[1] * (value.ndim - 1))
            if f"{name}/scale" in stored else value
            for name, value in stored.items() if not name.endswith("/scale")
        }  # fmt: skip
        model = ThingRecogniser(config["things"], config["styles"], config["width"], config["hidden"])
        model.load_state_dict(state)
    return model.eval()
