"""LoRA adapters as folders: the stock weights file, `config.json` about where they belong, and a card.

Stock programs need the weights file only: `pipeline.load_lora_weights(folder)`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffusers import StableDiffusionPipeline
from peft.utils import get_peft_model_state_dict
from safetensors import SafetensorError, safe_open
from torch import nn

from ..engine import PICKLES, check_folder, digest
from ..errors import TrainingError, WeightsMissing, WeightsRefused

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


def write_adapter(folder: Path, parts: Mapping[str, nn.Module], settings: Mapping[str, Any], card: str) -> None:
    """Write the adapters of a pipeline's parts in half precision; the folder that was there stays until the end.

    Args:
        parts: modules with a peft adapter by their name in the pipeline, `unet` and perhaps `text_encoder`.

    Raises:
        TrainingError: the disk is full or cannot be written.
    """
    part = folder.with_name(folder.name + ".part")
    arguments: dict[str, Any] = {}
    for name, module in parts.items():
        tensors = get_peft_model_state_dict(module, adapter_name="default")
        arguments[f"{name}_lora_layers"] = {
            key: value.detach().half().cpu().contiguous() for key, value in tensors.items()
        }
        # Without it a reader takes the rank for alpha.
        arguments[f"{name}_lora_adapter_metadata"] = _plain(module.peft_config["default"].to_dict())
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        StableDiffusionPipeline.save_lora_weights(part, safe_serialization=True, **arguments)
        (part / WEIGHTS).chmod(0o644)  # safetensors writes 0600, which another user's worker could not read
        (part / SETTINGS).write_text(json.dumps(dict(settings), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        (part / "README.md").write_text(card, encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        part.rename(folder)
    except (OSError, SafetensorError) as problem:
        shutil.rmtree(part, ignore_errors=True)
        raise TrainingError(
            f"Cannot write the adapter {folder} ({problem}). The run's checkpoint is kept; free some disk space and "
            "run the same command again."
        ) from problem


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
    try:
        settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8")) if (folder / SETTINGS).is_file() else {}
        adapter = shapes_in(file)
        wanted = {name: shapes(base / name) for name in PARTS}
        scheduler = json.loads((base / "scheduler" / "scheduler_config.json").read_text(encoding="utf-8"))
    except (SafetensorError, OSError, ValueError) as problem:
        raise WeightsRefused(
            f"The adapter {folder} or its base {base} is damaged: {problem}. Copy it again."
        ) from problem
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


def _plain(value: Any) -> Any:
    """A peft configuration as JSON takes it: sets in order, names for enumerations, no path of this machine."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items() if key != "base_model_name_or_path"}
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value if value is None or type(value) in {str, int, float, bool} else str(getattr(value, "value", value))
