"""What is usual for a model: the steps, guidance and size of a request that says none. Pure.

A worker reads them from its weights and tells them with each heartbeat. `usual_of` is the one answer to what holds now,
for Discord, the HTTP API and the command line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Protocol

from pydantic import BaseModel, ConfigDict, Field

from ..errors import InvalidRequest
from .requests import EVERY_SIDE, ImageRequest, Side

_FIELDS = ImageRequest.model_fields


class Usual(BaseModel):
    """Of one model; what it is without a word is what holds where no model is known."""

    # Unknown fields are ignored, so that newer workers may add some.
    model_config = ConfigDict(frozen=True, extra="ignore")

    steps: Annotated[int, Field(ge=1, le=100)] = _FIELDS["steps"].default
    guidance: Annotated[float, Field(ge=1.0, le=20.0, allow_inf_nan=False)] = _FIELDS["guidance"].default
    #: Side of a square picture in pixels.
    size: Side = _FIELDS["width"].default
    #: Pixels of the largest picture that is drawn as large as it is asked for; larger ones are scaled.
    pixels: Annotated[int, Field(ge=0)] = 0

    @property
    def fields(self) -> Mapping[str, Any]:
        """As `prompt.fields` and `prompt.wish_of` take them."""
        return {"size": self.size, "steps": self.steps, "guidance": self.guidance}


#: Where no model is known, or several that differ.
ANY_MODEL = Usual()


class _Worker(Protocol):
    """What is asked of a `WorkerInfo`."""

    @property
    def slots(self) -> int: ...
    @property
    def models(self) -> tuple[str, ...]: ...
    @property
    def usual(self) -> Mapping[str, Usual]: ...
    @property
    def image_prompts(self) -> tuple[str, ...]: ...


def usual_of(workers: Iterable[_Worker], model: str = "") -> Usual:
    """What is usual now for the model of that name; without a name for the first model of each connected worker.

    `ANY_MODEL` where nobody is connected that has it, where workers differ, and where one does not tell.
    """
    told = list(_told(workers, model))
    first = told[0] if told else None
    if first is None or any(one is None or one.fields != first.fields for one in told):
        return ANY_MODEL
    return first


def reads_pictures(workers: Iterable[_Worker], model: str = "") -> bool:
    """Whether some worker that may draw for the model of that name reads a picture as a prompt (by an IP-Adapter)."""
    staying = [worker for worker in workers if worker.slots]
    drawn_by = [(worker, model or next(iter(worker.models), "")) for worker in staying]
    return any(name in worker.image_prompts for worker, name in drawn_by if not model or model in worker.models)


def largest_of(workers: Iterable[_Worker], model: str = "") -> int:
    """Pixels of the largest picture with a side of more than 1024 that may be asked for now; 0: none is.

    As `check_size`, but where nobody is connected nothing is promised.
    """
    told = list(_told(workers, model))
    return 0 if None in told else max((one.pixels for one in told if one is not None), default=0)


def check_size(request: ImageRequest, workers: Iterable[_Worker]) -> None:
    """Whether a picture with a side of more than 1024 pixels can be drawn so large by somebody here.

    Where nobody is connected nobody is asked: the job waits for who comes. A worker that does not tell may be of a
    version that takes no such job.

    Raises:
        InvalidRequest: `pixels`, with what is allowed.
    """
    if max(request.width, request.height) <= EVERY_SIDE:
        return
    told = list(_told(workers, request.model))
    most = 0 if None in told else max((one.pixels for one in told if one is not None), default=request.pixels)
    if request.pixels > most:
        field = "width" if request.width > EVERY_SIDE else "height"
        raise InvalidRequest(field=field, kind="pixels", limits={"side": EVERY_SIDE, "pixels": most})


def _told(workers: Iterable[_Worker], model: str) -> Iterator[Usual | None]:
    """What each worker that may draw it tells of the model that would; None: nothing."""
    every = list(workers)
    # One that is going takes no new job, unless there are no others yet.
    staying: Sequence[_Worker] = [worker for worker in every if worker.slots] or every
    for worker in staying:
        # What names no model is drawn by the first one.
        for name in (worker.models if model else worker.models[:1]) or (model,):
            if not model or name == model:
                yield worker.usual.get(name)
