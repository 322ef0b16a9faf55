"""What the training loops share: how the rate goes over a run."""

from __future__ import annotations

import math


def learning_rate(step: int, steps: int, warmup: int) -> float:
    """Linear warm-up, then a cosine to zero at the last step, in [0, 1]."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
