"""What pictures take beside the weights: measured once for a model on a device, and remembered in a file."""

from __future__ import annotations

import contextlib
import json
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from .memory import BYTES_PER_PIXEL, BYTES_PER_PIXEL_DECODED, Activations


class Peak:
    """Most bytes that were in use at a time, beyond those at the beginning."""

    def __init__(self) -> None:
        self.bytes = 0
        self._since: Callable[[], int] = lambda: self.bytes
        self._again: Callable[[], None] = lambda: None

    def lap(self) -> int:
        """What it was so far; begins anew."""
        found = self._since()
        self._again()
        return found


@contextmanager
def peak(device: str) -> Iterator[Peak]:
    """Measures what is done meanwhile: by the allocator's own statistics, or by looking at every tensor."""
    found = Peak()
    if device.startswith("cuda"):
        begun = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        found._since = lambda: int(torch.cuda.max_memory_allocated(device)) - begun
        found._again = lambda: torch.cuda.reset_peak_memory_stats(device)
        yield found
    else:
        with _Meter() as meter:
            found._since, found._again = (lambda: meter.most), meter.again
            yield found
    found.bytes = found._since()


class _Meter(TorchDispatchMode):
    """Adds up the memory of tensors that are made while it lasts, as long as they live."""

    def __init__(self) -> None:
        super().__init__()
        self.most = self._live = 0
        self._sizes: dict[int, int] = {}

    def again(self) -> None:
        self.most = self._live

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for each in tree_leaves(made):
            if isinstance(each, torch.Tensor) and each.layout == torch.strided:
                storage = each.untyped_storage()
                place = storage._cdata
                if place not in self._sizes:
                    self._sizes[place] = storage.nbytes()
                    self._live += storage.nbytes()
                    self.most = max(self.most, self._live)
                    weakref.finalize(storage, self._gone, place)
        return made

    def _gone(self, place: int) -> None:
        self._live -= self._sizes.pop(place, 0)


def measured(draw: Callable[[int], tuple[int, int]], small: int, large: int) -> Activations:
    """What each pixel takes: by the difference of two sizes, so that what is there for any picture does not count.

    `draw`: draws a square picture of that side in pixels; gives the peaks while steps are taken and when it is decoded.
    """
    draw(small)  # The first one ever also builds what is kept.
    few, many = draw(small), draw(large)
    pixels = large**2 - small**2
    stepped, decoded = ((most - least) / pixels for least, most in zip(few, many, strict=True))
    # Small pictures may hide what larger ones take behind what is there for any.
    return Activations(max(stepped, BYTES_PER_PIXEL / 4), max(decoded, BYTES_PER_PIXEL_DECODED / 4))


class Footprints:
    """What was measured before; kept in `file`, if given, for the next start."""

    def __init__(self, machine: str, file: Path | None) -> None:
        """`machine`: everything that it depends on: weights, device, numbers, versions."""
        self._machine = machine
        self._file = file

    def known(self) -> Activations | None:
        """What was measured, if anything."""
        if self._file is None:
            return None
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            told = json.loads(self._file.read_text(encoding="utf-8"))[self._machine]
            found = Activations(float(told["stepped"]), float(told["decoded"]))
            return found if found.stepped > 0 and found.decoded > 0 else None
        return None

    def keep(self, found: Activations) -> None:
        """For the next start; who cannot write it measures again."""
        if self._file is None:
            return
        with contextlib.suppress(OSError):
            stored: Mapping[str, object] = {}
            with contextlib.suppress(OSError, ValueError):
                stored = json.loads(self._file.read_text(encoding="utf-8"))
            told = {"stepped": found.stepped, "decoded": found.decoded}
            self._file.parent.mkdir(parents=True, exist_ok=True)
            part = self._file.with_suffix(".part")
            part.write_text(json.dumps({**stored, self._machine: told}, indent=1), encoding="utf-8")
            part.replace(self._file)
