"""The U-Net compiled for this machine, really: what it draws, when it is used, what the next start finds."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import familykit
import numpy as np
import pytest
import torch
from studentkit import write_student
from toyweights import write_toy_weights

from daguerre.models.serving import compiling
from daguerre.models.serving.engine import Engine
from daguerre.models.serving.program import MOST, Program
from daguerre.models.serving.requests import RenderRequest, RenderResult

ASK = RenderRequest("a red apple", (1,), 2, 2.0, 64, 64)
needs_compiler = pytest.mark.skipif(not any(map(shutil.which, ("g++", "clang++"))), reason="no C++ compiler here")


def loaded(weights: Path, programs: Path | None) -> Engine:
    engine = Engine(weights, device="cpu", programs=programs)
    engine.load()
    return engine


def program_of(engine: Engine) -> Program | None:
    loop: Any = engine.loop
    return loop._context.network.program


def forbidden(*_: object) -> None:
    raise AssertionError("compiled once more")


def apart(one: RenderResult, other: RenderResult) -> int:
    """The largest difference of any pixel."""
    pairs = zip(one.pictures, other.pictures, strict=True)
    return max(int(np.abs(np.asarray(a, int) - np.asarray(b, int)).max()) for a, b in pairs)


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Weights with a student, and the folder of the program that was compiled of them."""
    root = tmp_path_factory.mktemp("compiling")
    weights = write_toy_weights(root / "toy")
    write_student(weights, weights / "student")
    with pytest.MonkeyPatch.context() as patch:
        # A network this small need not be faster.
        patch.setattr(compiling, "LEAST_GAIN", -100.0)
        assert program_of(loaded(weights, root / "programs")) is not None
    return weights, root / "programs"


@needs_compiler
def test_what_was_compiled_draws_the_same_bits_alone_and_among_others(
    toy: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any size and number of rows; one step of 255 at most from the network as it is; nothing is compiled twice."""
    monkeypatch.setattr(compiling, "_build", forbidden)
    weights, programs = toy
    assert sorted(each.suffix for each in programs.iterdir()) == [".json", ".pt2"]
    fast, plain = loaded(weights, programs), loaded(weights, None)
    assert program_of(fast) is not None
    many = replace(ASK, seeds=tuple(range(MOST // 2 + 1)))
    asks = [ASK, replace(ASK, prompt="pizza", width=96), replace(ASK, guidance=1.0), replace(ASK, steps=5), many]
    jobs = [fast.submit(ask) for ask in asks]
    while not all(job.result.done() for job in jobs):
        fast.loop.tick()
    for job, ask in zip(jobs, asks, strict=True):
        together, alone = job.result.result(), fast.draw(ask)
        assert (together.about["compiled"], together.about["canonical"]) == (True, "rows apart")
        assert [each.tobytes() for each in together.pictures] == [each.tobytes() for each in alone.pictures]
        assert apart(alone, plain.draw(ask)) <= 1
        assert "compiled" not in plain.draw(ask).about


@needs_compiler
def test_what_it_was_not_compiled_for_is_drawn_as_ever(toy: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Edges that fit together, adapters, sizes beyond: the same bits as without."""
    weights, programs = toy
    fast, plain = loaded(weights, programs), loaded(weights, None)
    program = program_of(fast)
    assert program is not None
    assert not program.fits(program.largest + program.multiple, 8)
    assert not program.fits(program.largest, program.multiple)
    assert not program.fits(program.largest - 1, 8)
    for ask in (replace(ASK, tile=True), replace(ASK, draft=True)):
        made = fast.draw(ask)
        assert "compiled" not in made.about
        assert apart(made, plain.draw(ask)) == 0


@pytest.mark.slow
@needs_compiler
def test_sdxl_is_compiled_with_what_else_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pooled text and sizes are inputs too."""
    monkeypatch.setattr(compiling, "LEAST_GAIN", -100.0)
    weights = familykit.write_sdxl(tmp_path / "xl")
    fast, plain = loaded(weights, tmp_path / "programs"), loaded(weights, None)
    ask = replace(ASK, width=32, height=32)
    made = fast.draw(ask)
    assert made.about["compiled"]
    assert apart(made, plain.draw(ask)) <= 1


@needs_compiler
def test_a_damaged_program_is_not_run(
    toy: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is made again; where that fails too, the network draws as it is and the log says so."""
    weights, programs = toy
    mine = tmp_path / "programs"
    shutil.copytree(programs, mine)
    (file,) = mine.glob("*.pt2")
    file.write_bytes(file.read_bytes()[:5000])
    calls: list[Path] = []

    def failing(_: object, file: Path) -> None:
        calls.append(file)
        raise RuntimeError("the compiler ran out of memory")

    monkeypatch.setattr(compiling, "_build", failing)
    engine = loaded(weights, mine)
    assert calls == [file]
    assert "could not be compiled (RuntimeError)" in caplog.text
    assert apart(engine.draw(ASK), loaded(weights, None).draw(ASK)) == 0


@needs_compiler
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda made: made + 1.0, "something else"),
        (lambda made: made * (1 + 1e-6 * len(made)), "number of rows"),
        (lambda made: made, "of the time"),
    ],
)
def test_a_program_that_is_wrong_or_gains_nothing_is_left_out_for_good(
    spoil: Callable[[Any], Any],
    said: str,
    toy: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is compiled once and then remembered as of no use."""
    weights, programs = toy
    (file,) = programs.glob("*.pt2")
    load = compiling._load

    def spoiled(network: Any, place: Path) -> Program:
        program = load(network, place)
        return replace(program, run=lambda *inputs: spoil(program.run(*inputs)))

    monkeypatch.setattr(compiling, "_build", lambda _, place: shutil.copy(file, place))
    monkeypatch.setattr(compiling, "_load", spoiled)
    monkeypatch.setattr(compiling, "LEAST_GAIN", 1.0)
    assert program_of(loaded(weights, tmp_path / "programs")) is None
    assert said in caplog.text
    (told,) = (tmp_path / "programs").iterdir()
    assert said in json.loads(told.read_text())["why"]
    monkeypatch.setattr(compiling, "_build", forbidden)
    assert program_of(loaded(weights, tmp_path / "programs")) is None


def test_without_a_compiler_the_network_draws_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says what is missing, and nothing is remembered: a compiler may come."""
    monkeypatch.setattr("daguerre.models.serving.compiling.shutil.which", lambda _: None)
    weights = write_toy_weights(tmp_path / "toy")
    engine = loaded(weights, tmp_path / "programs")
    assert "g++" in caplog.text
    assert not (tmp_path / "programs").exists()
    assert apart(engine.draw(ASK), loaded(weights, None).draw(ASK)) == 0


def test_the_latest_programs_are_kept(tmp_path: Path) -> None:
    """Whoever compiles for something else for once does not make a worker compile again."""
    for number in range(compiling.KEPT + 2):
        for suffix in (".pt2", ".json"):
            file = tmp_path / f"cpu-{number}{suffix}"
            file.touch()
            os.utime(file, (number, number))
    compiling._forget(tmp_path)
    assert sorted({each.stem for each in tmp_path.iterdir()}) == [f"cpu-{k + 2}" for k in range(compiling.KEPT)]
    assert len(list(tmp_path.iterdir())) == 2 * compiling.KEPT


def test_a_program_fills_up_few_rows() -> None:
    """To as many as it takes, and gives those that were asked for."""
    seen: list[tuple[int, ...]] = []

    def run(samples: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        seen.append((len(samples), *(len(each) for each in others)))
        return 2 * samples

    samples = torch.randn(1, 4, 8, 8)
    made = Program(run, 2, 32, fewest=3)(samples, torch.ones(1), torch.ones(1, 5, 6))
    assert torch.equal(made, 2 * samples)
    assert seen == [(3, 3, 3)]
