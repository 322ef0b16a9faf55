"""Pictures of flat shapes, as the model draws them."""

from __future__ import annotations

import random

from PIL import Image, ImageDraw


def drawn(number: int, side: int = 512, mode: str = "RGB") -> Image.Image:
    """Circles, boxes and lines on one colour; every third is on white, every fourth on black."""
    dice = random.Random(number)

    def colour() -> tuple[int, int, int]:
        return dice.randrange(256), dice.randrange(256), dice.randrange(256)

    ground = (255, 255, 255) if number % 3 == 0 else (0, 0, 0) if number % 4 == 0 else colour()
    picture = Image.new(mode, (side, side), ground if mode == "RGB" else (*ground, 255))
    draw = ImageDraw.Draw(picture)
    for _ in range(12):
        x, y, size = dice.randrange(side), dice.randrange(side), dice.randrange(side // 16, side // 3)
        draw.ellipse((x, y, x + size, y + size), fill=colour())
        draw.rectangle((y, x, y + size // 2, x + size), outline=colour(), width=3)
    return picture
