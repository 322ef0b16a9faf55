"""What may be logged about an error. Pure."""

from __future__ import annotations

import traceback
from pathlib import PurePath


def where(error: BaseException) -> str:
    """The kind of an error and where it happened, without its text: that may quote a prompt."""
    frames = [f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    return "\n  ".join([type(error).__name__, *frames])


def last_place(error: BaseException) -> str:
    """File and line where it was raised, for one short line."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "an unknown place"
