"""Names of styles, models and fine-tunes: unknown ones are refused at once, with those that there are."""

from __future__ import annotations

from typing import Any

import pytest

from daguerre.bot.errors import Refused
from daguerre.bot.imagine.checks import check_names
from daguerre.queue.dispatch.worker_registry import WorkerRegistry
from daguerre.queue.prompt.names import UnknownName, unknown_name
from daguerre.queue.prompt.vocabulary import Vocabulary
from daguerre.queue.records.requests import ImageRequest, image_request
from daguerre.queue.records.transport import Heartbeat, WorkerInfo

WORDS = Vocabulary(["apple"], ["apple"], ["noto", "twemoji", "red"])


def a_worker(models: tuple[str, ...] = ("small",), adapters: tuple[str, ...] | None = ("ink", "stamps")) -> WorkerInfo:
    return WorkerInfo("w", 1, 0, "cpu", models, 0.0, adapters=adapters)


def asked(**fields: Any) -> ImageRequest:
    return image_request(prompt="an apple", seed=1, **fields)


@pytest.mark.parametrize(
    ("fields", "unknown"),
    [
        ({"style": "moebius"}, UnknownName("style", "moebius", ("noto", "twemoji"))),
        ({"model": "huge"}, UnknownName("model", "huge", ("small",))),
        ({"adapters": ("ink", "oil")}, UnknownName("lora", "oil", ("ink", "stamps"))),
        ({"style": "noto", "model": "small", "adapters": ("ink",)}, None),
        ({}, None),
    ],
)
def test_a_name_that_nobody_has_is_found_with_the_list(fields: dict[str, Any], unknown: UnknownName | None) -> None:
    """The first one; known names pass."""
    assert unknown_name(asked(**fields), WORDS, [a_worker()]) == unknown


def test_what_cannot_be_told_is_left_to_the_worker() -> None:
    """Without a worker, beside one that does not say what it has, without a vocabulary, or named by the server."""
    fields = {"model": "huge", "adapters": ("oil",)}
    assert unknown_name(asked(**fields), WORDS, []) is None
    assert unknown_name(asked(**fields), WORDS, [a_worker(), a_worker((), None)]) is None
    assert unknown_name(asked(style="moebius"), None, [a_worker()]) is None
    assert unknown_name(asked(style="moebius", model="huge"), WORDS, [a_worker()], ["moebius", "huge"]) is None


def test_workers_tell_what_they_have_by_their_heartbeats() -> None:
    """Two hosts have their fine-tunes together; one of an earlier version does not say."""
    registry = WorkerRegistry(3.0)
    beat = {"slots": 1, "device": "cpu", "models": ("small",), "running": {}}
    registry.hear(Heartbeat(name="a", instance="a", adapters=("ink",), **beat), now=0.0, seen=0.0)
    registry.hear(Heartbeat(name="b", instance="b", adapters=("oil",), **beat), now=0.0, seen=0.0)
    assert unknown_name(asked(adapters=("ink", "oil")), WORDS, registry.workers(0.0)) is None
    found = unknown_name(asked(adapters=("wax",)), WORDS, registry.workers(0.0))
    assert found == UnknownName("lora", "wax", ("ink", "oil"))
    registry.hear(Heartbeat(name="c", instance="c", **beat), now=0.0, seen=0.0)
    assert unknown_name(asked(adapters=("wax",)), WORDS, registry.workers(0.0)) is None


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"style": "moebius"}, "no style moebius. There are: noto, twemoji"),
        ({"model": "huge"}, "has a model huge. There are: small"),
        ({"adapters": ("oil",)}, "has a fine-tune oil. There are: ink, stamps"),
    ],
)
def test_members_are_told_the_list(fields: dict[str, Any], words: str) -> None:
    """In their language."""
    with pytest.raises(Refused) as caught:
        check_names(asked(**fields), WORDS, [a_worker()])
    assert words in caught.value.words("en")
    assert caught.value.words("zh-CN") != caught.value.words("en")


def test_without_any_fine_tune_the_flag_is_to_go() -> None:
    """An empty list would read oddly."""
    with pytest.raises(Refused) as caught:
        check_names(asked(adapters=("oil",)), WORDS, [a_worker(adapters=())])
    assert "Leave out --lora" in caught.value.words("en")
