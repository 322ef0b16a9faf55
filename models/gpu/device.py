"""The device of a run and how it computes: bf16 autocast and TF32 on CUDA, plain fp32 on processors."""

from __future__ import annotations

import torch


def found() -> torch.device:
    """CUDA where there is one, set up for speed; else the processor."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    # fp32 weights and their updates stay exact; only products outside autocast are rounded (to 10 bits, as in TF32).
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    return torch.device("cuda")


def autocast(device: torch.device, *, wanted: bool = True) -> torch.autocast:
    """bf16 for what bears it, on CUDA only: processors emulate it, two hundred times slower."""
    return torch.autocast(device.type, torch.bfloat16, enabled=wanted and device.type == "cuda")


def told(device: torch.device) -> str:
    """Name and memory of the device."""
    if device.type != "cuda":
        return f"the processor, {torch.get_num_threads()} threads"
    about = torch.cuda.get_device_properties(device)
    return f"{about.name}, {about.total_memory / 2**30:.0f} GiB, torch {torch.__version__}"
