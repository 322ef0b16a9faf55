"""Archives of `daguerre backup` that somebody damaged or forged: refused whole."""

from __future__ import annotations

import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from backupkit import PROMPT, archive, brought_back, configuration, files_of, forged, names, names_in

from daguerre.app.archive import DATABASES, MANIFEST, safe
from daguerre.app.errors import AppError

__all__ = ["archive"]


def truncated(good: Path, bad: Path) -> None:
    bad.write_bytes(good.read_bytes()[:-40])


def cut_in_the_middle(good: Path, bad: Path) -> None:
    content = good.read_bytes()
    bad.write_bytes(content[: len(content) // 2])


def another_file(good: Path, bad: Path) -> None:
    bad.write_text("not a zip at all")


def no_manifest(good: Path, bad: Path) -> None:
    forged(good, bad, drop=MANIFEST)


def a_flipped_byte(good: Path, bad: Path) -> None:
    content = bytearray(good.read_bytes())
    content[content.index(b"png 7") + 2] ^= 1
    bad.write_bytes(content)


def another_picture(good: Path, bad: Path) -> None:
    """With a right checksum of the zip: only the digest tells."""
    forged(good, bad, replace={name: b"png 8" for name in names(good) if name.endswith("/0.png")})


def a_file_too_few(good: Path, bad: Path) -> None:
    forged(good, bad, drop=next(name for name in names(good) if name.endswith("/0.png")))


def a_file_too_many(good: Path, bad: Path) -> None:
    forged(good, bad, add={"data/bank/more": b"x"}, listed=False)


def a_manifest_of_nonsense(good: Path, bad: Path) -> None:
    forged(good, bad, replace={MANIFEST: b'{"format": 1, "daguerre": "x"}'})


def a_wrong_size(good: Path, bad: Path) -> None:
    forged(good, bad, told=lambda told: told["files"][DATABASES["sqlite"]].update(size=5))


def a_later_revision(good: Path, bad: Path) -> None:
    forged(good, bad, told=lambda told: told.update(revision="9999"))


def a_later_format(good: Path, bad: Path) -> None:
    forged(good, bad, told=lambda told: told.update(format=2, surprise="field"))


def a_later_table(good: Path, bad: Path) -> None:
    """The manifest says another revision than the job table: only the table itself tells."""
    with zipfile.ZipFile(good) as zipped:
        (bad.with_suffix(".db")).write_bytes(zipped.read(DATABASES["sqlite"]))
    table = sqlite3.connect(bad.with_suffix(".db"))
    table.execute("UPDATE alembic_version SET version_num = '9999'")
    table.commit()
    table.close()
    forged(good, bad, add={DATABASES["sqlite"]: bad.with_suffix(".db").read_bytes()}, drop=DATABASES["sqlite"])
    bad.with_suffix(".db").unlink()


def no_job_table(good: Path, bad: Path) -> None:
    forged(good, bad, add={DATABASES["sqlite"]: b"no database"}, drop=DATABASES["sqlite"])


def climbing(good: Path, bad: Path) -> None:
    forged(good, bad, add={"data/../../x": b"x"})


def rooted(good: Path, bad: Path) -> None:
    forged(good, bad, add={"/tmp/x": b"x"})


def a_token(good: Path, bad: Path) -> None:
    forged(good, bad, add={"data/nats/token": b"x"})


def a_second_table(good: Path, bad: Path) -> None:
    forged(good, bad, add={"data/daguerre.db-wal": b"x"})


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (truncated, "damaged"), (cut_in_the_middle, "damaged"), (another_file, "damaged"),
        (no_manifest, "no backup of Daguerre"), (a_flipped_byte, "damaged"), (another_picture, "is not what was put"),
        (a_file_too_few, "its files are not those"), (a_file_too_many, "its files are not those"),
        (a_manifest_of_nonsense, "cannot be read"), (a_wrong_size, "is not what was put"),
        (a_later_revision, "newer Daguerre"), (a_later_format, "newer Daguerre"), (a_later_table, "newer Daguerre"),
        (no_job_table, "job table"), (climbing, "no backup to trust"), (rooted, "no backup to trust"),
        (a_token, "no backup to trust"), (a_second_table, "no backup to trust"),
    ],
)  # fmt: skip
async def test_what_was_damaged_or_forged_is_refused_whole(
    tmp_path: Path, archive: Path, harm: Callable[[Path, Path], None], says: str
) -> None:
    """One clear line, and nothing is left of it: the good one can be restored into the same folder afterwards."""
    bad = tmp_path / "bad.zip"
    harm(archive, bad)
    there = configuration(tmp_path / "new")
    before = names_in(tmp_path)
    with pytest.raises(AppError, match=says) as refused:
        await brought_back(there, bad)
    assert len(str(refused.value).splitlines()) == 1
    assert PROMPT not in str(refused.value)
    left = files_of(there.data_dir) if there.data_dir.exists() else {}
    assert left.keys() <= {"control.lock"}
    assert names_in(tmp_path) - before <= {"new"}
    await brought_back(there, archive)
    assert "daguerre.db" in files_of(there.data_dir)


def test_no_name_leads_out() -> None:
    """Of any system's separators, drives and dots."""
    bad = ("../x", "a/../x", "/x", "a//x", "a\\x", "C:x", "a/./x", "..", ".", "", "a\x00b", "a/", "a\nb", "\udc80")
    assert [name for name in bad if safe(name)] == []
    assert all(
        safe(name) for name in ("data/bank/drawings.safetensors", "data/adapters/My cat? (2).safetensors", "a/..b")
    )
