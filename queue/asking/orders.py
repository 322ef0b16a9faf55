"""One job to be. Pure but for the seed that is drawn."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ..prompt import Wish, fields
from ..records import ImageRequest, Priority, WorkerInfo, image_request, usual_of
from ..store import ServerSettings
from .beginnings import Beginning, like
from .made_of import new_seed


@dataclass(frozen=True, slots=True)
class Order:
    """One job to be."""

    request: ImageRequest
    priority: Priority = "fast"
    #: Picture from which it came: job, number from 0, and the action.
    origin: tuple[str, int, str] | None = None
    #: Names of the pictures that the member sent for it.
    brought: tuple[str, ...] = ()
    #: What they sent is blurred where it came from, so what comes of it is too.
    blurred: bool = False


def order_of(wish: Wish, settings: ServerSettings, begun: Beginning, workers: Collection[WorkerInfo] = ()) -> Order:
    """The job for a wish: what it does not say is as the server set it, else as usual for the model.

    Raises:
        InvalidRequest: a value is out of range.
    """
    seed = new_seed() if wish.seed is None else wish.seed
    if begun.shape is not None and wish.ratio is None and not wish.fit:
        wish = wish.saying(ratio=like(begun.shape))
    given = fields(wish, **settings.over(usual_of(workers, wish.model)).fields)
    request = image_request(seed=seed, source=begun.of(wish, workers), **given)
    brought = (begun.picture,) if begun.picture else ()
    return Order(request, "relax" if wish.relaxed else "fast", begun.origin, brought, begun.blurred)
