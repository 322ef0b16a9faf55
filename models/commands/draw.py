"""What `daguerre synthesize` and `sheet` do: they draw only, with what a worker has installed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ..common import stopping
from ..common.bars import progress
from ..serving import read_prompts
from ..serving.engine import Engine
from ..serving.sheet import contact_sheet
from ..serving.synthesize import Encode, synthesize

Report = Callable[[str], None]


def draw_sheet(
    weights: Path,
    prompts: Sequence[str],
    seeds: int,
    out: Path,
    font: Path | None,
    steps: int | None,
    guidance: float | None,
    encode: Encode,
) -> None:
    """Render a contact sheet of `prompts` with the seeds 0, 1, …; `encode` makes the file.

    Steps and guidance that are None are as the model is made for.

    Raises:
        EngineError: says what to do.
    """
    engine = Engine(weights)
    engine.load()
    out.parent.mkdir(parents=True, exist_ok=True)
    usual = engine.usual
    sheet = contact_sheet(
        engine, prompts, range(seeds), steps=steps or usual.steps, guidance=guidance or usual.guidance, font=font
    )
    about = engine.describe()
    texts = {
        "Description": "; ".join(prompts),
        "Model": f"{about.get('model', '')} {about.get('model_digest', '')}".strip(),
    }
    out.write_bytes(encode(sheet, texts, out.name))


def synthesize_list(
    weights: Path,
    prompts: Path,
    folder: Path,
    count: int,
    steps: int | None,
    guidance: float | None,
    size: int | None,
    unknown: Callable[[str], Sequence[str]],
    report: Report,
    encode: Encode,
) -> None:
    """Render a list of prompts into a data set; the same call goes on where it stopped. `encode` makes the files.

    Steps, guidance and size that are None are as the model is made for.
    `unknown` gives the words of a prompt that the model was not taught; those met are told at the end.

    Raises:
        DataError: the list has bad lines (which), or the folder holds something else.
        EngineError: says what to do.
    """
    listed = read_prompts(prompts)
    engine = Engine(weights)
    engine.load()
    usual = engine.usual
    with progress(report) as told, stopping(told.line) as stop:
        made = synthesize(
            engine, listed, folder, count=count, steps=steps or usual.steps, guidance=guidance or usual.guidance,
            size=size or usual.side, stop=stop,
            progress=lambda done, total: told.step("pictures", done, total, {}), unknown=unknown,
            encode=encode,
        )  # fmt: skip
    if made.unknown:
        words = ", ".join(f"{word} ({times})" for word, times in list(made.unknown.items())[:20])
        report(f"words that the model was not taught, and the prompts that use them: {words}")
    report(f"{made.pictures} pictures in {folder}, {made.added} new" + ("" if made.finished else "; not finished"))
