"""Draws one example of everything that weights know, as tiles of one picture, for the studio's drawer.

    .venv/bin/python scripts/examples.py models/weights/first-light

Writes examples.webp and examples.json (which thing lies where) beside the weights; the studio shows them then.
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

from PIL import Image

from daguerre.models.serving.engine import Engine
from daguerre.models.serving.requests import RenderRequest

SIDE, COLUMNS, SEED = 64, 12, 7


def main(weights: Path) -> None:
    """Draw them, eight at a time."""
    things = json.loads((weights / "vocabulary.json").read_text(encoding="utf-8"))["concepts"]
    engine = Engine(weights)
    engine.load()
    usual = engine.usual
    rows = -(-len(things) // COLUMNS)
    whole = Image.new("RGB", (COLUMNS * SIDE, rows * SIDE), "white")
    for place, thing in enumerate(things):
        asked = RenderRequest(
            prompt=f"{'an' if thing[0] in 'aeiou' else 'a'} {thing}", seeds=(SEED,), steps=usual.steps,
            guidance=usual.guidance, width=usual.side, height=usual.side,
        )  # fmt: skip
        picture = engine.draw(asked, lambda _: None).pictures[0].convert("RGB")
        small = picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        whole.paste(small, (place % COLUMNS * SIDE, place // COLUMNS * SIDE))
        print(f"{place + 1} of {len(things)}: {thing}", flush=True)
    file = io.BytesIO()
    whole.save(file, "WEBP", quality=50, method=6)
    (weights / "examples.webp").write_bytes(file.getvalue())
    told = {"side": SIDE, "columns": COLUMNS, "things": things}
    (weights / "examples.json").write_text(json.dumps(told, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
