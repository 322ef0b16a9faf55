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
from torch.optim import Optimizer

from ..errors import TrainingError, explained

#: One optimiser, or several by name. Moments of one lie under `optimizer/`, of several under `optimizer.<name>/`.
Optimizers = Optimizer | Mapping[str, Optimizer]


def save(file: Path, modules: Mapping[str, nn.Module], optimizers: Optimizers, numbers: Mapping[str, Any]) -> None:
    """Write everything a run needs to go on; the file that was there stays until the new one is whole on disk.

    Raises:
        TrainingError: the disk is full or cannot be written.
    """
    tensors: dict[str, Tensor] = {"random": torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors["random.cuda"] = torch.cuda.get_rng_state()
    for name, module in modules.items():
        tensors |= {f"{name}/{key}": value for key, value in module.state_dict().items()}
    for prefix, optimizer in _by_prefix(optimizers).items():
        for index, state in optimizer.state_dict()["state"].items():
            tensors |= {f"{prefix}/{index}/{key}": value for key, value in state.items()}
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


def load(file: Path, modules: Mapping[str, nn.Module], optimizers: Optimizers) -> dict[str, Any]:
    """Restore what `save` wrote, the random state included; gives back the numbers.

    A file that was saved with one optimiser can be read into several: its moments are those of the first.

    Raises:
        TrainingError: the file is damaged or belongs to another recipe.
    """
    with explained(TrainingError, f"{file} is damaged ({{problem}}). Delete it to begin anew."):
        with safe_open(file, "pt") as opened:
            numbers = json.loads(opened.metadata()["numbers"])
            tensors = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118  not a dict
        random, random_cuda = tensors.pop("random"), tensors.pop("random.cuda", None)
    with explained(TrainingError, f"{file} belongs to another recipe. Use another run folder, or delete it."):
        for name, module in modules.items():
            prefix = f"{name}/"
            module.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
        by_prefix = _by_prefix(optimizers)
        if "optimizer" not in by_prefix and any(key.startswith("optimizer/") for key in tensors):
            by_prefix = dict(zip(["optimizer", *list(by_prefix)[1:]], by_prefix.values(), strict=True))
        if strange := {key.split("/")[0] for key in tensors} - set(modules) - set(by_prefix):
            raise ValueError(f"unknown parts: {', '.join(sorted(strange))}")
        for prefix, optimizer in by_prefix.items():
            _restore(optimizer, {k: v for k, v in tensors.items() if k.startswith(f"{prefix}/")})
    # Last, so that a refused file changes no chances.
    torch.set_rng_state(random)
    if random_cuda is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(random_cuda)
    return numbers


def write_weights(tensors: Mapping[str, Tensor], folder: Path) -> None:
    """Write `model.safetensors`, readable by others; a reader never sees half of it."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / "model.part"
    save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, part)
    part.chmod(0o644)  # safetensors writes 0600
    part.replace(folder / "model.safetensors")


def _by_prefix(optimizers: Optimizers) -> dict[str, Optimizer]:
    if isinstance(optimizers, Optimizer):
        return {"optimizer": optimizers}
    return {f"optimizer.{name}": optimizer for name, optimizer in optimizers.items()}


def _restore(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    moments: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        _, index, name = key.split("/")
        if int(index) >= len(weights):
            raise ValueError(f"no weight {index}")
        weight = weights[int(index)]
        # Fused optimisers walk through memory side by side: a moment must lie in memory as its weight does.
        alike = value.shape == weight.shape
        moments.setdefault(int(index), {})[name] = torch.empty_like(weight).copy_(value) if alike else value
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
