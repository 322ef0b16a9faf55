"""Names that a request asks for, looked up before it is queued: styles, models and fine-tunes. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal

from ..records import ImageRequest, WorkerInfo
from .vocabulary import Vocabulary

#: Styles that Daguerre's own data has names for; offered as far as the model in use knows them.
STYLES = ("blob", "emojione", "firefox", "fluent", "noto", "streamline", "twemoji")


@dataclass(frozen=True, slots=True)
class UnknownName:
    """A name that nobody here has, and those that there are."""

    kind: Literal["style", "model", "lora", "control"]
    name: str
    known: tuple[str, ...]

    @property
    def flag(self) -> str:
        return f"--{self.kind}"


def unknown_name(
    request: ImageRequest,
    vocabulary: Vocabulary | None,
    workers: Collection[WorkerInfo],
    allowed: Iterable[str] = (),
) -> UnknownName | None:
    """The first name of a request that is known neither to the vocabulary nor to a connected worker nor `allowed`.

    What cannot be told is left to the worker: styles without a vocabulary, models and fine-tunes without a worker that
    says what it has.
    """
    permitted = frozenset(allowed)
    vocabulary = words_of(vocabulary, request.model)
    styles = known_styles(vocabulary)
    if request.style and styles is not None and request.style not in permitted:
        assert vocabulary is not None
        if vocabulary.check(request.style).unknown:
            return UnknownName("style", request.style, styles)
    models = _all(worker.models or None for worker in workers)
    if request.model and models is not None and request.model not in {*models, *permitted}:
        return UnknownName("model", request.model, models)
    adapters = _all(worker.adapters for worker in workers)
    if adapters is not None:
        missing = next((adapter for adapter in request.adapters if adapter not in adapters), None)
        if missing is not None:
            return UnknownName("lora", missing, adapters)
    controls = _all(worker.controls for worker in workers)
    if request.control and controls is not None and plain_name(request.control) not in controls:
        return UnknownName("control", plain_name(request.control), controls)
    return None


def lacks_picture(request: ImageRequest) -> bool:
    """Whether it asks for a ControlNet and brings no picture that one could be shown."""
    return bool(request.control) and (request.source is None or request.source.use != "vary")


def plain_name(name: str) -> str:
    """`canny:0.6` → canny: how much it counts stands behind."""
    plain, colon, weight = name.rpartition(":")
    return plain if colon and weight.replace(".", "", 1).isdigit() else name


def words_of(vocabulary: Vocabulary | None, model: str) -> Vocabulary | None:
    """The words that a model was taught; None where nobody knows them."""
    return vocabulary if vocabulary is not None and vocabulary.reads(model) else None


def known_styles(vocabulary: Vocabulary | None) -> tuple[str, ...] | None:
    """The styles that a model was taught; None where its words are not known, or name none of them."""
    if vocabulary is None:
        return None
    return tuple(style for style in STYLES if not vocabulary.check(style).unknown) or None


def _all(told: Iterable[tuple[str, ...] | None]) -> tuple[str, ...] | None:
    """What all workers have together; None where there is none, or one does not say."""
    every = list(told)
    if not every or any(names is None for names in every):
        return None
    return tuple(sorted({name for names in every if names for name in names}))
