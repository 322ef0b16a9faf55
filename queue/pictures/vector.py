"""A picture as SVG: its colours snapped to a few, then traced by vtracer. Blocking: run it in a thread."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from PIL.Image import Image

#: Colours of the drawing, besides the transparent background.
COLOURS = 16
#: Two colours whose channels differ by no more than this are one, of 255.
ALIKE = 20
#: Sides that are traced, in pixels: smaller pictures are enlarged, so that curves are found between their pixels.
LEAST, MOST = 512, 1024
#: From this alpha on a pixel belongs to the drawing.
OPAQUE = 128
#: Name of the text of a PNG that holds its XMP record.
XMP = "XML:com.adobe.xmp"
#: Begin and end of an XMP record in a file that is not XML; XML knows no control characters either.
_PACKET, _CONTROL = re.compile(r"<\?xpacket[^>]*\?>"), re.compile(r"[\x00-\x1f\x7f\ufffe\uffff]")


def traced(data: bytes) -> bytes:
    """PNG → SVG that shows at the same size, with what the picture says about itself: title and XMP record, which
    tells that a trained model made it.
    """
    import vtracer  # pyright: ignore[reportMissingTypeStubs]
    from PIL import Image

    picture = Image.open(io.BytesIO(data))
    texts: dict[str, str] = {name: str(said) for name, said in getattr(picture, "text", {}).items()}
    width, height = picture.size
    scale = min(max(1.0, LEAST / min(width, height)), MOST / max(width, height))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    flat = snapped(picture.convert("RGBA").resize(size, Image.Resampling.LANCZOS))
    # Curves, one shape above the other; specks of a few pixels are noise of the edges.
    buffer = io.BytesIO()
    flat.save(buffer, "PNG", compress_level=1)
    svg: str = vtracer.convert_raw_image_to_svg(
        buffer.getvalue(), img_format="png", colormode="color", hierarchical="stacked", mode="spline",
        filter_speckle=16, color_precision=7, layer_difference=8, corner_threshold=60, length_threshold=4.0,
        splice_threshold=45, path_precision=1,
    )  # fmt: skip
    shapes = svg[svg.index(">", svg.index("<svg")) + 1 :]
    title = _CONTROL.sub(" ", texts.get("Description", ""))
    told = f"<title>{escape(title)}</title>" if title else ""
    if XMP in texts:
        told += f"<metadata>{_PACKET.sub('', texts[XMP])}</metadata>"
    box = f'width="{width}" height="{height}" viewBox="0 0 {flat.width} {flat.height}"'
    head = f'<?xml version="1.0" encoding="UTF-8"?>\n<svg xmlns="http://www.w3.org/2000/svg" {box}>'
    return f"{head}{told}{shapes}".encode()


def snapped(picture: Image) -> Image:
    """RGBA of at most `COLOURS` colours, each pixel opaque or transparent: what is flat becomes flat again."""
    from PIL import Image, ImageFilter

    hard = picture.getchannel("A").point([0] * OPAQUE + [255] * (256 - OPAQUE))
    calm = picture.convert("RGB").filter(ImageFilter.MedianFilter(5))
    # What the picture hides takes one colour, and none from what it shows.
    shown = Image.composite(calm, Image.new("RGB", picture.size), hard)
    # Which colours: found on a small copy, since k-means over every pixel takes a second.
    palette = shown.resize((96, 96), Image.Resampling.NEAREST).quantize(COLOURS + 1, Image.Quantize.MEDIANCUT, kmeans=4)
    few = shown.quantize(palette=palette, dither=Image.Dither.NONE)
    few.putpalette(_fewer(few))
    few = few.convert("RGB").filter(ImageFilter.ModeFilter(5))
    few.putalpha(hard)
    return few


def _fewer(picture: Image) -> list[int]:
    """The palette with every colour that is nearly a commoner one become that one."""
    palette = picture.getpalette() or []
    counts = {index: count for count, index in picture.getcolors() or [] if isinstance(index, int)}
    kept: list[tuple[int, ...]] = []
    for index in sorted(counts, key=lambda index: -counts[index]):
        colour = tuple(palette[3 * index : 3 * index + 3])
        near = [other for other in kept if max(abs(a - b) for a, b in zip(colour, other, strict=True)) <= ALIKE]
        if near:
            palette[3 * index : 3 * index + 3] = near[0]
        else:
            kept.append(colour)
    return palette
