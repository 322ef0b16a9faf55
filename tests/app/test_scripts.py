"""scripts/start and scripts/test: what they decide before anything is installed.

A real installation takes minutes; here `.venv` holds a program that prints its arguments.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with the scripts, set up as far as the stamp tells."""
    root = tmp_path / "my clone"
    shutil.copytree(PROJECT / "scripts", root / "scripts")
    for name in ("requirements.lock", "pyproject.toml"):
        shutil.copy(PROJECT / name, root / name)
    program = root / ".venv" / "bin" / "daguerre"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho "in $PWD:"; for word in "$@"; do echo "<$word>"; done\n')
    program.chmod(0o755)
    stamp(root, "start")
    return root


def stamp(root: Path, kind: str) -> None:
    state = f'root="{root}"; . "$root/scripts/setup.sh"; setup_state'
    text = subprocess.run(["sh", "-c", state], capture_output=True, check=True).stdout
    (root / ".venv" / f".daguerre-{kind}").write_bytes(text)


def start(root: Path, *arguments: str, path: str = "/usr/bin:/bin") -> subprocess.CompletedProcess[str]:
    """Run scripts/start from another folder, where no Python is found unless `path` has one."""
    environment = {"PATH": path, "DAGUERRE_PYTHON": "/no/such/python"}
    return subprocess.run(
        [str(root / "scripts" / "start"), *arguments], cwd=root.parent, env=environment, capture_output=True, text=True
    )


def test_nothing_is_installed_again(clone: Path) -> None:
    """With an unchanged lock the program starts at once, in the caller's folder, with its arguments as they are."""
    answer = start(clone, "imagine", "a red  apple", "--out", "apple.png")
    assert answer.stdout.splitlines() == [
        f"in {clone.parent}:",
        "<imagine>",
        "<a red  apple>",
        "<--out>",
        "<apple.png>",
    ]
    assert (answer.returncode, answer.stderr) == (0, "")


def test_serve_is_what_start_starts(clone: Path) -> None:
    """Without arguments it runs `daguerre serve`."""
    assert "<serve>" in start(clone).stdout


def test_the_test_environment_serves_as_well(clone: Path) -> None:
    """scripts/test installs all that scripts/start needs."""
    (clone / ".venv" / ".daguerre-start").unlink()
    stamp(clone, "test")
    assert start(clone, "version").returncode == 0


@pytest.mark.parametrize("what", ["requirements.lock", "pyproject.toml", "moved", "interrupted"])
def test_changes_are_noticed(clone: Path, what: str, tmp_path: Path) -> None:
    """Another lock, other metadata, another place or an interrupted set-up: it is set up again."""
    if what == "moved":
        clone = clone.rename(tmp_path / "elsewhere")
    elif what == "interrupted":
        (clone / ".venv" / ".daguerre-start").unlink()
    else:
        with (clone / what).open("a") as file:
            file.write("# changed\n")
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("sh", "dirname", "cat", "cmp", "df", "awk", "rm", "flock", "date"):
        if found := shutil.which(tool):
            (tools / tool).symlink_to(found)
    answer = start(clone, "version", path=str(tools))
    assert answer.returncode == 1
    assert "no Python 3.11 or newer found" in answer.stderr
    assert "apt install" in answer.stderr


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A clone that nothing was installed in, and a Python whose pip says what it was asked for: `calls` keeps it."""
    root = tmp_path / "clone"
    shutil.copytree(PROJECT / "scripts", root / "scripts")
    for name in ("requirements.lock", "pyproject.toml"):
        shutil.copy(PROJECT / name, root / name)
    python = root / "python"
    python.write_text(
        f"""#!/bin/sh
case "$*" in
    *"-m venv"*) mkdir -p "{root}/.venv/bin"; cp "$0" "{root}/.venv/bin/python" ;;
    *install*)
        echo "$*" >>"{root}/calls"
        echo "WARNING: Location 'file:///mirror' is ignored"
        if [ -e "{root}/no-network" ]; then echo "ERROR: nothing answers" >&2; exit 1; fi
        printf '#!/bin/sh\\necho "ran $*"\\n' >"{root}/.venv/bin/daguerre"
        chmod +x "{root}/.venv/bin/daguerre" ;;
esac
"""
    )
    python.chmod(0o755)
    return root


def start_bare(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "DAGUERRE_PYTHON": str(root / "python")}
    return subprocess.run([str(root / "scripts/start"), *arguments], env=environment, capture_output=True, text=True)


def test_installing_is_quiet(bare: Path) -> None:
    """One line for each phase; what pip says of the machine's package index is kept to its log."""
    answer = start_bare(bare, "imagine", "a red apple")
    assert (answer.returncode, answer.stdout) == (0, "ran imagine a red apple\n")
    assert "WARNING" not in answer.stderr
    assert 4 <= len(answer.stderr.splitlines()) <= 6, answer.stderr
    assert "[worker]" in (bare / "calls").read_text()
    assert "WARNING" in (bare / ".venv/.daguerre-setup.log").read_text()
    assert start_bare(bare, "version").stderr == "", "nothing is installed twice"


def test_a_failed_installation_is_told(bare: Path) -> None:
    """What pip said last is shown, its warnings are not; where all of it lies is named; nothing counts as installed."""
    (bare / "no-network").touch()
    answer = start_bare(bare)
    assert answer.returncode == 1
    assert "ERROR: nothing answers" in answer.stderr
    assert "WARNING" not in answer.stderr
    assert ".daguerre-setup.log" in answer.stderr
    (bare / "no-network").unlink()
    assert start_bare(bare).stdout == "ran serve\n"


def test_the_data_tools_are_added_once(bare: Path) -> None:
    """`--with data` adds the extra to what is there; without a command it ends; they stay over another set-up."""
    assert start_bare(bare, "version").returncode == 0
    added = start_bare(bare, "--with", "data")
    assert (added.returncode, added.stdout) == (0, "")
    assert "data sets and training are ready" in added.stderr
    assert "[worker,data]" in (bare / "calls").read_text()
    (bare / "calls").write_text("")
    assert start_bare(bare, "--with", "data", "train", "r.toml").stdout == "ran train r.toml\n"
    assert start_bare(bare).stdout == "ran serve\n"
    assert (bare / "calls").read_text() == "", "it was all there"
    with (bare / "requirements.lock").open("a") as file:
        file.write("# changed\n")
    assert start_bare(bare, "version").returncode == 0
    assert "[worker,data]" in (bare / "calls").read_text()
    assert start_bare(bare, "--with", "cake").returncode == 1


def test_a_damaged_environment_is_made_anew(bare: Path) -> None:
    """`--repair` begins with an empty .venv."""
    assert start_bare(bare, "version").returncode == 0
    (bare / ".venv/broken").touch()
    assert start_bare(bare, "--repair", "version").stdout == "ran version\n"
    assert not (bare / ".venv/broken").exists()


@pytest.mark.parametrize("script", ["scripts/start", "scripts/test", "scripts/setup.sh", ".ci/run"])
def test_scripts_are_plain_shell(script: str) -> None:
    """They parse in a POSIX shell, and those to be run are executable."""
    file = PROJECT / script
    subprocess.run(["sh", "-n", str(file)], check=True)
    assert file.suffix == ".sh" or file.stat().st_mode & 0o111
