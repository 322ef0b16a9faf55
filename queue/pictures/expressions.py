"""A picture as an emoji or a sticker: square, small, its plain background away. Blocking, pure but for that."""

from __future__ import annotations

import io

from PIL import Image, ImageDraw, ImageFilter, ImageOps

#: How far a pixel's channels may be from the background's colour, and still be background; of 255.
SAME = 32
#: Alpha below which a pixel does not count for how the drawing is cropped.
FAINT = 16


def cut_out(data: bytes, side: int, most: int) -> bytes:
    """A square PNG of that side and at most so many bytes: the drawing, cropped, its plain background transparent.

    Blocking.
    """
    picture = Image.open(io.BytesIO(data)).convert("RGBA")
    if picture.getchannel("A").getextrema()[0] == 255:
        picture = without_ground(picture)
    picture = picture.crop(picture.getchannel("A").point([0] * FAINT + [255] * (256 - FAINT)).getbbox())
    # Pillow weighs colours by their alpha where it scales.
    square = ImageOps.pad(picture, (side, side), Image.Resampling.LANCZOS, color=(0, 0, 0, 0))
    for colours in (None, 256, 128, 64, 16):
        buffer = io.BytesIO()
        small = square if colours is None else square.quantize(colours)
        small.save(buffer, "PNG", optimize=True)
        if buffer.tell() <= most:
            break
    return buffer.getvalue()


def without_ground(picture: Image.Image) -> Image.Image:
    """RGBA whose plain background is transparent: what hangs together with the corners in their colour.

    Soft edges keep their own colour, not the background's share of it: C = (P − (1 − α) B) / α, with α from how far a
    pixel is from the background, against the farthest pixel near it. Where the corners differ, everything stays.
    """
    import numpy as np

    flat = picture.convert("RGB")
    values = np.asarray(flat, np.float32)
    corners = values[[0, 0, -1, -1], [0, -1, 0, -1]]
    ground = np.median(corners, axis=0)
    if np.abs(corners - ground).max() > SAME:
        return picture
    distance = np.abs(values - ground).max(-1)
    near = Image.fromarray((distance <= SAME).astype(np.uint8) * 255).copy()
    width, height = flat.size
    for corner in ((0, 0), (width - 1, 0), (0, height - 1), (width - 1, height - 1)):
        if near.getpixel(corner) == 255:
            ImageDraw.floodfill(near, corner, 128)
    reach = 2 * max(1, round(min(flat.size) / 100)) + 1
    outside = Image.fromarray((np.asarray(near) == 128).astype(np.uint8) * 255)
    # An edge lies as far from the background as the drawing behind it allows.
    edge = np.asarray(outside.filter(ImageFilter.MaxFilter(reach))) > 0
    farthest = np.asarray(Image.fromarray(distance.astype(np.uint8)).filter(ImageFilter.MaxFilter(reach)), np.float32)
    alpha = np.where(edge, distance / np.maximum(farthest, 1), 1.0)
    alpha[np.asarray(outside) > 0] = 0
    own = np.clip((values - (1 - alpha[..., None]) * ground) / np.maximum(alpha[..., None], 1e-3), 0, 255)
    made = np.concatenate([own, 255 * alpha[..., None]], -1)
    return Image.fromarray(made.round().astype(np.uint8))
