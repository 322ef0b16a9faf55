"""Save and resume a run exactly: one safetensors file of tensors with a JSON header of numbers. Never a pickle."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ..errors import TrainingError


def save(
    file: Path, modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer, numbers: Mapping[str, Any]
) -> None:
    """Write everything a run needs to go on; the file that was there stays until the new one is whole on disk.

    Raises:
        TrainingError: the disk is full or cannot be written.
    """
    tensors: dict[str, Tensor] = {"random": torch.get_rng_state()}
    for name, module in modules.items():
        tensors |= {f"{name}/{key}": value for key, value in module.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{key}": value for key, value in state.items()}
    # safetensors refuses tensors that share memory or are not contiguous (channels_last).
    tensors = {key: value.detach().cpu().clone(memory_format=torch.contiguous_format) for key, value in tensors.items()}
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    try:
        save_file(tensors, part, metadata={"numbers": json.dumps(dict(numbers))})
        with part.open("rb+") as handle:
            os.fsync(handle.fileno())
        part.replace(file)
    except (OSError, SafetensorError) as problem:
        part.unlink(missing_ok=True)
        raise TrainingError(
            f"Cannot write the checkpoint {file} ({problem}). The last good one is untouched; free some disk space "
            "and run the same command again."
        ) from problem


def load(file: Path, modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Restore what `save` wrote, the random state included; gives back the numbers.

    Raises:
        TrainingError: the file is damaged or belongs to another recipe.
    """
    try:
        with safe_open(file, "pt") as opened:
            numbers = json.loads(opened.metadata()["numbers"])
            tensors = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118  not a dict
    except (SafetensorError, OSError, KeyError, TypeError) as problem:
        raise TrainingError(f"{file} is damaged ({problem}). Delete it to begin anew.") from problem
    torch.set_rng_state(tensors.pop("random"))
    moments: dict[int, dict[str, Tensor]] = {}
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    for key in [key for key in tensors if key.startswith("optimizer/")]:
        _, index, name = key.split("/")
        value = tensors.pop(key)
        weight = weights[int(index)] if int(index) < len(weights) else value
        # Fused optimisers walk through memory side by side: a moment must lie in memory as its weight does.
        alike = value.shape == weight.shape
        moments.setdefault(int(index), {})[name] = torch.empty_like(weight).copy_(value) if alike else value
    try:
        for name, module in modules.items():
            module.load_state_dict(
                {k.removeprefix(f"{name}/"): v for k, v in tensors.items() if k.startswith(f"{name}/")}
            )
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": moments, "param_groups": groups})
    except (RuntimeError, ValueError) as problem:
        raise TrainingError(f"{file} belongs to another recipe. Use another run folder, or delete it.") from problem
    return numbers
