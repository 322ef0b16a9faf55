"""The API as OpenAPI 3.1 describes it, served at /api/v1/openapi.json. Pure; the tests call every address by it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from ..queue.records import ImageRequest, JobState
from ..queue.store import ServerSettings
from .asking import ACTIONS, Asked, Checked, Pressed
from .formats import FORMATS
from .pictures_api import FILTERS, MOST_PAGE, PAGE
from .queue_api import SPANS, Server, WorkerName
from .reading import PICTURE_KINDS
from .servers_api import DECISIONS, NewRule

Schema = dict[str, Any]
_ID: Schema = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "number"}
_WHOLE: Schema = {"type": "integer"}
_BOOLEAN: Schema = {"type": "boolean"}
_TEXTS: Schema = {"type": "array", "items": _TEXT}
_ANY: Schema = {"type": "object"}


def document() -> Mapping[str, Any]:
    """The whole description."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Daguerre",
            "version": "1",
            "description": "Ask for pictures, follow them, look through what was drawn, and look after the queue.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "paths": {**_jobs(), **_asking(), **_pictures(), **_knowledge(), **_queue(), **_servers()},
        "components": {"schemas": _schemas(), "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        # Without a token from this machine alone.
        "security": [{}, {"token": []}],
    }


def _jobs() -> Schema:
    return {
        "/api/v1/jobs": {
            "get": _way("What was asked for here lately", 200, _object(jobs={"type": "array", "items": _ref("Job")})),
            "post": _way(
                "Ask for pictures as one job", 202, "Job", body=_ref("NewJob"), also={200: _ref("Job")},
                parameters=[_header("Idempotency-Key", {"type": "string", "pattern": "^[\\x21-\\x7e]{1,200}$"})],
            )
        },
        "/api/v1/jobs/{id}": {
            "get": _way("How a job stands", 200, "Job", parameters=[_path("id", _ID)]),
            "delete": _way("Cancel it", 202, _object(id=_ID, cancelled=_TEXT), parameters=[_path("id", _ID)]),
        },
        "/api/v1/jobs/{id}/events": {
            "get": _way(
                "The job with each change, and steps with previews, as server-sent events until it is over", 200,
                _TEXT, kind="text/event-stream", parameters=[_path("id", _ID)],
            )
        },
        "/api/v1/jobs/{id}/pictures/{n}": {
            "get": _way(
                "One of its pictures, counted from 1", 200, _BINARY, kind="image/png",
                parameters=[_path("id", _ID), _path("n", {"type": "integer", "minimum": 1, "maximum": 999})],
            )
        },
    }  # fmt: skip


def _asking() -> Schema:
    asked = _object(
        jobs={"type": "array", "items": _ref("Job")}, unknown=_UNKNOWN, problem={"type": ["string", "null"]}
    )
    return {
        "/api/v1/imagine": {"post": _way("All jobs of what somebody typed behind /imagine", 202, asked, _of(Asked))},
        "/api/v1/check": {
            "post": _way(
                "Whether it could be asked for; what is wrong, and at which character", 200,
                {"type": "object", "required": ["ok"], "properties": {"ok": _BOOLEAN}}, _of(Checked),
            )
        },
        "/api/v1/sources": {
            "post": _way(
                "Send a picture to begin from, or a mask", 201,
                _object(picture=_TEXT, width=_WHOLE, height=_WHOLE), None,
                content={kind: {"schema": _BINARY} for kind in PICTURE_KINDS},
            )
        },
        "/api/v1/pictures/{id}/{n}/{action}": {
            "post": _way(
                "What a button under a picture does; `region` needs prompt and mask", 202, asked, _of(Pressed),
                optional=True, parameters=[*_PICTURE, _path("action", {"type": "string", "enum": list(ACTIONS)})],
            )
        },
    }  # fmt: skip


def _pictures() -> Schema:
    filters = [_query(name, {"type": "string", "maxLength": most}) for name, most in FILTERS.items()]
    for filtered in filters:
        if filtered["name"] in ("since", "until"):
            filtered["schema"] = {"type": "integer", "minimum": 0, "maximum": 999_999_999_999}
        elif filtered["name"] == "favourite":
            filtered["schema"] = {"type": "integer", "enum": [0, 1]}
    limit = {"type": "integer", "minimum": 1, "maximum": MOST_PAGE, "default": PAGE}
    page = _object(pictures={"type": "array", "items": _ref("Picture")}, next={"type": ["string", "null"]})
    flag = {"type": "integer", "enum": [0, 1]}
    return {
        "/api/v1/pictures": {
            "get": _way(
                "What was drawn, newest first", 200, page,
                parameters=[*filters, _query("before", _ID), _query("limit", limit)],
            )
        },
        "/api/v1/pictures/{id}": {
            "delete": _way("Take a job's pictures out of sight", 200, _object(deleted=_ID), parameters=_PICTURE[:1])
        },
        "/api/v1/pictures/{id}/{n}": {
            "get": _way("All that is known of a picture", 200, "Picture", parameters=_PICTURE)
        },
        "/api/v1/pictures/{id}/{n}/file": {
            "get": {
                **_way(
                    "The picture as a file", 200, _BINARY, kind="image/png",
                    parameters=[
                        *_PICTURE, _query("format", {"type": "string", "enum": list(FORMATS)}),
                        _query("metadata", flag), _query("download", flag),
                    ],
                )
            }
        },
        "/api/v1/pictures/{id}/{n}/thumb": {
            "get": _way("The picture small", 200, _BINARY, kind="image/webp", parameters=_PICTURE)
        },
        "/api/v1/pictures/{id}/{n}/compare/{other}": {
            "get": _way(
                "Whether the same picture of another job has the same pixels", 200,
                _object(identical=_BOOLEAN, exact=_BOOLEAN, difference={"type": ["number", "null"]}),
                parameters=[*_PICTURE, _path("other", _ID)],
            )
        },
        "/api/v1/pictures/{id}/{n}/favourite": {
            "put": _way("Put it among the favourites", 200, _object(favourite=_BOOLEAN), parameters=_PICTURE),
            "delete": _way("Take it away from them", 200, _object(favourite=_BOOLEAN), parameters=_PICTURE),
        },
    }  # fmt: skip


def _knowledge() -> Schema:
    whole = {"type": "integer", "minimum": 0, "maximum": 99_999}
    return {
        "/api/v1/things": {
            "get": _way(
                "Everything that the model can draw", 200,
                _object(things=_TEXTS, count=_WHOLE, next={"type": ["integer", "null"]}),
                parameters=[
                    _query("q", {"type": "string", "maxLength": 60}), _query("after", whole),
                    _query("limit", {"type": "integer", "minimum": 1, "maximum": 500}),
                ],
            )
        },
        "/api/v1/models": {
            "get": _way(
                "Models, fine-tunes and styles", 200,
                _object(models={"type": "array", "items": _ANY}, adapters=_TEXTS, styles=_TEXTS),
            )
        },
        "/api/v1/grammar": {"get": _way("Flags and what may stand behind them, explained", 200, _ANY)},
    }  # fmt: skip


def _queue() -> Schema:
    job = [_path("id", _ID)]
    over = _query("over", {"type": "string", "enum": list(SPANS)})
    return {
        "/api/v1/queue": {"get": _way("How the queue stands, for its operator", 200, "Queue")},
        "/api/v1/queue/statistics": {"get": _way("How it went lately, in columns", 200, _ANY, parameters=[over])},
        "/api/v1/queue/pause": {"post": _way("Hand out no more jobs", 200, _object(paused=_TEXT), _of(Server))},
        "/api/v1/queue/resume": {"post": _way("Hand them out again", 200, _object(resumed=_TEXT), _of(Server))},
        "/api/v1/queue/drain": {
            "post": _way("Have workers finish and end", 200, _object(draining=_TEXTS), _of(WorkerName))
        },
        "/api/v1/queue/jobs/{id}/retry": {
            "post": _way("Try a job that broke again", 200, _object(id=_ID, retried=_BOOLEAN), parameters=job)
        },
        "/api/v1/queue/jobs/{id}/cancel": {
            "post": _way("Cancel any job", 200, _object(id=_ID, cancelled=_TEXT), parameters=job)
        },
    }


def _servers() -> Schema:
    server = _path("server", {"type": "string", "pattern": "^[0-9a-z]{1,40}$"})
    number = _path("number", {"type": "integer", "minimum": 1, "maximum": 999_999})
    settings = ServerSettings.model_json_schema(mode="validation")
    return {
        "/api/v1/servers": {"get": _way("Every server that is known", 200, _object(servers=_TEXTS))},
        "/api/v1/servers/{server}": {
            "get": _way("Its settings with their history, rules, and audit log", 200, _ANY, parameters=[server])
        },
        "/api/v1/servers/{server}/settings": {
            "put": _way("Set all of them at once", 200, _object(version=_WHOLE, settings=_ANY), settings,
                        parameters=[server])
        },
        "/api/v1/servers/{server}/rules": {
            "post": _way("Add a rule", 201, _object(number=_WHOLE, pattern=_TEXT), _of(NewRule), parameters=[server])
        },
        "/api/v1/servers/{server}/rules/{number}": {
            "delete": _way("Remove a rule", 200, _object(removed=_WHOLE), parameters=[server, number])
        },
        "/api/v1/reviews": {
            "get": _way("What waits for a decision", 200, _object(reviews={"type": "array", "items": _ANY}))
        },
        "/api/v1/reviews/{number}/{action}": {
            "post": _way(
                "Decide", 200, _object(number=_WHOLE, state=_TEXT, actions=_TEXTS),
                parameters=[number, _path("action", {"type": "string", "enum": list(DECISIONS)})],
            )
        },
        "/api/v1/reviews/{number}/pictures/{n}": {
            "get": _way("A picture, for those who decide", 200, _BINARY, kind="image/png",
                        parameters=[number, _PICTURE[1]])
        },
    }  # fmt: skip


def _schemas() -> Schema:
    request = ImageRequest.model_json_schema(ref_template="#/components/schemas/{model}")
    parts: Schema = request.pop("$defs", {})
    fields: Schema = {name: schema for name, schema in request["properties"].items() if name != "version"}
    size = {"type": "integer", "minimum": 64, "maximum": 2048, "multipleOf": 16, "description": "Width and height."}
    new = {
        "type": "object", "required": ["prompt"], "additionalProperties": False,
        "properties": {**fields, "size": size},
    }  # fmt: skip
    job = _object(
        id=_ID, state={"enum": [state.value for state in JobState]}, finished=_BOOLEAN, request=_ANY, pictures=_TEXTS,
        seeds={"type": "array", "items": _WHOLE}, attempts=_WHOLE, seconds=_NUMBER, created=_NUMBER, changed=_NUMBER,
    )  # fmt: skip
    job["properties"] |= {"typed": _TEXT, "position": _WHOLE, "error": _TEXT, "message": _TEXT, "metadata": _ANY}
    picture = _object(
        job=_ID, picture=_WHOLE, prompt=_TEXT, seed=_WHOLE, width=_WHOLE, height=_WHOLE, style=_TEXT, model=_TEXT,
        member=_TEXT, server=_TEXT, created=_NUMBER, favourite=_BOOLEAN, blurred=_BOOLEAN, own=_BOOLEAN, thumb=_TEXT,
        file=_TEXT,
    )  # fmt: skip
    problem = {
        "type": "object", "required": ["error", "message"],
        "properties": {"error": _TEXT, "message": _TEXT, "field": _TEXT},
    }  # fmt: skip
    listed: Schema = {"type": "array", "items": _ANY}
    queue = _object(
        ok=_BOOLEAN, problem={"type": ["string", "null"]}, paused=_BOOLEAN, paused_servers=_TEXTS, jobs=_ANY,
        waiting=listed, running=listed, workers=listed, dead=listed,
    )  # fmt: skip
    return {**parts, "NewJob": new, "Job": job, "Picture": picture, "Problem": problem, "Queue": queue}


_BINARY: Schema = {"type": "string", "contentEncoding": "binary"}
_UNKNOWN: Schema = {"type": "array", "items": {"type": "object"}}


def _way(
    summary: str, status: int, answers: Schema | str, body: Schema | None = None, *, kind: str = "application/json",
    parameters: list[Schema] | None = None, also: Mapping[int, Schema] | None = None, optional: bool = False,
    content: Schema | None = None,
) -> Schema:  # fmt: skip
    """One operation: what it answers when all is well, and that everything else is a Problem."""
    schema = _ref(answers) if isinstance(answers, str) else answers
    responses: Schema = {str(status): {"description": summary, "content": {kind: {"schema": schema}}}}
    for other, its in (also or {}).items():
        responses[str(other)] = {"description": "As before", "content": {"application/json": {"schema": its}}}
    for code, why in _REFUSALS.items():
        told = {"application/json": {"schema": _ref("Problem")}}
        responses.setdefault(str(code), {"description": why, "content": told})
    way: Schema = {"summary": summary, "responses": responses}
    if parameters:
        way["parameters"] = parameters
    if body is not None or content is not None:
        way["requestBody"] = {"required": not optional, "content": content or {"application/json": {"schema": body}}}
    return way


#: Statuses of problems, by what each means.
_REFUSALS = {
    400: "Something is wrong with it; says what and where", 401: "Sign in first", 403: "Not from here, or not shown",
    404: "There is nothing of this kind", 405: "The address does not know this method",
    408: "It did not come in time", 409: "Not in this state", 413: "Too large", 415: "Of another kind",
    429: "A limit is reached", 503: "The queue is out of reach", 507: "The disk is full",
}  # fmt: skip


def _of(kind: type[BaseModel]) -> Schema:
    schema = kind.model_json_schema()
    defs: Schema = schema.pop("$defs", {})
    for name, field in schema.get("properties", {}).items():
        # One level of records inside a body: put in place.
        for option in (*field.get("anyOf", ()), field):
            if (target := option.pop("$ref", "").removeprefix("#/$defs/")) in defs:
                option.update(defs[target])
        schema["properties"][name] = field
    return schema


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "required": list(properties), "properties": properties}


def _path(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _query(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "required": False, "schema": schema}


def _header(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "header", "required": False, "schema": schema}


_PICTURE: list[Schema] = [_path("id", _ID), _path("n", {"type": "integer", "minimum": 1, "maximum": 999})]
