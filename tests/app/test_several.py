"""Several models: named in config.toml, drawn by one worker over a real queue, listed and refused by name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from queuekit import QUICK, state, submit, until, worker
from toyweights import write_toy_weights
from webkit import api

from daguerre.app.config import load
from daguerre.app.engine_thread import EngineThread
from daguerre.app.errors import ConfigError, Refused, ServerUnreachable
from daguerre.app.imagine import model_of
from daguerre.app.listing import of_server, of_settings
from daguerre.app.render import RackLike, is_rack, make_handler
from daguerre.app.settings import Configuration
from daguerre.app.worker import load_rack, what_it_draws
from daguerre.queue.control.queue import Queue
from daguerre.queue.control.service import open_queue
from daguerre.queue.records.jobs import JobState


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models, and settings that name both."""
    folder = tmp_path_factory.mktemp("several")
    for name in ("one", "other"):
        write_toy_weights(folder / name)
    (folder / "config.toml").write_text(
        '[render]\nweights = "one"\nmodels = ["second = other"]\nkeep_gigabytes = 0.5\n', encoding="utf-8"
    )
    return folder


@pytest.fixture
def configuration(folder: Path) -> Configuration:
    return load(folder / "config.toml")


@pytest.fixture
async def rack(configuration: Configuration) -> AsyncIterator[RackLike]:
    """As a worker has it, drawing in a thread of its own."""
    thread = EngineThread()
    made = await thread.call(lambda: load_rack(configuration, "cpu"))
    drawing = asyncio.ensure_future(thread.call(made.run))
    yield made
    made.close()
    await asyncio.wait_for(drawing, 20)


@pytest.fixture
async def queue(tmp_path: Path) -> AsyncIterator[Queue]:
    async with open_queue(QUICK, tmp_path) as opened:
        yield opened


async def test_one_worker_draws_with_two_models(queue: Queue, rack: RackLike) -> None:
    """Jobs come back drawn by the model that they name, or by the first; the worker tells what it has and what is
    loaded, each model's usual numbers count, and another name is refused at once with the list."""
    assert is_rack(rack)
    settings = what_it_draws(rack, 0)
    assert settings["models"] == ("one", "second")
    async with worker(queue, make_handler(rack), **settings):
        await until(queue.workers)
        small = {"width": 64, "height": 64, "steps": 2}
        asked = [("second", await submit(queue, model="second", **small)) for _ in range(3)]
        asked += [("one", await submit(queue, **small)), ("one", await submit(queue, model="one", **small))]
        for name, job in asked:
            done = await state(queue, job, JobState.RENDERED, seconds=60)
            assert done.metadata["model"] == name
            assert done.metadata["model_digest"] == rack.engine(name).describe()["model_digest"]
        (told,) = await queue.workers()
        assert told.models == ("one", "second")
        assert set(told.usual) == {"one", "second"}
        assert told.digests == {name: rack.engine(name).describe()["model_digest"] for name in told.models}
        assert (await queue.usual("second")).steps == 16
        await until(lambda: queue._registry.workers(asyncio.get_running_loop().time())[0].active == rack.active)
        async with api(queue) as client:
            address = str(client.make_url("")).rstrip("/")
            listed = await of_server(address)
            assert [line.partition(":")[0] for line in listed] == ["one", "second"]
            assert sum("loaded by 1" in line for line in listed) == 1
            answer = await client.post("/api/v1/jobs", json={"prompt": "a red apple", "model": "third"})
            problem = await answer.json()
            assert (answer.status, problem["error"]) == (400, "unknown_model")
            assert "there are: one, second" in problem["message"]
    with pytest.raises(ServerUnreachable):
        await of_server("http://127.0.0.1:9")


def test_models_of_the_settings_are_listed(configuration: Configuration, folder: Path, tmp_path: Path) -> None:
    """By name with their folders; one that cannot be used says why; another name is refused with the list."""
    assert of_settings(configuration) == [
        f"one (draws what names none): {folder / 'one'}", f"second: {folder / 'other'}",
    ]  # fmt: skip
    file = tmp_path / "config.toml"
    file.write_text(f'[render]\nweights = "{folder / "one"}"\nmodels = ["gone"]\n', encoding="utf-8")
    assert "gone: cannot be used: no weights in" in of_settings(load(file))[1]
    assert model_of(configuration, "second") == "second"
    assert model_of(configuration, "") == "one"
    with pytest.raises(Refused, match=r"there is no model 'third' here; there are: one, second"):
        model_of(configuration, "third")


@pytest.mark.parametrize(
    ("models", "says"),
    [
        ('["a/one"]', "there is a model one already"),
        ('["x = a", "x = b"]', "there is a model x already"),
        ('["two words = a"]', "a name has no spaces"),
        ('["x = "]', "write a folder"),
        ('[""]', "write a folder"),
        ('"a"', "a list of texts"),
    ],
)
def test_names_that_cannot_be_asked_for_are_refused(tmp_path: Path, models: str, says: str) -> None:
    """With the line, and what to write in its place."""
    file = tmp_path / "config.toml"
    file.write_text(f'[render]\nweights = "one"\nmodels = {models}\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=says) as refused:
        load(file)
    assert "line 3" in str(refused.value)


def test_names_are_those_of_folders_and_files(tmp_path: Path) -> None:
    """A single file by its name without the ending; paths count from the folder of the settings."""
    file = tmp_path / "config.toml"
    file.write_text('[render]\nmodels = ["/srv/x.safetensors", "a=b", "/srv/with=sign"]\n', encoding="utf-8")
    named = load(file).models
    assert list(named) == ["first-light", "x", "a", "with=sign"]
    assert named["a"] == tmp_path / "b"
    assert named["with=sign"] == Path("/srv/with=sign")
