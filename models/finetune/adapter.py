"""LoRA adapters as folders: the stock weights file, `config.json` about where they belong, and a card.

Stock programs need the weights file only: `pipeline.load_lora_weights(folder)`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from diffusers import StableDiffusionPipeline
from peft.utils import get_peft_model_state_dict
from torch import nn

from ..common import replacing
from ..common.adapter import SETTINGS
from ..errors import TrainingError, explained


def write_adapter(folder: Path, parts: Mapping[str, nn.Module], settings: Mapping[str, Any], card: str) -> None:
    """Write the adapters of a pipeline's parts in half precision; the folder that was there stays until the end.

    Args:
        parts: modules with a peft adapter by their name in the pipeline, `unet` and perhaps `text_encoder`.

    Raises:
        TrainingError: the disk is full or cannot be written.
    """
    arguments: dict[str, Any] = {}
    for name, module in parts.items():
        tensors = get_peft_model_state_dict(module, adapter_name="default")
        arguments[f"{name}_lora_layers"] = {
            key: value.detach().half().cpu().contiguous() for key, value in tensors.items()
        }
        # Without it a reader takes the rank for alpha.
        arguments[f"{name}_lora_adapter_metadata"] = _plain(module.peft_config["default"].to_dict())
    message = (
        f"Cannot write the adapter {folder} ({{problem}}). The run's checkpoint is kept; free some disk space and run "
        "the same command again."
    )
    with explained(TrainingError, message), replacing(folder) as part:
        StableDiffusionPipeline.save_lora_weights(part, safe_serialization=True, **arguments)
        (part / SETTINGS).write_text(json.dumps(dict(settings), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        (part / "README.md").write_text(card, encoding="utf-8")


def _plain(value: Any) -> Any:
    """A peft configuration as JSON takes it: sets in order, names for enumerations, no path of this machine."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items() if key != "base_model_name_or_path"}
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value if value is None or type(value) in {str, int, float, bool} else str(getattr(value, "value", value))
