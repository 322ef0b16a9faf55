"""Bits that do not depend on neighbours: rows of the U-Net, texts of an encoder, in float32 and bfloat16."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import familykit
import pytest
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from torch import Tensor, nn
from toyweights import write_toy_weights

from daguerre.models.serving import exact
from daguerre.models.serving.canonical import agreeing, filled_to
from daguerre.models.serving.engine import Engine
from daguerre.models.serving.exact import PackedConvolution, circular, rows_apart
from daguerre.models.serving.network import Network
from daguerre.models.serving.requests import RenderRequest
from daguerre.models.serving.schedule import Pace

SHIPPED = Path(__file__).parents[3] / "models" / "weights" / "first-light"
ASK = RenderRequest("a red apple", (1,), 4, 2.0, 64, 64)


@pytest.fixture(autouse=True)
def no_gradients() -> Any:
    with torch.inference_mode():
        yield


def predicted(unet: Any, rows: int) -> Tensor:
    """The first row of a forward whose other rows are others."""
    generator = torch.Generator().manual_seed(1)
    samples = torch.randn(rows, 4, 8, 16, generator=torch.Generator().manual_seed(rows))
    samples[0] = torch.randn(4, 8, 16, generator=generator)
    words = torch.randn(rows, 24, 192, generator=torch.Generator().manual_seed(rows + 100))
    words[0] = torch.randn(24, 192, generator=generator)
    samples = samples.to(unet.dtype, memory_format=torch.channels_last)
    times = torch.full((rows,), 300.0)
    return unet(samples, times, encoder_hidden_states=words.to(unet.dtype), return_dict=False)[0][0].float()


def shipped(kind: torch.dtype = torch.float32) -> Any:
    unet: Any = UNet2DConditionModel.from_pretrained(SHIPPED / "unet", local_files_only=True, dtype=kind)
    return unet.eval().requires_grad_(False).to(memory_format=torch.channels_last)


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("packed", [exact.PACKED, 0])
def test_a_row_of_the_shipped_network_is_the_same_alone_and_among_others(
    packed: int, monkeypatch: pytest.MonkeyPatch, threads: Callable[[int], None]
) -> None:
    """To the bit, with any number of threads, weights packed and not; and what the stock network says, to rounding."""
    monkeypatch.setattr(exact, "PACKED", packed)
    unet = shipped()
    stock = predicted(unet, 2)
    rows_apart(unet)
    threads(1)
    alone = predicted(unet, 1)
    assert isinstance(unet.conv_in.forward, PackedConvolution)
    assert (unet.conv_in.forward._weight is unet.conv_in.weight) == (not packed)
    for number, counts in ((1, (2, 17)), (2, (1,)), (3, (2,))):
        threads(number)
        for rows in counts:
            assert torch.equal(predicted(unet, rows), alone), (number, rows)
    assert (alone - stock).norm() / stock.norm() < 1e-5


@pytest.mark.parametrize("edges", ["zeros", "circular"])
def test_packed_convolutions_are_convolutions(edges: str) -> None:
    """Strides, groups, other sizes than the first, edges that fit together."""
    torch.manual_seed(2)
    layers = (nn.Conv2d(8, 16, 3, padding=1), nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=2), nn.Conv2d(8, 4, 1))
    for layer in layers:
        packed = PackedConvolution(layer)
        with circular([layer], edges == "circular"):
            for shape in ((3, 8, 16, 16), (1, 8, 10, 14)):
                rows = torch.randn(shape)
                assert torch.allclose(packed(rows), nn.Conv2d.forward(layer, rows), atol=1e-5)


@pytest.mark.parametrize("write", [write_toy_weights, familykit.write_sdxl])
def test_texts_are_read_together_only_where_bits_need_not_be_kept(
    write: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU without `exact`: one forward for all that are not known yet, the same to rounding."""
    monkeypatch.setattr(Network, "exact_rows", property(lambda _: False))
    weights = write(tmp_path / "toy")
    asks = [
        RenderRequest(text, (k,), 1, 2.0, 32, 32)
        for k, text in enumerate(("a red apple", "pizza", "a blue pizza", "pizza"))
    ]
    kept: list[Network] = []
    for exactly, expected in ((True, [1, 1, 1]), (False, [3])):
        engine = Engine(weights, device="cpu", exact=exactly)
        engine.load()
        loop: Any = engine.loop
        kept.append(loop._context.network)
        calls: list[int] = []
        loop._context.network.plain.pipeline.text_encoder.register_forward_pre_hook(
            lambda _, given, named, calls=calls: calls.append(len(given[0] if given else named["input_ids"])),
            with_kwargs=True,
        )
        jobs = [loop.submit(ask) for ask in asks]
        while not all(job.result.done() for job in jobs):
            loop.tick()
        assert calls == expected
    apart, together = kept
    for ask in asks:
        one, other = (network.encode_prompt(network.plain, ask.prompt) for network in (apart, together))
        assert torch.allclose(one.states, other.states, atol=1e-5)
        assert one.pooled is None or other.pooled is None or torch.allclose(one.pooled, other.pooled, atol=1e-5)


@pytest.mark.skipif(not exact.can_bfloat16(), reason="this processor does not multiply bfloat16")
def test_the_shipped_network_in_bfloat16_is_nearly_the_same() -> None:
    """Packed or not it says what the stock network says in float32, to a hundredth."""
    stock = predicted(shipped(), 2)
    unet = shipped(torch.bfloat16)
    rows_apart(unet)
    for rows in (1, 2, 9):
        assert 0 < (predicted(unet, rows) - stock).norm() / stock.norm() < 0.02


def test_bfloat16_is_chosen_and_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nearly the same picture, and it says that its rows are filled up; elsewhere it is float32."""
    weights = write_toy_weights(tmp_path / "toy")

    def loaded(precision: str) -> Engine:
        engine = Engine(weights, device="cpu", precision=precision)
        engine.load()
        return engine

    full = loaded("float32").draw(ASK)
    assert (full.about["precision"], full.about["canonical"]) == ("float32", "rows apart")
    if exact.can_bfloat16():
        half = loaded("bfloat16").draw(ASK)
        assert (half.about["precision"], half.about["canonical"]) == ("bfloat16", "padded to what agrees")
        pairs = zip(half.pictures[0].tobytes(), full.pictures[0].tobytes(), strict=True)
        assert 0 < sum(abs(a - b) for a, b in pairs) / (64 * 64 * 3) < 4
    monkeypatch.setattr("daguerre.models.serving.engine.can_bfloat16", lambda: False)
    assert loaded("bfloat16").draw(ASK).pictures[0].tobytes() == full.pictures[0].tobytes()


def mixed(count: int, sizes: tuple[tuple[int, int], ...], texts: tuple[str, ...]) -> list[RenderRequest]:
    """Requests of all kinds: sizes, steps, guidance or none, one or two pictures, negative prompts."""
    choose = random.Random(7)
    made: list[RenderRequest] = []
    for k in range(count):
        width, height = choose.choice(sizes)
        made.append(
            RenderRequest(
                choose.choice(texts), tuple(range(k, k + choose.randint(1, 2))), choose.randint(1, 4),
                choose.choice((1.0, 3.0, 6.0)), width, height, negative=choose.choice(("", texts[0])),
            )
        )  # fmt: skip
    return made


def together_and_alone(engine: Engine, asks: list[RenderRequest]) -> None:
    """Every picture to the bit as if it were drawn alone."""
    jobs = [engine.submit(ask) for ask in asks]
    loop: Any = engine.loop
    while not all(job.result.done() for job in jobs):
        loop.tick()
    assert loop.rows > 2 * loop.forwards
    for ask, job in zip(asks, jobs, strict=True):
        drawn = job.result.result()
        assert drawn.about["canonical"] == "padded to what agrees"
        alone = engine.draw(ask)
        assert [each.tobytes() for each in drawn.pictures] == [each.tobytes() for each in alone.pictures]


@pytest.mark.skipif(not exact.can_bfloat16(), reason="this processor does not multiply bfloat16")
@pytest.mark.parametrize(("write", "count"), [(write_toy_weights, 64), (familykit.write_sdxl, 16)])
def test_bfloat16_keeps_its_bits_among_others(
    write: Callable[[Path], Path], count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """64 mixed requests drawn together, each to the bit as alone."""
    pace = Pace(((1, 1.0), (2, 1.0), (4, 1.0), (8, 1.0)))
    monkeypatch.setattr("daguerre.models.serving.profile.measure", lambda *_: pace)
    engine = Engine(write(tmp_path / "toy"), device="cpu", precision="bfloat16")
    engine.load()
    together_and_alone(engine, mixed(count, ((32, 32), (48, 32), (32, 64)), ("a red apple", "pizza", "a blue pizza")))


@pytest.mark.slow
@pytest.mark.skipif(not exact.can_bfloat16(), reason="this processor does not multiply bfloat16")
def test_the_shipped_network_keeps_its_bits_in_bfloat16() -> None:
    """As above, by the weights that are shipped."""
    engine = Engine(SHIPPED, device="cpu", precision="bfloat16")
    engine.load()
    together_and_alone(engine, mixed(64, ((256, 256), (384, 256), (256, 512)), ("a red apple", "a cat", "two boats")))


def test_rows_are_filled_up_to_numbers_that_agree() -> None:
    """The largest set counts; a number whose places differ is in none; more rows go in passes of the largest."""
    kinds = {1: 1.0, 2: 1.0, 4: 3.0, 8: 3.0, 16: 3.0}
    assert agreeing(lambda rows, _: torch.tensor(kinds[rows])) == (4, 8, 16)
    assert agreeing(lambda rows, place: torch.tensor(kinds[rows] + (place if rows == 8 else 0))) == (4, 16)
    assert agreeing(lambda rows, _: torch.tensor(float(rows))) == (16,)
    assert agreeing(lambda rows, place: torch.tensor(float(place))) == (1,)
    assert [filled_to(rows, (4, 8, 16)) for rows in (1, 4, 5, 16, 40)] == [4, 4, 8, 16, 16]


def test_a_merged_adapter_starts_from_the_same_weights(tmp_path: Path) -> None:
    """Packing keeps a second copy; what is merged into comes from the first, which is unchanged."""
    pipeline: Any = StableDiffusionPipeline.from_pretrained(write_toy_weights(tmp_path / "toy"), local_files_only=True)
    before = {name: weight.clone() for name, weight in pipeline.unet.state_dict().items()}
    Network(pipeline, "cpu")
    after = pipeline.unet.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], weight) for name, weight in before.items())
