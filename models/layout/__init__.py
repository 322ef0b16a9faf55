"""A prompt read as a list of things that are drawn one by one and set out in a picture."""

from .collage import collage, set_out, taken_apart
from .places import Arrangement, drawings, places, seed_of
from .reading import names_of_weights, read
from .words import NOTHING, Layout, Names

__all__ = [
    "NOTHING", "Arrangement", "Layout", "Names", "collage", "drawings", "names_of_weights", "places", "read", "seed_of",
    "set_out", "taken_apart",
]  # fmt: skip
