"""JSON in and out of the API. Pure."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any, cast

from ..queue.errors import InvalidRequest
from ..queue.prompt import MalformedPrompt, parse
from ..queue.prompt import fields as fields_of
from ..queue.records import FINISHED, MAX_SEED, ImageRequest, Job, JobState, image_request
from .problems import FIELDS, Problem, beyond_one_job, failure, malformed

#: What a request is that says nothing else, as the record has it.
USUAL: Mapping[str, Any] = {
    "size": ImageRequest.model_fields["width"].default,
    "steps": ImageRequest.model_fields["steps"].default,
    "guidance": ImageRequest.model_fields["guidance"].default,
}
#: States in which the pictures can be fetched.
WITH_PICTURES = frozenset({JobState.RENDERED, JobState.DELIVERED})


def parse_request(text: str) -> tuple[ImageRequest, bool]:
    """The request in a JSON body, and whether its seed was drawn here for want of one.

    The prompt is read by the one grammar (queue/prompt/grammar.py); a field beside it wins over a flag in it.

    Raises:
        Problem: the body is not a JSON object, or the prompt breaks the grammar; points at the character.
        InvalidRequest: a field is unknown, missing or out of range.
    """
    try:
        body = json.loads(text, object_pairs_hook=_without_twins)
    except ValueError as error:
        raise Problem(400, "invalid_json", f"the body is not valid JSON: {error}") from None
    except RecursionError:
        raise Problem(400, "invalid_json", "the body is nested too deeply") from None
    if not isinstance(body, dict):
        raise Problem(400, "invalid_json", 'the body must be a JSON object such as {"prompt": "a red apple"}')
    fields = cast("dict[str, Any]", body)
    for name in fields:
        if name not in FIELDS:
            raise InvalidRequest(field=name, kind="extra_forbidden", limits={})
    if "size" in fields:
        if "width" in fields or "height" in fields:
            raise Problem(400, "invalid_request", "send either size or width and height, not both", "size")
        fields["width"] = fields["height"] = fields.pop("size")
    said = _said(fields.get("prompt"))
    fields = said | {name: value for name, value in fields.items() if not (name == "prompt" and said)}
    drawn = fields.get("seed") is None
    if drawn:
        fields["seed"] = random.randint(0, MAX_SEED)
    return image_request(**fields), drawn


def _said(prompt: Any) -> dict[str, Any]:
    """What the flags and weights of a prompt ask for; nothing for a prompt without any."""
    if not isinstance(prompt, str):
        return {}
    try:
        wish = parse(prompt)
    except MalformedPrompt as error:
        if error.code == "empty":
            return {}
        raise Problem(400, "invalid_prompt", malformed(prompt, error), "prompt") from None
    if (why := beyond_one_job(wish)) is not None:
        raise Problem(400, "invalid_prompt", why, "prompt")
    return {"seed": wish.seed, **fields_of(wish, **USUAL)}


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise ValueError("a name stands twice in an object")
    return dict(pairs)


def job_body(job: Job, position: int | None = None) -> Mapping[str, Any]:
    """A job as clients see it. Times are Unix seconds; the prompt is theirs, so it comes back to them."""
    pictures = len(job.pictures) if job.state in WITH_PICTURES else 0
    body: dict[str, Any] = {
        "id": job.id,
        "state": job.state.value,
        "finished": job.state in FINISHED,
        "request": job.request.model_dump(mode="json", exclude={"version"}),
        "pictures": [f"/api/v1/jobs/{job.id}/pictures/{n}" for n in range(1, pictures + 1)],
        "seeds": list(job.request.seeds),
        "attempts": job.attempts,
        "seconds": round(job.seconds, 3),
        "created": job.created,
        "changed": job.changed,
    }
    if position is not None:
        body["position"] = position
    if job.error is not None:
        body |= {"error": job.error, "message": failure(job.error)}
    if job.metadata:
        body["metadata"] = dict(job.metadata)
    return body
