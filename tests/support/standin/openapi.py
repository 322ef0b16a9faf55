"""Checks requests and answers against Discord's own OpenAPI description (REST v10).

Every object that lists its properties is treated as complete, so that a misspelt or misplaced key is found. The
schema is read once per process and each validator compiled at its first use.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from .quirks import QUIRKS

SPEC = Path(__file__).parents[2] / "data" / "discord" / "openapi.json"
#: Kinds of problems that Discord overlooks: it ignores keys that it does not know.
OVERLOOKED = frozenset({"additionalProperties", "unknown query"})


@dataclass(frozen=True, slots=True)
class Problem:
    method: str
    #: OpenAPI template.
    route: str
    #: Where in the body: `attachments/0/id`.
    path: str
    #: JSON Schema keyword that failed, or "unknown query", "bad query", "unknown route", "missing body".
    keyword: str
    text: str
    value: Any = None

    @property
    def refused(self) -> bool:
        """Whether Discord answers 400 to it."""
        return self.keyword not in OVERLOOKED

    def __str__(self) -> str:
        return f"{self.path or 'body'}: {self.text}"


class OpenApi:
    """Discord's REST description, loaded."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._paths: Mapping[str, Any] = document["paths"]
        closed = _close(document, under_all_of=False)
        resource = Resource(contents=closed, specification=DRAFT202012)
        self._registry: Registry[Any] = Registry().with_resource("urn:discord", resource)
        self._validators: dict[str, Draft202012Validator] = {}

    def knows(self, method: str, route: str) -> bool:
        return method.lower() in self._paths.get(route, {})

    def request_problems(
        self, method: str, route: str, body: Any, query: Mapping[str, str], *, has_body: bool
    ) -> list[Problem]:
        """What is wrong with a request's JSON (of `payload_json` where it is multipart) and query."""
        operation = self._paths[route][method.lower()]
        found = list(self._query_problems(method, route, operation, query))
        described = operation.get("requestBody")
        if described is None:
            if has_body:
                found.append(Problem(method, route, "", "unknown query", "no body is expected here"))
        elif has_body:
            form = "application/json" not in self._content(described)
            kind = "multipart~1form-data" if form else "application~1json"
            pointer = f"/paths/{_escape(route)}/{method.lower()}/requestBody/content/{kind}/schema"
            # The file of a form lies beside its fields.
            found += self._check(method, route, pointer, {**body, "file": ""} if form else body)
        elif described.get("required"):
            found.append(Problem(method, route, "", "missing body", "a body is required"))
        return [problem for problem in found if not excused(problem)]

    @staticmethod
    def _content(described: Mapping[str, Any]) -> Mapping[str, Any]:
        return described.get("content") or {"application/json": {}}

    def response_problems(self, method: str, route: str, status: int, body: Any) -> list[Problem]:
        """What is wrong with an answer of the stand-in (`body` None = empty)."""
        if status >= 500:
            return []
        base = f"/paths/{_escape(route)}/{method.lower()}/responses"
        responses = self._paths[route][method.lower()]["responses"]
        if str(status) in responses:
            described, pointer = responses[str(status)], f"{base}/{status}"
        elif 400 <= status < 500:
            described, pointer = responses["4XX"], f"{base}/4XX"
        else:
            return [Problem(method, route, "", "unknown status", f"status {status} is not described")]
        if "$ref" in described:
            pointer = described["$ref"].removeprefix("#")
            described = {"content": {"application/json": {}}}
        if "content" not in described:
            return [] if body is None else [Problem(method, route, "", "body", f"{status} has no body")]
        pointer += "/content/application~1json/schema"
        return [problem for problem in self._check(method, route, pointer, body) if not excused(problem)]

    def schema_problems(self, name: str, body: Any) -> list[Problem]:
        """Check against one named schema, such as `MessageResponse` for what the gateway sends."""
        return list(self._check("", name, f"/components/schemas/{name}", body))

    def _check(self, method: str, route: str, pointer: str, body: Any) -> Iterator[Problem]:
        validator = self._validators.get(pointer)
        if validator is None:
            reference = f"urn:discord#{pointer}"
            validator = Draft202012Validator({"$ref": reference}, registry=self._registry, format_checker=_formats())
            self._validators[pointer] = validator
        for error in validator.iter_errors(body):
            for leaf in _leaves(error):
                path = "/".join(str(step) for step in leaf.absolute_path)
                yield Problem(method, route, path, str(leaf.validator), _short(leaf.message), leaf.instance)

    def _query_problems(
        self, method: str, route: str, operation: Mapping[str, Any], query: Mapping[str, str]
    ) -> Iterator[Problem]:
        known = {each["name"]: each["schema"] for each in operation.get("parameters", ()) if each["in"] == "query"}
        for name, value in query.items():
            if name not in known:
                yield Problem(method, route, f"?{name}", "unknown query", f"query {name!r} is not described", value)
            elif known[name].get("type") == "boolean" and value not in ("true", "false"):
                yield Problem(method, route, f"?{name}", "bad query", f"{value!r} is not a boolean", value)
            elif known[name].get("type") == "integer" and not value.isdigit():
                yield Problem(method, route, f"?{name}", "bad query", f"{value!r} is not an integer", value)


@cache
def openapi() -> OpenApi:
    return OpenApi(json.loads(SPEC.read_text(encoding="utf-8")))


def excused(problem: Problem) -> bool:
    return any(quirk.covers(problem) for quirk in QUIRKS)


def _escape(route: str) -> str:
    return route.replace("~", "~0").replace("/", "~1")


def _short(text: str) -> str:
    return text if len(text) <= 300 else f"{text[:200]} … {text[-90:]}"


def _close(schema: Any, *, under_all_of: bool) -> Any:
    """A copy in which objects with listed properties admit no others (but for parts of an `allOf`)."""
    if isinstance(schema, list):
        return [_close(each, under_all_of=under_all_of) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _close(value, under_all_of=key == "allOf") for key, value in schema.items()}
    # `Error` is only ever used as a part of an allOf.
    is_error = set(schema.get("properties", ())) == {"code", "message"}
    if isinstance(schema.get("properties"), dict) and not (under_all_of or is_error):
        closed.setdefault("additionalProperties", False)
    return closed


def _leaves(error: ValidationError) -> Iterator[ValidationError]:
    """The errors that matter below an `anyOf` or `oneOf`: those of the branch that was meant."""
    if not error.context:
        yield error
        return
    branches: dict[Any, list[ValidationError]] = {}
    for below in error.context:
        branches.setdefault(below.schema_path[0], []).append(below)

    def strangeness(errors: list[ValidationError]) -> tuple[int, int]:
        """A branch for another kind of thing fails at once: at the JSON type, or at the number in its `type`."""
        other_kind = sum(
            (not each.path and each.validator == "type") * (2 if each.validator_value == "null" else 1)
            or (list(each.path) == ["type"] and each.validator in ("enum", "const"))
            for each in errors
        )
        return other_kind, len(errors)

    for below in min(branches.values(), key=strangeness):
        yield from _leaves(below)


@cache
def _formats() -> FormatChecker:
    checker = FormatChecker(formats=())

    def numeric(bits: int) -> Any:
        return lambda value: not isinstance(value, int) or -(1 << bits - 1) <= value < 1 << bits - 1

    def date_time(value: object) -> bool:
        if isinstance(value, str):
            datetime.fromisoformat(value)
        return True

    def uri(value: object) -> bool:
        return not isinstance(value, str) or bool(urlsplit(value).scheme)

    checker.checks("int32")(numeric(32))
    checker.checks("int64")(numeric(64))
    checker.checks("snowflake", raises=ValueError)(lambda value: not isinstance(value, str) or int(value) < 1 << 64)
    checker.checks("date-time", raises=ValueError)(date_time)
    checker.checks("uri", raises=ValueError)(uri)
    return checker
