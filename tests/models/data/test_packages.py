"""Packages: the right archive is unpacked, any other is refused; from the network where there is one."""

from __future__ import annotations

import hashlib
import io
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from daguerre.models.data.packages import archive_name, fetch
from daguerre.models.data.sources import EMOJILIB, WORDS, DebianPackage
from daguerre.models.errors import PackageChanged, PackageUnavailable


def member(name: str, content: bytes) -> bytes:
    """One entry of an `ar` archive, padded to an even length (deb(5))."""
    head = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode()
    return head + content + b"\n" * (len(content) % 2)


def deb(file: Path) -> DebianPackage:
    """A Debian package with a picture, another file, and a link out of the archive."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:xz") as tar:
        for name in ("./usr/share/art/apple.svg", "./usr/share/doc/readme"):
            entry = tarfile.TarInfo(name)
            entry.size = 6
            tar.addfile(entry, io.BytesIO(b"<svg/>"))
        link = tarfile.TarInfo("./usr/share/art/link.svg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    # An odd length before it, so that padding is read over.
    content = b"!<arch>\n" + member("debian-binary", b"2.0") + member("data.tar.xz", data.getvalue())
    file.write_bytes(content)
    return DebianPackage("little", "1:1.0-1", hashlib.sha256(content).hexdigest(), file.name, r"\.svg$")


def test_a_debian_package_is_unpacked_without_its_links(tmp_path: Path) -> None:
    """Only the files that are wanted, at the paths they would be installed at."""
    package = deb(tmp_path / "little_1%3a1.0-1_all.deb")
    folder = fetch(package, tmp_path)
    assert [f.relative_to(folder).as_posix() for f in folder.rglob("*") if not f.is_dir()] == [
        "usr/share/art/apple.svg"
    ]
    assert ":" not in folder.name
    (tmp_path / package.archive).unlink()
    assert fetch(package, tmp_path) == folder


def test_a_source_archive_is_unpacked_below_its_own_folder(tmp_path: Path) -> None:
    """Upstream archives hold one folder with a name of its own."""
    archive = tmp_path / "little_1.0.orig.tar.xz"
    with tarfile.open(archive, "w:xz") as tar:
        entry = tarfile.TarInfo("little-1.0/tiles/orc.png")
        tar.addfile(entry, io.BytesIO(b""))
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    package = DebianPackage("little", "1.0-1", digest, archive.name, r"\.png$", source=True)
    assert (fetch(package, tmp_path) / "tiles/orc.png").is_file()


def test_a_changed_or_damaged_debian_package_is_refused(tmp_path: Path) -> None:
    """Nothing of it is unpacked."""
    package = deb(tmp_path / "little_all.deb")
    with pytest.raises(PackageChanged, match=r"little@1:1\.0-1"):
        fetch(replace(package, sha256="0" * 64), tmp_path)
    for content in (b"<html>not found</html>", (tmp_path / "little_all.deb").read_bytes()[:150]):
        (tmp_path / "little_all.deb").write_bytes(content)
        with pytest.raises(PackageChanged, match="cannot be unpacked"):
            fetch(replace(package, sha256=hashlib.sha256(content).hexdigest()), tmp_path)
    assert not (tmp_path / package.folder).exists()
    assert [each.name for each in tmp_path.iterdir()] == ["little_all.deb"]


def test_without_apt_the_error_says_what_else_can_be_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the archive there by hand, or build without."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PackageUnavailable, match=rf"(?s){WORDS.archive}.*--without"):
        fetch(WORDS, tmp_path)


@pytest.mark.parametrize("package", [EMOJILIB, WORDS], ids=["npm", "apt"])
def test_pinned_packages_arrive_from_their_registries(tmp_path: Path, package: object) -> None:
    """The two smallest pins, through their ordinary clients; skipped where there is no network."""
    try:
        folder = fetch(package, tmp_path)  # type: ignore[arg-type]
    except PackageUnavailable as error:
        pytest.skip(f"no registry: {error}")
    assert any(folder.rglob("*"))
    assert archive_name(EMOJILIB) == "emojilib-4.0.3.tgz"


def test_a_version_that_does_not_exist_is_unavailable(tmp_path: Path) -> None:
    """Whether for lack of the version, of the network or of npm."""
    with pytest.raises(PackageUnavailable, match=r"emojilib"):
        fetch(replace(EMOJILIB, version="0.0.0-never"), tmp_path)
