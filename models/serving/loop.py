"""The engine's loop: every tick one step of one lane, with whoever is there.

One thread draws; `submit`, `Job.cancel` and `close` may be called from any. A tick reads as: who came, who left, who
steps, who is told, who is done.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import torch
from PIL import Image

from ..errors import Unrenderable
from ..layout import set_out
from . import drawer_begin, drawer_finish, drawing, schedule
from .begin import RenderContext, begin, drawings_of, read_together
from .drawer_finish import DrawerSketch
from .drawing import Lane, Picture
from .finish import finish, to_image
from .inbox import Inbox
from .jobs import Job
from .network import Network
from .previews import grid_file
from .profile import Paces
from .requests import Progress, RenderRequest, RenderResult
from .schedule import Pace, RowLimit
from .trials import canonical

log = logging.getLogger(__name__)

#: Pictures that are on their way at a time; further requests wait their turn.
MOST_PICTURES = 128
#: Finished pictures that are decoded between two steps while others wait for theirs.
DECODED = 1


class Loop(Inbox):
    """Draws the pictures of all requests together."""

    def __init__(
        self,
        context: RenderContext,
        paces: Paces,
        *,
        exact: bool = True,
        about: Mapping[str, Any] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`about` goes into every picture's metadata; without `exact` batches are as large as they happen to be."""
        super().__init__(clock)
        self._context = context
        self._paces = paces
        self._exact = exact
        self._about = dict(about or {})
        # Of the engine's thread.
        self._active: dict[int, tuple[Job, Picture]] = {}
        self._done: deque[tuple[Job, Picture]] = deque()
        self._running: set[int] = set()
        self._limits: dict[Lane, RowLimit] = {}
        self._numbers = 0
        side = context.network.native * (context.enlarge.config.factor if context.enlarge is not None else 1)
        #: Size of a drawing that is set out in a picture.
        self._largest = (side, side)
        #: Forwards and rows so far, for measurements.
        self.forwards = self.rows = 0

    @property
    def draws_latents(self) -> bool:
        """Whether it draws by a network and a codec, and not from drawings."""
        return isinstance(self._context.network, Network)

    @property
    def network(self) -> Network:
        """What draws latents."""
        assert isinstance(self._context.network, Network)
        return self._context.network

    # The engine's thread

    def forget(self) -> None:
        """Give back what is remembered of requests: copies with adapters merged in."""
        if self._context.adapters is not None:
            self._context.adapters.forget()
        if self._context.images is not None:
            self._context.images.forget()
        if self._context.controls is not None:
            self._context.controls.forget()

    @torch.inference_mode()
    def tick(self) -> bool:
        """One step of one lane; False where there was nothing to do."""
        self._leave()
        self._admit()
        stepped = self._step()
        finished = self._finish(len(self._done) if not self._active else DECODED)
        return stepped or finished

    def _begun(self) -> set[Job]:
        return {job for job, _ in (*self._active.values(), *self._done)}

    def _drop(self, job: Job, error: BaseException) -> None:
        self._active = {number: pair for number, pair in self._active.items() if pair[0] is not job}
        self._done = deque(pair for pair in self._done if pair[0] is not job)
        super()._drop(job, error)

    def _admit(self) -> None:
        counts = [drawings_of(self._context, job.request) for job in self._waiting]
        fits = schedule.admit(counts, len(self._active), MOST_PICTURES)
        if fits > 1 and not self._exact and not self._context.network.exact_rows:
            read_together(self._context, [job.request for job in self._waiting[:fits]])
        for job in self._waiting[:fits]:
            self._waiting.remove(job)
            try:
                first = begin if isinstance(self._context.network, Network) else drawer_begin.begin
                begun = first(self._context, job.request, self._numbers)
                self._numbers += len(begun.pictures)
                job.pictures, job.canvas, job.arrangement = begun.pictures, begun.canvas, begun.arrangement
                job.about = {**self._about, **begun.about, "count": begun.pictures[0].left, "canonical": ""}
                for picture in begun.pictures:
                    self._active[picture.id] = (job, picture)
                    self._pace(picture)
            except torch.OutOfMemoryError:
                self._drop(job, Unrenderable(_too_large(job.request, self._context.network.device)))
            except Exception as error:
                self._drop(job, error)

    def _pace(self, picture: Picture) -> Pace:
        lane = picture.lane
        pace = self._paces.get(self._context.network, picture.variant, lane.height, lane.width)
        limit = self._limits.get(lane)
        return pace if limit is None else Pace(pace.seconds, min(pace.most, limit.rows))

    # A step

    def _step(self) -> bool:
        if not self._active:
            return False
        paces = {picture.lane: self._pace(picture) for _, picture in self._active.values()}
        batch = schedule.choose([self._unit(*pair) for pair in self._active.values()], paces, self._clock())
        assert batch is not None
        lane = self._active[batch.units[0]][1].lane
        pairs = [self._active[number] for number in batch.units]
        free = self._context.network.exact_rows or not self._exact
        limit = self._limits.get(lane)
        canonical = self._canonical(pairs, batch.rows, paces[lane].knee, limit, free=free)
        begun = time.perf_counter()
        try:
            self._advance(pairs, canonical)
        except torch.OutOfMemoryError:
            self._smaller(pairs[0][0], lane, batch.rows)
            return True
        except Exception as error:
            self._each_alone(pairs, canonical, error)
        if limit is not None and lane in self._limits:
            whole = self._paces.get(self._context.network, pairs[0][1].variant, lane.height, lane.width)
            self._limits[lane] = limit.held(whole.most)
        self._running = {*batch.units, *(n for n in self._running if n in self._active and self._lane(n) != lane)}
        how = "rows apart" if self._context.network.exact_rows else "free" if free else self._padded(canonical)
        taken = time.perf_counter() - begun
        for job, picture in pairs:
            if job.about["canonical"] != how:
                # The memory of the device was full meanwhile, or is no longer.
                job.about["canonical"] = ", then ".join(filter(None, (job.about["canonical"], how)))
            job.seconds += taken * len(picture.words) / batch.rows
            if picture.id in self._active and not picture.left:
                del self._active[picture.id]
                self._done.append((job, picture))
        self._tell({job for job, _ in pairs})
        return True

    def _canonical(
        self, pairs: list[tuple[Job, Picture]], rows: int, knee: int, limit: RowLimit | None, *, free: bool
    ) -> int:
        """Rows of each pass; 0: as many as there are."""
        if free:
            return limit.rows if limit is not None else 0
        network, picture = self._context.network, pairs[0][1]
        if not isinstance(network, Network) or not self._tried_out:
            return knee
        lane = picture.lane
        return canonical(network, picture.variant, (lane.height, lane.width, lane.tile, lane.chunks), rows)

    def _padded(self, canonical: int) -> str:
        """What pictures say: on a processor all the numbers that are filled up to give the same."""
        return "padded to what agrees" if self._tried_out else f"padded to {canonical}"

    @property
    def _tried_out(self) -> bool:
        """Whether numbers of rows that agree are looked for: in half precision on a processor."""
        network = self._context.network
        return isinstance(network, Network) and network.device == "cpu" and network.kind == torch.bfloat16

    def _advance(self, pairs: list[tuple[Job, Picture]], canonical: int) -> None:
        drawing.advance(self._context.network, [picture for _, picture in pairs], canonical)
        self.forwards += 1
        self.rows += sum(len(picture.words) for _, picture in pairs)

    def _unit(self, job: Job, picture: Picture) -> schedule.Unit:
        return schedule.Unit(
            picture.id, picture.lane, len(picture.words), picture.left, job.request.member or f"job {id(job)}",
            job.came, picture.id in self._running, job.deadline,
        )  # fmt: skip

    def _lane(self, number: int) -> Lane:
        return self._active[number][1].lane

    def _smaller(self, job: Job, lane: Lane, rows: int) -> None:
        """The memory did not hold the batch: half as many rows at a time from now on; where one is too many, refuse."""
        device = self._context.network.device
        if device != "cpu":
            torch.cuda.empty_cache()
        limit = self._limits.get(lane, RowLimit(rows))
        held = min(rows, limit.rows)
        if held > 1:
            self._limits[lane] = limit.full(held)
            log.warning("memory of %s full at %d rows; now %d at a time", device, held, self._limits[lane].rows)
        else:
            self._drop(job, Unrenderable(_too_large(job.request, device)))

    def _each_alone(self, pairs: list[tuple[Job, Picture]], canonical: int, error: Exception) -> None:
        """Something broke: find out whose it was, so that the others go on."""
        jobs = list(dict.fromkeys(job for job, _ in pairs))
        if len(jobs) == 1:
            self._drop(jobs[0], error)
            return
        for job in jobs:
            try:
                self._advance([pair for pair in pairs if pair[0] is job], canonical)
            except Exception as problem:
                self._drop(job, problem)

    # What is told and handed over

    def _tell(self, jobs: set[Job]) -> None:
        """Steps of those that moved, and a preview where nobody waits for it."""
        now = self._clock()
        others = bool(self._inbox or self._waiting or len(self._jobs()) > 1)
        for job in jobs:
            step = job.step if job.pictures else 0
            if step <= job.told:
                continue
            job.told = step
            preview = None
            if step < job.steps and schedule.preview_due(now, job.shown, others=others):
                job.shown = now
                # A courtesy: nobody loses a picture by it.
                with suppress(Exception):
                    preview = self._preview(job)
            with suppress(Exception):
                job.on_progress(Progress(step, job.steps, preview))

    def _preview(self, job: Job) -> bytes | None:
        sketch = self._context.sketch
        if sketch is None:
            return None
        size = (job.request.width, job.request.height)
        if isinstance(sketch, DrawerSketch) and job.arrangement is None:
            return grid_file([sketch.image(picture.estimate, size) for picture in job.pictures], size)
        shown = [to_image(sketch.picture(picture.estimate)) for picture in job.pictures]
        if job.arrangement is not None:
            # As small as the sketches are.
            small = min(shown[0].size) / min(size)
            shown = set_out(job.arrangement, shown, (round(small * size[0]), round(small * size[1])))
        return grid_file(shown, size)

    def _finish(self, most: int) -> bool:
        """Decode up to `most` finished pictures; hand over requests that are complete."""
        begun = bool(self._done)
        for _ in range(min(most, len(self._done))):
            job, picture = self._done.popleft()
            began = time.perf_counter()
            try:
                job.made[job.pictures.index(picture)] = self._finished(job, picture)
                whole = len(job.made) == len(job.pictures)
                pictures = [job.made[k] for k in range(len(job.made))] if whole else []
                if whole and job.arrangement is not None:
                    size = (job.request.width, job.request.height)
                    pictures = set_out(job.arrangement, pictures, size, transparent=job.request.transparent)
            except torch.OutOfMemoryError:
                self._drop(job, Unrenderable(_too_large(job.request, self._context.network.device)))
                continue
            except Exception as error:
                self._drop(job, error)
                continue
            job.seconds += time.perf_counter() - began
            if whole:
                about = {name: value for name, value in job.about.items() if name != "count"}
                job.pictures = ()
                job.finish(RenderResult(tuple(pictures), about, job.seconds))
        return begun

    def _finished(self, job: Job, picture: Picture) -> Image.Image:
        """One picture, or one drawing of a picture that is set out."""
        sample = picture.sample if picture.at == len(picture.course) else picture.estimate
        size = (job.request.width, job.request.height) if job.arrangement is None else self._largest
        if not isinstance(self._context.network, Network):
            # Things are set out with the alpha that they were drawn with.
            clear = job.request.transparent or job.arrangement is not None
            drawn = self._context.network.decode(sample)
            return drawer_finish.finish(self._context.enlarge, drawn, size, transparent=clear, canvas=job.canvas)
        return finish(
            self._context.network, self._context.enlarge, sample, size, tile=job.request.tile,
            transparent=job.request.transparent and job.arrangement is None, canvas=job.canvas,
        )  # fmt: skip


def _too_large(request: RenderRequest, device: str) -> str:
    return (
        f"A picture of {request.width} × {request.height} does not fit into the memory of {device}, not even alone; "
        f"half the width and height ({request.width // 2} × {request.height // 2}) needs a quarter of it."
    )
