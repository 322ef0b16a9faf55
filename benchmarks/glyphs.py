"""Signs that look like a Latin letter on the screen, found by drawing both: independent of every table in queue/.

DejaVu Sans comes with matplotlib (`data` extra). Two signs are alike when what is drawn of both, brought to one size,
overlaps (intersection over union of the ink, edges blurred).
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from string import ascii_letters
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

#: Overlap from which a sign passes for a letter.
ALIKE = 0.74
SIDE = 24


def alike_on_screen() -> Mapping[str, str]:
    """Every sign of the font, beyond ASCII, that looks like a letter a-z or A-Z, by the small letter."""
    import matplotlib

    file = Path(matplotlib.__file__).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
    font = ImageFont.truetype(str(file), 64)
    missing = _ink(font, "\U0010fffe")
    letters = {letter: _ink(font, letter) for letter in ascii_letters}
    found: dict[str, str] = defaultdict(str)
    for code in (*range(0xA1, 0x3000), *range(0xA4D0, 0xA800), *range(0xFB00, 0xFB07), *range(0x1D400, 0x1D800)):
        sign = chr(code)
        if unicodedata.category(sign)[0] not in "LSN":
            continue
        drawn = _ink(font, sign)
        if drawn is None or (missing is not None and _overlap(drawn, missing) > 0.99):
            continue
        best, letter = max((_overlap(drawn, ink), letter) for letter, ink in letters.items() if ink is not None)
        if best >= ALIKE:
            found[letter.lower()] += sign
    return found


def _ink(font: Any, sign: str) -> Any:
    """float (SIDE, SIDE) of what is drawn, cut to its ink; None for nothing. Height to width stays in a factor of 2."""
    picture = Image.new("L", (160, 160))
    ImageDraw.Draw(picture).text((40, 30), sign, font=font, fill=255)
    box = picture.getbbox()
    if box is None:
        return None
    width, height = box[2] - box[0], box[3] - box[1]
    side = max(width, height)
    square = Image.new("L", (side, side))
    square.paste(picture.crop(box), ((side - width) // 2, (side - height) // 2))
    small = square.resize((SIDE, SIDE), Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(0.7))
    return np.asarray(small, dtype=np.float32) / 255


def _overlap(one: Any, other: Any) -> float:
    return float(np.minimum(one, other).sum() / np.maximum(one, other).sum())
