"""The figures of a worker process, as Prometheus reads them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector


class WorkerMeters:
    """One for each worker process. What the engine counts comes in by app/worker_figures.py."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.running = Gauge("daguerre_worker_running", "Jobs in work", registry=registry)
        self.slots = Gauge("daguerre_worker_slots", "Jobs that it can draw at a time", registry=registry)
        self.outcomes = Counter("daguerre_worker_outcomes", "Attempts that ended, by how", ["kind"], registry=registry)
        self.connected = Gauge("daguerre_worker_connected", "1 while nats-server is connected", registry=registry)
