"""Several processes on one run, one per device, as `accelerate launch` starts them: who works, who waits, when to stop.

Networks are averaged by accelerate; this module keeps the rest of a run, which is written for one process, right.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

import torch
from accelerate import PartialState

T = TypeVar("T")


class Processes:
    """The processes of this run; alone where none were launched."""

    def __init__(self) -> None:
        # Asked for by hand: of itself accelerate takes several processes without a GPU for one each.
        processors = "LOCAL_RANK" in os.environ and not torch.cuda.is_available()
        # A stage that one process works on alone may take days; the launcher ends the others if it dies.
        self._state = PartialState(cpu=processors, timeout=timedelta(days=7))

    @property
    def number(self) -> int:
        return self._state.num_processes

    @property
    def main(self) -> bool:
        """Whether this process is the one that writes files and says what happens."""
        return self._state.is_main_process

    @property
    def device(self) -> torch.device:
        """What this process computes on."""
        return self._state.device

    def first(self, work: Callable[[], T | None]) -> T | None:
        """`work` in the main process alone; then, if that gave something, in the others, which find it done.

        Gives None everywhere if one of them was stopped in it: who goes on alone waits for the others for ever.
        """
        done = work() if self.main else None
        if self.number > 1 and self.any(done is not None):
            done = done if self.main else work()
            return None if self.any(done is None) else done
        return done

    def alone(self, work: Callable[[], None]) -> None:
        """`work` in the main process, while the others wait."""
        if self.main:
            work()
        self._state.wait_for_everyone()

    def leave(self) -> None:
        """Part from the others, all at once, at the end: gloo's threads abort a process that ends while they run."""
        if self.number > 1:
            self._state.wait_for_everyone()
            torch.distributed.destroy_process_group()

    def any(self, said: bool) -> bool:
        """Whether a process says so. Every process has to ask: who leaves a loop alone leaves the others waiting."""
        if self.number == 1:
            return said
        votes = torch.tensor([int(said)], device=self.device)
        torch.distributed.all_reduce(votes)
        return bool(votes.item())
