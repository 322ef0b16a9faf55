"""Hooks of mkdocs.yml: pages that are kept elsewhere in the repository, or follow from the code.

Readme, changes, credits and the model's card stay where readers of the repository look for them; the reference of
config.toml is what `daguerre config --defaults` prints. Links between them are turned to the pages of the site.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
MODEL = "models/weights/first-light"
#: Files of the repository by the page that shows them.
PAGES = {
    "index.md": "README.md",
    "contributing.md": "CONTRIBUTING.md",
    "security.md": "SECURITY.md",
    "credits.md": "CREDITS.md",
    "changelog.md": "CHANGELOG.md",
    "model-card.md": f"{MODEL}/README.md",
    "evaluation-report.md": f"{MODEL}/EVALUATION.md",
}
_LINK = re.compile(r"\[([^\]]*)\]\(([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that `docs/` does not hold, with the pictures that they show."""
    pages = {page: (ROOT / file).read_text(encoding="utf-8") for page, file in PAGES.items()}
    pages["configuration.md"] = configuration()
    for page, text in pages.items():
        files.append(File.generated(config, page, content=text))
    for picture in sorted((ROOT / MODEL).glob("evaluation-*")):
        files.append(File.generated(config, f"model/{picture.name}", abs_src_path=str(picture)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Turn links that hold in the repository to pages of the site; what the site lacks is named, not linked."""
    here = page.file.src_uri
    source = PAGES.get(here, f"docs/{here}")
    shown = {file: name for name, file in PAGES.items()}

    def turned(found: re.Match[str]) -> str:
        link = found[2]
        if re.match(r"[a-z]+:", link):
            return found[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
        if path in shown:
            target = shown[path]
        elif path.startswith("docs/"):
            target = path.removeprefix("docs/")
        elif path.startswith(f"{MODEL}/evaluation-"):
            target = f"model/{posixpath.basename(path)}"
        else:
            target = ""
        if target and files.get_file_from_path(target):
            return f"[{found[1]}]({posixpath.relpath(target, posixpath.dirname(here) or '.')}{found[3] or ''})"
        if (ROOT / path).exists():
            # A folder, or a file of the code.
            return f"{found[1]} (`{path}`)" if found[1] != path else f"`{path}`"
        return found[0]

    return _LINK.sub(turned, markdown)


def configuration() -> str:
    """The reference of config.toml: each setting by its section: what it is for, its default, what else it may be."""
    from daguerre.app.config_text import allowed, comment, written
    from daguerre.app.settings import HEAD, Settings, sections_of

    lines = ["# Settings of config.toml", "", HEAD.strip().replace("<", "&lt;"), ""]
    for name, section in sections_of(Settings.model_construct()).items():
        lines += [f"## [{name}]", ""]
        for key, field in type(section).model_fields.items():
            told = " ".join(line.removeprefix("#").strip() for line in comment(field.description or ""))
            default = f"Default: `{written(getattr(section, key))}`; {allowed(type(section), key)}."
            lines += [f"### `{key}` {{ #{name}-{key} }}", "", told, "", default, ""]
    return "\n".join(lines)
