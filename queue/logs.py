"""What may be logged about an error. Pure."""

from __future__ import annotations

import traceback


def where(error: BaseException) -> str:
    """The kind of an error and where it happened, without its text: that may quote a prompt."""
    frames = [f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    return "\n  ".join([type(error).__name__, *frames])
