"""Everything that can go wrong in models, data and training. Each message says what to do.

ModelError
├── DataError
│   ├── PackageUnavailable  a source package cannot be fetched
│   ├── PackageChanged      a source package is not the one that was pinned
│   └── DataMissing         the data set was not built yet, or is incomplete
├── TrainingError           a run cannot start, resume or go on
└── EngineError
    ├── WeightsMissing      no pipeline in the weights folder
    ├── WeightsRefused      the folder holds pickles, code or a damaged file
    │   └── TooLarge        they do not fit into the memory of the device as they were laid out
    ├── BankRefused         a bank of drawings is damaged, of another model, or not there
    ├── DeviceMissing       torch has no such device here
    ├── Unrenderable        this model cannot render such a request
    │   ├── NoPicture       what was computed is no picture: black, or no numbers
    │   └── Unfit           what it brings along (source, mask) does not fit
    │       ├── AdapterUnfit    an adapter is not there, damaged, or made for another model
    │       ├── EmbeddingUnfit  a textual inversion is damaged, or made for another model
    │       ├── ControlUnfit    a ControlNet is not there, damaged, or made for another model
    │       └── Unsupported     the model does not know something that is asked for
    └── TooLate             its deadline passed
"""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager


class ModelError(Exception):
    """Something went wrong with models or data."""


class DataError(ModelError):
    """The data set cannot be built or read."""


class PackageUnavailable(DataError):
    """A source package cannot be fetched."""


class PackageChanged(DataError):
    """A source package is not the one that was pinned."""


class DataMissing(DataError):
    """The data set was not built yet, or is incomplete."""


class TrainingError(ModelError):
    """A run cannot start, resume or go on."""


class EngineError(ModelError):
    """The engine cannot render."""


class WeightsMissing(EngineError):
    """No pipeline in the weights folder."""


class WeightsRefused(EngineError):
    """The weights folder holds something that is never loaded, or a damaged file."""


class TooLarge(WeightsRefused):
    """They do not fit into the memory of the device as they were laid out."""


class BankRefused(EngineError):
    """A bank of drawings is damaged, of another model, or not there."""


class DeviceMissing(EngineError):
    """Torch has no such device here."""


class Unrenderable(EngineError):
    """This model cannot render such a request."""

    #: By which whoever asked is told, in their language.
    code = "unrenderable"


class NoPicture(Unrenderable):
    """What was computed is no picture: black, or no numbers."""

    code = "no_picture"


class Unfit(Unrenderable):
    """What a request brings along does not fit: a source picture, its mask."""

    code = "unfit"


class AdapterUnfit(Unfit):
    """An adapter is not there, damaged, or made for another model."""

    code = "unfit_adapter"


class EmbeddingUnfit(Unfit):
    """A textual inversion is damaged, or made for another model."""

    code = "unfit_embedding"


class ControlUnfit(Unfit):
    """A ControlNet is not there, damaged, or made for another model."""

    code = "unfit_control"


class Unsupported(Unfit):
    """The model does not know something that is asked for."""

    def __init__(self, message: str, what: str) -> None:
        """`what`: parts, tile, draft, chaos, negative, stop, sampler, source, inpaint or control."""
        super().__init__(message)
        self.code = f"unsupported_{what}"


class TooLate(EngineError):
    """The request's deadline passed before its pictures were ready."""


#: Where foreign exceptions come in: what is raised over a file that is damaged, cut, of another shape or another kind.
FOREIGN: tuple[type[BaseException], ...] = (
    OSError, EOFError, zlib.error, tarfile.TarError,  # files and archives
    ValueError, KeyError, IndexError, StopIteration, TypeError, AttributeError,  # json, TOML, content of another form
    RuntimeError,  # torch: shapes, memory; transformers and diffusers raise OSError and ValueError
    SyntaxError, Warning,  # Pillow
)  # fmt: skip
#: Of libraries that this file must not need.
FOREIGN_BY_NAME = frozenset({"SafetensorError", "DecompressionBombError"})


@contextmanager
def explained(ours: type[ModelError], message: str) -> Iterator[None]:
    """Raise `ours` in place of a foreign exception; `{problem}` and `{kind}` in the message are what it said and is."""
    try:
        yield
    except Exception as problem:
        name = type(problem).__name__
        if not isinstance(problem, FOREIGN) and name not in FOREIGN_BY_NAME:
            raise
        raise ours(message.replace("{problem}", str(problem)).replace("{kind}", name)) from problem
