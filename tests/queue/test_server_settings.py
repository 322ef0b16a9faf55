"""A server's settings: their ranges, and what the output check's scores mean. Pure."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from daguerre.queue.moderation.gate import highest_score
from daguerre.queue.store.server_settings import ServerSettings


@pytest.mark.parametrize(
    ("metadata", "highest"),
    [({}, 0), ({"scores": []}, 0), ({"scores": [0.1, 0.9]}, 0.9), ({"scores": "x"}, 0), ({"scores": [None, 1]}, 1)],
)
def test_the_highest_score_counts_whatever_a_worker_says(metadata: dict[str, Any], highest: float) -> None:
    assert highest_score(metadata) == highest


@pytest.mark.parametrize(
    "bad",
    [
        {"steps": 0}, {"steps": 51}, {"most_steps": 101}, {"guidance": 0.5}, {"guidance": float("nan")}, {"size": 300},
        {"most_size": 100}, {"most_size": 2112}, {"most_count": 5}, {"most_repeat": 0}, {"most_permutations": 41},
        {"channels": ["abc"]}, {"channels": [str(n) for n in range(101)]}, {"roles": ["7 weight=0"]}, {"roles": ["x"]},
        {"language": "tlh"}, {"age_restricted": "never"}, {"hold_from": 101}, {"hold_from": -1}, {"warnings": 0},
        {"timeout_minutes": 0}, {"log_channel": "#log"}, {"keep_days": -1}, {"models": [""]}, {"previews": "perhaps"},
        {"unknown": 1}, {"daily_seconds": float("inf")}, {"queued_per_member": -1},
    ],
    ids=str,
)  # fmt: skip
def test_each_bad_setting_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as problem:
        ServerSettings.model_validate(bad)
    assert str(problem.value.errors()[0]["loc"][0]) == next(iter(bad))
