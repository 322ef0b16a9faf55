"""The builder on small packages made here: real archives, real drawings, real processes that are really killed."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import resource
import signal
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daguerre.models.data.build import FORMAT, build, chosen, load, released
from daguerre.models.data.languages import CLDR_LANGUAGES, EMOJIBASE_LANGUAGES, LANGUAGES
from daguerre.models.data.sources import (
    CLDR,
    CLDR_DERIVED,
    EMOJIBASE,
    EMOJILIB,
    SOURCES,
    DrawingSet,
    Package,
)
from daguerre.models.errors import DataError, DataMissing, PackageUnavailable

SIZE = 16
#: Label, code and group of the emoji that these tests know.
EMOJI = (("red apple", "1F34E", 4), ("pizza", "1F355", 4), ("dog", "1F415", 3), ("OK button", "1F197", 8))


def icon(colour: str, x: int = 2) -> str:
    """A square somewhere in 16×16."""
    return f'<rect x="{x}" y="2" width="8" height="12" fill="{colour}"/>'


def pack(archive: Path, files: dict[str, str]) -> str:
    """Write an npm archive; its integrity text."""
    with tarfile.open(archive, "w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()


def put(folder: Path, files: dict[str, Any]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def words(cache: Path) -> None:
    """The unpacked packages of words, with four emoji."""
    rows = [{"hexcode": code, "label": label, "group": group, "tags": [label[:3]]} for label, code, group in EMOJI]
    emojibase = cache / EMOJIBASE.folder
    for language in ("en", *EMOJIBASE_LANGUAGES):
        said = [row | {"label": row["label"] if language == "en" else f"{language} {row['label']}"} for row in rows]
        put(emojibase, {f"{language}/data.json": said})
    for provider in ("emojibase", "github", "iamcal", "joypixels", "cldr"):
        put(emojibase, {f"en/shortcodes/{provider}.json": {"1F355": ["pizza_slice"]}})
    put(cache / EMOJILIB.folder, {"dist/emoji-en-US.json": {"🍎": ["red_apple", "fruit", ":D"]}})
    for language in CLDR_LANGUAGES:
        apple = {"annotations": {"annotations": {"🍎": {"default": [], "tts": [f"{language} red apple"]}}}}
        none: dict[str, Any] = {"annotationsDerived": {"annotations": {}}}
        put(cache / CLDR.folder, {f"annotations/{language}/annotations.json": apple})
        put(cache / CLDR_DERIVED.folder, {f"annotationsDerived/{language}/annotations.json": none})


def little_set(cache: Path, name: str, icons: dict[str, Any], chars: dict[str, str]) -> DrawingSet:
    """An emoji set whose archive lies where `npm pack` would have put it."""
    content = json.dumps({"icons": icons, "chars": chars, "width": 16, "height": 16})
    archive = cache / f"{name}-1.0.0.tgz"
    package = Package(name, "1.0.0", pack(archive, {"json/set.json": content}))
    return DrawingSet(name, "json/set.json", "iconify", "MIT", "nobody", "A", package, title=name)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    folder = tmp_path / "packages"
    words(folder)
    return folder


@pytest.fixture
def sources(cache: Path) -> tuple[DrawingSet, ...]:
    """Two sets: one with everything that is left out, one plain."""
    first = little_set(
        cache,
        "first",
        {
            "red-apple": {"body": icon("red")},
            "red-apple-again": {"body": icon("#ff0101")},
            "broken": {"body": "<rect"},
            "slice": {"body": ""},
            "gone": {"body": icon("blue"), "hidden": True},
            "flag-nowhere": {"body": icon("green")},
            "man-dark-skin-tone": {"body": icon("brown")},
            "ok": {"body": icon("blue")},
            "pizza-slice": {"body": icon("yellow", 6)},
            "dogpizza": {"body": icon("pink", 4)},
            "qwxz": {"body": icon("gray")},
        },
        {"1f34e": "red-apple", "1f415": "red-apple-again", "1f355": "broken", "1f197": "ok"},
    )
    # A longer name of the same package's kind: drawn second.
    second = little_set(cache, "second", {"dog": {"body": icon("brown")}, "pizza": {"body": icon("orange")}}, {})
    return first, second


def test_a_build_keeps_what_is_good_and_counts_the_rest(tmp_path: Path, cache: Path, sources: Any) -> None:
    """Every drawing is kept, or dropped for a reason that build.json and the report name."""
    said: list[str] = []
    steps: list[tuple[str, int, int]] = []
    out = tmp_path / "set"
    built = build(
        out,
        cache,
        size=SIZE,
        sources=sources,
        report=said.append,
        progress=lambda *each: steps.append(each),
        processes=2,
    )
    counts = json.loads((out / "build.json").read_text())["by_source"]["first"]
    assert counts == {
        "seen": 11,
        "kept": 3,
        "dropped": {
            "hidden": 1, "flag": 1, "skin tone": 1, "letters": 1, "no name": 1, "near-duplicate": 1,
            "broken or blank": 2,
        },
    }  # fmt: skip
    assert built.images.shape == (5, SIZE, SIZE, 4)
    assert [(row["source"], row["caption_en"]) for row in built.rows] == [
        ("first", "red apple"),
        ("first", "pizza"),
        ("first", "dog pizza"),
        ("second", "dog"),
        ("second", "pizza"),
    ]
    assert [row["i"] for row in built.rows] == list(range(5))
    assert tuple(built.images[0, 8, 4]) == (255, 0, 0, 255)
    assert any("2 broken or blank" in line for line in said)
    assert steps[-1] == ("second", 2, 2)


def test_a_row_has_its_names_in_every_language(tmp_path: Path, cache: Path, sources: Any) -> None:
    """Twenty languages beside English; a drawing without an emoji has empty ones, so that all rows are alike."""
    rows = build(tmp_path / "set", cache, size=SIZE, sources=sources, report=print, processes=0).rows
    apple, unknown = rows[0], rows[2]
    assert len(LANGUAGES) == 20
    assert {language: apple[f"caption_{language}"] for language in LANGUAGES} == {
        language: f"{language} red apple" for language in LANGUAGES
    }
    assert apple["keywords_en"] == ["red", "red apple", "fruit"]
    assert (apple["code"], apple["group"], apple["kind"], apple["tier"]) == ("1F34E", 4, "emoji", "A")
    assert unknown.keys() == apple.keys()
    assert not any(unknown[f"caption_{language}"] for language in LANGUAGES)


def test_a_second_build_does_nothing(tmp_path: Path, cache: Path, sources: Any) -> None:
    """Not a file is touched, and nothing is said; another size is another set."""
    out = tmp_path / "set"
    build(out, cache, size=SIZE, sources=sources, report=print, processes=0)
    before = {file: file.stat().st_mtime_ns for file in out.iterdir()}
    said: list[str] = []
    again = build(out, cache, size=SIZE, sources=sources, report=said.append, processes=0)
    assert said == []
    assert {file: file.stat().st_mtime_ns for file in out.iterdir()} == before
    assert len(again.rows) == 5
    assert build(out, cache, size=8, sources=sources, report=print, processes=0).images.shape == (5, 8, 8, 4)


def test_an_older_format_is_built_anew(tmp_path: Path, cache: Path, sources: Any) -> None:
    """Sets of the first format have no `source`; nobody has to delete them by hand."""
    out = tmp_path / "set"
    build(out, cache, size=SIZE, sources=sources, report=print, processes=0)
    done = json.loads((out / "build.json").read_text())
    (out / "build.json").write_text(json.dumps(done | {"format": FORMAT - 1}))
    said: list[str] = []
    build(out, cache, size=SIZE, sources=sources, report=said.append, processes=0)
    assert any(line.startswith("first: 3 of 11") for line in said)


SLOW_BUILD = """
import json, sys
from pathlib import Path
from daguerre.models.data.build import build
from daguerre.models.data.sources import DrawingSet, Package
if __name__ == "__main__":
    sets = [DrawingSet(*each[:6], Package(*each[6])) for each in json.loads(sys.argv[3])]
    build(Path(sys.argv[1]), Path(sys.argv[2]), size=16, sources=sets, processes=1,
          report=lambda line: print(line, flush=True),
          progress=lambda *step: print(*step, flush=True))
"""


def test_a_killed_build_goes_on_and_ends_the_same(tmp_path: Path, cache: Path, sources: Any) -> None:
    """SIGKILL inside the second source: the first is kept, the end is byte for byte that of an undisturbed build."""
    first = sources[0]
    colours = [
        f"#{red:02x}{green:02x}{blue:02x}" for red in (0, 99, 255) for green in range(0, 256, 28) for blue in (0, 250)
    ]
    many = {f"dog-pizza-{n}": {"body": icon(colour, n % 6)} for n, colour in enumerate(colours)}
    second = little_set(cache, "many", many, {})
    sets = [
        (s.name, s.path, s.form, s.licence, s.author, s.tier, (s.package.name, s.package.version, s.package.integrity))
        for s in (first, second)
    ]
    script = tmp_path / "build.py"
    script.write_text(SLOW_BUILD)
    command = [sys.executable, str(script), str(tmp_path / "set"), str(cache), json.dumps(sets)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("many 5 "):
                os.kill(process.pid, signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
    with pytest.raises(DataMissing):
        load(tmp_path / "set")

    said: list[str] = []
    build(tmp_path / "set", cache, size=SIZE, sources=(first, second), report=said.append, processes=0)
    assert said[0] == "first: kept from the build that was stopped"
    build(tmp_path / "undisturbed", cache, size=SIZE, sources=(first, second), report=print, processes=0)
    for name in ("sprites.npy", "sprites.jsonl", "build.json"):
        assert (tmp_path / "set" / name).read_bytes() == (tmp_path / "undisturbed" / name).read_bytes(), name
    assert not (tmp_path / "set" / "partial").exists()


def test_a_full_disk_is_told_and_the_build_goes_on_afterwards(tmp_path: Path, cache: Path, sources: Any) -> None:
    """The limit on file sizes stands for the disk: the second source does not fit, the first stays."""
    first, second = sources
    out = tmp_path / "set"
    for each in sources:
        build(tmp_path / "warm", cache, size=SIZE, sources=[each], report=print, processes=0)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Three rows of 16·16·4 bytes fit, five do not.
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, hard))
    try:
        with pytest.raises(DataError, match=r"No space is left.*run the same command again"):
            build(out, cache, size=SIZE, sources=(first, second), report=print, processes=0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    said: list[str] = []
    built = build(out, cache, size=SIZE, sources=(first, second), report=said.append, processes=0)
    assert said[0] == "first: kept from the build that was stopped"
    assert len(built.rows) == 5


def test_an_old_set_stays_whole_until_the_new_one_is(tmp_path: Path, cache: Path, sources: Any) -> None:
    """A build that fails leaves what was there, and a reader that has it mapped keeps its pixels."""
    out = tmp_path / "set"
    before = build(out, cache, size=SIZE, sources=sources[:1], report=print, processes=0)
    pixels = np.array(before.images)
    missing = replace(sources[1], package=Package("no-such-package-of-daguerre", "0.0.0", "sha512-"))
    (cache / "no-such-package-of-daguerre-0.0.0.tgz").write_bytes(b"")
    with pytest.raises(DataError):
        build(out, cache, size=SIZE, sources=[sources[0], missing], report=print, processes=0)
    assert len(load(out).rows) == 3
    build(out, cache, size=SIZE, sources=sources, report=print, processes=0)
    assert np.array_equal(before.images, pixels)
    assert len(load(out).rows) == 5


def test_a_package_that_is_missing_stops_the_build_before_it_draws(
    tmp_path: Path, cache: Path, sources: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    missing = replace(sources[1], package=Package("missing", "1.0.0", "sha512-"))
    said: list[str] = []
    with pytest.raises(PackageUnavailable, match="install Node"):
        build(tmp_path / "set", cache, size=SIZE, sources=[sources[0], missing], report=said.append, processes=0)
    assert said == ["fetching first 1.0.0", "fetching missing 1.0.0"]


def test_released_sources_are_of_tier_a() -> None:
    """Share-alike and GPL sources are there for private weights, by name only."""
    assert {each.name for each in SOURCES} - {each.name for each in released()} == {
        "openmoji",
        "emojione-v1",
        "tuxpaint",
    }
    assert all(each.tier == "A" and "SA" not in each.licence and "GPL" not in each.licence for each in released())
    assert "openmoji" in {each.name for each in chosen(also=["openmoji"])}
    assert "crawl" not in {each.name for each in chosen(without=["crawl"])}
    with pytest.raises(DataError, match='"craw"'):
        chosen(without=["craw"])


def test_rows_can_be_chosen(tmp_path: Path, cache: Path, sources: Any) -> None:
    """By tier, kind and source; the pictures stay where they are."""
    built = build(
        tmp_path / "set",
        cache,
        size=SIZE,
        sources=[sources[0], replace(sources[1], tier="B")],
        report=print,
        processes=0,
    )
    assert [row["i"] for row in built.only(tier="A").rows] == [0, 1, 2]
    assert [row["i"] for row in built.only(sources=["second"]).rows] == [3, 4]
    assert built.only(kinds=["icon"]).rows == []
    assert built.only(tier="B").images is built.images
