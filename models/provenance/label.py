"""The visible mark "AI" in a corner of a picture, where a server wants one. Pure; no torch."""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFont

TEXT = "AI"
#: Height of the mark as a part of the picture's shorter side, and its least height in pixels.
SHARE, LEAST = 0.07, 14


def add_label(picture: Image.Image) -> Image.Image:
    """A copy with white letters on a dark plate in the lower right corner."""
    height = max(LEAST, round(min(picture.size) * SHARE))
    font = ImageFont.load_default(size=height * 0.75)
    plate = Image.new("RGBA", picture.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(plate)
    left, top, right, bottom = draw.textbbox((0, 0), TEXT, font=font)
    width = round(right - left + height * 0.6)
    edge = max(2, height // 4)
    corner = (picture.width - width - edge, picture.height - height - edge)
    box = (*corner, picture.width - edge, picture.height - edge)
    draw.rounded_rectangle(box, radius=height / 4, fill=(0, 0, 0, 200))
    place = (corner[0] + (width - (right - left)) / 2 - left, corner[1] + (height - (bottom - top)) / 2 - top)
    draw.text(place, TEXT, font=font, fill=(255, 255, 255, 255))
    whole = Image.alpha_composite(picture.convert("RGBA"), plate)
    return whole if "A" in picture.getbands() else whole.convert("RGB")
