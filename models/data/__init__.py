"""Data sets: drawings of pinned packages as sprites, what they show, and scenes made of them.

What needs torch or a package of the extras is imported by its own name: `bank`, `build`, `colours`, `compose`,
`describe`, `importer`, `raster`, `sampler`, `scenes`; so is `heldout`, which is a program as well.
"""

from . import emoji
from .captions import KIND_WORDS, KIND_WORDS_ZH, with_article
from .credits import write_credits
from .drawer import Drawer, DrawerThing, drawer
from .drawing import Drawing
from .emoji import GROUPS, SKIPPED_GROUPS
from .firstlight import CONCEPTS
from .languages import LANGUAGES, code_of, plain_code
from .packages import fetch, full_disk_explained
from .scene import Kind, Scene, Thing, relation, scene_from_json
from .siblings import sibling_group
from .sources import CLDR, CLDR_DERIVED, EMOJIBASE, EMOJILIB, SOURCES, TUXPAINT, WORDNET, DrawingSet
from .store import SpriteSet, SpriteWriter, load, read_build
from .synonyms import SYNONYMS
from .wording import ENGLISH, NUMBERS, NUMBERS_ZH, RELATIONS, RELATIONS_ZH, SIZES

__all__ = [
    "CLDR", "CLDR_DERIVED", "CONCEPTS", "EMOJIBASE", "EMOJILIB", "ENGLISH", "GROUPS", "KIND_WORDS", "KIND_WORDS_ZH",
    "LANGUAGES", "NUMBERS", "NUMBERS_ZH", "RELATIONS", "RELATIONS_ZH", "SIZES", "SKIPPED_GROUPS", "SOURCES", "SYNONYMS",
    "TUXPAINT", "WORDNET", "Drawer", "DrawerThing", "Drawing", "DrawingSet", "Kind", "Scene", "SpriteSet",
    "SpriteWriter", "Thing", "code_of", "drawer", "emoji", "fetch", "full_disk_explained", "load",
    "plain_code", "read_build", "relation", "scene_from_json", "sibling_group", "with_article", "write_credits",
]  # fmt: skip
