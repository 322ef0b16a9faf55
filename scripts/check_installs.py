"""Three fresh installations, each used for what it promises; run it by scripts/check-installs."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import time
from pathlib import Path

from installs_kit import DIRECT, Failed, Place, Serve, clone, make_environment, room, size_of, uncommitted

ROOT = Path(__file__).resolve().parents[1]
#: The README's first command.
FIRST = ("imagine", "a red apple", "--out", "apple.png")
#: Every command there is, as words.
COMMANDS = (
    "serve", "worker", "imagine", "doctor", "config reload", "models", "verify", "version", "data build", "data bank",
    "data import", "data credits", "backup", "restore", "bank add", "bank list", "bank remove",
    "train", "evaluate", "synthesize", "sheet", "reproduce", "queue status", "queue why", "queue pause", "queue resume",
    "queue drain", "queue dead", "queue retry", "queue cancel", "queue ban", "queue unban",
)  # fmt: skip
#: A smallest call of what draws or trains, and the extra that it needs. {png}, {list}: files that are there.
NEED_WORKER = (
    ("worker", "--nats", "nats://127.0.0.1:9"), ("imagine", "a", "--out", "a.png"), ("synthesize", "{list}", "set"),
    ("sheet", "a", "--out", "s.png"), ("reproduce", "{png}"), ("bank", "add", "."), ("bank", "list"),
    ("bank", "remove", "a"),
)  # fmt: skip
NEED_DATA = (
    ("data", "build"),
    ("data", "bank"),
    ("data", "import", "."),
    ("train", "{recipe}"),
    ("evaluate", "--quick"),
)
#: The same without a running queue: one line that says so.
NEED_QUEUE = (
    ("status",), ("why", "abc"), ("pause",), ("resume",), ("drain",), ("dead",), ("retry", "abc"), ("cancel", "abc"),
    ("ban", "member", "1"), ("unban", "member", "1"),
)  # fmt: skip
IMPORTS = """
import importlib, pathlib, sys
folders = {"bot", "queue", "web"}
names = [".".join(("daguerre", *file.with_suffix("").parts)).removesuffix(".__init__") for folder in sorted(folders)
         for file in sorted(pathlib.Path(folder).rglob("*.py")) if "migrations" not in file.parts]
names += [f"daguerre.app.{file.stem}" for file in sorted(pathlib.Path("app").glob("*.py")) if file.stem != "__main__"]
for name in names:
    importlib.import_module(name)
heavy = {"torch", "diffusers", "transformers"} & sys.modules.keys()
assert not heavy, heavy
print(len(names))
"""
LOOK = """
import sys
from PIL import Image
picture = Image.open(sys.argv[1])
picture.load()
box = [side * part // 4 for part in (1, 3) for side in picture.size]
print(*picture.size, *picture.convert("RGB").resize((1, 1), box=box).getpixel((0, 0)))
"""
#: What data build leaves, small: things that the smoke recipe can paint, drawn here by the real rasteriser.
DRAWINGS = """
import sys
from pathlib import Path
from daguerre.models.data import build
from daguerre.models.data.raster import rasterise
from daguerre.models.data.store import FORMAT, SpriteWriter
sources = build.released()
packages = dict.fromkeys([*build.WORD_PACKAGES, *build._further(sources), *(each.package for each in sources)])
wanted = {"format": FORMAT, "size": 64, "packages": [f"{p.name}@{p.version}" for p in packages],
          "sources": [each.name for each in sources]}
shapes = [("red apple", "<circle cx='32' cy='32' r='{}' fill='#d22'/>", (30, 20)),
          ("pizza", "<rect x='4' y='4' width='{}' height='{}' fill='#e90'/>", (54, 40))]
with SpriteWriter(Path(sys.argv[1]), 64, wanted) as writer:
    for label, shape, sides in shapes:
        for style, side in zip(("noto", "3d"), sides):
            svg = ("<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 64 64' width='64' height='64'>"
                   f"{shape.format(side, side)}</svg>")
            writer.add(rasterise(svg, 64), {
                "code": f"1F3{writer.rows}", "name": label, "source": "toy", "kind": "emoji", "group": 4,
                "style": style, "tier": "A", "caption_en": label, "caption_zh": "", "keywords_en": [],
                "keywords_zh": []})
    writer.finish({"rows": writer.rows})
"""


def say(text: str) -> None:
    sys.stdout.write(f"check-installs: {text}\n")
    sys.stdout.flush()


def look(place: Place, file: Path, side: int = 256) -> None:
    """The picture has its size, and its middle is red."""
    width, height, red, green, blue = (int(word) for word in place.python(LOOK, file).split())
    if (width, height) != (side, side):
        raise Failed(f"{file.name} has {width} × {height} pixels, not {side} × {side}")
    if not (red > 110 and red > 1.25 * green and red > 1.25 * blue):
        raise Failed(f"the apple of {file.name} is {red, green, blue} in its middle, which is not red")


def helps(place: Place) -> None:
    """Every command explains itself, with what is in brackets kept."""
    answers = place.many([(), *((*words.split(), "--help") for words in COMMANDS)])
    for answer in answers[1:]:
        answer.expect(0, says="Usage: ", quiet=True)
    answers[1 + COMMANDS.index("worker")].expect(0, says=r"\[queue\] nats_url")
    listed = set(re.findall(r"(?m)^  ([a-z]+) ", answers[0].all.partition("Commands:")[2]))
    if unknown := listed - {words.split()[0] for words in COMMANDS}:
        raise Failed(f"scripts/check_installs.py does not try: {', '.join(sorted(unknown))}")


def simple(place: Place) -> None:
    """What needs nothing but the base."""
    place.daguerre("version").expect(0, quiet=True)
    place.daguerre("config").expect(0, says=r"\[render\]", quiet=True)
    place.daguerre("verify", place.clone / "docs/first-light.png").expect(1, says="not ours")
    copy = place.work / "CREDITS.md"
    copy.write_bytes((place.clone / "CREDITS.md").read_bytes())
    place.daguerre("data", "credits", copy).expect(0, says="up to date")


def calls(place: Place, lacking: dict[tuple[tuple[str, ...], ...], str]) -> None:
    """A smallest call of every command that lacks something: one line, with what and how to get it."""
    files = {
        "png": place.clone / "docs/first-light.png",
        "list": place.work / "list.txt",
        "recipe": place.work / "r.toml",
    }
    files["list"].write_text("a red apple\n")
    files["recipe"].write_text('kind = "pipeline"\nname = "x"\n')
    here = {key: str(value) for key, value in files.items()}

    wanted = [(words, says) for group, says in lacking.items() for words in group]
    answers = place.many([tuple(word.format(**here) for word in words) for words, _ in wanted])
    for answer, (_, says) in zip(answers, wanted, strict=True):
        answer.expect(78, says=says)
        if len(answer.all.strip().splitlines()) != 1:
            raise Failed(f"more than one line: {answer.words}\n{answer.all}")
    place.daguerre("backup", place.work / "none.zip").expect(75, says="no `daguerre serve` has run")
    place.daguerre("restore", files["png"], "--data", place.work / "none").expect(65, says="is damaged")
    for answer in place.many([("queue", *words) for words in NEED_QUEUE]):
        answer.expect(69, says="no queue has run")


def check_base(folder: Path) -> None:
    """Without any extra: everything but drawing and training."""
    place = Place(clone(ROOT, folder / "base"), folder / "base-work")
    begun = time.monotonic()
    make_environment(place)
    say(f"base installed in {time.monotonic() - begun:.0f} s, {size_of(place.clone / '.venv')}")
    modules = (
        place.run(place.clone / ".venv/bin/python", "-c", IMPORTS, cwd=place.clone).expect(0, quiet=True).out.strip()
    )
    helps(place)
    brings = r"diffusers.* missing here; scripts/start brings"
    calls(place, {NEED_WORKER: brings, NEED_DATA: r"missing here; scripts/start"})
    simple(place)
    place.daguerre("doctor").expect(1, says=r"fail +drawing .*diffusers.*scripts/start")
    with place.serve() as running:
        address = running.address()
        if (
            len(told := [line for line in running.log.read_text().splitlines() if "no picture can be drawn" in line])
            != 1
        ):
            raise Failed(f"why no worker starts is said {len(told)} times, not once")
        health = json.loads(running.get("/healthz"))
        if health["workers"] or "diffusers" not in health["problem"]:
            raise Failed(f"/healthz does not say why no worker is there: {health}")
        if b"<form" not in running.get("/"):
            raise Failed("the page at / has no form")
        asked = place.daguerre("imagine", "a", "--out", "a.png", "--address", address)
        asked.expect(69, says="that server cannot draw: .*diffusers")
    say(f"base passed: {modules} modules without torch, {len(COMMANDS)} commands")


def check_worker(place: Place) -> None:
    """A clean clone, and what the README says first; then all that draws."""
    first_command(place)
    declared(place)
    simple(place)
    helps(place)
    calls(place, {NEED_DATA: r"missing here; scripts/start --with data brings"})
    draws_here(place)
    with place.serve() as running:
        draws_served(place, running)
    say("worker passed")


def first_command(place: Place) -> None:
    """From the clone to the picture, with nothing said but one line for each phase."""
    begun = time.monotonic()
    first = place.start(*FIRST).expect()
    whole = time.monotonic() - begun
    look(place, place.clone / "apple.png")
    installing = re.search(r"set-up done in (\d+) s", first.err)
    if installing is None:
        raise Failed(f"the first command does not say that it is set up: {first.err}")
    if noise := [line for line in first.err.splitlines() if line and not line.startswith("daguerre: ")]:
        raise Failed(f"the first command says more than its own lines: {noise[:5]}")
    say(
        f"the first command took {whole:.0f} s from clone to picture, {whole - float(installing[1]):.0f} s of it after "
        f"installing; .venv {size_of(place.clone / '.venv')}"
    )


def draws_here(place: Place) -> None:
    """Every command that draws by itself, and those that look at what it drew."""
    apple = place.work / "apple.png"
    place.daguerre("imagine", "a red apple", "--out", apple, "--seed", "0").expect(0, quiet=True)
    look(place, apple)
    place.daguerre("verify", apple).expect(0, says="made by Daguerre", quiet=True)
    place.daguerre("reproduce", apple).expect(0, says="identical", quiet=True)
    prompts = place.work / "list.txt"
    prompts.write_text("a red apple\na blue car\n")
    place.daguerre("synthesize", prompts, place.work / "set", "--steps", "4").expect(0, says="2 pictures")
    sheet = place.work / "sheet.png"
    place.daguerre("sheet", "a red apple", "--seeds", "2", "--steps", "4", "--out", sheet).expect(0, quiet=True)
    drawn = [*sorted((place.work / "set").rglob("*.png")), sheet]
    for answer in place.many([("verify", str(file)) for file in drawn]):
        answer.expect(0, says="made by Daguerre")
    doctor = place.daguerre("doctor").expect(0, says=r"ok +drawing .*a small picture in")
    say(next(line for line in doctor.out.splitlines() if " drawing " in line).strip())


def draws_served(place: Place, running: Serve) -> None:
    """A running serve: by the page's own call, and by `imagine --server`."""
    address = running.address()
    with DIRECT.open(f"{address}/", timeout=60) as answer:
        if b"<form" not in answer.read() or "script-src 'self'" not in answer.headers["Content-Security-Policy"]:
            raise Failed("the page at / has no form, or lets foreign scripts run")
    job = json.loads(running.get("/api/v1/jobs", {"prompt": "a red apple"}))
    events = running.get(f"/api/v1/jobs/{job['id']}/events").decode()
    if "event: progress" not in events:
        raise Failed(f"no steps were told: {events[:500]}")
    page = place.work / "page.png"
    page.write_bytes(running.get(f"/api/v1/jobs/{job['id']}/pictures/1"))
    look(place, page)
    served = place.work / "served.png"
    place.daguerre("imagine", "a red apple", "--server", "--out", served).expect(0, quiet=True)
    look(place, served)
    place.daguerre("verify", served).expect(0, says="made by Daguerre")
    place.daguerre("queue", "status").expect(0, says="of .* slots busy")


def check_data(place: Place) -> None:
    """The same clone, with the one command that adds the extra."""
    begun = time.monotonic()
    place.start("--with", "data").expect(0, says="data sets and training are ready")
    say(f"data added in {time.monotonic() - begun:.0f} s, .venv {size_of(place.clone / '.venv')}")
    declared(place, "--all")
    simple(place)
    helps(place)
    pictures = place.work / "pictures"
    pictures.mkdir()
    (pictures / "a_red_apple.png").write_bytes((place.clone / "docs/first-light.png").read_bytes())
    place.daguerre("data", "import", pictures, "--out", place.work / "imported").expect(0, says="1 pictures imported")
    place.daguerre("data", "build", "--also", "no-such-source").expect(1, says="no-such-source")
    place.daguerre("evaluate", place.work / "nowhere").expect(78, says="no weights in")
    place.python(DRAWINGS, place.work / "set64/sprites64")
    begun = time.monotonic()
    smoke = place.clone / "models/recipes/smoke.toml"
    place.daguerre(
        "train", smoke, "--run", place.work / "run", "--data", place.work / "set64", "--threads", "2"
    ).expect(0)
    if not (place.work / "run/export/smoke/model_index.json").is_file():
        raise Failed("train smoke exported nothing")
    say(f"data passed: train smoke took {time.monotonic() - begun:.0f} s")


def declared(place: Place, *options: str) -> None:
    """Everything that the source imports is named in pyproject.toml, by the extra of those who use it.

    What another package happens to bring along today may be gone tomorrow.
    """
    program = place.clone / "scripts/declared.py"
    place.run(place.clone / ".venv/bin/python", program, *options, cwd=place.clone).expect(0)


def main(wanted: list[str]) -> None:
    if unknown := set(wanted) - {"base", "worker", "data"}:
        raise Failed(f"no such environment: {', '.join(unknown)} (base, worker, data)")
    chosen = wanted or ["base", "worker", "data"]
    if uncommitted(ROOT):
        say("what is not committed is not looked at")
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="daguerre-installs-", ignore_cleanup_errors=True) as temp:
        folder = Path(temp)
        room(folder)
        if "base" in chosen:
            check_base(folder)
        if {"worker", "data"} & set(chosen):
            place = Place(clone(ROOT, folder / "daguerre"), folder / "work")
            if "worker" in chosen:
                check_worker(place)
            if "data" in chosen:
                check_data(place)
    say(f"{', '.join(chosen)}: passed in {time.monotonic() - begun:.0f} s, on {os.cpu_count()} cores")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Failed as problem:
        say(f"FAILED: {problem}")
        sys.exit(1)
