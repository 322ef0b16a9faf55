"""Pictures on disk: what was drawn, and what members sent to begin from."""

from .expressions import cut_out
from .picture_store import PictureStore, local_folder
from .sources import Sources
from .uploads import MAX_PIXELS, MAX_SCALED, SHORTEST, mask, measured, size_of
from .vector import traced

__all__ = [
    "MAX_PIXELS", "MAX_SCALED", "SHORTEST", "PictureStore", "Sources", "cut_out", "local_folder", "mask", "measured",
    "size_of", "traced",
]  # fmt: skip
