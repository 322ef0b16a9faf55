"""Pictures on disk: what was drawn, and what members sent to begin from."""

from .picture_store import PictureStore, local_folder
from .sources import Sources
from .uploads import MAX_PIXELS, MAX_SCALED, SHORTEST, mask, size_of
from .vector import traced

__all__ = [
    "MAX_PIXELS", "MAX_SCALED", "SHORTEST", "PictureStore", "Sources", "local_folder", "mask", "size_of", "traced",
]  # fmt: skip
