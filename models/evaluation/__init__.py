"""Judging weights: do they draw what is asked for, how well, and is any of it copied?

Parts that `evaluation.drawer` shares are imported by their own names.
"""

from .command import Folders, evaluate_weights
from .training import RecogniserRecipe, train_recogniser

__all__ = ["Folders", "RecogniserRecipe", "evaluate_weights", "train_recogniser"]
