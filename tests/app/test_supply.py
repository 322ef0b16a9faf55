"""What stands behind a release: locks with hashes, licences, a bill of materials, a wheel that can be built again."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
SUPPLY = PROJECT / "scripts" / "supply.py"


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], cwd=PROJECT, capture_output=True, text=True, timeout=300, check=False
    )


def loaded(name: str) -> object:
    """A script as a module; scripts/ is no package."""
    sys.path.insert(0, str(PROJECT / "scripts"))
    try:
        wanted = importlib.util.spec_from_file_location(f"script_{name}", PROJECT / "scripts" / f"{name}.py")
        assert wanted is not None
        assert wanted.loader is not None
        module = importlib.util.module_from_spec(wanted)
        wanted.loader.exec_module(module)
    finally:
        sys.path.remove(str(PROJECT / "scripts"))
    return module


def test_the_locks_fit_and_hash_everything() -> None:
    """Each pin is that of requirements.lock, each has hashes; the control process has no torch, the builds differ."""
    done = run("scripts/locks.py", "--check")
    assert done.returncode == 0, done.stdout
    texts = {
        name: (PROJECT / "locks" / f"{name}.txt").read_text(encoding="utf-8") for name in ("control", "cpu", "cuda")
    }
    for text in texts.values():
        assert (
            len(re.findall(r"^[A-Za-z0-9].*==.* \\$", text, re.M)) == len(re.findall(r"^[A-Za-z0-9]", text, re.M)) >= 60
        )
        assert "://" not in text
    assert "\ntorch==" not in texts["control"]
    assert "\ntorch==2.13.0+cpu" in texts["cpu"]
    assert "\nnvidia-" in texts["cuda"]
    assert "\nnvidia-" not in texts["cpu"]


def test_a_lock_that_fell_behind_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that was changed in one place only, and a package without a hash."""
    locks = loaded("locks")
    (tmp_path / "locks").mkdir()
    (tmp_path / "requirements.lock").write_text("yarl==1.2\nidna==3.1\ntorch==2.13.0\n")
    (tmp_path / "locks" / "cpu.txt").write_text(
        "# head\nidna==3.1\nyarl==1.1 \\\n    --hash=sha256:00\ntorch==2.13.0+cpu \\\n    --hash=sha256:00\n"
    )
    monkeypatch.setattr(locks, "ROOT", tmp_path)
    assert locks.misfits("cpu") == [  # type: ignore[attr-defined]
        "yarl is 1.1 in locks/cpu.txt and 1.2 in requirements.lock", "no hash: idna==3.1",
    ]  # fmt: skip


def test_pip_refuses_what_has_another_hash(tmp_path: Path) -> None:
    """As the lock is used: a file that is not the one that was locked is not installed."""
    made = tmp_path / "thing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("thing.py", "")
        archive.writestr("thing-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n")
        archive.writestr("thing-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr("thing-1.0.dist-info/RECORD", "")
    right = hashlib.sha256(made.read_bytes()).hexdigest()
    for digest, taken in ((right, True), ("0" * 64, False)):
        (tmp_path / "lock.txt").write_text(f"thing==1.0 \\\n    --hash=sha256:{digest}\n")
        done = run(
            "-m", "pip", "install", "--quiet", "--no-index", "--find-links", str(tmp_path), "--require-hashes",
            "--no-deps", "--target", str(tmp_path / digest[:8]), "-r", str(tmp_path / "lock.txt"),
        )  # fmt: skip
        assert (done.returncode == 0) is taken, done.stderr


def test_every_licence_is_allowed() -> None:
    """Of all that is shipped, as the packages themselves say it."""
    done = run("scripts/supply.py", "licences")
    assert done.returncode == 0, done.stdout
    assert "licence allowed" in done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("said", "may"),
    [
        ("MIT", True), ("mit license", True), ("Apache-2.0 OR GPL-3.0-only", True), ("MIT AND GPL-3.0-only", False),
        ("(MIT OR GPL-2.0) AND BSD-3-Clause", True), ("(GPL-3.0 AND MIT) OR AGPL-3.0", False),
        ("Apache-2.0 WITH LLVM-exception", True), ("GPL-3.0-or-later", False), ("", False), ("UNKNOWN", False),
        ("Proprietary", False), ("MPL-2.0 AND MIT", True),
    ],
)  # fmt: skip
def test_licences_are_judged(said: str, may: bool) -> None:
    """Of what is joined by OR one suffices, of AND all must do; what says nothing is not allowed."""
    assert loaded("supply").allowed(said) is may  # type: ignore[attr-defined]


@pytest.mark.skipif(importlib.util.find_spec("cyclonedx_py") is None, reason="the extra supply is not installed")
def test_the_bill_of_materials_names_everything_with_its_hashes(tmp_path: Path) -> None:
    """CycloneDX, without times and random numbers; every package of the lock with its version and at least one hash."""
    assert run(str(SUPPLY), "sbom", str(tmp_path / "one.json"), "--lock", "control").returncode == 0
    bill = json.loads((tmp_path / "one.json").read_text(encoding="utf-8"))
    assert (bill["bomFormat"], bill["metadata"]["component"]["name"]) == ("CycloneDX", "daguerre")
    assert "serialNumber" not in bill
    assert "timestamp" not in bill["metadata"]
    lock = (PROJECT / "locks" / "control.txt").read_text(encoding="utf-8")
    named = {(each["name"], each["version"]) for each in bill["components"]}
    assert named == set(re.findall(r"^([A-Za-z0-9][\w.-]*)==(\S+)", lock, re.M))
    assert all(any(reference.get("hashes") for reference in each["externalReferences"]) for each in bill["components"])


def test_the_wheel_is_the_same_each_time(tmp_path: Path) -> None:
    """Two builds of one commit are equal byte for byte, hold the source and its data, and nothing else."""
    for name in ("one", "two"):
        done = run(str(SUPPLY), "wheel", str(tmp_path / name))
        assert done.returncode == 0, done.stderr
    (one,), (two,) = ((tmp_path / name).glob("*.whl") for name in ("one", "two"))
    assert one.name == two.name
    assert one.read_bytes() == two.read_bytes()
    with zipfile.ZipFile(one) as archive:
        names = set(archive.namelist())
    assert {"daguerre/app/cli.py", "daguerre/queue/observe/meters.py", "daguerre/web/templates/ask.html"} <= names
    assert "daguerre/bot/text/locales/en/card.ftl" in names
    assert not [name for name in names if "test" in name.split("/")[0] or name.endswith((".pkl", ".pickle", ".pyc"))]


def test_images_are_built_from_locks_and_may_be_named_by_digest() -> None:
    """The Dockerfile installs by hashes only; each base image is an argument."""
    text = (PROJECT / "Dockerfile").read_text(encoding="utf-8")
    installs = [
        line for line in text.splitlines() if "pip install" in line and line[0] != "#" and "--dry-run" not in line
    ]
    assert len(installs) == 3
    assert all("--require-hashes" in line or "--no-deps --no-build-isolation -e ." in line for line in installs)
    assert {line.split()[1] for line in text.splitlines() if line.startswith("FROM ")} <= {
        "${BASE_IMAGE}", "control-packages", "runtime",
    }  # fmt: skip
    services = yaml.safe_load((PROJECT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    assert services["nats"]["image"].startswith("${DAGUERRE_NATS_IMAGE:-")


def test_what_the_image_copies_reaches_the_builder() -> None:
    """Everything is left out of the build's context but what .dockerignore names: a folder that is not named there
    cannot be copied, and nothing but a real build would tell."""
    allowed = {
        line.removeprefix("!").rstrip("/")
        for line in (PROJECT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    copied: set[str] = set()
    for line in (PROJECT / "Dockerfile").read_text(encoding="utf-8").splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            copied |= {source.rstrip("/") for source in line.split()[1:-1]}
    assert copied - {"."} <= allowed
    assert all((PROJECT / name).exists() for name in allowed)
