"""A picture as an emoji or a sticker: square, small, its plain background away. Blocking, pure but for that."""

from __future__ import annotations

import io

from PIL import Image, ImageChops, ImageDraw


def cut_out(data: bytes, side: int, most: int) -> bytes:
    """A square PNG of that side and at most so many bytes, its plain background transparent. Blocking."""
    picture = Image.open(io.BytesIO(data)).convert("RGBA")
    if picture.getchannel("A").getextrema()[0] == 255:
        # The colour of the corners, where they agree, is the background: taken away from all four inwards.
        width, height = picture.size
        corners = [(0, 0), (width - 1, 0), (0, height - 1), (width - 1, height - 1)]
        flat = picture.convert("RGB")
        marked = flat.copy()
        for corner in corners:
            ImageDraw.floodfill(marked, corner, (255, 0, 255), thresh=40)
        same = ImageChops.difference(marked, Image.new("RGB", flat.size, (255, 0, 255))).convert("L")
        picture.putalpha(same.point([0] + [255] * 255))
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    square = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    for colours in (None, 256, 128, 64, 16):
        buffer = io.BytesIO()
        small = square if colours is None else square.quantize(colours)
        small.save(buffer, "PNG", optimize=True)
        if buffer.tell() <= most:
            break
    return buffer.getvalue()
