"""What an operator sees of the bot from outside: figures, spans, the job in every line of the log."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from pathlib import Path

from botkit import Easel, a_bot, until
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from standin.driver import StandIn
from standin.world import Channel, Member

from daguerre.app.logs import JsonLine
from daguerre.app.tracing import OpenSpans
from daguerre.queue.control.service import open_queue
from daguerre.queue.options import QueueOptions
from daguerre.queue.worker.loop import Worker
from daguerre.queue.worker.settings import WorkerSettings

pytest_plugins = ("botfixtures",)


async def test_one_tree_of_spans_from_interaction_to_delivery(
    standin: StandIn, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """The job's id is the trace; the interaction is its root, and sending, drawing, storing and delivering hang below
    it, though control process and worker share nothing but the job. No attribute holds the prompt."""
    kept, theirs = InMemorySpanExporter(), InMemorySpanExporter()
    control = OpenSpans(SimpleSpanProcessor(kept), "control")
    worker_spans = OpenSpans(SimpleSpanProcessor(theirs), "worker")
    stop, ready = asyncio.Event(), asyncio.Event()
    async with open_queue(QueueOptions(), tmp_path, spans=control) as queue:
        settings = WorkerSettings(
            nats_url=queue.nats_url, nats_token=queue.nats_token, name="easel", spans=worker_spans, drain_seconds=0.1
        )
        working = asyncio.create_task(Worker(easel, settings).run(stop, ready.set))
        async with a_bot(standin, queue, tmp_path):
            asked = await standin.slash(ada, studio, "imagine", prompt="a secret apple")
            await asked.wait_for(lambda seen: len(seen.buttons) > 1)
            await until(lambda: [span for span in kept.get_finished_spans() if span.name == "finish message"])
        stop.set()
        await working
        (job,) = await queue._table.jobs([f"{kept.get_finished_spans()[0].context.trace_id:032x}"])
    ours, workers = kept.get_finished_spans(), theirs.get_finished_spans()
    spans = {span.context.span_id: span for span in (*ours, *workers)}
    assert {span.context.trace_id for span in spans.values()} == {int(job.id, 16)}
    (root,) = [span for span in spans.values() if span.parent is None]
    assert (root.name, root.context.span_id) == ("interaction", int(job.id[16:], 16))
    assert {span.name for span in ours} == {
        "interaction", "send to worker", "store pictures", "finish message", "deliver",
    }  # fmt: skip
    assert {span.name for span in workers} == {"attempt"}
    for span in spans.values():
        assert span is root or span.parent.span_id in spans, f"{span.name} hangs in the air"
        assert span.end_time >= span.start_time >= root.start_time
    (delivered,) = [span for span in ours if span.name == "deliver"]
    assert spans[delivered.parent.span_id].name == "finish message"
    assert delivered.attributes["way"] == "token"
    assert "secret" not in "".join(span.to_json() for span in spans.values())


async def test_figures_of_the_bot(standin: StandIn, easel: Easel, tmp_path: Path, studio: Channel, ada: Member) -> None:
    """Jobs, waiting, drawing, answers, deliveries by way, Discord's limits, rules that were met, gateway latency."""
    stop, ready = asyncio.Event(), asyncio.Event()
    async with open_queue(QueueOptions(), tmp_path) as queue:
        value = queue.meters.registry.get_sample_value
        settings = WorkerSettings(nats_url=queue.nats_url, nats_token=queue.nats_token, name="easel", drain_seconds=0.1)
        working = asyncio.create_task(Worker(easel, settings).run(stop, ready.set))
        async with a_bot(standin, queue, tmp_path):
            easel.go.clear()
            asked = await standin.slash(ada, studio, "imagine", prompt="a red apple")
            await asked.saw(lambda seen: "step" in seen.content)
            standin.rate_limit("PATCH /webhooks/*/*/messages/@original", retry_after=0.2)
            easel.go.set()
            await asked.wait_for(lambda seen: bool(seen.attachments))
            refused = await standin.slash(ada, studio, "imagine", prompt="a nude apple")
            assert (await refused.message()).ephemeral
            await until(lambda: value("daguerre_deliveries_total", {"way": "token"}))
            assert 0 < value("daguerre_gateway_latency_seconds", {"shard": "0"}) < 10
        stop.set()
        await working
    assert value("daguerre_jobs_queued_total") == 1
    assert value("daguerre_jobs_ended_total", {"state": "rendered"}) == 1
    assert value("daguerre_job_waiting_seconds_count") == 1
    assert value("daguerre_job_render_seconds_sum") > 0
    assert value("daguerre_interaction_answer_seconds_count") == 1
    assert (
        sum(
            value("daguerre_discord_rate_limits_total", {"scope": scope}) or 0
            for scope in ("user", "shared", "global", "other")
        )
        == 1
    )
    assert value("daguerre_rule_hits_total", {"action": "refuse", "list": "shipped"}) == 1
    outcomes = settings.meters.registry.get_sample_value
    assert outcomes("daguerre_worker_outcomes_total", {"kind": "rendered"}) == 1
    assert (outcomes("daguerre_worker_slots"), outcomes("daguerre_worker_running")) == (1, 0)


async def test_every_line_about_a_job_names_it(
    standin: StandIn, easel: Easel, tmp_path: Path, studio: Channel, ada: Member
) -> None:
    """Queue, worker and bot log one job under one id, as a field of its own; none quotes the prompt unless wanted."""

    async def log_of(folder: Path, wanted: bool) -> list[dict[str, str]]:
        lines = io.StringIO()
        handler = logging.StreamHandler(lines)
        handler.setFormatter(JsonLine())
        root = logging.getLogger()
        root.addHandler(handler)
        root.setLevel("INFO")
        stop, ready = asyncio.Event(), asyncio.Event()
        async with open_queue(QueueOptions(), folder, log_prompts=wanted) as queue:
            settings = WorkerSettings(
                nats_url=queue.nats_url, nats_token=queue.nats_token, name="easel", drain_seconds=0.1
            )
            working = asyncio.create_task(Worker(easel, settings).run(stop, ready.set))
            async with a_bot(standin, queue, folder):
                asked = await standin.slash(ada, studio, "imagine", prompt="a quiet apple")
                await asked.wait_for(lambda seen: len(seen.buttons) > 1)
                await until(lambda: "notified by" in lines.getvalue())
            stop.set()
            await working
        root.removeHandler(handler)
        return [json.loads(line) for line in lines.getvalue().splitlines()]

    told = await log_of(tmp_path / "one", False)
    jobs = {line["job"] for line in told if "job" in line}
    assert len(jobs) == 1
    about = {line["logger"] for line in told if line.get("job") in jobs}
    assert {
        "daguerre.queue.control.queue", "daguerre.queue.worker.loop", "daguerre.queue.dispatch.intake",
        "daguerre.bot.message.follow",
    } <= about  # fmt: skip
    assert "quiet" not in json.dumps(told)
    assert "quiet" in json.dumps(await log_of(tmp_path / "two", True))
