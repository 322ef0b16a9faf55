"""Requests drawn together on a toy pipeline: the same bits as alone, joining, leaving, deadlines, memory that ends."""

from __future__ import annotations

import gc
import random
import threading
from collections.abc import Iterator
from concurrent.futures import wait
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from toyweights import write_toy_weights

from daguerre.models.errors import TooLate, Unrenderable
from daguerre.models.serving.engine import Engine
from daguerre.models.serving.jobs import Cancelled
from daguerre.models.serving.loop import Loop
from daguerre.models.serving.network import Network
from daguerre.models.serving.previews import drawing
from daguerre.models.serving.profile import Paces
from daguerre.models.serving.requests import Progress, RenderRequest, Source
from daguerre.models.serving.schedule import Pace, RowLimit

ASK = RenderRequest("a red apple", (1,), 4, 2.0, 64, 64)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_weights(tmp_path_factory.mktemp("weights") / "toy")


@pytest.fixture(scope="module")
def engine(weights: Path) -> Engine:
    made = Engine(weights, device="cpu")
    made.load()
    return made


@pytest.fixture
def fresh(weights: Path) -> Engine:
    """One that a test may break."""
    made = Engine(weights, device="cpu")
    made.load()
    return made


@pytest.fixture
def running(fresh: Engine) -> Iterator[Engine]:
    thread = threading.Thread(target=fresh.run)
    thread.start()
    yield fresh
    fresh.close()
    thread.join(20)
    assert not thread.is_alive()


def mixed(count: int, seed: int = 5) -> list[RenderRequest]:
    """Requests of every kind."""
    choose = random.Random(seed)
    picture, mask = drawing(64, 3), Image.new("L", (64, 64))
    mask.paste(255, (16, 16, 48, 48))
    sources = (
        None, None, None, Source(picture, strength=0.7), Source(picture, "inpaint", mask, 1.0),
        Source(picture, "outpaint", expand=(25, 0, 25, 0)),
    )  # fmt: skip
    return [
        RenderRequest(
            choose.choice(["a red apple", "a blue pizza", "pizza"]),
            tuple(choose.randrange(2**32) for _ in range(choose.randint(1, 4))),
            choose.choice([1, 2, 4, 8]),
            choose.choice([1.0, 2.0, 7.5]),
            choose.choice([64, 128]),
            choose.choice([64, 128]),
            negative=choose.choice(["", "blue"]),
            parts=choose.choice([(), (), (("apple", 2.0), ("red", -0.5)), (("apple", 1.0), ("pizza", 1.0))]),
            style=choose.choice(["", "noto"]),
            chaos=choose.choice([0, 30]),
            stop=choose.choice([100, 60]),
            tile=choose.random() < 0.2,
            draft=choose.random() < 0.2,
            transparent=choose.random() < 0.2,
            source=choose.choice(sources),
            member=choose.choice("abc"),
        )
        for _ in range(count)
    ]


def test_thirty_two_mixed_requests_are_bit_identical_to_themselves_alone(running: Engine) -> None:
    """Whatever the neighbours: every size, step count, guidance, source, all at once and then each by itself."""
    asks = mixed(32)
    together = [running.submit(ask) for ask in asks]
    wait([job.result for job in together], 60)
    for ask, job in zip(asks, together, strict=True):
        alone = running.submit(ask).result.result(30)
        assert [each.tobytes() for each in job.result.result(0).pictures] == [each.tobytes() for each in alone.pictures]
        assert len(alone.pictures) == len(ask.seeds)
        assert all(each.size == (ask.width, ask.height) for each in alone.pictures)


class Sizes:
    """A forward that remembers how many rows it was given."""

    def __init__(self, forward: Any) -> None:
        self.forward = forward
        self.sizes: set[int] = set()

    def __call__(self, sample: torch.Tensor, *rest: Any, **others: Any) -> Any:
        self.sizes.add(len(sample))
        return self.forward(sample, *rest, **others)


def test_padded_batches_keep_bits_where_rows_cannot_be_kept_apart(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU: every forward has as many rows as the knee, as the metadata says; without that it says `free`."""
    monkeypatch.setattr(Network, "exact_rows", property(lambda _: False))
    asks = [replace(ASK, seeds=(k, k + 50)[: 1 + k % 2], guidance=(1.0, 3.0)[k % 2], steps=2 + k) for k in range(5)]
    for exact in (True, False):
        engine = Engine(weights, device="cpu", exact=exact)
        engine.load()
        loop: Any = engine.loop
        network = loop._context.network
        seen = Sizes(network.plain.unet.forward)
        network.plain.unet.forward = seen
        jobs = [loop.submit(ask) for ask in asks]
        while not all(job.result.done() for job in jobs):
            loop.tick()
        knee = loop._paces.get(network, network.plain, 4, 4).knee
        made = [job.result.result(0) for job in jobs]
        assert {each.about["canonical"] for each in made} == {f"padded to {knee}" if exact else "free"}
        if exact:
            assert seen.sizes == {knee}
            for ask, each in zip(asks, made, strict=True):
                alone = engine.draw(ask)
                assert [one.tobytes() for one in alone.pictures] == [one.tobytes() for one in each.pictures]
        else:
            assert len(seen.sizes) > 1


def test_pictures_of_several_requests_share_forwards(engine: Engine) -> None:
    """Eight requests of one lane take hardly more steps than one, and each is told of all of its own."""
    loop = engine.loop
    assert isinstance(loop, Loop)
    forwards, rows = loop.forwards, loop.rows
    seen: dict[int, list[int]] = {k: [] for k in range(4)}
    jobs = [
        loop.submit(replace(ASK, seeds=(k,), guidance=1.0, steps=4 + k), lambda p, k=k: seen[k].append(p.step))
        for k in range(4)
    ]
    while not all(job.result.done() for job in jobs):
        assert loop.tick()
    assert loop.rows - rows == sum(4 + k for k in range(4))
    assert loop.forwards - forwards < loop.rows - rows
    assert seen == {k: list(range(1, 5 + k)) for k in range(4)}
    assert not loop.tick()


def test_a_request_joins_at_the_next_step(engine: Engine) -> None:
    """It does not wait for those before it; wherever the knee has room."""
    loop: Any = engine.loop
    slow = loop.submit(replace(ASK, steps=40, guidance=1.0))
    loop.tick()
    quick = loop.submit(replace(ASK, steps=1, guidance=1.0, seeds=(9,)))
    for _ in range(6):
        loop.tick()
    assert quick.result.done()
    assert not slow.result.done()
    slow.cancel()
    loop.tick()


def test_cancelling_takes_effect_at_the_next_step(engine: Engine) -> None:
    """No further step of it is drawn, neighbours go on, and nothing of it is kept."""
    loop: Any = engine.loop
    steps: list[int] = []
    gone, stays = loop.submit(replace(ASK, steps=30), lambda p: steps.append(p.step)), loop.submit(ASK)
    loop.tick()
    before = len(steps)
    gone.cancel()
    while not stays.result.done():
        loop.tick()
    assert isinstance(gone.result.exception(0), Cancelled)
    assert len(steps) == before
    assert stays.result.result(0).pictures
    waiting = loop.submit(ASK)
    waiting.cancel()
    loop.tick()
    assert isinstance(waiting.result.exception(0), Cancelled)
    assert not loop._jobs()


def test_leaving_out_of_on_progress(engine: Engine) -> None:
    """`draw` hands on whatever the caller raised."""

    def leave(progress: Progress) -> None:
        raise KeyError(progress.step)

    with pytest.raises(KeyError, match="1"):
        engine.draw(ASK, leave)


def test_a_deadline_ends_a_request(fresh: Engine) -> None:
    """It says so, and others go on."""
    loop: Any = fresh.loop
    now = [0.0]
    loop._clock = lambda: now[0]
    late, fine = loop.submit(replace(ASK, steps=50, seconds=5.0)), loop.submit(ASK)
    loop.tick()
    now[0] = 5.1
    while not fine.result.done():
        loop.tick()
    with pytest.raises(TooLate, match="5 s"):
        late.result.result(0)


class Narrow:
    """The real network with memory for so many rows."""

    def __init__(self, engine: Engine, rows: int) -> None:
        self.network: Any = engine.loop._context.network  # pyright: ignore
        self.rows, self.full = rows, 0
        self.forward = self.network._pass
        self.network._pass = self

    def __call__(self, variant: Any, samples: torch.Tensor, *rest: Any, **others: Any) -> torch.Tensor:
        if len(samples) > self.rows:
            self.full += 1
            raise torch.OutOfMemoryError("full")
        return self.forward(variant, samples, *rest, **others)


def test_memory_that_ends_halves_the_batch_and_loses_nothing(fresh: Engine) -> None:
    """The same pictures, and after the first failures no more."""
    expected = fresh.draw(replace(ASK, seeds=(1, 2, 3, 4), guidance=1.0))
    narrow = Narrow(fresh, 2)
    made = fresh.draw(replace(ASK, seeds=(1, 2, 3, 4), guidance=1.0))
    assert [each.tobytes() for each in made.pictures] == [each.tobytes() for each in expected.pictures]
    failed = narrow.full
    fresh.draw(replace(ASK, seeds=(1, 2, 3, 4), guidance=1.0))
    assert narrow.full == failed <= 2


def test_memory_that_has_room_again_is_used_again(fresh: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """After enough steps that went well: first in vain, then with success, with the same pictures all along."""
    monkeypatch.setattr(RowLimit.__init__, "__defaults__", (0, 2, False))
    four = Pace(((1, 1.0), (2, 1.0), (4, 1.0), (8, 4.0)))
    monkeypatch.setattr(Paces, "get", lambda *_: four)
    many = replace(ASK, seeds=(1, 2, 3, 4), guidance=1.0, steps=6)
    expected = [each.tobytes() for each in fresh.draw(many).pictures]
    narrow = Narrow(fresh, 2)
    fresh.draw(many)
    failed = narrow.full
    for _ in range(2):
        assert [each.tobytes() for each in fresh.draw(many).pictures] == expected
    assert narrow.full > failed
    narrow.rows = 64
    for _ in range(8):
        forwards = fresh.loop.forwards
        assert [each.tobytes() for each in fresh.draw(many).pictures] == expected
    assert fresh.loop.forwards - forwards == 6


def test_a_picture_whose_rows_do_not_fit_together_is_drawn_row_by_row(fresh: Engine) -> None:
    """Guidance takes two rows; memory for one is enough, and the picture is the same."""
    expected = fresh.draw(ASK)
    Narrow(fresh, 1)
    assert fresh.draw(ASK).pictures[0].tobytes() == expected.pictures[0].tobytes()


def test_what_fits_nowhere_is_refused_with_a_size_and_the_engine_lives(fresh: Engine) -> None:
    """Half the sides is what to try; another shape is drawn as before."""
    narrow = Narrow(fresh, 0)
    with pytest.raises(Unrenderable, match=r"32 × 32"):
        fresh.draw(ASK)
    assert narrow.full == 2
    narrow.rows = 2
    assert fresh.draw(replace(ASK, width=128)).pictures


def test_what_breaks_for_one_does_not_break_the_others(fresh: Engine) -> None:
    """The request that a network chokes on fails; its neighbours are drawn again without it."""
    loop: Any = fresh.loop
    network = loop._context.network
    forward = network.forward
    poison = network.encode_prompt(network.plain, "blue blue")

    def choke(variant: Any, samples: torch.Tensor, times: Any, words: Any, **others: Any) -> torch.Tensor:
        if any(each is poison for each in words):
            raise ZeroDivisionError
        return forward(variant, samples, times, words, **others)

    expected = fresh.draw(ASK)
    network.forward = choke
    bad, good = loop.submit(replace(ASK, prompt="blue blue")), loop.submit(ASK)
    while not (bad.result.done() and good.result.done()):
        loop.tick()
    assert isinstance(bad.result.exception(0), ZeroDivisionError)
    assert good.result.result(0).pictures[0].tobytes() == expected.pictures[0].tobytes()


def test_previews_are_small_and_only_for_one_alone(engine: Engine) -> None:
    """A JPEG of the whole grid below 30 KB; none while another request would wait for it."""
    seen: list[bytes] = []

    def keep(progress: Progress) -> None:
        if progress.preview:
            seen.append(progress.preview)

    engine.draw(replace(ASK, seeds=(1, 2, 3, 4), steps=3), keep)
    assert seen
    assert all(each[:2] == b"\xff\xd8" and len(each) <= 30_000 for each in seen)
    seen.clear()
    loop: Any = engine.loop
    jobs = [loop.submit(replace(ASK, seeds=(k,)), keep) for k in range(2)]
    while not all(job.result.done() for job in jobs):
        loop.tick()
    assert not seen


def test_closing_ends_what_waits(fresh: Engine) -> None:
    """Nobody waits for an engine that is gone."""
    thread = threading.Thread(target=fresh.run)
    thread.start()
    job = fresh.submit(replace(ASK, steps=100, seeds=(1, 2, 3, 4)))
    fresh.close()
    thread.join(10)
    with pytest.raises(Cancelled):
        job.result.result(1)


def test_after_closing_nothing_is_taken_in(fresh: Engine) -> None:
    """A request that comes too late is told so, and nobody waits for it."""
    fresh.close()
    with pytest.raises(Cancelled):
        fresh.submit(ASK).result.result(1)


def test_two_who_draw_by_themselves_do_not_wait_for_each_other(fresh: Engine) -> None:
    """The one whose request ends first stops drawing; the other goes on by itself."""
    results: dict[int, Any] = {}

    def draw(steps: int) -> None:
        results[steps] = fresh.draw(replace(ASK, steps=steps, seeds=(steps,)))

    threads = [threading.Thread(target=draw, args=(steps,), daemon=True) for steps in (2, 30, 60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(results) == [2, 30, 60]


def test_a_long_random_soak_leaks_nothing(fresh: Engine) -> None:
    """Two hours of a fast-forward clock: random requests, cancels, deadlines; at the end nothing is left behind."""
    loop: Any = fresh.loop
    now = [0.0]
    loop._clock = lambda: now[0]
    choose = random.Random(3)
    asks = mixed(12, seed=9)
    for ask in asks:  # what is measured or merged once is there from now on
        fresh.draw(replace(ask, seconds=float("inf")))
    gc.collect()
    tensors = sum(issubclass(type(each), torch.Tensor) for each in gc.get_objects())
    jobs: list[Any] = []
    outcomes: dict[str, int] = {}
    while now[0] < 7200:
        if len(loop._jobs()) < 4 and len(jobs) < 600:
            ask = choose.choice(asks)
            jobs.append(loop.submit(replace(ask, seeds=(choose.randrange(999),), seconds=choose.choice([1e9, 60.0]))))
        if choose.random() < 0.05 and jobs:
            choose.choice(jobs[-4:]).cancel()
        loop.tick()
        now[0] += choose.expovariate(1 / 30)
        for job in [job for job in jobs if job.result.done()]:
            jobs.remove(job)
            outcome = type(job.result.exception(0)).__name__
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
    for job in jobs:
        job.cancel()
    loop.tick()
    jobs.clear()
    del job
    gc.collect()
    assert now[0] >= 7200
    assert set(outcomes) == {"NoneType", "Cancelled", "TooLate"}
    assert (loop._jobs(), loop._active, list(loop._done), loop._waiting) == (set(), {}, [], [])
    assert sum(issubclass(type(each), torch.Tensor) for each in gc.get_objects()) <= tensors + 8
