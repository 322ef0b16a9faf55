"""Lists of prompts into data sets: a real engine with toy weights, real files, a real kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image
from toyweights import write_toy_weights

from daguerre.models.errors import DataError
from daguerre.models.provenance.metadata import TRAINED_MEDIA
from daguerre.models.serving import synthesize as synthesis
from daguerre.models.serving.engine import Engine
from daguerre.models.serving.prompts import Prompt, plan, read_prompts
from daguerre.models.serving.synthesize import METADATA, synthesize

PROMPTS = [
    Prompt("a red apple"),
    Prompt("a blue pizza", negative="red"),
    Prompt("a red apple"),
    Prompt("一只猫", seed=5),
]
FEW = {"steps": 2, "guidance": 2.0, "size": 32}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    made = Engine(write_toy_weights(tmp_path_factory.mktemp("weights") / "toy"), device="cpu")
    made.load()
    return made


@pytest.fixture(scope="module")
def whole(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The list rendered in one go, three pictures of each line."""
    folder = tmp_path_factory.mktemp("whole")
    assert synthesize(engine, PROMPTS, folder, count=3, **FEW).finished
    return folder


def rows(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / METADATA).read_text(encoding="utf-8").splitlines()]


def files(folder: Path) -> dict[str, bytes]:
    """Pixels of every picture by name; what is hidden counts as well."""
    return {p.relative_to(folder).as_posix(): Image.open(p).tobytes() for p in sorted(folder.rglob("*.png"))}


def test_every_picture_has_its_row_and_every_row_its_picture(whole: Path) -> None:
    """File, text, seed, settings and model; equal lines get other seeds, so no picture comes twice."""
    told = rows(whole)
    assert [row["file_name"] for row in told] == [f"{n:06}.png" for n in range(12)] == list(files(whole))
    assert [row["text"] for row in told[::3]] == [prompt.text for prompt in PROMPTS]
    assert [row["seed"] for row in told[9:]] == [5, 6, 7]
    assert len({row["seed"] for row in told}) == 12
    assert len(set(files(whole).values())) == 12
    assert told[3]["negative"] == "red"
    for row in told:
        assert row["steps"] == 2
        assert row["guidance"] == 2.0
        assert (row["width"], row["height"]) == (32, 32)
        assert row["model"] == "toy"
        assert len(str(row["model_digest"])) == 64
        assert row["upscaler"] == "none"
        assert row["sampler"] == "DPM-Solver++ 2M"
        assert str(row["created"]).endswith("+00:00")


def test_a_picture_can_be_made_again_from_its_row(engine: Engine, whole: Path) -> None:
    """The row is enough, to the last bit, though it was rendered among others."""
    row = rows(whole)[4]
    again = engine.generate(
        str(row["text"]), negative=str(row["negative"]), seeds=[row["seed"]], steps=row["steps"],  # type: ignore[arg-type]
        guidance=row["guidance"], width=row["width"], height=row["height"],  # type: ignore[arg-type]
    )[0]  # fmt: skip
    assert again.tobytes() == files(whole)["000004.png"]


def test_provenance_is_in_every_file(whole: Path) -> None:
    """Text chunks as members' pictures have them, and IPTC's source type as XMP that Pillow parses."""
    with Image.open(whole / "000009.png") as picture:
        texts = picture.text
        xmp = picture.info["xmp"].decode()
    assert texts["Description"] == "一只猫"
    assert texts["Seed"] == "5"
    assert texts["Steps"] == "2"
    assert texts["Guidance"] == "2"
    assert texts["Model"] == f"toy {rows(whole)[9]['model_digest']}"
    assert texts["Software"].startswith("daguerre ")
    assert f'Iptc4xmpExt:DigitalSourceType="{TRAINED_MEDIA}"' in xmp
    assert TRAINED_MEDIA.endswith("/trainedAlgorithmicMedia")


def test_a_second_run_adds_nothing(engine: Engine, whole: Path) -> None:
    """Not a byte."""
    before = (whole / METADATA).read_bytes()
    calls: list[tuple[int, int]] = []
    made = synthesize(engine, PROMPTS, whole, count=3, progress=lambda *told: calls.append(told), **FEW)
    assert (made.added, made.pictures, made.finished) == (0, 12, True)
    assert calls == [(12, 12)]
    assert (whole / METADATA).read_bytes() == before


def test_stopping_and_going_on_gives_the_same_data_set(engine: Engine, whole: Path, tmp_path: Path) -> None:
    """Wherever it was stopped; progress counts what was there before."""
    for steps in (3, 5):
        left = iter(range(steps))
        assert not synthesize(
            engine, PROMPTS, tmp_path, count=3, stop=lambda left=left: next(left, None) is None, **FEW
        ).finished
    assert 0 < len(rows(tmp_path)) < 12
    assert synthesize(engine, PROMPTS, tmp_path, count=3, **FEW).finished
    assert files(tmp_path) == files(whole)
    assert [row["seed"] for row in rows(tmp_path)] == [row["seed"] for row in rows(whole)]


RUN = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from daguerre.models.serving.engine import Engine
from daguerre.models.serving.prompts import read_prompts
from daguerre.models.serving.synthesize import synthesize
engine = Engine(Path(sys.argv[1]), device="cpu")
engine.load()
synthesize(engine, read_prompts(Path(sys.argv[2])), Path(sys.argv[3]), count=40, steps=2, guidance=2.0, size=32)
"""


def test_a_killed_run_leaves_no_torn_file_and_goes_on(engine: Engine, tmp_path: Path) -> None:
    """SIGKILL amid the work: each row has its whole picture; the next run fills up, with nothing twice."""
    listed, out = tmp_path / "prompts.txt", tmp_path / "out"
    listed.write_text("a red apple\na blue pizza\na pizza\n")
    child = subprocess.Popen(
        [sys.executable, "-c", RUN, str(engine.weights), str(listed), str(out)],
        env=os.environ | {"OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 240
    while len(list(out.glob("*.png"))) < 5 and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    child.wait()
    killed = rows_if_whole(out)
    assert 0 < len(killed) < 120
    for row in killed:
        Image.open(out / str(row["file_name"])).load()
    with (out / METADATA).open("ab") as torn:
        torn.write(b'{"file_name": "0000')
    assert synthesize(engine, read_prompts(listed), out, count=40, steps=2, guidance=2.0, size=32).finished
    assert [row["file_name"] for row in rows(out)] == [f"{n:06}.png" for n in range(120)] == list(files(out))
    assert not list(out.rglob(".*.part"))


def rows_if_whole(folder: Path) -> list[dict[str, object]]:
    lines = (folder / METADATA).read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def test_other_lists_settings_and_weights_are_refused(
    engine: Engine, whole: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A folder is one list by one model; more lines at the end are welcome."""
    before = (whole / METADATA).read_bytes()
    with pytest.raises(DataError, match="another list"):
        synthesize(engine, [Prompt("a pizza"), *PROMPTS], whole, count=3, **FEW)
    with pytest.raises(DataError, match="another list"):
        synthesize(engine, PROMPTS, whole, count=3, **(FEW | {"steps": 3}))
    other = Engine(write_toy_weights(tmp_path_factory.mktemp("other") / "toy"), device="cpu")
    (other.weights / "unet" / "extra.json").write_text("{}")
    other.load()
    with pytest.raises(DataError, match="other weights"):
        synthesize(other, PROMPTS, whole, count=3, **FEW)
    assert (whole / METADATA).read_bytes() == before


def test_lines_may_be_added_at_the_end(engine: Engine, tmp_path: Path) -> None:
    """Only the new ones are rendered."""
    synthesize(engine, PROMPTS[:2], tmp_path, **FEW)
    made = synthesize(engine, PROMPTS, tmp_path, **FEW)
    assert (made.added, made.pictures) == (2, 4)


def test_a_lost_or_damaged_row_is_named(engine: Engine, tmp_path: Path) -> None:
    """Rather than silently rendered over."""
    synthesize(engine, PROMPTS[:2], tmp_path, **FEW)
    (tmp_path / "000001.png").unlink()
    with pytest.raises(DataError, match=r"lacks 000001\.png"):
        synthesize(engine, PROMPTS[:2], tmp_path, **FEW)
    (tmp_path / METADATA).write_text("nonsense\n")
    with pytest.raises(DataError, match="line 1"):
        synthesize(engine, PROMPTS[:2], tmp_path, **FEW)


def test_two_processes_do_not_share_a_folder(engine: Engine, tmp_path: Path) -> None:
    """The second one is told, and changes nothing."""
    with synthesis._opened(tmp_path), pytest.raises(DataError, match="Another process"):
        synthesize(engine, PROMPTS, tmp_path, **FEW)
    assert not list(tmp_path.glob("*.png"))


def test_a_folder_that_cannot_be_written_is_one_clear_error(engine: Engine, tmp_path: Path) -> None:
    """Here a file stands in its place."""
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="Cannot write to"):
        synthesize(engine, PROMPTS, tmp_path / "file" / "below", **FEW)


def test_unknown_words_are_counted_not_refused(engine: Engine, tmp_path: Path) -> None:
    """By the lines they stand in, the most frequent first."""
    made = synthesize(
        engine, PROMPTS, tmp_path, unknown=lambda text: [w for w in text.split() if w in {"red", "blue"}], **FEW
    )
    assert made.unknown == {"red": 2, "blue": 1}
    assert list(made.unknown) == ["red", "blue"]
    assert made.finished


def test_thousands_get_folders_of_their_own() -> None:
    """A longer list never moves a picture that is there."""
    names = [p.file_name for p in plan([Prompt("a pizza")], count=2100, steps=1, guidance=1, size=64)]
    assert names[0] == "000000.png"
    assert names[999:1001] == ["000999.png", "0001/001000.png"]
    assert names[2099] == "0002/002099.png"
    assert len(set(names)) == 2100


# Lists.


def test_text_and_json_lines(tmp_path: Path) -> None:
    """Empty lines are skipped, a byte order mark is no word; a JSON line overrides what the command says."""
    plain = tmp_path / "prompts.txt"
    plain.write_text("\ufeffa red apple\r\n\r\n  一只猫 \n", encoding="utf-8")
    assert read_prompts(plain) == [Prompt("a red apple"), Prompt("一只猫")]
    lined = tmp_path / "prompts.jsonl"
    lined.write_text(
        '{"prompt": "a pizza", "seed": 9, "count": 2, "negative": "red", "steps": 4, "guidance": 1, "width": 96}\n'
        '{"text": "a lemon"}\n',
        encoding="utf-8",
    )
    first, second, third = plan(read_prompts(lined), count=1, steps=16, guidance=3.0, size=256)
    assert (first.seed, second.seed, first.negative, first.steps, first.guidance) == (9, 10, "red", 4, 1.0)
    assert (first.width, first.height) == (96, 256)
    assert (third.text, third.steps, third.width) == ("a lemon", 16, 256)


def test_all_bad_lines_are_listed_at_once(tmp_path: Path) -> None:
    """With their numbers and what is wrong, before anything is rendered."""
    listed = tmp_path / "prompts.jsonl"
    listed.write_bytes(
        b'{"prompt": "a pizza"}\n'
        b"nonsense\n"
        b'{"prompt": ""}\n'
        b'{"prompt": "a pizza", "seed": "seven"}\n'
        b'{"prompt": "a pizza", "count": 0}\n'
        b'{"prompt": "a pizza", "sead": 7}\n'
        b'["a pizza"]\n'
        b'{"prompt": "\xff"}\n'
        b'{"prompt": "a pizza", "steps": true}\n'
    )
    with pytest.raises(DataError) as caught:
        read_prompts(listed)
    told = str(caught.value).splitlines()
    assert "8 bad lines; nothing was rendered" in told[0]
    assert [line.split(":")[0] for line in told[1:]] == [f"line {n}" for n in range(2, 10)]
    for word, line in (("JSON", 1), ('"prompt"', 2), ('"seed"', 3), ('"count"', 4), ("'sead'", 5), ("UTF-8", 7)):
        assert word in told[line]


def test_a_missing_or_empty_list_says_so(tmp_path: Path) -> None:
    """And how lists are written."""
    with pytest.raises(DataError, match="Cannot read"):
        read_prompts(tmp_path / "none.txt")
    (tmp_path / "empty.txt").write_text("\n \n")
    with pytest.raises(DataError, match="one a line"):
        read_prompts(tmp_path / "empty.txt")


@pytest.mark.parametrize("bad", ["\x1b[31mred", "null\x00byte"])
def test_control_characters_are_refused(tmp_path: Path, bad: str) -> None:
    """They would end up in captions and terminals."""
    (tmp_path / "list.txt").write_text(f"a pizza\n{bad}\n")
    with pytest.raises(DataError, match="line 2"):
        read_prompts(tmp_path / "list.txt")
