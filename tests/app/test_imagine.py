"""`daguerre imagine`, here and on a server: files, messages, exit codes; never a traceback."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import familykit
import pytest
from PIL import Image
from queuekit import until
from rich.console import Console
from webkit import Client, api, worker

from daguerre.app.cli import main
from daguerre.app.config import load
from daguerre.app.errors import Refused, ServerUnreachable
from daguerre.app.imagine import Wish, check_words, imagine
from daguerre.app.imagine_server import imagine_on_server
from daguerre.queue.control.queue import Queue
from daguerre.queue.control.service import open_queue
from daguerre.queue.options import QueueOptions
from daguerre.queue.prompt.vocabulary import Vocabulary
from daguerre.queue.records.jobs import JobState, Rendered
from daguerre.queue.records.requests import ImageRequest
from daguerre.queue.records.usual import Usual
from daguerre.queue.worker.settings import JobContext


def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str]:
    """Exit status and standard error of a command run in this process."""
    monkeypatch.setattr("sys.argv", ["daguerre", *arguments])
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        with pytest.raises(SystemExit) as caught:
            main()
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    assert isinstance(caught.value.code, int)
    return caught.value.code, capsys.readouterr().err


@pytest.fixture
def config(tmp_path: Path) -> str:
    """Settings under which there are no weights."""
    file = tmp_path / "config.toml"
    file.write_text('[render]\nweights = "nothing-here"\n', encoding="utf-8")
    return str(file)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("imagine", "", "--out", "a.png"), 65, "prompt is empty"),
        (("imagine", "x" * 1001, "--out", "a.png"), 65, "prompt is too long: at most 1000 characters"),
        (("imagine", "apple", "--out", "a.svg"), 73, "add --svg to the prompt"),
        (("imagine", "a", "--out", "a.png", "--count", "0"), 65, "count must be a whole number from 1 to 4"),
        (("imagine", "a", "--out", "a.png", "--count", "99"), 65, "count must be a whole number from 1 to 4"),
        (("imagine", "a", "--out", "a.png", "--size", "100"), 65, "--size must be a whole number from 64 to 2048"),
        (("imagine", "a", "--out", "a.png", "--seed", "-1"), 65, "seed must be a whole number from 0 to"),
        (("imagine", "a", "--out", "a.png", "--steps", "x"), 2, "Invalid value for '--steps'"),
        (("imagine", "a", "--out", "a.jpg"), 73, "pictures are PNG files; name it a.png"),
        (("imagine", "a", "--out", "/no/such/a.png"), 73, "there is no folder /no/such"),
        (("imagine", "a {b, c}", "--out", "a.png"), 65, "one request is one job here"),
        (("imagine", "a --repeat 3", "--out", "a.png"), 65, "--repeat asks for several jobs"),
        (("imagine", "a https://example.org/a.png b", "--out", "a.png"), 65, "works on Discord only"),
        (("imagine", "a", "--out", "a.png"), 78, "no weights in"),
        (("imagine", "a --model x", "--out", "a.png"), 65, "there is no model 'x' here; there are: nothing-here"),
        (("imagine", "a", "--out", "a.png", "--model", "x"), 65, "there is no model 'x' here"),
        (("imagine", "a --control canny", "--out", "a.png"), 65, "--control needs a picture"),
        (("models", "--address", "http://127.0.0.1:9"), 69, "no daguerre answers at"),
        (("imagine", "a"), 2, "Missing option '--out'"),
        (("imagine", "a", "--out", "a.png", "--address", "http://127.0.0.1:9"), 69, "no daguerre answers at"),
        (("worker",), 78, "daguerre worker --nats nats://host:4222"),
        (("worker", "--nats", "nats://127.0.0.1:9"), 78, "no weights in"),
        (("frobnicate",), 2, "No such command 'frobnicate'"),
    ],
)
def test_mistakes_on_the_command_line(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    config: str,
    arguments: tuple[str, ...],
    status: int,
    message: str,
) -> None:
    """Each mistake gives one message that says what is allowed, and an exit status of its kind."""
    monkeypatch.chdir(tmp_path)
    extra = ("--config", config) if arguments[0] in {"imagine", "worker"} else ()
    code, told = run(capsys, monkeypatch, *arguments, *extra)
    assert code == status
    assert message in told
    assert "Traceback" not in told


def test_settings_can_be_printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """`daguerre config --defaults` prints the file that is shipped."""
    monkeypatch.setattr("sys.argv", ["daguerre", "config", "--defaults"])
    with pytest.raises(SystemExit):
        main()
    assert "[queue]" in capsys.readouterr().out


@pytest.fixture
async def queue(tmp_path: Path) -> AsyncIterator[Queue]:
    async with open_queue(QueueOptions(), tmp_path / "data") as queue:
        yield queue


@pytest.fixture
async def client(queue: Queue) -> AsyncIterator[Client]:
    async with api(queue) as client:
        yield client


def quiet() -> Console:
    return Console(file=io.StringIO(), width=200)


async def test_a_server_renders_and_the_files_are_written(queue: Queue, client: Client, tmp_path: Path) -> None:
    """The request waits for a worker, is rendered by it, and every picture arrives in a file of its own."""
    console = quiet()
    wish = Wish("a red apple", tmp_path / "apple.png", count=2, seed=5, size=64)
    asking = asyncio.create_task(imagine_on_server(str(client.make_url("/").origin()), wish, console))
    async with worker(queue):
        files = await asyncio.wait_for(asking, 30)
    assert [file.name for file in files] == ["apple-1.png", "apple-2.png"]
    for seed, file in zip((5, 6), files, strict=True):
        with Image.open(file) as picture:
            assert picture.getpixel((0, 0)) == (seed, 0, 0)


async def test_a_refused_request_says_why(queue: Queue, client: Client, tmp_path: Path) -> None:
    """A job that ends without pictures ends the command with the reason, and no file appears."""
    asking = imagine_on_server(str(client.make_url("/").origin()), Wish("refused", tmp_path / "a.png"), quiet())
    async with worker(queue):
        with pytest.raises(Refused, match="cannot render"):
            await asyncio.wait_for(asking, 30)
    assert not (tmp_path / "a.png").exists()


async def test_ctrl_c_cancels_the_job(queue: Queue, client: Client, tmp_path: Path) -> None:
    """Whoever stops waiting does not leave a job behind."""
    begun = asyncio.Event()

    async def endless(request: ImageRequest, context: JobContext) -> Rendered:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    wish = Wish("a", tmp_path / "a.png")
    asking = asyncio.create_task(imagine_on_server(str(client.make_url("/").origin()), wish, quiet()))
    async with worker(queue, endless):
        await asyncio.wait_for(begun.wait(), 20)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert (await queue.counts())[JobState.CANCELLED] == 1


async def test_no_server(tmp_path: Path, unused_tcp_port: int) -> None:
    """A server that does not run is told with the way to start it."""
    with pytest.raises(ServerUnreachable, match="scripts/start"):
        await imagine_on_server(f"http://127.0.0.1:{unused_tcp_port}", Wish("a", tmp_path / "a.png"), quiet())


def test_unknown_words_are_told() -> None:
    """Some words unknown: a hint. All unknown: a refusal that says what the model does draw."""
    vocabulary = Vocabulary(["apple", "cat"], ["apple", "cat"], ["red"])
    console = quiet()
    check_words(vocabulary, "a red aple cat", console)
    assert isinstance(console.file, io.StringIO)
    assert "“aple”; did you mean apple" in console.file.getvalue()
    with pytest.raises(Refused, match="such as: apple, cat"):
        check_words(vocabulary, "zeppelin", console)
    check_words(None, "anything", console)


def test_the_prompt_may_hold_flags() -> None:
    """The same grammar as in Discord; an option wins over a flag, and an error points at its character."""
    request = Wish("a red apple --ar 3:2 --no worm --seed 7 --n 2", Path("x.png"), steps=5).request()
    assert (request.prompt, request.negative, request.seed, request.count) == ("a red apple", "worm", 7, 2)
    assert (request.width > request.height, request.steps) == (True, 5)
    assert Wish("apple --seed 7", Path("x.png"), seed=8).request().seed == 8
    with pytest.raises(Refused, match=r"--seed\?\napple --sed 7\n      \^"):
        Wish("apple --sed 7", Path("x.png")).request()
    with pytest.raises(Refused, match="Discord"):
        Wish("https://example.com/a.png apple", Path("x.png")).request()


async def test_a_server_fills_in_what_is_usual_for_its_model(queue: Queue, client: Client, tmp_path: Path) -> None:
    """What was typed is sent as it was typed; an option that was given holds."""
    usual = {"sdxl": Usual(steps=4, guidance=1.0, size=512)}
    address = str(client.make_url("/").origin())
    async with worker(queue, models=("sdxl",), usual=usual):
        await until(queue.workers)
        (wide,) = await imagine_on_server(address, Wish("a cat --ar 2:1 --seed 3", tmp_path / "wide.png"), quiet())
        await imagine_on_server(address, Wish("a cat", tmp_path / "a.png", steps=9, size=64), quiet())
    with Image.open(wide) as picture:
        assert (picture.size, picture.getpixel((0, 0))) == ((736, 368), (3, 0, 0))
    jobs = await queue.members.last_requests("local")
    asked = {(job.request.steps, job.request.guidance, job.request.width) for job in jobs}
    assert asked == {(4, 1.0, 736), (9, 1.0, 64)}


def test_what_nothing_says_is_as_the_weights_are_made(tmp_path: Path) -> None:
    """Drawn here: steps and guidance by the folder's name; what is given holds."""
    folder = familykit.write_sd15(tmp_path / "sd-turbo")
    config = tmp_path / "config.toml"
    config.write_text(f'[render]\nweights = "{folder}"\ndevices = ["cpu"]\n', encoding="utf-8")
    for wish, steps, guidance in (
        (Wish("a red apple", tmp_path / "a.png", seed=1), "4", "1"),
        (Wish("a red apple --steps 2", tmp_path / "b.png", guidance=2.5, size=128), "2", "2.5"),
    ):
        (file,) = imagine(load(config), wish, quiet())
        with Image.open(file) as picture:
            assert (picture.info["Steps"], picture.info["Guidance"]) == (steps, guidance)
            assert picture.size == ((64, 64) if wish.size is None else (128, 128))


@pytest.mark.parametrize("typed", [("a red apple --svg", False), ("a red apple", True)])
def test_an_svg_is_written_beside_each_picture(tmp_path: Path, typed: tuple[str, bool]) -> None:
    """By the flag in the prompt and by the option; both names are told."""
    weights = familykit.write_sd3(tmp_path / "toy")
    settings = tmp_path / "config.toml"
    settings.write_text(f'[render]\nweights = "{weights}"\ndevices = ["cpu"]\n', encoding="utf-8")
    wish = Wish(typed[0], tmp_path / "a.png", steps=1, size=64, count=2, svg=typed[1])
    files = imagine(load(settings), wish, quiet())
    assert sorted(file.name for file in files) == ["a-1.png", "a-1.svg", "a-2.png", "a-2.svg"]
    assert (tmp_path / "a-2.svg").read_bytes().startswith(b"<?xml")


def test_what_the_model_cannot_do_is_said_as_it_is(tmp_path: Path) -> None:
    """Not as something else that may not fit: the cause of this refusal, by its own words."""
    weights = familykit.write_sd3(tmp_path / "toy")
    settings = tmp_path / "config.toml"
    settings.write_text(f'[render]\nweights = "{weights}"\ndevices = ["cpu"]\n', encoding="utf-8")
    with pytest.raises(
        Refused, match=r"cannot be drawn with that sampler.*not for flow models, which take: .*heun"
    ) as no:
        imagine(load(settings), Wish("a red apple --sampler lcm", tmp_path / "a.png", steps=1, size=64), quiet())
    assert "source" not in str(no.value)
    assert not (tmp_path / "a.png").exists()
