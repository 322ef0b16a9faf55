"""What a worker process tells an operator's programs: figures of the engine, whether it can draw."""

from __future__ import annotations

import socket
from pathlib import Path

import aiohttp
import pytest
from toyweights import write_toy_weights

from daguerre.app import worker_api
from daguerre.app.worker_api import operator_api
from daguerre.app.worker_figures import EngineFigures
from daguerre.models.serving.engine import Engine
from daguerre.queue.observe.worker_meters import WorkerMeters
from daguerre.web.options import WebOptions


async def text_of(address: str, path: str, **headers: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"{address}{path}", headers=headers) as answer:
        return answer.status, await answer.text()


async def test_figures_and_readiness(tmp_path: Path, unused_tcp_port: int) -> None:
    """Steps and rows of a real engine are counted; /readyz says what is missing; strangers' names are refused."""
    engine = Engine(write_toy_weights(tmp_path / "toy"), device="cpu")
    engine.load()
    meters = WorkerMeters()
    loaded: list[Engine] = []
    meters.registry.register(EngineFigures(lambda: loaded[0] if loaded else None))
    options = WebOptions(worker_port=unused_tcp_port)
    missing = "the weights are being loaded"
    async with operator_api(options, meters.registry, lambda: None if loaded else missing) as address:
        assert address is not None
        status, told = await text_of(address, "/readyz")
        assert (status, missing in told) == (503, True)
        assert "daguerre_engine_steps" not in (await text_of(address, "/metrics"))[1]
        assert (await text_of(address, "/healthz"))[0] == 200
        engine.generate("a red apple", seeds=[1, 2], steps=3, guidance=3.0, width=64, height=64)
        loaded.append(engine)
        assert (await text_of(address, "/readyz"))[0] == 200
        lines = (await text_of(address, "/metrics"))[1].splitlines()
        assert (await text_of(address, "/metrics", Host="evil.example"))[0] == 403
    figures = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert float(figures["daguerre_engine_steps_total"]) == engine.loop.forwards >= 3
    # Two pictures with guidance are four rows a step.
    assert float(figures["daguerre_engine_rows_total"]) == 12


async def test_each_worker_of_a_machine_has_its_own_port(unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next free one; where none is, or none is wanted, it draws without."""
    registry, options = WorkerMeters().registry, WebOptions(worker_port=unused_tcp_port)
    async with (
        operator_api(options, registry, lambda: None) as first,
        operator_api(options, registry, lambda: None) as second,
    ):
        assert first != second
        assert (await text_of(str(second), "/metrics"))[0] == 200
    monkeypatch.setattr(worker_api, "PORTS", 1)
    with socket.create_server(("127.0.0.1", unused_tcp_port)):
        async with operator_api(options, registry, lambda: None) as none:
            assert none is None
    async with operator_api(options.model_copy(update={"worker_port": 0}), registry, lambda: None) as off:
        assert off is None
