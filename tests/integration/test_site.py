"""The documentation as a site, as `mkdocs build --strict` makes it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from daguerre.app.settings import Settings, sections_of

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    made = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(out)],
        cwd=PROJECT, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    return out


def test_every_page_is_in_the_menu(site: Path) -> None:
    """A page that nobody finds is not written; strict building says the reverse, and which links are broken."""
    listed = (PROJECT / "mkdocs.yml").read_text(encoding="utf-8")
    assert yaml.safe_load(listed)["nav"]
    for page in (PROJECT / "docs").rglob("*.md"):
        assert str(page.relative_to(PROJECT / "docs")) in listed, page
    assert (site / "index.html").is_file()


def test_the_reference_holds_every_setting(site: Path) -> None:
    """With what it is for and its default, from the code itself."""
    text = (site / "configuration.html").read_text(encoding="utf-8")
    for name, section in sections_of(Settings.model_construct()).items():
        for key in type(section).model_fields:
            assert f'id="{name}-{key}"' in text, (name, key)
    assert "DAGUERRE_&lt;SECTION&gt;__&lt;KEY&gt;" in text


def test_the_site_fetches_nothing_from_elsewhere(site: Path) -> None:
    """It can be read without a network."""
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        fetched = re.findall(r'<(?:script|img|iframe)[^>]*\ssrc="(https?:[^"]*)"', text)
        fetched += re.findall(r'<link[^>]*rel="stylesheet"[^>]*href="(https?:[^"]*)"', text)
        assert not fetched, (page, fetched)
