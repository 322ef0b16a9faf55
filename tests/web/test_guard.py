"""Whom the local API answers, and what it says about bad requests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daguerre.queue.errors import InvalidRequest
from daguerre.web.bodies import parse_request
from daguerre.web.guard import is_loopback, may_use_api
from daguerre.web.options import WebOptions
from daguerre.web.problems import FIELDS, Problem, explain, failure

HERE = WebOptions()
OPEN = WebOptions(host="0.0.0.0", allowed_hosts=("Studio.lan",))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("localhost", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("192.168.1.2", False),
        ("localhost.evil.example", False),
        ("", False),
        (None, False),
    ],
)
def test_loopback(host: str | None, expected: bool) -> None:
    """Only addresses that never leave this machine count as this machine."""
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    ("options", "remote", "host", "origin", "code"),
    [
        (HERE, "127.0.0.1", "127.0.0.1:8600", None, None),
        (HERE, "::1", "[::1]:8600", None, None),
        (HERE, "127.0.0.1", "localhost:8600", "http://localhost:8600", None),
        (HERE, "127.0.0.1", "evil.example:8600", None, "foreign_host"),
        (HERE, "127.0.0.1", "", None, "foreign_host"),
        (HERE, "127.0.0.1", "[::1", None, "foreign_host"),
        (HERE, "10.0.0.5", "127.0.0.1:8600", None, "not_local"),
        (HERE, "127.0.0.1", "localhost:8600", "https://evil.example", "foreign_origin"),
        (HERE, "127.0.0.1", "localhost:8600", "null", "foreign_origin"),
        (OPEN, "10.0.0.5", "studio.lan:8600", None, None),
        (OPEN, "10.0.0.5", "other.lan:8600", None, "foreign_host"),
    ],
)
def test_guard(options: WebOptions, remote: str, host: str, origin: str | None, code: str | None) -> None:
    """Other machines, rebound names and other sites' pages are refused, each with its reason."""
    refusal = may_use_api(options, remote=remote, host=host, origin=origin)
    assert (refusal.code if refusal else None) == code
    assert refusal is None or refusal.status == 403


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ("{}", "prompt", "prompt is missing"),
        ('{"prompt": "  "}', "prompt", "prompt is empty; say what the picture should show"),
        ('{"prompt": 7}', "prompt", "prompt must be a text"),
        ('{"prompt": "' + "a" * 1001 + '"}', "prompt", "prompt is too long: at most 1000 characters"),
        ('{"prompt": "\\ud800"}', "prompt", "prompt is not valid Unicode text"),
        ('{"prompt": "a", "count": 0}', "count", "count must be a whole number from 1 to 4"),
        ('{"prompt": "a", "count": "2"}', "count", "count must be a whole number from 1 to 4"),
        ('{"prompt": "a", "count": true}', "count", "count must be a whole number from 1 to 4"),
        ('{"prompt": "a", "seed": -1}', "seed", "seed must be a whole number from 0 to 4294967295"),
        ('{"prompt": "a", "guidance": NaN}', "guidance", "guidance must be a number from 1.0 to 20.0"),
        ('{"prompt": "a", "size": 100}', "width", "width must be a whole number from 64 to 2048, a multiple of 16"),
        ('{"prompt": "a", "size": 64, "width": 64}', "size", "send either size or width and height, not both"),
        ('{"prompt": "a", "cuont": 2}', "cuont", "a request has no field cuont; there are: " + ", ".join(FIELDS)),
        ('{"prompt": "a", "version": 1}', "version", "a request has no field version"),
        ('{"prompt": "a", "prompt": "b"}', None, "a name stands twice"),
        ("[1]", None, "the body must be a JSON object"),
        ("[" * 100_000, None, "nested too deeply"),
        ("prompt=a", None, "not valid JSON"),
    ],
)
def test_bad_bodies(body: str, field: str | None, message: str) -> None:
    """Whatever is wrong with a body, the answer names the field and what is allowed."""
    with pytest.raises((Problem, InvalidRequest)) as caught:
        parse_request(body)
    error = caught.value
    assert error.field == field
    assert message in (explain(error) if isinstance(error, InvalidRequest) else error.message)


@given(st.text(max_size=300))
def test_any_text_is_a_request_or_a_refusal(body: str) -> None:
    """No body makes the parser fail in any other way."""
    try:
        request, _ = parse_request(body)
    except (Problem, InvalidRequest):
        return
    assert request.prompt


def test_seed_is_drawn_only_when_missing() -> None:
    """A given seed is kept; the caller learns whether one was drawn."""
    assert parse_request('{"prompt": "a", "seed": 7}')[0].seed == 7
    assert parse_request('{"prompt": "a", "seed": 7}')[1] is False
    assert parse_request('{"prompt": "a"}')[1] is True
    assert parse_request('{"prompt": "a", "size": 128}')[0].height == 128


def test_failures_are_told_in_words() -> None:
    """Every end without pictures has a text; an unknown code of a newer worker is shown as it is."""
    assert "broke" in (failure("broken") or "")
    assert failure(None) is None
    assert "from_the_future" in (failure("from_the_future") or "")
