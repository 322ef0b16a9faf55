"""What every other folder may stand on: colour words, English, folders of weights looked at before they are opened,
progress of long runs. No torch.

`adapter` (safetensors), `bars` (rich) and `upscaler` (torch) are imported by their own names.
"""

from .colours import BACKGROUNDS, COLOURS, WORDS
from .cutout import cut_out, ground_of
from .english import PLURALS, singulars, with_article
from .folder import (
    ABOUT,
    UNUSED,
    check_folder,
    class_of,
    digest,
    digest_of,
    files_of,
    index_of,
    native_size,
    parts_of,
    variant_of,
)
from .progress import Lines, Progress
from .replacing import replacing, without_paths
from .stopping import stopping

__all__ = [
    "ABOUT", "BACKGROUNDS", "COLOURS", "PLURALS", "UNUSED", "WORDS", "Lines", "Progress", "check_folder", "class_of",
    "cut_out", "digest", "digest_of", "files_of", "ground_of", "index_of", "native_size", "parts_of", "replacing",
    "singulars", "stopping", "variant_of", "with_article", "without_paths",
]  # fmt: skip
