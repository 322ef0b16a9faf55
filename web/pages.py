"""The studio's pages, written by Jinja2 in the reader's language, with headers that let nothing but our files run."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from ..queue.store import ServerSettings
from .asking import PICTURE
from .context import Studio, number_of
from .doors import CSRF
from .guard import ERROR_PAGE
from .pictures_api import FILTERS, PAGE, PicturesApi, filters_of, key_of
from .problems import Problem
from .reading import query
from .servers_api import SERVER, ServersApi
from .words import Words

HERE = Path(__file__).parent
API = "/api/v1"
STATIC = HERE / "static"
KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
#: Nothing but our own files: no foreign script, no inline script, no frame around us. Previews are data: URLs, and a
#: picture that is about to be sent is shown from memory.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
#: What languages call themselves.
NAMES = {"en": "English", "zh-CN": "简体中文", "zh-TW": "繁體中文"}
#: Beginnings of the codes of texts that scripts of every page use, and of some.
EVERYWHERE = ("studio.looking", "studio.ready", "studio.starting", "studio.no_", "studio.trouble")
DRAWING = ("studio.ask.", "studio.picture.", "studio.region.", "studio.close", "button.", "reason.", "state.")
#: Prompts to begin with, where the model knows them.
STARTS = ("a red apple", "a dog on a green background", "two cats --n 4", "a rocket --style noto")


class Pages:
    """Construct, then `add_to` an application."""

    def __init__(self, studio: Studio, pictures: PicturesApi, servers: ServersApi) -> None:
        self._studio = studio
        self._pictures = pictures
        self._servers = servers
        self._jinja = Environment(
            loader=FileSystemLoader(HERE / "templates"), autoescape=select_autoescape(default=True), trim_blocks=True,
            lstrip_blocks=True, undefined=StrictUndefined,
        )  # fmt: skip
        self._jinja.filters.update(iso=_iso, moment=_moment)

    def add_to(self, app: web.Application) -> None:
        for file in sorted(STATIC.rglob("*")):
            if file.suffix in KINDS:
                name = file.relative_to(STATIC).as_posix()
                app.router.add_get(f"/static/{name}", partial(_static, file.read_bytes(), KINDS[file.suffix]))
        app.router.add_get("/", self.ask)
        app.router.add_get("/gallery", self.gallery)
        app.router.add_get("/gallery/more", self.gallery)
        app.router.add_get(PICTURE.removeprefix(API), self.picture)
        app.router.add_get("/operate", self.operate)
        app.router.add_get(f"/operate{SERVER.removeprefix(API)}", self.server)
        app[ERROR_PAGE] = self.problem

    def page(
        self, request: web.Request, template: str, here: str = "", *, codes: Iterable[str] = (), status: int = 200,
        **values: Any,
    ) -> web.Response:  # fmt: skip
        """A page of HTML. `codes` are beginnings of the codes of texts that its scripts use."""
        locale, texts = self._studio.locale(request), self._studio.texts
        words = Words(texts, locale)
        wanted = (*EVERYWHERE, *codes)
        theme = request.cookies.get("theme", "")
        html = self._jinja.get_template(template).render(
            t=words.text,
            locale=locale,
            languages=[(code, NAMES.get(code, code)) for code in texts.languages],
            theme=theme if theme in ("light", "dark") else "",
            texts={code: texts.forms(code, locale) for code in sorted(texts.codes()) if code.startswith(wanted)},
            here=here,
            status=status,
            **{"csrf": request.get(CSRF, ""), "signed_in": True, **values},
        )
        headers = {**HEADERS, "Cache-Control": "no-store"}
        return web.Response(text=html, status=status, content_type="text/html", charset="utf-8", headers=headers)

    async def ask(self, request: web.Request) -> web.Response:
        vocabulary = self._studio.vocabulary
        known = [start for start in STARTS if vocabulary is None or not vocabulary.check(start.split(" --")[0]).unknown]
        return self.page(request, "ask.html", "ask", codes=DRAWING, starts=known)

    async def gallery(self, request: web.Request) -> web.Response:
        told = query(request, {**FILTERS, "before": 32, "day": 10})
        filters, before = filters_of(told), key_of(told)
        found, following = await self._pictures.page(filters, PAGE, before)
        words = Words(self._studio.texts, self._studio.locale(request))
        kept = {name: told[name] for name in FILTERS if told.get(name)}
        values: dict[str, Any] = {
            "days": by_day(found, words), "next": following, "query": urlencode(kept), "filtered": bool(kept),
            "shown_day": told.get("day", ""),
        }  # fmt: skip
        if request.path.endswith("/more"):
            return self.page(request, "_tiles.html", **values)
        names = await self._studio.queue.gallery.names()
        choices = [
            (name, words.text(f"studio.gallery.{name}"), known)
            for name, known in (
                ("server", names.servers), ("member", names.members), ("style", names.styles), ("model", names.models),
            )
        ]  # fmt: skip
        shown = {name: told.get(name, "") for name in FILTERS}
        return self.page(request, "gallery.html", "gallery", choices=choices, told=shown, **values)

    async def picture(self, request: web.Request) -> web.Response:
        permit = await self._studio.shown(request.match_info["id"])
        about = await self._pictures.about(permit, number_of(request, len(permit.job.pictures)))
        words = Words(self._studio.texts, self._studio.locale(request))
        engine = json.dumps({"request": about["request"], **about["metadata"]}, indent=1, ensure_ascii=False)
        return self.page(
            request, "picture.html", "gallery", codes=DRAWING, about=about, engine=engine,
            parents=labelled(about["parents"], words, above=True), children=labelled(about["children"], words),
        )  # fmt: skip

    async def operate(self, request: web.Request) -> web.Response:
        servers = await self._studio.queue.gallery.servers()
        codes = (
            *EVERYWHERE,
            "studio.operate.",
            "studio.gallery.local",
            "studio.picture.alt",
            "state.",
            "report.button.",
        )
        return self.page(request, "operate.html", "operate", codes=codes, servers=servers)

    async def server(self, request: web.Request) -> web.Response:
        server = request.match_info["server"]
        about = await self._servers.about(server)
        fields = fields_of(about["settings"])
        return self.page(
            request, "server.html", "operate", codes=("studio.operate.",), server=server, about=about, fields=fields
        )

    def problem(self, request: web.Request, problem: Problem) -> web.Response:
        """For somebody who looks at pages; who has to sign in is asked to."""
        if problem.code == "sign_in":
            return self.page(request, "sign_in.html", status=problem.status, message=problem.message, signed_in=False)
        return self.page(request, "error.html", status=problem.status, message=problem.message)


async def _static(data: bytes, kind: str, request: web.Request) -> web.Response:
    """A file of ours; browsers ask each time whether it is still the same, which costs nothing on loopback."""
    tag = f'"{sha256(data).hexdigest()[:24]}"'
    headers = {**HEADERS, "Cache-Control": "no-cache", "ETag": tag}
    if request.headers.get("If-None-Match") == tag:
        return web.Response(status=304, headers=headers)
    return web.Response(body=data, content_type=kind, charset="utf-8", headers=headers)


def by_day(pictures: Sequence[Mapping[str, Any]], words: Words) -> list[dict[str, Any]]:
    """The pictures under the names of their days, as this machine's clock has them."""
    days: list[dict[str, Any]] = []
    now = time.time()
    names = {
        _day(now): words.text("studio.gallery.today"), _day(now - 86_400): words.text("studio.gallery.yesterday"),
    }  # fmt: skip
    for each in pictures:
        key = _day(each["created"])
        if not days or days[-1]["key"] != key:
            days.append({"key": key, "name": names.get(key, key), "pictures": []})
        days[-1]["pictures"].append(each)
    return days


def labelled(relatives: Sequence[Mapping[str, Any]], words: Words, *, above: bool = False) -> list[dict[str, Any]]:
    """Relatives of a picture with what was done: to what is above something was done, what is below came of it."""
    made: list[dict[str, Any]] = []
    for each in relatives:
        code = "studio.picture.reproduce" if each["action"] == "reproduce" else f"button.{each['action']}"
        known = words.texts.has(code)
        number = str(each["picture"] if above else each.get("of", 1))
        label = words.text(code, number=number) if known else each["action"]
        made.append({**each, "label": f"{label} ↓" if above else label})
    return made


def fields_of(settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A server's settings as a form shows them: kind, choices and text of each."""
    schema: dict[str, Any] = ServerSettings.model_json_schema(mode="validation")["properties"]
    made: list[dict[str, Any]] = []
    for name, value in settings.items():
        told = schema[name]
        options: list[dict[str, Any]] = told.get("anyOf", [told])
        first = options[0]
        kind = "list" if first.get("type") == "array" else str(first.get("type", "string"))
        choices: list[Any] = list(first.get("enum", ()))
        if choices and any(option.get("type") == "null" for option in options):
            choices, value = ["", *choices], "" if value is None else value
        if isinstance(first.get("enum", [""])[0], int):
            kind = "integer"
        text = ", ".join(value) if kind == "list" else "" if value is None else str(value)
        made.append({"name": name, "kind": kind, "choices": choices, "value": value, "text": text})
    return made


def _day(when: float) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(when))


def _moment(when: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(when))


def _iso(when: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when))
