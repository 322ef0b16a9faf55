"""The page at /: the state, the next steps, and a form that draws. Three files as they are, without build step."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from aiohttp import web

FOLDER = Path(__file__).parent / "page"
FILES: Mapping[str, tuple[str, str]] = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
#: Nothing but our own files: no foreign script, no inline script, no frame around us. Previews are data: URLs.
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def add_page(app: web.Application) -> None:
    """Serve the page's files."""
    for path, (name, kind) in FILES.items():
        app.router.add_get(path, partial(_answer, FOLDER / name, kind))


async def _answer(file: Path, kind: str, _: web.Request) -> web.FileResponse:
    return web.FileResponse(file, headers={**HEADERS, "Content-Type": f"{kind}; charset=utf-8"})
