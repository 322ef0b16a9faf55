"""What a picture file says of its making: label, text chunks, watermark, signed statement; and the look at each picture
before it leaves a worker. No torch.
"""

from . import watermark
from .certificates import development_certificate, load_certificate
from .label import add_label
from .manifest import Signer, read_statement
from .metadata import TRAINED_MEDIA, encode_png, software
from .safety import Judge, load_judge

__all__ = [
    "TRAINED_MEDIA", "Judge", "Signer", "add_label", "development_certificate", "encode_png", "load_certificate",
    "load_judge", "read_statement", "software", "watermark",
]  # fmt: skip
