"""The house's import rules: directions between folders, no torch where none belongs, no shadowed standard library."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
FOLDERS = ("app", "bot", "models", "queue", "web")
#: What each folder may import besides itself.
ALLOWED = {
    "app": {"bot", "models", "queue", "web"},
    "bot": {"queue"},
    "web": {"queue"},
    "queue": set[str](),
    "models": set[str](),
}
#: What each folder of models may import besides itself; `errors` is everybody's.
PARTS = {
    "common": set[str](),
    "layout": {"common"},
    "drawer": {"common"},
    "provenance": set[str](),
    "serving": {"common", "drawer", "layout", "provenance"},
    "data": {"common", "drawer"},
    "training": {"common", "data", "drawer"},
    "finetune": {"common", "data", "training"},
    "evaluation": {"common", "data", "drawer", "layout", "serving", "training"},
    "commands": {"common", "data", "drawer", "evaluation", "finetune", "serving", "training"},
}
#: What each feature of a folder may import besides itself: the faces of these. Files at the folder's top that have no
#: state of their own (`errors`, `tasks`, `logs`) are everybody's.
FEATURES = {
    "bot": {
        "text": set[str](),
        "message": {"text"},
        "interaction": {"message", "text"},
        "imagine": {"interaction", "message", "text"},
        "moderation": {"interaction", "message", "text"},
        "picture": {"imagine", "interaction", "message", "moderation", "text"},
        "personal": {"imagine", "interaction", "message", "picture", "text"},
    },
    "queue": {
        "observe": set[str](),
        "records": set[str](),
        "prompt": {"records"},
        "store": {"records"},
        "pictures": {"records", "store"},
        "asking": {"prompt", "records", "store"},
        "dispatch": {"observe", "options", "pictures", "records", "store"},
        "nats": {"records"},
        "moderation": {"observe", "pictures", "prompt", "records", "store"},
        "worker": {"nats", "observe", "records"},
        "control": {"dispatch", "moderation", "nats", "observe", "options", "pictures", "records", "store"},
    },
}
EVERYBODYS = {"discord_internals", "error_log", "errors", "faults", "logs", "tasks", "texts"}
#: Folders that only those who build data, train and evaluate have the packages for.
TRAINS = {"data", "training", "finetune", "evaluation"}
#: Files that stand on those; everything else serves.
STAND_ON_TRAINING = {"commands/data.py", "commands/evaluate.py", "commands/kinds.py", "commands/train.py"}
#: Files of app that may know models: they run in the worker process, or name its errors.
KNOWS_MODELS = {
    "cli.py", "cli_bank.py", "cli_models.py", "finishing.py", "imagine.py", "render.py", "reproduce.py", "trial.py",
    "verify.py", "worker.py",
}  # fmt: skip


def sources(folder: str) -> list[Path]:
    return sorted((PROJECT / folder).rglob("*.py"))


def imports(file: Path) -> Iterator[tuple[list[str], str, int]]:
    """Each name of ours that a file imports, inside functions too: the parts of where from, the name, the line."""
    package = ["daguerre", *file.relative_to(PROJECT).parts[:-1]]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                *parts, name = alias.name.split(".")
                if parts[:1] == ["daguerre"]:
                    yield parts[1:], name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            first, *parts = [part for part in (*base, *(node.module or "").split(".")) if part]
            if first == "daguerre":
                yield from ((parts, alias.name, node.lineno) for alias in node.names)


def imported_folders(file: Path) -> Iterator[tuple[str, int]]:
    """Each folder of ours that a source file imports anything from, with the line."""
    for parts, name, line in imports(file):
        folder = (*parts, name)[0]
        if folder in FOLDERS:
            yield folder, line


@pytest.mark.parametrize("folder", FOLDERS)
def test_imports_point_one_way(folder: str) -> None:
    """app → everything; bot and web → queue; queue and models → nobody."""
    wrong = [
        f"{file.relative_to(PROJECT)}:{line} imports {target}"
        for file in sources(folder)
        for target, line in imported_folders(file)
        if target not in ALLOWED[folder] | {folder}
    ]
    assert wrong == []


@pytest.mark.parametrize(("folder", "feature"), [(folder, name) for folder in FEATURES for name in FEATURES[folder]])
def test_features_import_one_way_and_by_their_faces(folder: str, feature: str) -> None:
    """A feature stands on the faces of those named above, so that what lies behind a face may change alone."""
    allowed = FEATURES[folder][feature]
    wrong: list[str] = []
    for file in sources(f"{folder}/{feature}"):
        for parts, _, line in imports(file):
            if parts[:1] != [folder] or len(parts) == 1:
                continue
            _, name, *inside = parts
            place = f"{file.relative_to(PROJECT)}:{line}"
            if name not in allowed | {feature} | EVERYBODYS:
                wrong.append(f"{place} imports {name}")
            elif name != feature and name in FEATURES[folder] and inside:
                wrong.append(f"{place} reaches behind the face of {name}")
    assert wrong == []


@pytest.mark.parametrize("folder", FEATURES)
def test_features_make_no_circle_and_are_whole(folder: str) -> None:
    """Every sub-folder is listed, and all can be put in an order in which each stands on earlier ones."""
    present = {file.parent.name for file in (PROJECT / folder).glob("*/*.py")}
    assert present == FEATURES[folder].keys()
    tuple(TopologicalSorter(FEATURES[folder]).static_order())


def modules() -> dict[str, Path]:
    """Every module of the source by its name below `daguerre`; a face has the name of its folder."""
    found = {
        ".".join(file.relative_to(PROJECT).with_suffix("").parts): file for top in FOLDERS for file in sources(top)
    }
    return {name.removesuffix(".__init__"): file for name, file in found.items()}


def test_no_module_stands_on_itself() -> None:
    """No circle of imports anywhere, what type checkers alone import and imports inside functions included."""
    known = modules()
    stands_on: dict[str, set[str]] = {name: set() for name in known}
    for name, file in known.items():
        for parts, imported, _ in imports(file):
            target = ".".join(parts)
            inside = f"{target}.{imported}"
            if (found := inside if inside in known else target) in known and found != name:
                stands_on[name].add(found)
    tuple(TopologicalSorter(stands_on).static_order())  # Raises CycleError, which names the circle.
    assert sum(map(len, stands_on.values())) > 1_000


def test_others_use_the_faces_of_features() -> None:
    """From outside its folder, a feature is its face."""
    wrong = [
        f"{file.relative_to(PROJECT)}:{line}"
        for outside in FOLDERS
        for file in sources(outside)
        for parts, _, line in imports(file)
        if parts and parts[0] in FEATURES and parts[0] != outside and len(parts) > 2
    ]
    assert wrong == []


def test_only_the_worker_side_of_app_knows_models() -> None:
    """The control process has no path to the engine."""
    knowing = {file.name for file in sources("app") for target, _ in imported_folders(file) if target == "models"}
    assert knowing <= KNOWS_MODELS


def parts_imported(file: Path) -> Iterator[tuple[str, int]]:
    """Each part of models that a file of models imports anything from, with the line."""
    known = {each.stem for each in (PROJECT / "models").glob("*.py")} | PARTS.keys()
    for parts, name, line in imports(file):
        if parts[:1] == ["models"] and (part := (*parts[1:], name)[0]) in known:
            yield part, line


def part_of(file: Path) -> str:
    first = file.relative_to(PROJECT / "models").parts[0]
    return first.removesuffix(".py")


def stands_on_training(file: Path) -> bool:
    return part_of(file) in TRAINS or file.relative_to(PROJECT / "models").as_posix() in STAND_ON_TRAINING


@pytest.mark.parametrize("part", PARTS)
def test_parts_of_models_import_one_way(part: str) -> None:
    """What serves stands on nothing that trains, and no two parts stand on each other; no lazy import hides one."""
    wrong = [
        f"{file.relative_to(PROJECT)}:{line} imports {target}"
        for file in sources("models")
        if part_of(file) == part
        for target, line in parts_imported(file)
        if target not in PARTS[part] | {part, "errors"}
    ]
    assert wrong == []


def test_parts_of_models_make_no_circle() -> None:
    """Every folder of models can be put in an order in which each stands on earlier ones."""
    stands_on: dict[str, set[str]] = {}
    for file in sources("models"):
        part = part_of(file)
        stands_on.setdefault(part, set()).update(target for target, _ in parts_imported(file) if target != part)
    assert stands_on.keys() == PARTS.keys() | {"errors"}
    tuple(TopologicalSorter(stands_on).static_order())


def faces() -> dict[str, set[str]]:
    """What the face of each folder of models offers, by the folder's dotted name below models."""
    found: dict[str, set[str]] = {}
    for file in (PROJECT / "models").rglob("__init__.py"):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                names = set(ast.literal_eval(node.value))
                found[".".join(file.parent.relative_to(PROJECT / "models").parts)] = names
    return found


@pytest.mark.parametrize("folder", ["app", "models"])
def test_what_a_face_offers_is_taken_from_it(folder: str) -> None:
    """Other folders import past a face only what it leaves to modules of their own names, where torch is needed."""
    offered = faces()
    wrong: list[str] = []
    for file in sources(folder):
        package = file.relative_to(PROJECT).parts[:-1]
        for parts, name, line in imports(file):
            inside = ".".join(parts[1:-1])
            own = package[0] == "models" and ".".join(package[1:]).startswith(inside)
            if parts[:1] == ["models"] and not own and name in offered.get(inside, set()):
                wrong.append(f"{file.relative_to(PROJECT)}:{line} {name} of {inside}")
    assert wrong == []


def test_every_folder_of_models_has_a_face() -> None:
    """It says in a sentence or two what the folder is for."""
    folders = {file.parent for file in sources("models")} - {PROJECT / "models"}
    assert all(ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8"))) for folder in folders)


def test_only_commands_of_training_stand_on_training() -> None:
    """Whatever else there is, `synthesize` and `sheet` among it, needs no packages but a worker's."""
    wrong = [
        f"{file.relative_to(PROJECT)}:{line} imports {target}"
        for file in sources("models")
        if not stands_on_training(file)
        for target, line in parts_imported(file)
        if target in TRAINS
    ]
    assert wrong == []


def test_serving_imports_nothing_beyond_its_extra() -> None:
    """The engine and all that draws import with none of the packages that only the extra `data` brings."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {
        name: {re.split(r"[\[=<>~!]", line)[0].replace("-", "_") for line in lines}
        for name, lines in {**project["optional-dependencies"], "base": project["dependencies"]}.items()
    }
    beyond = sorted((extras["data"] | {"resvg_py", "efficientnet_lite_pytorch"}) - extras["worker"] - extras["base"])
    assert {"inflect", "resvg_py"} <= set(beyond)
    modules = [
        ".".join(("daguerre", *file.relative_to(PROJECT).with_suffix("").parts)).removesuffix(".__init__")
        for file in sources("models")
        if not stands_on_training(file)
    ]
    code = (
        f"import importlib, sys\nsys.modules.update(dict.fromkeys({beyond!r}))\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr


def test_faces_that_need_no_torch_import_without_a_workers_packages() -> None:
    """`daguerre data credits` and `daguerre verify` run on an installation without any extra."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {
        extra: {re.split(r"[\[=<>~!]", line)[0].replace("-", "_") for line in lines}
        for extra, lines in {**project["optional-dependencies"], "base": project["dependencies"]}.items()
    }
    beyond = sorted((names["worker"] | names["data"]) - names["base"])
    faces = [f"daguerre.models.{name}" for name in ("common", "data", "layout", "provenance", "serving", "commands")]
    code = (
        f"import importlib, sys\nsys.modules.update(dict.fromkeys({beyond!r}))\n"
        f"for name in {faces!r}: importlib.import_module(name)\n"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize("folder", FOLDERS)
def test_source_imports_are_relative(folder: str) -> None:
    """`daguerre.…` stands in tests and entry points only, so that editors and type checkers follow."""
    absolute = [
        f"{file.relative_to(PROJECT)}:{node.lineno}"
        for file in sources(folder)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if (isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").split(".")[0] == "daguerre")
        or (isinstance(node, ast.Import) and any(alias.name.split(".")[0] == "daguerre" for alias in node.names))
    ]
    assert absolute == []


def test_no_init_files() -> None:
    """With `queue/__init__.py` on the path, the standard library's `import queue` would find ours."""
    found = [
        str(file.relative_to(PROJECT))
        for folder in (*FOLDERS, "tests", "tests/queue", "tests/**")
        for file in PROJECT.glob(f"{folder}/__init__.py")
    ]
    assert found == []


def test_importing_control_side_loads_no_torch_and_does_nothing() -> None:
    """Every module of bot, web and queue, and what `daguerre serve` starts with: no torch, no models, no output."""
    modules = [
        ".".join(("daguerre", *file.relative_to(PROJECT).with_suffix("").parts)).removesuffix(".__init__")
        for folder in ("bot", "queue", "web")
        for file in sources(folder)
        if "migrations" not in file.parts
    ]
    modules += ["daguerre.app.cli", "daguerre.app.serve", "daguerre.app.settings", "daguerre.app.healthcheck"]
    code = (
        f"import importlib, sys\nfor name in {modules!r}: importlib.import_module(name)\n"
        "heavy = {'torch', 'diffusers', 'transformers', 'numpy', 'daguerre.models'} & sys.modules.keys()\n"
        "import queue, threading\n"
        "assert not heavy, heavy\n"
        "assert hasattr(queue, 'SimpleQueue'), queue\n"
        "assert threading.active_count() == 1\n"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")


def test_every_folder_of_source_is_installed() -> None:
    """A new sub-folder is listed in pyproject.toml, or the wheel and the container would lack it."""
    setuptools = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    files = [file for folder in FOLDERS for file in sources(folder)]
    present = {".".join(("daguerre", *file.parent.relative_to(PROJECT).parts)) for file in files}
    assert present <= set(setuptools["packages"])
    assert set(setuptools["packages"]) == set(setuptools["package-dir"])
