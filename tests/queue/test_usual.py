"""What is usual for a model now: told by workers, kept by the queue, under what a server's managers set."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from queuekit import QUICK, until, worker

from daguerre.queue.control.queue import Queue
from daguerre.queue.control.service import open_queue
from daguerre.queue.errors import InvalidRequest
from daguerre.queue.prompt.grammar import fields, parse
from daguerre.queue.records import ANY_MODEL, Heartbeat, Usual, WorkerInfo, check_size, image_request, usual_of
from daguerre.queue.store.server_settings import ServerSettings

SDXL = Usual(steps=30, guidance=5.0, size=1024, pixels=1_121_976)
FLUX = Usual(steps=4, guidance=1.0, size=1024, pixels=2_000_000)
OLD = (16, 3.0, 256)


def info(models: tuple[str, ...] = (), slots: int = 1, **usual: Usual) -> WorkerInfo:
    return WorkerInfo("w", slots, 0, "cpu", models, 0.0, usual=usual)


def figures(usual: Usual) -> tuple[int, float, int]:
    return usual.steps, usual.guidance, usual.size


def test_what_is_usual_follows_the_connected_workers() -> None:
    """One model, or several that agree; the old figures where nobody is there, some differ, or one does not tell."""
    sdxl, flux, older = info(("sdxl",), sdxl=SDXL), info(("flux",), flux=FLUX), info(("sdxl",))
    assert figures(usual_of([])) == figures(ANY_MODEL) == OLD
    assert usual_of([sdxl]) == SDXL
    roomy = info(("sdxl",), sdxl=SDXL.model_copy(update={"pixels": 4_000_000}))
    assert figures(usual_of([sdxl, roomy])) == figures(SDXL)
    assert figures(usual_of([sdxl, flux])) == OLD
    assert figures(usual_of([sdxl, older])) == OLD
    assert figures(usual_of([info()])) == OLD


def test_a_named_model_has_its_own() -> None:
    """Whatever else is connected; one that nobody has is as if nobody were there. Who is going does not count."""
    both = [info(("sdxl", "flux"), sdxl=SDXL, flux=FLUX), info(("first-light",))]
    assert (usual_of(both, "sdxl"), usual_of(both, "flux")) == (SDXL, FLUX)
    assert figures(usual_of(both, "nobody's")) == figures(usual_of(both, "first-light")) == OLD
    leaving = [info(("sdxl",), slots=0, sdxl=SDXL), info(("flux",), flux=FLUX)]
    assert usual_of(leaving) == FLUX
    assert usual_of(leaving[:1]) == SDXL


def test_requests_take_it_up() -> None:
    """Through the one grammar: flags win, `--q` is a share of it, `--ar` a shape of its size."""
    usual = usual_of([info(("sdxl",), sdxl=SDXL)], "sdxl")

    def made(typed: str) -> Any:
        return image_request(seed=1, **fields(parse(typed), **usual.fields))

    plain = made("a cat --model sdxl")
    assert (plain.steps, plain.guidance, plain.width, plain.height) == (30, 5.0, 1024, 1024)
    shaped = made("a cat --ar 3:2 --steps 8 --s 100")
    assert (shaped.steps, shaped.guidance, shaped.width, shaped.height) == (8, 3.0, 1248, 832)
    assert made("a cat --q 0.5").steps == 15


def test_a_heartbeat_without_it_is_heard() -> None:
    """Of an older worker; one of a newer worker, or with numbers that cannot be, keeps its worker alive too."""
    life: dict[str, Any] = {"name": "w", "instance": "w-1", "slots": 1, "device": "cpu", "models": ["m"], "running": {}}
    assert Heartbeat.model_validate_json(json.dumps(life)).usual == {}
    for bad in ({"m": {"steps": 0}}, {"m": {"size": 9_999}}, "nonsense", {"m": {"guidance": "much"}}):
        assert Heartbeat.model_validate_json(json.dumps({**life, "usual": bad})).usual == {}
    newer = {"m": {"steps": 30, "guidance": 5.0, "size": 1024, "shift": 3.0}}
    heard = Heartbeat.model_validate_json(json.dumps({**life, "usual": newer}))
    assert figures(heard.usual["m"]) == (30, 5.0, 1024)
    assert Heartbeat.model_validate_json(heard.model_dump_json()) == heard


@pytest.mark.parametrize(
    ("shape", "workers", "fits"),
    [
        ((1216, 832), [info(("sdxl",), sdxl=SDXL)], True),
        ((1536, 1024), [info(("sdxl",), sdxl=SDXL)], False),
        ((1632, 1216), [info(("flux",), flux=FLUX)], True),
        ((2048, 2048), [info(("flux",), flux=FLUX)], False),
        ((1216, 832), [info(("first-light",), **{"first-light": Usual(pixels=4_382)})], False),
        ((1024, 1024), [info(("first-light",), **{"first-light": Usual(pixels=4_382)})], True),
        # An older worker takes no such job at all.
        ((1216, 832), [info(("sdxl",), sdxl=SDXL), info(("old",))], False),
        ((1024, 1024), [info(("old",))], True),
        ((2048, 1024), [], True),
    ],
)
def test_long_sides_are_for_models_that_draw_them(shape: tuple[int, int], workers: list[Any], fits: bool) -> None:
    """Up to 1024 pixels anybody's, as ever; further as the model, or `[render] megapixels`, draws."""
    request = image_request(prompt="a cat", seed=1, width=shape[0], height=shape[1])
    if fits:
        check_size(request, workers)
        return
    with pytest.raises(InvalidRequest) as refused:
        check_size(request, workers)
    assert (refused.value.field, refused.value.kind) == ("width", "pixels")


def test_nothing_is_longer_than_2048() -> None:
    """Which is four million pixels at most."""
    with pytest.raises(InvalidRequest):
        image_request(prompt="a cat", seed=1, width=2064)


def test_a_server_sets_over_it_what_it_wants() -> None:
    """What nobody set follows the model; the clamps hold for both."""
    assert ServerSettings().over(SDXL) == SDXL
    assert figures(ServerSettings(steps=16).over(SDXL)) == (16, 5.0, 1024)
    request = image_request(prompt="a cat", seed=1, **{"width": 1248, "height": 832, "steps": 30, "guidance": 5.0})
    clamped = ServerSettings(most_size=512, most_steps=20).clamped(request)
    assert (clamped.width, clamped.height, clamped.steps) == (512, 336, 20)


@pytest.fixture
async def queue(tmp_path: Path) -> AsyncIterator[Queue]:
    async with open_queue(QUICK, tmp_path) as opened:
        yield opened


async def test_workers_tell_it_over_the_wire(queue: Queue) -> None:
    """While they are connected; a picture that nobody draws so large is refused when it is asked for."""
    assert await queue.usual() == ANY_MODEL
    async with worker(queue, models=("sdxl",), usual={"sdxl": SDXL}):
        await until(queue.workers)
        assert await queue.usual() == await queue.usual("sdxl") == SDXL
        large = image_request(prompt="a cat", seed=1, width=2048, height=2048)
        with pytest.raises(InvalidRequest, match="pixels"):
            await queue.submit(large, key="1", member="m", server="s", reply={})
        # A server that clamps brings it down before.
        await queue.server_settings.put("small", ServerSettings(most_size=256), "mona")
        ticket = await queue.submit(large, key="2", member="m", server="small", reply={})
        assert (ticket.job.request.width, ticket.job.request.height) == (256, 256)


async def test_numbers_that_were_stored_keep_their_meaning(queue: Queue, tmp_path: Path) -> None:
    """Versions before stored 16, 3 and 256 whether they were set or not: they hold. What is unset stays unset."""
    store = queue.server_settings
    await store.put("1", ServerSettings(hold_from=50), "mona")
    await store.put("2", ServerSettings(hold_from=50), "mona")
    stored = ServerSettings(hold_from=50).model_dump(mode="json")
    assert (stored["steps"], stored["guidance"], stored["size"]) == (None, None, None)
    before = {**stored, "steps": 16, "guidance": 3.0, "size": 256, "most_size": 1024}
    with sqlite3.connect(tmp_path / "daguerre.db") as connection:
        connection.execute("UPDATE server_settings SET new = ? WHERE server = '1'", (json.dumps(before),))
    connection.close()
    store._fresh.drop("1")
    assert figures((await store.get("1")).over(SDXL)) == OLD
    assert (await store.get("1")).most_size == 1024
    assert (await store.get("2")).over(SDXL) == SDXL
