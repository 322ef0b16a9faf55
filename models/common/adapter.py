"""LoRA adapters as folders, looked at before anything of them is loaded: the stock weights file and `config.json`.

Reads headers and JSON only, no weights.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open

from ..errors import WeightsMissing, WeightsRefused, explained
from .folder import PICKLES, check_folder, digest

#: The names that diffusers looks for.
WEIGHTS, SETTINGS = "pytorch_lora_weights.safetensors", "config.json"
#: How a pair of LoRA matrices is named, by who wrote it: peft, older diffusers.
PAIRS = ((".lora_A.weight", ".lora_B.weight"), (".lora.down.weight", ".lora.up.weight"))
PARTS = ("unet", "text_encoder")


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter that fits a base."""

    folder: Path
    #: Word that prompts should begin with; empty where there is none, or another program wrote the adapter.
    trigger: str
    #: Whether it was trained on exactly these weights; None where nobody wrote down which.
    same_base: bool | None
    #: All of `config.json`.
    settings: Mapping[str, Any]


def check_adapter(folder: Path, base: Path) -> Adapter:
    """Refuse an adapter before it is loaded, unless every matrix fits the base and predicts what the base predicts.

    Reads headers and JSON only, no weights. Adapters of other programs pass too, if their names are diffusers'.

    Raises:
        WeightsMissing, WeightsRefused: with what to do.
    """
    check_folder(base)
    file = folder / WEIGHTS
    if not file.is_file():
        raise WeightsMissing(f"No adapter in {folder} ({WEIGHTS} is missing). Train one: see docs/finetune.md.")
    if pickles := sorted(each.name for each in folder.rglob("*") if each.suffix in PICKLES):
        raise WeightsRefused(
            f"{folder} holds pickled files ({', '.join(pickles[:3])}), which can run code when opened. Delete them."
        )
    with explained(WeightsRefused, f"The adapter {folder} or its base {base} is damaged: {{problem}}. Copy it again."):
        settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8")) if (folder / SETTINGS).is_file() else {}
        adapter = shapes_in(file)
        wanted = {name: shapes(base / name) for name in PARTS}
        scheduler = json.loads((base / "scheduler" / "scheduler_config.json").read_text(encoding="utf-8"))
    prediction = scheduler.get("prediction_type", "epsilon")
    told = settings.get("prediction", prediction)
    meant = f"It was trained on {settings['base']}. " if "base" in settings else ""
    if told != prediction:
        raise WeightsRefused(
            f"The adapter {folder} is for models that predict {told}; {base.name} predicts {prediction}. {meant}"
            "Use it with its own base, or train one for this base."
        )
    if problem := misfit(adapter, wanted):
        raise WeightsRefused(
            f"The adapter {folder} does not fit {base.name}: {problem}. {meant}Use it with its own base, or train one "
            "for this base."
        )
    known = settings.get("base_digest")
    return Adapter(folder, settings.get("trigger", ""), known and known == digest(base), settings)


Shapes = Mapping[str, tuple[int, ...]]


def shapes_in(file: Path) -> Shapes:
    """Names and shapes of a safetensors file's tensors; reads its header only."""
    with safe_open(file, "pt") as opened:
        return {key: tuple(opened.get_slice(key).get_shape()) for key in opened.keys()}  # noqa: SIM118  not a dict


def shapes(part: Path) -> Shapes:
    """Names and shapes of a model's tensors, all its shards and variants together."""
    return {name: shape for file in sorted(part.glob("*.safetensors")) for name, shape in shapes_in(file).items()}


def misfit(adapter: Shapes, base: Mapping[str, Shapes]) -> str:
    """Why LoRA matrices do not fit a base's weights; empty where they do.

    A weight (out, in, …) takes A (rank, in, …) and B (out, rank, …): W' = W + alpha/rank · B A (2106.09685 eq. 3).
    """
    found = 0
    for name, down in adapter.items():
        for ending, other in PAIRS:
            if not name.endswith(ending):
                continue
            found += 1
            module = name.removesuffix(ending)
            up = adapter.get(module + other)
            part, _, inner = module.partition(".")
            weight = _weight(base.get(part, {}), inner)
            if up is None:
                return f"{module} has no second matrix"
            if weight is None:
                return f"the base has no {module}"
            if (down[1:], up[0]) != (weight[1:], weight[0]) or up[1] != down[0]:
                return f"{module} is {(up[0], *down[1:])} there and {weight} in the base"
    return (
        "" if found and 2 * found == sum(".lora" in name for name in adapter) else "its tensors are not named as peft's"
    )


def _weight(part: Shapes, module: str) -> tuple[int, ...] | None:
    # Versions of transformers disagree whether a CLIP text model has this level.
    bare = module.removeprefix("text_model.")
    return part.get(f"{module}.weight", part.get(f"{bare}.weight", part.get(f"text_model.{bare}.weight")))
