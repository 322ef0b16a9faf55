"""What an operator decides: reviews and reports, settings and rules of each server, and the audit log of all of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import StringConstraints, ValidationError

from ..queue.errors import NotShown, UnknownJob
from ..queue.moderation import (
    MAX_PATTERN,
    OFFERED,
    Action,
    BadRule,
    Report,
    TooManyRules,
    Use,
    checked_rule,
    highest_score,
    offered,
    settle,
)
from ..queue.records import Job
from ..queue.store import ServerSettings, first_break
from .context import WHO, Studio, number_of
from .problems import Problem
from .reading import Strict, answer, check_head, query, read_body, read_text

SERVER = "/api/v1/servers/{server:[0-9a-z]{1,40}}"
REPORT = "/api/v1/reviews/{number:[1-9][0-9]{0,8}}"
#: Everything that can be decided.
DECISIONS = (*sorted({action for actions in OFFERED.values() for action in actions}), "undo")
#: Entries of the log that are shown, reports that are listed.
MOST_ENTRIES, MOST_REPORTS = 200, 60
#: The log of what concerns all servers has no server's name.
EVERYWHERE = "everywhere"


class NewRule(Strict):
    """A rule to be added."""

    kind: Literal["word", "regex"] = "word"
    pattern: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_PATTERN)]
    action: Literal["replace", "spoiler", "warn", "hold", "refuse"] = "refuse"
    replacement: Annotated[str, StringConstraints(max_length=MAX_PATTERN)] = ""


class ServersApi:
    """Construct, then `add_to` an application."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._queue = studio.queue
        self._moderation = studio.queue.moderation

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/api/v1/servers", self.servers)
        app.router.add_get(SERVER, self.server)
        app.router.add_put(f"{SERVER}/settings", self.put_settings)
        app.router.add_post(f"{SERVER}/rules", self.add_rule)
        app.router.add_delete(f"{SERVER}/rules/{{number:[1-9][0-9]{{0,5}}}}", self.remove_rule)
        app.router.add_get("/api/v1/reviews", self.reviews)
        app.router.add_post(f"{REPORT}/{{action:{'|'.join(DECISIONS)}}}", self.decide)
        app.router.add_get(f"{REPORT}/pictures/{{n:[1-9][0-9]{{0,2}}}}", self.picture)

    async def servers(self, request: web.Request) -> web.Response:
        query(request, {})
        return answer({"servers": await self._queue.gallery.servers()})

    async def server(self, request: web.Request) -> web.Response:
        return answer(await self.about(request.match_info["server"]))

    async def about(self, server: str) -> dict[str, Any]:
        """Settings with their history, rules, and the newest entries of the log."""
        name = "" if server == EVERYWHERE else server
        entries = await self._moderation.audit.entries(name)
        changes = await self._queue.server_settings.changes(name)
        return {
            "server": server,
            "settings": (await self._queue.server_settings.get(name)).model_dump(mode="json"),
            "history": [
                {
                    "version": each.version, "who": each.who, "when": each.when,
                    "changed": {field: list(values) for field, values in each.differences.items()},
                }
                for each in changes
            ],
            "rules": [rule.model_dump(mode="json") for rule in await self._moderation.store.rules(name)],
            "audit": [_entry(asdict(entry)) for entry in entries[: -MOST_ENTRIES - 1 : -1]],
            "broken": first_break(entries),
        }  # fmt: skip

    async def put_settings(self, request: web.Request) -> web.Response:
        """All settings of a server at once; a version of its own."""
        check_head(request)
        try:
            settings = ServerSettings.model_validate(json.loads(await read_text(request)))
        except ValidationError as problems:
            first = problems.errors()[0]
            field = str(first["loc"][0]) if first["loc"] else None
            raise Problem(400, "invalid_request", f"{field or 'the body'}: {first['msg']}", field) from None
        except (ValueError, RecursionError):
            raise Problem(400, "invalid_json", "the body is not valid JSON") from None
        change = await self._queue.server_settings.put(_moderated(request), settings, WHO)
        return answer({"version": change.version, "settings": settings.model_dump(mode="json")})

    async def add_rule(self, request: web.Request) -> web.Response:
        new, server = await read_body(request, NewRule), _moderated(request)
        try:
            asked = checked_rule(**{**new.model_dump(), "action": Action(new.action)})
            kept = await self._moderation.store.add_rule(server, asked, WHO)
        except BadRule as problem:
            raise Problem(400, "bad_rule", str(problem), "pattern") from None
        except TooManyRules as problem:
            raise Problem(409, "too_many_rules", str(problem)) from None
        return answer(kept.model_dump(mode="json"), 201)

    async def remove_rule(self, request: web.Request) -> web.Response:
        number = int(request.match_info["number"])
        if not await self._moderation.store.remove_rule(_moderated(request), number, WHO):
            raise Problem(404, "no_rule", "there is no such rule")
        return answer({"removed": number})

    # Reports and reviews

    async def reviews(self, request: web.Request) -> web.Response:
        """What waits for a decision, and the last decisions that can be taken back; with prompts, as on the cards."""
        query(request, {})
        found = [await self._card(report) for report in await self._moderation.reports.latest(MOST_REPORTS)]
        return answer({"reviews": [card for card in found if card is not None]})

    async def _card(self, report: Report) -> dict[str, Any] | None:
        try:
            job = await self._queue.job(report.job)
        except UnknownJob:
            return None
        return {
            "number": report.number, "kind": report.kind, "state": report.state, "server": report.server,
            "job": job.id, "member": job.member, "prompt": job.request.prompt, "negative": job.request.negative,
            "who": report.who, "reason": report.reason, "at": report.at, "score": highest_score(job.metadata),
            "actions": list(offered(report)),
            "pictures": [f"/api/v1/reviews/{report.number}/pictures/{n}" for n in range(1, len(job.pictures) + 1)],
        }  # fmt: skip

    async def decide(self, request: web.Request) -> web.Response:
        """Decide, once; messages on Discord follow."""
        report, job = await self._report(request)
        action = request.match_info["action"]
        if action not in offered(report):
            raise Problem(409, "decided", "this was decided already")
        decided = await settle(self._moderation, report, job, action, WHO)
        if decided is None:
            raise Problem(409, "decided", "this was decided already")
        for told in self._moderation.reports.on_settled:
            told(decided, action, WHO)
        return answer({"number": decided.number, "state": decided.state, "actions": list(offered(decided))})

    async def picture(self, request: web.Request) -> web.Response:
        """A picture for those who decide about it."""
        _, job = await self._report(request)
        try:
            permit = await self._studio.permit(Use.REVIEW, job)
        except NotShown:
            raise Problem(404, "no_picture", "there is no such picture") from None
        number = number_of(request, len(job.pictures))
        data = (await self._queue.pictures(permit))[number]
        return web.Response(body=data, content_type="image/png", headers={"Cache-Control": "no-store"})

    async def _report(self, request: web.Request) -> tuple[Report, Job]:
        report = await self._moderation.reports.find(int(request.match_info["number"]))
        if report is None:
            raise Problem(404, "no_report", "there is no such report")
        return report, await self._queue.job(report.job)


def _moderated(request: web.Request) -> str:
    """The server of an address that can have settings. Raises: Problem."""
    server = request.match_info["server"]
    if server == EVERYWHERE:
        raise Problem(400, "no_server", "what holds everywhere stands in config.toml")
    return server


def _entry(told: Mapping[str, Any]) -> dict[str, Any]:
    return {name: told[name] for name in ("number", "at", "who", "action", "details")}
