"""What may be asked for."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daguerre.queue.errors import InvalidRequest
from daguerre.queue.records.requests import MAX_COUNT, MAX_PROMPT, MAX_SEED, ImageRequest, image_request

visible = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FFF, exclude_categories=["C", "Z"]), min_size=1)


@settings(max_examples=60)
@given(
    prompt=visible.filter(lambda text: len(text) <= MAX_PROMPT),
    count=st.integers(1, MAX_COUNT),
    seed=st.integers(0, MAX_SEED),
    steps=st.integers(1, 100),
    guidance=st.floats(1, 20),
    side=st.integers(1, 16).map(lambda number: number * 64),
)
def test_a_request_survives_the_wire(
    prompt: str, count: int, seed: int, steps: int, guidance: float, side: int
) -> None:
    """Everything allowed is the same after JSON, and has one seed below 2**32 for each picture."""
    request = image_request(
        prompt=prompt, count=count, seed=seed, steps=steps, guidance=guidance, width=side, height=side
    )
    assert ImageRequest.model_validate_json(request.model_dump_json()) == request
    assert ImageRequest.model_validate(request.model_dump(mode="json")) == request
    assert len(set(request.seeds)) == count
    assert all(0 <= one <= MAX_SEED for one in request.seeds)


@settings(max_examples=60)
@given(field=st.sampled_from(["count", "seed", "steps", "guidance", "width", "height"]), data=st.data())
def test_out_of_range_names_the_field_and_the_range(field: str, data: st.DataObject) -> None:
    """A number out of range is refused with the field's name; what is allowed comes with it."""
    low, high = {"count": (1, 4), "seed": (0, MAX_SEED), "steps": (1, 100), "guidance": (1, 20)}.get(field, (64, 2048))
    bad = data.draw(st.integers(-(10**12), low - 1) | st.integers(high + 1, 10**12))
    with pytest.raises(InvalidRequest) as refusal:
        image_request(**{"prompt": "a", "seed": 1, field: bad})
    assert refusal.value.field == field
    assert set(refusal.value.limits.values()) & {low, high, 16}


@pytest.mark.parametrize("prompt", ["", "   ", "\n\t", "x" * (MAX_PROMPT + 1)])
def test_empty_and_overlong_prompts_are_refused(prompt: str) -> None:
    """A prompt has 1 to 1,000 characters, spaces around it not counted."""
    with pytest.raises(InvalidRequest, match="prompt"):
        image_request(prompt=prompt, seed=1)


@pytest.mark.parametrize("guidance", [float("nan"), float("inf"), "3", None, True])
def test_guidance_is_a_finite_number(guidance: object) -> None:
    """Neither infinity nor text passes for a number."""
    with pytest.raises(InvalidRequest) as refusal:
        image_request(prompt="a", seed=1, guidance=guidance)
    assert refusal.value.field == "guidance"


def test_unknown_fields_are_refused() -> None:
    """A misspelt field is an error, not silently dropped."""
    with pytest.raises(InvalidRequest) as refusal:
        image_request(prompt="a", seed=1, setps=3)
    assert refusal.value.field == "setps"


def test_later_fields_travel_only_when_they_say_something() -> None:
    """An earlier worker still understands what does not use them; with them, nothing is lost on the way."""
    plain = image_request(prompt="a", seed=1)
    assert set(plain.model_dump()) == {
        "version", "prompt", "negative", "count", "seed", "steps", "guidance", "width", "height",
    }  # fmt: skip
    full = image_request(
        prompt="a", seed=1, model="m", parts=[{"text": "a", "weight": -0.5}], style="noto", chaos=10, stop=50,
        tile=True, draft=True, transparent=True, raw=True, label=True, svg=True, adapters=["x"], sampler="euler",
        control="canny",
        source={"use": "outpaint", "picture": "p", "expand": [0, 10, 0, 10]},
    )  # fmt: skip
    assert set(full.model_dump()) == set(ImageRequest.model_fields)
    assert ImageRequest.model_validate_json(full.model_dump_json()) == full
