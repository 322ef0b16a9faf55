"""What the model knows and the grammar takes: `/api/v1/things`, `/models`, `/grammar`, and the drawn examples."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from aiohttp import web

from ..queue.prompt import Vocabulary, known_styles
from ..queue.records import FLAGS
from .bodies import models_body
from .context import Studio
from .problems import Problem
from .reading import answer, query, whole

#: Colours that the data has names for; offered as far as the model in use knows them.
COLOURS = (
    "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "grey", "gold",
    "silver", "turquoise", "beige",
)  # fmt: skip
ASPECTS = ("1:1", "3:2", "2:3", "4:3", "3:4", "16:9", "9:16", "2:1", "1:2")
MOST_THINGS = 500


class KnowledgeApi:
    """Construct, then `add_to` an application."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/api/v1/things", self.things)
        app.router.add_get("/api/v1/models", self.models)
        app.router.add_get("/api/v1/grammar", self.grammar)
        app.router.add_get("/api/v1/things/examples.webp", self.examples)

    async def things(self, request: web.Request) -> web.Response:
        """Everything that the shipped model can draw, by its English names; `q`: those that hold these letters."""
        told = query(request, {"q": 60, "limit": 5, "after": 5})
        wanted = told.get("q", "").strip().casefold()
        skip, limit = whole(told, "after", 0, 99_999, 0), whole(told, "limit", 1, MOST_THINGS, MOST_THINGS)
        found = [thing for thing in concepts(self._studio.vocabulary) if wanted in thing.casefold()]
        page = found[skip : skip + limit]
        return answer(
            {"things": page, "count": len(found), "next": skip + limit if skip + limit < len(found) else None}
        )

    async def models(self, request: web.Request) -> web.Response:
        """Models of the connected workers, with what is usual for each; fine-tunes and styles."""
        query(request, {})
        workers = await self._studio.queue.workers()
        return answer(
            {
                "models": models_body(workers),
                "adapters": sorted({name for worker in workers for name in worker.adapters or ()}),
                "styles": list(known_styles(self._studio.vocabulary) or ()),
            }
        )

    async def grammar(self, request: web.Request) -> web.Response:
        """The flags of a prompt with their explanations, and what may stand behind them: for completion."""
        query(request, {})
        texts, locale = self._studio.texts, self._studio.locale(request)
        workers = await self._studio.queue.workers()
        flags = [
            {
                "names": [f"--{name}" for name in flag.names],
                "field": flag.field,
                "kind": flag.kind,
                "example": flag.example,
                "choices": list(flag.choices),
                "help": texts.text(f"help.flag.{flag.field}", locale).replace("`", ""),
            }
            for flag in FLAGS
        ]
        vocabulary = self._studio.vocabulary
        return answer(
            {
                "flags": flags,
                "styles": list(known_styles(vocabulary) or ()),
                "colours": list(colours(vocabulary)),
                "aspects": list(ASPECTS),
                "models": sorted({model for worker in workers for model in worker.models}),
                "adapters": sorted({name for worker in workers for name in worker.adapters or ()}),
                "examples": self.tiles(),
            }
        )

    async def examples(self, request: web.Request) -> web.StreamResponse:
        """One picture with a tile for each thing, drawn by the weights themselves."""
        file = self._studio.examples
        if file is None or not file.is_file():
            raise Problem(404, "no_picture", "these weights bring no drawn examples")
        return web.FileResponse(file, headers={"Cache-Control": "private, max-age=3600", "Content-Type": "image/webp"})

    def tiles(self) -> Mapping[str, Any] | None:
        """Where each thing lies in that picture: tiles of `side` pixels, `columns` a row; None: there is none."""
        file = self._studio.examples
        if file is None or not file.is_file():
            return None
        try:
            told = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
            things = [str(each) for each in cast("list[Any]", told["things"])]
            return {"side": int(told["side"]), "columns": int(told["columns"]), "things": things}
        except (OSError, ValueError, KeyError, TypeError):
            return None


def concepts(vocabulary: Vocabulary | None) -> Sequence[str]:
    """What the model draws; nothing where its words are not known."""
    return () if vocabulary is None else vocabulary.concepts


def colours(vocabulary: Vocabulary | None) -> Sequence[str]:
    """The colours that it was taught."""
    return () if vocabulary is None else tuple(each for each in COLOURS if not vocabulary.check(each).unknown)
