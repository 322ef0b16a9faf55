"""Training: one loop, and an objective for each network.

The face is what all runs share. Each network has modules of its own, which are imported by their names: they need
much that the others do not.
"""

from . import recipes
from .loop import BROKEN, Ahead, Objective, State, Stop, never, train
from .losses import psnr
from .processes import Processes
from .progress import Lines, Progress, TensorBoard

__all__ = [
    "BROKEN", "Ahead", "Lines", "Objective", "Processes", "Progress", "State", "Stop", "TensorBoard", "never", "psnr",
    "recipes", "train",
]  # fmt: skip
