"""What deploy/ gives operators: alert rules, a dashboard and settings for Prometheus, held against the real figures."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from prometheus_client.core import CollectorRegistry

from daguerre.app.worker_figures import EngineFigures
from daguerre.queue.observe.meters import Meters
from daguerre.queue.observe.worker_meters import WorkerMeters

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool (Debian's package prometheus) is not installed")
#: Only a GPU has these.
ELSEWHERE = {"daguerre_gpu_memory_bytes"}


def dashboard() -> list[str]:
    """Every expression of the dashboard, as Prometheus would get it."""
    panels = json.loads((DEPLOY / "grafana.json").read_text(encoding="utf-8"))["panels"]
    return [target["expr"].replace("$__rate_interval", "5m") for panel in panels for target in panel["targets"]]


def rules() -> list[str]:
    groups = yaml.safe_load((DEPLOY / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    return [rule["expr"] for group in groups for rule in group["rules"]]


class Loop:
    forwards = rows = 1


class Counting:
    loop = Loop()


def known() -> set[str]:
    """Names of all figures that control process and workers have."""
    worker = WorkerMeters().registry
    worker.register(EngineFigures(Counting))
    registries: tuple[CollectorRegistry, ...] = (Meters().registry, worker)
    names: set[str] = set()
    for registry in registries:
        for metric in registry.collect():
            more = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(metric.type, ("",))
            names |= {metric.name + ending for ending in more}
    return names | ELSEWHERE


@pytest.mark.parametrize("expressions", [rules(), dashboard()], ids=["alerts", "dashboard"])
def test_every_figure_that_is_asked_for_exists(expressions: list[str]) -> None:
    """A figure that was renamed would leave an alert that never fires, and an empty panel."""
    asked = {name for one in expressions for name in re.findall(r"\b(?:daguerre|process)_\w+", one)}
    assert len(asked) >= 8
    assert asked - known() == set()


def test_every_figure_is_described() -> None:
    """docs/operating.md names each."""
    text = (DEPLOY.parent / "docs" / "operating.md").read_text(encoding="utf-8")
    ours = {name.removesuffix("_total") for name in known() if name.startswith("daguerre")}
    ours = {re.sub(r"_(bucket|sum|count)$", "", name) for name in ours}
    assert {name for name in ours if f"`{name}" not in text} == set()


@needs_promtool
def test_promtool_takes_rules_and_settings() -> None:
    """Prometheus' own checks: the rules parse, fire when they should and stay silent when not."""
    assert PROMTOOL is not None
    for command in (
        ("check", "rules", "alerts.yml"),
        ("check", "config", "prometheus.yml"),
        ("test", "rules", "alerts_test.yml"),
    ):
        done = subprocess.run([PROMTOOL, *command], cwd=DEPLOY, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_promtool_takes_the_dashboards_expressions(tmp_path: Path) -> None:
    """As rules, each parses."""
    assert PROMTOOL is not None
    made = [{"record": f"panel:{number}", "expr": each} for number, each in enumerate(dashboard())]
    (tmp_path / "panels.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": made}]}))
    done = subprocess.run(
        [PROMTOOL, "check", "rules", "panels.yml"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(made)} rules found" in done.stdout
