"""Where the pictures come from: pinned packages, the drawing sets in them, their licences.

Tier A (permissive or attribution) alone may enter released weights. Licences as the sets state them;
fxemoji is CC-BY 4.0 upstream although its package says Apache-2.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Package:
    """One npm package, pinned by version and by the registry's own sha512 integrity text."""

    name: str
    version: str
    integrity: str

    @property
    def folder(self) -> str:
        return f"{self.name.lstrip('@').replace('/', '-')}-{self.version}"


@dataclass(frozen=True, slots=True)
class DrawingSet:
    """One style of drawings of the same concepts."""

    #: Key in captions and rows; also the style word of prompts ("in twemoji style").
    name: str
    #: File below the package folder: Iconify JSON, or a folder of WebP files.
    path: str
    kind: Literal["iconify", "webp"]
    licence: str
    author: str
    tier: Literal["A", "B"]


ICONIFY = Package(
    "@iconify/json",
    "2.2.535",
    "sha512-nAV60ACUSHwnsb6fsp+letHlNkrwO4vzBtcC6B4EDHErQQfezk7E3nJdnwJjve6OCfMNO0uVT5Vrgna9/NCmXw==",
)
EMOJIBASE = Package(
    "emojibase-data",
    "17.0.0",
    "sha512-Yvgb5AWoHViHV/gq1qr5ZAarcBip+B27/ZLRsUJkbgAEaLlZ/fof9g882LTpmEpyhBNEC0m2SEmItljHsTygjA==",
)
FLUENT_3D = Package(
    "@lobehub/fluent-emoji-3d",
    "1.1.0",
    "sha512-Wlq2lVStTnr8BDpIJ0pEnTKO4LuDxxqTEhTvRtD1DLRF0me7ogeRQjKoehDHXuVJ2Qaecgl5wRBv60lUAG3h7g==",
)
PACKAGES = (ICONIFY, EMOJIBASE, FLUENT_3D)

DRAWING_SETS: tuple[tuple[Package, DrawingSet], ...] = (
    (ICONIFY, DrawingSet("noto", "json/noto.json", "iconify", "Apache-2.0", "Google", "A")),
    (ICONIFY, DrawingSet("blob", "json/noto-v1.json", "iconify", "Apache-2.0", "Google", "A")),
    (ICONIFY, DrawingSet("twemoji", "json/twemoji.json", "iconify", "CC-BY-4.0", "Twitter", "A")),
    (ICONIFY, DrawingSet("fluent", "json/fluent-emoji-flat.json", "iconify", "MIT", "Microsoft", "A")),
    (ICONIFY, DrawingSet("emojione", "json/emojione.json", "iconify", "CC-BY-4.0", "EmojiOne (EmojiTwo)", "A")),
    (ICONIFY, DrawingSet("firefox", "json/fxemoji.json", "iconify", "CC-BY-4.0", "Mozilla", "A")),
    (ICONIFY, DrawingSet("streamline", "json/streamline-emojis.json", "iconify", "CC-BY-4.0", "Streamline", "A")),
    (FLUENT_3D, DrawingSet("3d", "assets", "webp", "MIT", "Microsoft", "A")),
)
