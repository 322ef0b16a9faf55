"""What does not enter the data set: flags, letters, brands, skin tones, unsafe pictures, near-duplicates."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray
from PIL import Image

#: Two drawings of one source are the same below this root mean square difference, in steps of 255.
NEAR = 5.0
#: Side of the thumbnails that are compared.
THUMB = 16
#: Drawings of one caption that one source may give; the first ones stay.
MOST_OF_ONE_CAPTION = 16

_FLAG = re.compile(r"^flags?\b|\bflags?$|^flag-|\b(pennant|national flag)\b")
_LETTER = re.compile(
    r"^((the )?letter|digit|keycap|regional.?indicator|input (latin|numbers?|symbols?))\b"
    r"|^(squared|negativesquared|circled|cjk|inputsymbol|regionalindicator)"
    r"|^((a|b|o|ab|p|cl|cool|free|id|new|ng|ok|sos|up!|vs) button|circled m|copyright|registered|trade mark)\b"
    r"|^japanese .*button|^(uv.index|wind.beaufort).\d|^.$|^(alphabetical|numerical) sorting|^(atm sign|input \w+)$"
    r"|^(zero|one|two|three|four|five|six|seven|eight|nine|ten)$"
)
_TONE = re.compile(r"skin.tone|[- ](light|medium|dark|medium.light|medium.dark)$|-1f3f[b-f]")
#: Trademarks, and characters of films and games.
_BRANDS = """
logo logos adobe amazon android ati batman bbc behance bing blackberry blogger bluetooth captain|shield debian
deviant|art dribbble dropbox facebook fitbit firefox github gnome go|pro google icons8 imdb instagram ipad iphone
jenga kde kindle lego linkedin linux mac|signal microsoft mickey mozilla netscape nook osx packman pacman paypal
pinterest pokeball pokemon predator r2d2 redhat reddit rss skype snapchat soundcloud spongebob spotify
squarespace stack|overflow stumbleupon superman tux ubuntu vespa vimeo visa vk vlc wall|e wechat wii
wikipedia windows|coding xfce youtube
"""
#: Sex, drugs, hate, gore. The list is short because the sources are drawings for schools and offices.
_UNSAFE_WORDS = """
adult anus bikini blood bloody bondage boob boobs bra breast breasts bullet|hole cannabis cigarette cocaine
condom corpse crucified dead decapitated drug drugs drunk erotic fetish fuck gore hanged|man happy|boy hemp heroin
hitler joint kill killed killer lingerie marijuana murder naked nazi nude nudes orgasm panties pantyhose penis pervert
porn pot|leaf prostitute rape self|harm sex sexual sexy shit slave smoking sperm stripper striptease suicide
swastika terrorist thong tits torture underwear vagina whore
"""


def _any_of(words: str) -> re.Pattern[str]:
    """Any of the words; `|` inside a word stands for a space."""
    return re.compile(rf"\b({'|'.join(word.replace('|', ' ') for word in words.split())})\b")


_BRAND = _any_of(_BRANDS)
_UNSAFE = _any_of(_UNSAFE_WORDS)


def reason_against(name: str, caption: str = "") -> str | None:
    """Why a drawing with this name is not used, or None.

    `name` as the set writes it (`middle-finger-dark`), `caption` as words.
    """
    words = caption or name.replace("-", " ").replace("_", " ")
    if _TONE.search(name):
        return "skin tone"
    if _FLAG.search(words):
        return "flag"
    if _LETTER.search(words) or _LETTER.search(name):
        return "letters"
    if _BRAND.search(words) or words == "steam":
        return "brand"
    return None


def reason_against_emoji(label: str) -> str | None:
    """The same of an emoji by its label; flags and skin tones are left out of the list of emoji already."""
    return "letters" if _LETTER.search(label) else None


def unsafe(*texts: str) -> bool:
    """Whether a word of the list stands in any of the texts."""
    return any(_UNSAFE.search(text.lower()) for text in texts)


def thumbnail(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(S, S, 4) straight alpha → (16·16·4,): RGB on white and alpha, 0-255."""
    small = Image.fromarray(pixels).convert("RGBa").resize((THUMB, THUMB), Image.Resampling.BOX)
    premultiplied = np.asarray(small, dtype=np.float32)
    alpha = premultiplied[..., 3:]
    return np.concatenate([premultiplied[..., :3] + (255 - alpha), alpha], axis=-1).ravel()


class NearDuplicates:
    """Remembers the thumbnails of one source; says whether a new picture repeats one of them."""

    def __init__(self) -> None:
        self._seen = np.empty((256, THUMB * THUMB * 4), dtype=np.float32)
        self._count = 0

    def repeats(self, pixels: NDArray[np.uint8]) -> bool:
        """Whether (S, S, 4) is within `NEAR` (RMS) of an earlier one; remembered where it is not."""
        thumb = thumbnail(pixels)
        known = self._seen[: self._count]
        if self._count and np.square(known - thumb).mean(axis=1).min() < NEAR**2:
            return True
        if self._count == len(self._seen):
            self._seen = np.concatenate([self._seen, np.empty_like(self._seen)])
        self._seen[self._count] = thumb
        self._count += 1
        return False
