"""Engines of toy checkpoints: drawn small, with paces that are not measured anew in every module."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from daguerre.models.serving import families
from daguerre.models.serving.schedule import Pace

#: Stock classes warn of toy sizes and of what they will change; for `pytestmark`.
QUIET = [pytest.mark.filterwarnings(f"ignore::{kind}") for kind in ("FutureWarning", "RuntimeWarning", "UserWarning")]


@contextmanager
def small(side: int) -> Iterator[None]:
    """No family's own size is more than `side` pixels, and two rows take as long as one."""
    real = families.native_of
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(families, "native_of", lambda pipeline: min(side, real(pipeline)))
        pace = Pace(((1, 1.0), (2, 1.0), (4, 1.0)))
        patched.setattr("daguerre.models.serving.profile.measure", lambda *_: pace)
        yield
