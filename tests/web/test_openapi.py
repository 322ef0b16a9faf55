"""The API does as its OpenAPI document says, whatever is sent: schemathesis calls every address, on a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import CHECKS
from webkit import Client, api, worker

from daguerre.queue.control.queue import Queue
from daguerre.queue.control.service import open_queue
from daguerre.queue.options import QueueOptions
from daguerre.queue.prompt.vocabulary import Vocabulary
from daguerre.web.openapi import document
from daguerre.web.server import make_app

VOCABULARY = Vocabulary(["apple", "dog"], ["apple", "dog"], ["a", "red", "noto"])
#: Calls of each address; they take about a fiftieth of a second each.
EXAMPLES = 8


@pytest.fixture
async def queue(tmp_path: Path) -> AsyncIterator[Queue]:
    async with open_queue(QueueOptions(max_queued_per_member=500, max_queued_per_server=5000), tmp_path) as queue:
        yield queue


@pytest.fixture
async def client(queue: Queue) -> AsyncIterator[Client]:
    async with api(queue, VOCABULARY) as client:
        yield client


async def test_the_document_is_served_and_whole(client: Client) -> None:
    """It is OpenAPI 3.1, every reference in it leads somewhere, and every address of the router is in it."""
    told = await (await client.get("/api/v1/openapi.json")).json()
    assert told == document()
    assert told["openapi"].startswith("3.1")
    for schema in told["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    served = {
        (route.method.lower(), _plain(route.resource.canonical))
        for route in client.app.router.routes()
        if route.resource is not None and route.resource.canonical.startswith("/api/") and route.method != "HEAD"
    }
    said = {(method, path) for path, ways in told["paths"].items() for method in ways}
    files = {("get", "/api/v1/openapi.json"), ("get", "/api/v1/things/examples.webp")}
    assert served - files == said


def _plain(path: str) -> str:
    return path.replace("{what}", "{action}")


async def test_every_address_does_as_it_says(queue: Queue, client: Client) -> None:
    """No answer is a fault of ours, or of a status, kind or shape that the document does not name."""
    told = await (await client.get("/api/v1/openapi.json")).json()
    drawn = await (await client.post("/api/v1/jobs", json={"prompt": "a red apple", "size": 64, "seed": 3})).json()
    async with worker(queue):
        await (await client.get(f"/api/v1/jobs/{drawn['id']}/events")).read()
    # Real ids in half of the calls, so that more than 404 is seen.
    for ways in told["paths"].values():
        for way in ways.values():
            for parameter in way.get("parameters", ()):
                if parameter["in"] == "path" and parameter["name"] in ("id", "other"):
                    parameter["schema"] = {"enum": [drawn["id"], "0" * 32]}
                if parameter["in"] == "path" and parameter["name"] == "n":
                    parameter["schema"] = {"enum": [1, 2]}
    told["paths"].pop("/api/v1/jobs/{id}/events")
    called = await asyncio.to_thread(_call_all, told, str(client.make_url("/")).rstrip("/"))
    assert called >= len(told["paths"]) * EXAMPLES / 2


def _call_all(told: dict[str, Any], base: str) -> int:
    """Call every operation with generated data and check each answer; gives how many calls were made."""
    schema = schemathesis.openapi.from_dict(told)
    wanted = (
        "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
    )  # fmt: skip
    checks = CHECKS.get_by_names(wanted)
    number = 0
    for found in schema.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @_given(operation)
        def call(case: Any) -> None:
            nonlocal number
            number += 1
            case.call_and_validate(base_url=base, checks=checks, timeout=20)

        call()
    return number


def _given(operation: Any) -> Any:
    from hypothesis import given

    return given(case=operation.as_strategy())


async def test_the_little_client_of_the_docs_works(queue: Queue, client: Client) -> None:
    """docs/studio.md shows a client of twenty lines; it is run as it stands there."""
    page = (Path(__file__).parents[2] / "docs" / "studio.md").read_text(encoding="utf-8")
    code = page.partition("```python\n")[2].partition("```")[0]
    assert "async def imagine" in code
    names: dict[str, Any] = {}
    exec(compile(code, "docs/studio.md", "exec"), names)
    async with worker(queue):
        pictures = await asyncio.wait_for(names["imagine"](str(client.make_url("/")), "a red apple --seed 5"), 30)
    assert [each[:4] for each in pictures] == [b"\x89PNG"]
    assert aiohttp
    assert make_app
