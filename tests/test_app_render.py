"""The engine as the queue's handler."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from daguerre.app.engine_thread import EngineThread
from daguerre.app.errors import OutputError
from daguerre.app.output import check_writable, output_files, write_files
from daguerre.app.render import make_handler
from daguerre.models.errors import Unrenderable
from daguerre.queue.errors import RenderRefused
from daguerre.queue.jobs import Rendered
from daguerre.queue.requests import image_request


class Left(Exception):
    """What `on_step` raises to stop the engine."""


class Painter:
    """Shaped like the engine; one colour for each seed. `gate` holds it at its first step."""

    def __init__(self, gate: threading.Event | None = None) -> None:
        self.gate = gate
        self.left = threading.Event()
        self.threads: set[str] = set()

    def load(self) -> None: ...

    def describe(self) -> Mapping[str, Any]:
        return {"model": "painter", "model_digest": "abc", "device": "cpu"}

    def generate(
        self,
        prompt: str,
        *,
        negative: str,
        seeds: Sequence[int],
        steps: int,
        guidance: float,
        width: int,
        height: int,
        on_step: Callable[[int, int], None],
    ) -> Sequence[Image.Image]:
        self.threads.add(threading.current_thread().name)
        if prompt == "too large":
            raise Unrenderable("does not fit")
        try:
            for step in range(1, steps + 1):
                on_step(step, steps)
                if self.gate is not None:
                    assert self.gate.wait(10)
        except Left:
            self.left.set()
            raise
        return [Image.new("RGB", (width, height), (seed, 0, 0)) for seed in seeds]


class Context:
    """Shaped like the queue's JobContext; keeps the progress."""

    def __init__(self) -> None:
        self.job = "0" * 32
        self.attempt = 1
        self.steps: list[tuple[int, int]] = []
        self.begun = asyncio.Event()

    async def progress(self, step: int, steps: int, preview: bytes | None = None) -> None:
        self.steps.append((step, steps))
        self.begun.set()


async def test_pictures_say_how_they_were_made() -> None:
    """Each PNG carries prompt, seed, steps, guidance, model and program, readable by any viewer."""
    painter, context = Painter(), Context()
    handle = make_handler(painter, EngineThread(), Left)
    request = image_request(prompt="ein Apfel – 🍎", negative="blue", seed=7, count=2, steps=3, width=64, height=64)
    result = await handle(request, context)
    assert isinstance(result, Rendered)
    assert context.steps == [(1, 3), (2, 3), (3, 3)]
    assert result.metadata["model_digest"] == "abc"
    assert painter.threads == {"engine"}
    for seed, data in zip((7, 8), result.pictures, strict=True):
        with Image.open(io.BytesIO(data)) as picture:
            assert picture.format == "PNG"
            assert picture.getpixel((0, 0)) == (seed, 0, 0)
            texts = dict(picture.info)
        assert texts["Description"] == request.prompt
        assert (texts["Seed"], texts["Steps"], texts["Guidance"], texts["Negative"]) == (str(seed), "3", "3", "blue")
        assert texts["Model"] == "painter abc"
        assert texts["Software"].startswith("daguerre ")


async def test_cancelling_leaves_at_the_next_step() -> None:
    """The engine is free for the next job one step after a cancel."""
    gate = threading.Event()
    painter, context, thread = Painter(gate), Context(), EngineThread()
    handle = make_handler(painter, thread, Left)
    task = asyncio.ensure_future(handle(image_request(prompt="a", seed=1), context))
    await asyncio.wait_for(context.begun.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.set()
    assert await asyncio.wait_for(thread.call(lambda: painter.left.is_set()), 10)
    assert context.steps == [(1, 16)]


async def test_what_cannot_be_rendered_is_refused_for_good() -> None:
    """The engine's "never" is the queue's "never"; anything else stays an ordinary failure, tried again."""
    handle = make_handler(Painter(), EngineThread(), Left)
    with pytest.raises(RenderRefused) as caught:
        await handle(image_request(prompt="too large", seed=1), Context())
    assert caught.value.code == "unrenderable"


async def test_calls_share_one_thread_in_order() -> None:
    """Loading and all rendering happen in the same thread; a cancelled wait skips what has not begun."""
    thread, gate, done = EngineThread(), threading.Event(), list[str]()
    first = asyncio.ensure_future(thread.call(lambda: gate.wait(10) and done.append("first")))
    skipped = asyncio.ensure_future(thread.call(lambda: done.append("skipped")))
    third = asyncio.ensure_future(thread.call(lambda: done.append(threading.current_thread().name)))
    await asyncio.sleep(0)
    skipped.cancel()
    with pytest.raises(asyncio.CancelledError):
        await skipped
    gate.set()
    await asyncio.wait_for(asyncio.gather(first, third), 10)
    assert done == ["first", "engine"]
    with pytest.raises(ZeroDivisionError):
        await thread.call(lambda: 1 // 0)
    thread.close()


def test_names_of_files() -> None:
    """One picture keeps its name, several are numbered from 1; other formats are refused with the right name."""
    assert output_files(Path("a/apple.png"), 1) == (Path("a/apple.png"),)
    assert output_files(Path("apple.PNG"), 2) == (Path("apple-1.PNG"), Path("apple-2.PNG"))
    with pytest.raises(OutputError, match=r"name it apple\.png"):
        output_files(Path("apple.jpg"), 1)


def test_files_are_written_whole(tmp_path: Path) -> None:
    """Pictures replace what stood there; nothing else is left in the folder."""
    files = (tmp_path / "a-1.png", tmp_path / "a-2.png")
    files[0].write_bytes(b"old")
    write_files(files, (b"one", b"two"))
    assert [file.read_bytes() for file in files] == [b"one", b"two"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a-1.png", "a-2.png"]


def test_unwritable_places_are_told_before_rendering(tmp_path: Path) -> None:
    """A missing folder, a folder in the way and a file as folder are each told apart."""
    with pytest.raises(OutputError, match="there is no folder"):
        check_writable((tmp_path / "absent" / "a.png",))
    with pytest.raises(OutputError, match="is a folder"):
        check_writable((tmp_path,))
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="there is no folder"):
        check_writable((tmp_path / "file" / "a.png",))
