"""Contact sheets with what each picture was asked to show and what was read from it, small enough to commit."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

#: Bytes of one committed sheet.
LARGEST = 300_000
#: Pixels between pictures, and height of a line of text.
GAP, LINE = 6, 13
GOOD, BAD, PLAIN = (25, 120, 50), (190, 40, 40), (60, 60, 60)


def labelled(
    pictures: Sequence[Tensor],
    labels: Sequence[Sequence[str]],
    right: Sequence[bool | None],
    *,
    columns: int = 8,
    side: int = 112,
    high: int | None = None,
) -> Image.Image:
    """Pictures (3, H, W) in [-1, 1], each with lines of text under it: green where right, red where wrong.

    Each has `side` × `high` pixels to fill (a square if left out).

    Letters that the font lacks would be boxes: labels should be Latin.
    """
    letters = ImageFont.load_default(11)
    lines = max((len(label) for label in labels), default=0)
    high = high or side
    cell = high + GAP + LINE * lines
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * (side + GAP) + GAP, rows * (cell + GAP) + GAP), "white")
    pen = ImageDraw.Draw(sheet)
    for place, (picture, label, good) in enumerate(zip(pictures, labels, right, strict=True)):
        left, top = GAP + place % columns * (side + GAP), GAP + place // columns * (cell + GAP)
        image = to_image(picture)
        image = image.resize(_within(image.size, side, high), Image.Resampling.BICUBIC)
        sheet.paste(image, (left + (side - image.width) // 2, top + (high - image.height) // 2))
        colour = PLAIN if good is None else GOOD if good else BAD
        for line, text in enumerate(label):
            room = text
            while room and pen.textlength(room, font=letters) > side + GAP - 1:
                room = room[:-1]
            pen.text((left, top + high + 1 + line * LINE), room, fill=colour, font=letters)
    return sheet


def pairs(left: Sequence[Tensor], right: Sequence[Tensor], labels: Sequence[str], side: int = 112) -> Image.Image:
    """Two pictures side by side and a line of text for each pair."""
    joined = [torch.cat([_fitted(a, side), _fitted(b, side)], 2) for a, b in zip(left, right, strict=True)]
    return labelled(joined, [[label] for label in labels], [None] * len(joined), columns=4, side=2 * side, high=side)


def to_image(picture: Tensor) -> Image.Image:
    """(3, H, W) in [-1, 1] as a picture."""
    pixels = ((picture.detach().float().cpu().clamp(-1, 1) + 1) * 127.5).round().byte()
    return Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())


def save_small(sheet: Image.Image, file: Path) -> None:
    """Write WebP below `LARGEST` bytes: in the best quality that fits, then smaller."""
    file.parent.mkdir(parents=True, exist_ok=True)
    while True:
        for quality in (90, 80, 65, 50, 35):
            packed = io.BytesIO()
            sheet.save(packed, "WEBP", quality=quality, method=6)
            if packed.tell() <= LARGEST:
                file.write_bytes(packed.getvalue())
                return
        sheet = sheet.resize((sheet.width * 3 // 4, sheet.height * 3 // 4), Image.Resampling.LANCZOS)


def _within(size: tuple[int, int], side: int, high: int) -> tuple[int, int]:
    scale = min(side / size[0], high / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _fitted(picture: Tensor, side: int) -> Tensor:
    return torch.nn.functional.interpolate(picture[None].float(), size=(side, side), mode="bicubic", antialias=True)[0]
