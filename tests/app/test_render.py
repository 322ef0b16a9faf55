"""The engine as the queue's handler."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageStat
from toyweights import write_toy_weights

from daguerre.app.engine_thread import EngineThread
from daguerre.app.errors import OutputError
from daguerre.app.finishing import Finisher
from daguerre.app.making import MAKING, Making, read_making
from daguerre.app.output import check_writable, output_files, write_files
from daguerre.app.render import make_handler, render
from daguerre.app.reproduce import read_picture
from daguerre.app.verify import read_origin
from daguerre.models.provenance.certificates import development_certificate
from daguerre.models.provenance.manifest import Signer
from daguerre.models.serving.engine import Engine
from daguerre.models.serving.previews import drawing
from daguerre.queue.errors import RenderRefused
from daguerre.queue.records.jobs import Rendered
from daguerre.queue.records.requests import image_request


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_weights(tmp_path_factory.mktemp("weights") / "toy")


@pytest.fixture
async def engine(weights: Path) -> AsyncIterator[Engine]:
    """The real one, drawing in a thread of its own."""
    made, thread = Engine(weights, device="cpu"), EngineThread()
    await thread.call(made.load)
    drawing = asyncio.ensure_future(thread.call(made.run))
    yield made
    made.close()
    await asyncio.wait_for(drawing, 20)


class Context:
    """Shaped like the queue's JobContext; keeps the progress."""

    def __init__(self, **sources: bytes) -> None:
        self.job = "0" * 32
        self.attempt = 1
        self.sources: Mapping[str, bytes] = sources
        self.steps: list[tuple[int, int]] = []
        self.previews: list[bytes] = []
        self.begun = asyncio.Event()

    async def progress(self, step: int, steps: int, preview: bytes | None = None) -> None:
        self.steps.append((step, steps))
        self.previews += [preview] if preview else []
        self.begun.set()


def png(side: int = 64) -> bytes:
    file = io.BytesIO()
    drawing(side, 1).save(file, "PNG")
    return file.getvalue()


async def test_pictures_say_how_they_were_made(engine: Engine) -> None:
    """Each PNG carries prompt, seed, steps, guidance, model and program, readable by any viewer."""
    handle, context = make_handler(engine), Context()
    request = image_request(prompt="ein Apfel – 🍎", negative="blue", seed=7, count=2, steps=3, width=64, height=64)
    result = await handle(request, context)  # pyright: ignore[reportArgumentType]
    assert isinstance(result, Rendered)
    assert context.steps == [(1, 3), (2, 3), (3, 3)]
    assert context.previews
    assert result.metadata["model_digest"] == engine.describe()["model_digest"]
    assert 0 < result.seconds < 60
    for number, (seed, data) in enumerate(zip((7, 8), result.pictures, strict=True)):
        with Image.open(io.BytesIO(data)) as picture:
            assert (picture.format, picture.size) == ("PNG", (64, 64))
            texts = dict(picture.info)
        assert texts["Description"] == request.prompt
        assert (texts["Seed"], texts["Steps"], texts["Guidance"], texts["Negative"]) == (str(seed), "3", "3", "blue")
        assert texts["Model"] == f"toy {result.metadata['model_digest']}"
        assert texts["Software"].startswith("daguerre ")
        made = read_making(texts[MAKING])
        assert (made.request, made.picture) == (request, number)
        assert made.engine["canonical"] == "rows apart"


def test_a_picture_of_the_command_line_is_marked_like_a_served_one(weights: Path, tmp_path: Path) -> None:
    """`render` gives what `verify` knows as ours, and says the number that lies in its pixels."""
    engine = Engine(weights, device="cpu")
    engine.load()
    finisher = Finisher(signer=Signer(development_certificate(tmp_path)), watermark=True)
    request = image_request(prompt="a red apple", seed=1, steps=2, width=64, height=64)
    files, _ = render(engine, request, lambda step, steps: None, finisher)
    origin = read_origin(files[0])
    assert origin.ours
    assert origin.intact
    (tmp_path / "apple.png").write_bytes(files[0])
    _, making = read_picture(tmp_path / "apple.png")
    assert making.watermark == origin.said["job"]


def test_making_reads_what_it_wrote_and_refuses_the_rest() -> None:
    """A stranger's file may say anything."""
    made = Making(image_request(prompt="a", seed=1, count=2, tile=True), 1, {"engine": 3}, "00ff")
    assert read_making(made.text()) == made
    for text in ("", "{}", "[]", made.text().replace('"picture":1', '"picture":2'), made.text().replace("00ff", "zz")):
        with pytest.raises(ValueError, match="Daguerre text"):
            read_making(text)


async def test_several_jobs_are_drawn_together(engine: Engine) -> None:
    """The worker gives as many as it has slots; each gets its own pictures."""
    handle = make_handler(engine)
    asks = [image_request(prompt="a red apple", seed=seed, steps=4, width=64, height=64) for seed in range(6)]
    together = await asyncio.gather(*(handle(ask, Context()) for ask in asks))  # pyright: ignore[reportArgumentType]
    alone = [await handle(ask, Context()) for ask in asks]  # pyright: ignore[reportArgumentType]

    def pixels(found: Rendered) -> bytes:
        return Image.open(io.BytesIO(found.pictures[0])).tobytes()

    assert [pixels(each) for each in together] == [pixels(each) for each in alone]
    assert len({pixels(each) for each in alone}) == 6


async def test_cancelling_leaves_at_the_next_step(engine: Engine) -> None:
    """The engine forgets the job one step after a cancel, and draws the next one."""
    handle, context = make_handler(engine), Context()
    long = image_request(prompt="a", seed=1, steps=100, count=4, width=64, height=64)
    task = asyncio.ensure_future(handle(long, context))  # pyright: ignore[reportArgumentType]
    await asyncio.wait_for(context.begun.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    done = await handle(image_request(prompt="a", seed=1, steps=2, width=64, height=64), Context())  # pyright: ignore[reportArgumentType]
    assert done.pictures
    assert len(context.steps) < 60
    seen = len(context.steps)
    await asyncio.sleep(0.1)
    assert len(context.steps) == seen


async def test_what_cannot_be_rendered_is_refused_for_good(engine: Engine) -> None:
    """The engine's "never" is the queue's "never", with a code that has a text of its own."""

    async def refused(seconds: float = 600, **fields: Any) -> str:
        handle, context = make_handler(engine, seconds=seconds), Context(torn=b"\x89PNG", fine=png())
        asked = image_request(**({"prompt": "a", "seed": 1, "width": 64, "height": 64} | fields))
        with pytest.raises(RenderRefused) as caught:
            await handle(asked, context)  # pyright: ignore[reportArgumentType]
        return caught.value.code

    assert await refused(adapters=("absent",)) == "unfit_adapter"
    assert await refused(source={"picture": "torn"}) == "unfit"
    assert await refused(source={"picture": "absent"}) == "unfit"
    assert await refused(source={"picture": "fine", "use": "inpaint"}) == "unfit"
    assert await refused(seconds=1e-6) == "too_late"


async def test_a_request_begins_from_the_bytes_that_came_with_the_job(engine: Engine) -> None:
    """A little noise keeps most of the picture, much of it hardly any."""
    handle = make_handler(engine)

    async def away(strength: float) -> float:
        asked = image_request(
            prompt="a", seed=1, width=64, height=64, guidance=1.0, source={"picture": "it", "strength": strength}
        )
        made = await handle(asked, Context(it=png()))  # pyright: ignore[reportArgumentType]
        with Image.open(io.BytesIO(made.pictures[0])) as picture:
            return sum(ImageStat.Stat(ImageChops.difference(picture.convert("RGB"), drawn)).mean)

    kept = await handle(
        image_request(prompt="a", seed=1, width=64, height=64, source={"picture": "it", "strength": 0.0}),
        Context(it=png()),  # pyright: ignore[reportArgumentType]
    )
    drawn = Image.open(io.BytesIO(kept.pictures[0])).convert("RGB")
    assert await away(0.1) < await away(1.0)


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
