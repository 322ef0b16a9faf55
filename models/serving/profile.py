"""How many rows are worth putting together: measured for a shape on a device, once, and remembered in a file."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from .drawer_network import DrawerNetwork
from .network import Network, Variant
from .schedule import BUCKETS, NEAR_BEST, Pace

#: Seconds that measuring one shape may take; what is too slow for that gains nothing from batches here.
BUDGET = 4.0
#: How often each number of rows is measured.
TURNS = 3


def measure(
    network: Network | DrawerNetwork, variant: Variant, height: int, width: int, budget: float = BUDGET
) -> Pace:
    """Forwards of 1, 2, 4, … rows of (C, height, width) latents, until two more doublings gain less than a twentieth.

    The best of some turns through all of them, since a machine may change its pace meanwhile. Memory that ends ends
    the doubling.
    """
    if variant.reads_pictures:
        variant = network.plain  # What rows read besides takes little.
    words = network.encode_prompt(variant, "")

    def forward(rows: int) -> Callable[[], None]:
        samples = torch.zeros(rows, network.channels, height, width, device=network.device)
        times = torch.full((rows,), 500.0, device=network.device)

        def run() -> None:
            network.forward(variant, samples, times, [words] * rows)

        return run

    begun = _clock(network.device)
    found: dict[int, float] = {}
    most = BUCKETS[-1]
    for turn in range(TURNS):
        for rows in found if turn else BUCKETS:
            try:
                if not found:
                    forward(rows)()  # the first one ever also builds kernels
                seconds = seconds_of(forward(rows), network.device)
            except torch.OutOfMemoryError:
                most = max(1, rows // 2)
                break
            found[rows] = min(seconds, found.get(rows, seconds))
            # The next one takes up to twice as long, in each turn.
            if not turn and (_level(found) or TURNS * (_clock(network.device) - begun + 2 * seconds) > budget):
                break
        if (_clock(network.device) - begun) * (turn + 2) / (turn + 1) > budget:
            break
    return Pace(tuple(found.items()) or ((1, 1.0),), most)


def _level(found: Mapping[int, float]) -> bool:
    """Whether the last two doublings brought nothing."""
    rates = [rows / seconds for rows, seconds in found.items()]
    return len(rates) > 3 and max(rates[:-2]) >= NEAR_BEST * max(rates[-2:])


def seconds_of(run: Callable[[], object], device: str) -> float:
    """How long it takes."""
    begun = _clock(device)
    run()
    return _clock(device) - begun


def _clock(device: str) -> float:
    """On a processor what the threads really computed, so that programs beside this one change nothing."""
    if device == "cpu":
        return time.process_time() / torch.get_num_threads()
    torch.cuda.synchronize(device)
    return time.perf_counter()


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

    def get(self, network: Network | DrawerNetwork, variant: Variant, height: int, width: int) -> Pace:
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
