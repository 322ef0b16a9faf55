"""What a picture file says of its making: text chunks any viewer shows, and IPTC's word for "made by a trained model".

Pure; imports no torch.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from importlib.metadata import version

from PIL import Image
from PIL.PngImagePlugin import PngInfo

#: IPTC NewsCodes, digital source type.
TRAINED_MEDIA = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
#: Keyword of the PNG chunk that holds XMP (XMP specification part 3, sec. 1.1.5).
XMP_CHUNK = "XML:com.adobe.xmp"
#: Property Iptc4xmpExt:DigitalSourceType (IPTC Photo Metadata Standard 2023.1).
_XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
    f'Iptc4xmpExt:DigitalSourceType="{TRAINED_MEDIA}"/>'
    '</rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
)


def software() -> str:
    """Name and version of this program."""
    return f"daguerre {version('daguerre')}"


def encode_png(picture: Image.Image, texts: Mapping[str, str]) -> bytes:
    """A PNG file with `texts` as iTXt chunks (empty ones left out), the program's name, and the IPTC source type."""
    notes = PngInfo()
    for key, text in {"Software": software(), **texts}.items():
        if text:
            notes.add_itxt(key, text)
    notes.add_itxt(XMP_CHUNK, _XMP)
    file = io.BytesIO()
    picture.save(file, "PNG", pnginfo=notes)
    return file.getvalue()
