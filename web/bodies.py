"""JSON in and out of the API. Pure."""

from __future__ import annotations

import json
import random
from collections.abc import Collection, Mapping
from typing import Any, cast

from ..queue.errors import InvalidRequest
from ..queue.prompt import MalformedPrompt, Wish, parse
from ..queue.prompt import fields as fields_of
from ..queue.records import FINISHED, MAX_SEED, ImageRequest, Job, JobState, WorkerInfo, image_request, usual_of
from .problems import FIELDS, Problem, beyond_one_job, failure, malformed

#: States in which the pictures can be fetched.
WITH_PICTURES = frozenset({JobState.RENDERED, JobState.DELIVERED})


def parse_request(text: str, workers: Collection[WorkerInfo] = ()) -> tuple[ImageRequest, bool]:
    """The request in a JSON body, and whether its seed was drawn here for want of one.

    Steps, guidance and size that it does not say are those usual for its model at these workers.
    The prompt is read by the one grammar (queue/prompt/grammar.py); a field beside it wins over a flag in it.

    Raises:
        Problem: the body is not a JSON object, or the prompt breaks the grammar; points at the character.
        InvalidRequest: a field is unknown, missing or out of range.
    """
    fields, wish = _read(text)
    asked = fields.get("model", "" if wish is None else wish.model)
    usual = usual_of(workers, asked if isinstance(asked, str) else "")
    if wish is None:
        size = {"width": usual.size, "height": usual.size}
        fields = {**size, "steps": usual.steps, "guidance": usual.guidance} | fields
    else:
        fields = {"seed": wish.seed} | fields_of(wish, **usual.fields) | {**fields, "prompt": wish.prompt}
    drawn = fields.get("seed") is None
    if drawn:
        fields["seed"] = random.randint(0, MAX_SEED)
    return image_request(**fields), drawn


def models_body(workers: Collection[WorkerInfo]) -> list[Mapping[str, Any]]:
    """Each model that a connected worker has: by how many, how often it is loaded, of which weights, what is usual."""
    found: list[Mapping[str, Any]] = []
    for name in sorted({model for worker in workers for model in worker.models}):
        having = [worker for worker in workers if name in worker.models]
        loaded = [worker for worker in having if worker.active in ("", name)]
        told = [worker.usual[name] for worker in having if name in worker.usual]
        usual = usual_of(having, name)
        numbers = {"size": usual.size, "steps": usual.steps, "guidance": usual.guidance} if told else {}
        digests = sorted({worker.digests[name] for worker in having if name in worker.digests})
        found.append({"name": name, "workers": len(having), "loaded": len(loaded), "digests": digests, **numbers})
    return found


def left_open(text: str) -> frozenset[str]:
    """The fields that a body leaves to what is usual for the model. Raises: as `parse_request`."""
    fields, wish = _read(text)
    by_flag = {"steps": "steps", "guidance": "stylize"}
    said = {name for name, flag in by_flag.items() if wish is not None and flag in wish.said}
    # A shape that was said tells two bodies apart; a size alone does not.
    if wish is not None and wish.ratio is not None:
        said |= {"width", "height"}
    return frozenset({"steps", "guidance", "width", "height"}) - said - fields.keys()


def _read(text: str) -> tuple[dict[str, Any], Wish | None]:
    """The fields of a body, and what its prompt says by the grammar; None for what is no prompt."""
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
    return fields, _said(fields.get("prompt"))


def _said(prompt: Any) -> Wish | None:
    """What the flags and weights of a prompt ask for; None for what is no prompt."""
    if not isinstance(prompt, str):
        return None
    try:
        wish = parse(prompt)
    except MalformedPrompt as error:
        if error.code == "empty":
            return None
        raise Problem(400, "invalid_prompt", malformed(prompt, error), "prompt") from None
    if (why := beyond_one_job(wish)) is not None:
        raise Problem(400, "invalid_prompt", why, "prompt")
    return wish


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
