"""Where the pictures and words come from: pinned packages, the drawing sets in them, their licences.

Tier A (permissive or attribution) alone may enter released weights; tier B (share-alike, GPL) is for private ones.
Licences as the sets state them; fxemoji is CC-BY 4.0 upstream although its package says Apache-2.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["emoji", "icon", "clipart", "tile", "photo"]
Tier = Literal["A", "B"]
#: Which reader understands the files: see `build.read`.
Form = Literal["iconify", "webp", "tango", "openclipart", "crawl", "tuxpaint"]


@dataclass(frozen=True, slots=True)
class Package:
    """One npm package, pinned by version and by the registry's own sha512 integrity text."""

    name: str
    version: str
    integrity: str

    @property
    def folder(self) -> str:
        return f"{self.name.lstrip('@').replace('/', '-')}-{self.version}"

    @property
    def credit(self) -> str:
        return f"npm `{self.name}` {self.version}"


@dataclass(frozen=True, slots=True)
class DebianPackage:
    """One Debian binary package, or the upstream archive of one source package, pinned by version and sha256."""

    name: str
    version: str
    sha256: str
    #: Name of the archive file as apt-get writes it.
    archive: str
    #: Paths inside the archive that are kept, as a regular expression.
    wanted: str = r""
    #: True for the upstream archive of the source package.
    source: bool = False

    @property
    def folder(self) -> str:
        # A colon is no part of a file name everywhere.
        return f"{self.name}-{self.version.replace(':', '_')}"

    @property
    def credit(self) -> str:
        return f"Debian {'source ' if self.source else ''}package `{self.name}` {self.version}"


AnyPackage = Package | DebianPackage


@dataclass(frozen=True, slots=True)
class DrawingSet:
    """One set of drawings in one style."""

    #: Key of the rows' `source`; for emoji also the style word of prompts ("in twemoji style").
    name: str
    #: File or folder below the package folder.
    path: str
    form: Form
    licence: str
    author: str
    tier: Tier
    package: AnyPackage
    kind: Kind = "emoji"
    #: Style word of prompts where it is not the name.
    style: str = ""
    #: What the credits call it.
    title: str = ""

    @property
    def style_word(self) -> str:
        return self.style or self.name


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
EMOJILIB = Package(
    "emojilib",
    "4.0.3",
    "sha512-KbWiYre9aRSaPbHrHZIz9zmoM+21LAsK1VFJtnTh1VCtWE/rNMDviGhQTmselFl95dhqtGlY22iH0leG5BuW0g==",
)
CLDR = Package(
    "cldr-annotations-full",
    "48.2.0",
    "sha512-DV7A+rEcgUSNTRsVGNGqBZRmAkGfwhGHO5Q1dRwzBoBnVrHWp804JP7/QJdEc66iHmx3+zLWVIMCFLm0lW7PUQ==",
)
#: Names of sequences (professions, families), which CLDR keeps apart.
CLDR_DERIVED = Package(
    "cldr-annotations-derived-full",
    "48.2.0",
    "sha512-log62km+AOzI7n/NEuNNFV0mg9DWnt67EYCh1RwxZq9dyRuyteB586LT83Ke8TchEfnwI9cIk2P31zO4nTvZmw==",
)
OPENCLIPART = DebianPackage(
    "openclipart-svg",
    "1:0.18+dfsg-19",
    "989712d90d57dfa3230049f553bb43b76c30ee4d4b8c5f6e106e33f7db5cbdc5",
    "openclipart-svg_1%3a0.18+dfsg-19_all.deb",
    r"\.svg$",
)
TANGO = DebianPackage(
    "tango-icon-theme",
    "0.8.90-11",
    "dff317aca52fde744b884a02dd9fc2702a0cc6aaecc22271b5abf6906cd90b94",
    "tango-icon-theme_0.8.90-11_all.deb",
    r"/scalable/.*\.svg$",
)
#: English words, to tell clip art with English titles from the rest.
WORDS = DebianPackage(
    "wamerican",
    "2020.12.07-2",
    "c8f8e2b2ad0d37bfdd41f0e40f1e4c8e5f907467d768a1d3698b164e9617f0b4",
    "wamerican_2020.12.07-2_all.deb",
    r"/dict/american-english$",
)
#: The tiles lie as single named pictures in the source only; the binary package has them packed into sheets.
CRAWL = DebianPackage(
    "crawl",
    "2:0.28.0-1.1",
    "5a6be168f8888b84bdb199184ca20bd8636f77ba7e9e0124ebee8850092f2f47",
    "crawl_0.28.0.orig.tar.xz",
    r"/rltiles/.*\.(png|txt)$",
    source=True,
)
TUXPAINT = DebianPackage(
    "tuxpaint-stamps-default",
    "2022.06.04-1",
    "6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34",
    "tuxpaint-stamps-default_2022.06.04-1_all.deb",
    r"/stamps/.*\.(png|svg|txt)$",
)
#: Which words are more general or more special than a name, for the reference bank's search.
WORDNET = DebianPackage(
    "wordnet-base",
    "1:3.0-37",
    "61060d960f9ada8fa120872312eccd3ecebfbab8c4579e4f5a74e1cf67620752",
    "wordnet-base_1%3a3.0-37_all.deb",
    r"/wordnet/(data|index)\.noun$",
)
#: Words come from these; needed by every set.
WORD_PACKAGES: tuple[AnyPackage, ...] = (EMOJIBASE, EMOJILIB, CLDR, CLDR_DERIVED)


def _iconify(
    name: str, file: str, licence: str, author: str, title: str, *, tier: Tier = "A", style: str = ""
) -> DrawingSet:
    kind: Kind = "icon" if style else "emoji"
    return DrawingSet(name, f"json/{file}.json", "iconify", licence, author, tier, ICONIFY, kind, style, title)


def _streamline(name: str, style: str) -> DrawingSet:
    return _iconify(
        f"streamline-{name}", f"streamline-{name}-color", "CC-BY-4.0", "Streamline", f"Streamline {name} colour icons",
        style=style,
    )  # fmt: skip


SOURCES: tuple[DrawingSet, ...] = (
    _iconify("noto", "noto", "Apache-2.0", "Google", "Noto Emoji"),
    _iconify("blob", "noto-v1", "Apache-2.0", "Google", "Noto Emoji, first version (blobs)"),
    _iconify("twemoji", "twemoji", "CC-BY-4.0", "Twitter", "Twemoji"),
    _iconify("fluent", "fluent-emoji-flat", "MIT", "Microsoft", "Fluent Emoji, flat"),
    _iconify("emojione", "emojione", "CC-BY-4.0", "EmojiOne (EmojiTwo)", "EmojiOne 2 (EmojiTwo)"),
    _iconify("firefox", "fxemoji", "CC-BY-4.0", "Mozilla", "FxEmoji"),
    _iconify("streamline", "streamline-emojis", "CC-BY-4.0", "Streamline", "Streamline Emojis"),
    DrawingSet("3d", "assets", "webp", "MIT", "Microsoft", "A", FLUENT_3D, title="Fluent Emoji, 3D"),
    _iconify("flat-color-icons", "flat-color-icons", "MIT", "Icons8", "Flat Color Icons", style="flat icon"),
    _iconify("fluent-color", "fluent-color", "MIT", "Microsoft", "Fluent UI System Color Icons", style="fluent icon"),
    _streamline("kameleon", "kameleon"),
    _streamline("stickies", "sticky"),
    _streamline("ultimate", "ultimate icon"),
    _iconify("glyphs-poly", "glyphs-poly", "MIT", "Goran Spasojevic", "Glyphs, polygons", style="poly"),
    _iconify("meteocons", "meteocons", "MIT", "Bas Milius", "Meteocons", style="weather icon"),
    DrawingSet(
        "tango", "usr/share/icons/Tango/scalable", "tango", "Public domain", "The Tango Desktop Project", "A", TANGO,
        "icon", "tango", "Tango icon theme",
    ),
    DrawingSet(
        "openclipart", "usr/share/openclipart/svg", "openclipart", "Public domain",
        "contributors of the Open Clip Art Library", "A", OPENCLIPART, "clipart", "clip art", "Open Clip Art Library",
    ),
    DrawingSet(
        "crawl", "source/rltiles", "crawl", "CC0-1.0 / public domain",
        "RLTiles and the Dungeon Crawl Stone Soup artists",
        "A", CRAWL, "tile", "pixel art", "Dungeon Crawl Stone Soup tiles (RLTiles)",
    ),
    _iconify("openmoji", "openmoji", "CC-BY-SA-4.0", "OpenMoji", "OpenMoji", tier="B"),
    _iconify("emojione-v1", "emojione-v1", "CC-BY-SA-4.0", "EmojiOne", "EmojiOne 1", tier="B"),
    DrawingSet(
        "tuxpaint", "usr/share/tuxpaint/stamps", "tuxpaint", "GPL-2.0", "Tux Paint contributors", "B", TUXPAINT,
        "clipart", "stamp", "Tux Paint stamps",
    ),
)  # fmt: skip
