"""The figures of the control process, as Prometheus reads them (docs/operating.md lists them)."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

#: Upper ends of the classes of times, in seconds.
WAITS = (0.01, 0.05, 0.1, 0.5, 1, 5, 15, 30, 60, 120, 300, 600, 1_800, 3_600)
RENDERS = (0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 600)
ANSWERS = (0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2, 3, 5)


class Meters:
    """One for each control process; `registry` holds all of them. No label's values come from members."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.up = Gauge("daguerre_up", "1 while this part of the queue works", ["part"], registry=registry)
        self.jobs = Gauge("daguerre_jobs", "Jobs in the table, by state", ["state"], registry=registry)
        self.queued = Counter("daguerre_jobs_queued", "Jobs accepted", registry=registry)
        self.ended = Counter("daguerre_jobs_ended", "Jobs that ended, by how", ["state"], registry=registry)
        self.waiting = Histogram(
            "daguerre_job_waiting_seconds", "From asking until a worker begins", buckets=WAITS, registry=registry
        )
        self.rendering = Histogram(
            "daguerre_job_render_seconds", "Device time of a job", buckets=RENDERS, registry=registry
        )
        self.workers = Gauge("daguerre_workers", "Workers heard of lately", registry=registry)
        self.slots = Gauge("daguerre_slots", "Jobs that they can draw at a time", registry=registry)
        self.busy = Gauge("daguerre_slots_busy", "Jobs that they draw now", registry=registry)
        self.answers = Histogram(
            "daguerre_interaction_answer_seconds",
            "From an interaction's arrival here to its first answer",
            buckets=ANSWERS,
            registry=registry,
        )
        self.latency = Gauge(
            "daguerre_gateway_latency_seconds", "Discord's answer to a heartbeat", ["shard"], registry=registry
        )
        self.rate_limits = Counter(
            "daguerre_discord_rate_limits", "Answers 429 of Discord, by scope", ["scope"], registry=registry
        )
        self.deliveries = Counter("daguerre_deliveries", "Answers brought, by their way", ["way"], registry=registry)
        self.rule_hits = Counter(
            "daguerre_rule_hits", "Rules that a request met, by what they do and whose", ["action", "list"],
            registry=registry,
        )  # fmt: skip
        self.conflicts = Counter(
            "daguerre_token_conflicts", "Signs that another bot runs with this token", ["sign"], registry=registry
        )
        self.disk_free = Gauge("daguerre_disk_free_bytes", "Room left for the data folder", registry=registry)
