"""Which devices a worker process is started for, found without importing torch."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence

from .children import without_secrets


def nvidia_gpus() -> tuple[str, ...]:
    """Names of the NVIDIA GPUs of this machine, in CUDA's order as far as the driver tells; () without a driver."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    try:
        answer = subprocess.run(  # noqa: S603 - the driver's own program
            [tool, "-L"], capture_output=True, text=True, timeout=10, check=False, env=without_secrets(os.environ)
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return tuple(
        line.partition(":")[2].partition("(UUID")[0].strip()
        for line in answer.stdout.splitlines()
        if line.startswith("GPU ")
    )


def worker_devices(wanted: Sequence[str], gpus: int) -> tuple[str, ...]:
    """One entry for each worker process. Pure.

    "auto" stands for every GPU; with one GPU or none it stays "auto", so that the engine decides.
    """
    devices: list[str] = []
    for device in wanted:
        if device == "auto" and gpus > 1:
            devices += [f"cuda:{number}" for number in range(gpus)]
        else:
            devices.append(device)
    return tuple(dict.fromkeys(devices))
