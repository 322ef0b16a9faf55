"""What jobs begin from, and how a request would be typed again. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from ..prompt import STRENGTH, Wish, source, wish_of
from ..records import MOST_ASPECT, ImageRequest, Source, WorkerInfo, reads_pictures, usual_of
from ..store import ServerSettings


@dataclass(frozen=True, slots=True)
class Beginning:
    """What the jobs of one prompt begin from."""

    #: Name in the picture store of what the member sent; empty: nothing.
    picture: str = ""
    #: Its width and height; None: not known, or nothing was sent.
    shape: tuple[int, int] | None = None
    #: It is behind a spoiler where it came from.
    blurred: bool = False
    #: What the job began from that is made anew with other words.
    source: Source | None = None
    #: That job, the number of its picture, and the action.
    origin: tuple[str, int, str] | None = None

    def of(self, wish: Wish, workers: Collection[WorkerInfo] = ()) -> Source | None:
        """A picture that was sent, by the weight that was said; else what was begun from before, by the new weight."""
        if self.picture:
            return source(wish, self.picture, read=reads_pictures(workers, wish.model))
        if self.source is None or wish.image_weight is None or self.source.use != "vary":
            return self.source
        anew = source(wish, self.source.picture, read=self.source.scale is not None)
        return self.source.model_copy(update={"strength": anew.strength, "scale": anew.scale})


def like(shape: tuple[int, int]) -> tuple[int, int]:
    """The ratio nearest to a picture's width and height that may be asked for."""
    width, height = shape
    most = round(MOST_ASPECT)
    if width > most * height:
        return most, 1
    return (1, most) if height > most * width else (width, height)


def said_again(
    request: ImageRequest,
    settings: ServerSettings,
    workers: Collection[WorkerInfo] = (),
    *,
    seed: bool = False,
    relaxed: bool = False,
) -> Wish:
    """What would have to be typed for this request in a server with these defaults, its picture apart."""
    wish = wish_of(request, **settings.over(usual_of(workers, request.model)).fields, seed=seed)
    return wish.saying(relaxed=relaxed, image_weight=_weight(request.source))


def _weight(begun: Source | None) -> float | None:
    """The `--iw` that stands for how much of a picture that was sent stays; None where none was sent, or 1."""
    if begun is None or begun.use != "vary" or not begun.picture.startswith("sources/") or begun.strength <= 0:
        return None
    weight = round(math.log(begun.strength) / math.log(STRENGTH), 2)
    return None if weight == 1 else max(0.0, min(3.0, weight))
