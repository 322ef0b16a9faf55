"""Requests come in from any thread; one thread draws them: whoever calls `run`, or `draw` where nobody runs.

What draws (`Loop`, `Jobwise`) says what a tick is and which requests it holds; waiting, leaving, ending and being
driven are the same for all and stand here.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable
from concurrent import futures
from contextlib import suppress

from ..errors import TooLate
from .jobs import Cancelled, Job
from .requests import OnProgress, Progress, RenderRequest, RenderResult, no_progress
from .wording import settled

log = logging.getLogger(__name__)

#: Seconds after which whoever waits in `draw` looks whether it has to draw itself: the thread that did may be gone.
LOOK_AGAIN = 0.05


class Inbox(ABC):
    """Everything of an engine's loop but the drawing."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` counts seconds; deadlines are on it."""
        self._clock = clock
        self._news = threading.Condition()
        self._driver = threading.Lock()
        self._inbox: deque[Job] = deque()
        self._closed = False
        #: Of the engine's thread: those that have not begun, in order of arrival.
        self._waiting: list[Job] = []

    @abstractmethod
    def tick(self) -> bool:
        """Go on by what can be done without a pause; False where there was nothing to do."""

    @abstractmethod
    def _begun(self) -> set[Job]:
        """Those that are being drawn."""

    # From any thread

    def submit(self, request: RenderRequest, on_progress: OnProgress = no_progress) -> Job:
        """Put a request in; after `close` it ends with `Cancelled` at once."""
        job = Job(settled(request), on_progress, self._clock(), self._wake)
        with self._news:
            if self._closed:
                job.fail(Cancelled())
            else:
                self._inbox.append(job)
                self._news.notify_all()
        return job

    def take(self, jobs: Iterable[Job]) -> None:
        """Put requests in that came elsewhere."""
        with self._news:
            self._inbox.extend(jobs)
            self._news.notify_all()

    def close(self) -> None:
        """Let `run` return after its step; what is not finished ends with `Cancelled`."""
        with self._news:
            self._closed = True
            self._news.notify_all()

    def _wake(self) -> None:
        with self._news:
            self._news.notify_all()

    def draw(self, request: RenderRequest, on_progress: OnProgress = no_progress) -> RenderResult:
        """Submit and wait; draws itself where no other thread does.

        Raises:
            Cancelled: what `on_progress` raised, or `Cancelled`.
            Unrenderable, TooLate: see there.
        """
        raised: list[BaseException] = []

        def told(progress: Progress) -> None:
            try:
                on_progress(progress)
            except BaseException as error:
                raised.append(error)
                job.cancel()

        job = self.submit(request, told)
        while not job.result.done():
            if self._driver.acquire(blocking=False):
                self._drive(job)
            else:
                futures.wait([job.result], LOOK_AGAIN)
        with suppress(Cancelled):
            return job.result.result()
        raise raised[0] if raised else Cancelled

    # The engine's thread

    def run(self) -> None:
        """Draw until `close`. Blocks; nothing that goes wrong with a request ends it."""
        with self._driver:
            while not self._closed:
                try:
                    if self.tick():
                        continue
                except Exception as error:
                    # A bug of the loop: those who wait are told, and the next ones are served.
                    log.error("the engine failed at %s; its requests are lost", type(error).__name__)  # noqa: TRY400
                    for job in self._jobs():
                        self._drop(job, error)
                with self._news:
                    self._news.wait_for(self._has_news, timeout=1.0)
            with self._news:
                left = {*self._inbox, *self._jobs()}
            for job in left:
                job.fail(Cancelled())

    def _drive(self, job: Job) -> None:
        """Tick until `job` has ended; the driver's lock is held and let go."""
        try:
            while not job.result.done():
                self.tick()
        except BaseException:
            job.cancel()
            self._leave()
            raise
        finally:
            self._driver.release()

    def _has_news(self) -> bool:
        return bool(self._inbox) or self._closed or any(job.cancelled for job in self._jobs())

    def _jobs(self) -> set[Job]:
        return {*self._waiting, *self._begun()}

    def _leave(self) -> None:
        """Take in who came; cancelled and late requests go, with all they hold."""
        now = self._clock()
        with self._news:
            self._waiting += self._inbox
            self._inbox.clear()
        for job in self._jobs():
            if job.cancelled:
                self._drop(job, Cancelled())
            elif job.deadline <= now:
                self._drop(job, TooLate(f"Not finished within {job.request.seconds:.0f} s; ask for less, or later."))

    def _drop(self, job: Job, error: BaseException) -> None:
        self._waiting = [other for other in self._waiting if other is not job]
        job.pictures = ()
        job.fail(error)
