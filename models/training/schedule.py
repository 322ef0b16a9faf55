"""What the training loops share: how the rate goes over a run."""

from __future__ import annotations

import math


def learning_rate(step: int, steps: int, warmup: int, decay: float = 1.0) -> float:
    """Share of the full rate at `step`, in [0, 1]: linear warm-up, a plateau, a cosine to zero at the last step.

    The cosine takes the last `decay` of the steps after the warm-up; 1 means no plateau. A plateau lets a run be
    continued for as long as there is time and cooled down when it is to be shipped (2404.06395, sec. 4).
    """
    if step < warmup:
        return (step + 1) / warmup
    cooling = max(1.0, decay * (steps - warmup))
    return 0.5 * (1 + math.cos(math.pi * max(0.0, 1 - (steps - step) / cooling)))
