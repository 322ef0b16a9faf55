"""What the engine counts, for Prometheus: read from it when somebody asks, so that drawing pays nothing for it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector


class EngineFigures(Collector):
    """Steps are forwards of the network: their rate is steps a second, and rows by forwards the rows of a batch."""

    def __init__(self, engine: Callable[[], Any]) -> None:
        """`engine` gives the engine, None before it is loaded."""
        self._engine = engine

    def collect(self) -> Iterable[Metric]:
        loop: Any = getattr(self._engine(), "loop", None)
        # What draws by a pipeline of its own counts neither.
        if loop is not None and hasattr(loop, "forwards"):
            yield CounterMetricFamily("daguerre_engine_steps", "Steps of batches that were drawn", loop.forwards)
            yield CounterMetricFamily("daguerre_engine_rows", "Rows in the batches of those steps", loop.rows)
        yield from _memory()


def _memory() -> Iterable[Metric]:
    """Of each GPU that this process uses."""
    torch: Any = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "cuda") or not torch.cuda.is_initialized():
        return
    used = GaugeMetricFamily("daguerre_gpu_memory_bytes", "Memory of a GPU, by what it is", labels=["gpu", "kind"])
    for number in range(torch.cuda.device_count()):
        reserved = torch.cuda.memory_reserved(number)
        if not reserved:
            continue
        free, total = torch.cuda.mem_get_info(number)
        for kind, value in (
            ("total", total), ("free", free), ("reserved", reserved),
            ("allocated", torch.cuda.memory_allocated(number)),
        ):  # fmt: skip
            used.add_metric([str(number), kind], value)
    yield used
