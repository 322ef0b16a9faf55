"""Judging weights that draw from drawings.

`command` and `quick`, which is a program, are imported by their own names.
"""

from .training import DrawerRecogniserRecipe, train_drawer_recogniser

__all__ = ["DrawerRecogniserRecipe", "train_drawer_recogniser"]
