"""How many rows are worth putting together: measured for a shape on a device, once, and remembered in a file."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from pathlib import Path

import torch

from .network import Network, Variant
from .schedule import BUCKETS, NEAR_BEST, Pace

#: Seconds that measuring one shape may take; what is too slow for that gains nothing from batches here.
BUDGET = 4.0


def measure(network: Network, variant: Variant, height: int, width: int, budget: float = BUDGET) -> Pace:
    """Forwards of 1, 2, 4, … rows of (C, height, width) latents, until another doubling gains less than a twentieth.

    The best of two runs each; memory that ends ends the doubling.
    """
    words = network.words(variant, "")

    def forward(rows: int) -> Callable[[], None]:
        samples = torch.zeros(rows, network.channels, height, width, device=network.device)
        times = torch.full((rows,), 500.0, device=network.device)

        def run() -> None:
            network.forward(variant, samples, times, [words] * rows)
            if not cpu:
                torch.cuda.synchronize(network.device)

        return run

    cpu = network.device == "cpu"
    begun = _clock(cpu)
    found: list[tuple[int, float]] = []
    most = BUCKETS[-1]
    for rows in BUCKETS:
        try:
            run = forward(rows)
            if not found:
                run()  # the first one ever also builds kernels
            seconds = _best(run, cpu)
        except torch.OutOfMemoryError:
            most = max(1, rows // 2)
            break
        found.append((rows, seconds))
        rates = [number / each for number, each in found]
        if len(rates) > 2 and max(rates[:-1]) >= NEAR_BEST * rates[-1]:
            break
        # The next one takes up to twice as long, three times over.
        if _clock(cpu) - begun + 4 * seconds > budget:
            break
    return Pace(tuple(found) or ((1, 1.0),), most)


def _best(run: Callable[[], None], cpu: bool) -> float:
    taken: list[float] = []
    for _ in range(2):
        begun = _clock(cpu)
        run()
        taken.append(_clock(cpu) - begun)
    return min(taken)


def _clock(cpu: bool) -> float:
    """On a processor what the threads really computed, so that programs beside this one change nothing."""
    return time.process_time() / torch.get_num_threads() if cpu else time.perf_counter()


class Paces:
    """Measured paces by shape; kept in `file`, if given, for the next start."""

    def __init__(self, machine: str, file: Path | None = None) -> None:
        """`machine`: everything but the shape that a pace depends on (weights, device, threads, versions)."""
        self._machine = machine
        self._file = file
        self._known: dict[str, Pace] = {}
        if file is not None:
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                stored = json.loads(file.read_text(encoding="utf-8")).get(machine, {})
                self._known = {
                    shape: Pace(tuple((int(r), float(s)) for r, s in seconds)) for shape, seconds in stored.items()
                }

    def get(self, network: Network, variant: Variant, height: int, width: int) -> Pace:
        """The pace of a shape; measures it the first time."""
        shape = f"{height}x{width}"
        if shape not in self._known:
            self._known[shape] = measure(network, variant, height, width)
            self._store()
        return self._known[shape]

    def _store(self) -> None:
        if self._file is None:
            return
        # A cache: whoever cannot write it measures again.
        with contextlib.suppress(OSError):
            stored: dict[str, object] = {}
            with contextlib.suppress(OSError, ValueError):
                stored = json.loads(self._file.read_text(encoding="utf-8"))
            stored[self._machine] = {shape: pace.seconds for shape, pace in self._known.items()}
            self._file.parent.mkdir(parents=True, exist_ok=True)
            part = self._file.with_suffix(".part")
            part.write_text(json.dumps(stored, indent=1), encoding="utf-8")
            part.replace(self._file)
