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
    ├── BankRefused         a bank of drawings is damaged, of another model, or not there
    ├── DeviceMissing       torch has no such device here
    ├── Unrenderable        this model cannot render such a request
    │   └── Unfit           what it brings along (source, mask, adapter) does not fit
    └── TooLate             its deadline passed
"""

from __future__ import annotations


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


class BankRefused(EngineError):
    """A bank of drawings is damaged, of another model, or not there."""


class DeviceMissing(EngineError):
    """Torch has no such device here."""


class Unrenderable(EngineError):
    """This model cannot render such a request."""


class Unfit(Unrenderable):
    """What a request brings along does not fit: a source picture, its mask, an adapter."""


class TooLate(EngineError):
    """The request's deadline passed before its pictures were ready."""
