"""A contact sheet: one row for each prompt, one column for each seed, to be judged by eye."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from .engine import Engine

#: Pixels between pictures, and height of a row's caption.
GAP, CAPTION = 6, 22


def contact_sheet(
    engine: Engine,
    prompts: Sequence[str],
    seeds: Sequence[int],
    *,
    steps: int = 16,
    guidance: float = 3.0,
    size: int = 128,
    font: Path | None = None,
) -> Image.Image:
    """Render every prompt with every seed; `font` is needed for captions beyond Latin letters."""
    letters = ImageFont.truetype(str(font), 15) if font else ImageFont.load_default(15)
    width = len(seeds) * (size + GAP) + GAP
    height = len(prompts) * (size + GAP + CAPTION) + GAP
    sheet = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(sheet)
    for row, prompt in enumerate(prompts):
        top = row * (size + GAP + CAPTION)
        pen.text((GAP, top + 3), prompt, fill=(40, 40, 40), font=letters)
        pictures = engine.generate(prompt, seeds=seeds, steps=steps, guidance=guidance, width=size, height=size)
        for column, picture in enumerate(pictures):
            sheet.paste(picture, (GAP + column * (size + GAP), top + CAPTION))
    return sheet
