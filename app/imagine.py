"""`daguerre imagine`: one request rendered here, without server, queue or token."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from ..models.errors import EngineError, Unrenderable
from ..queue.errors import InvalidRequest
from ..queue.prompt import MalformedPrompt, UnknownName, Vocabulary, fields, parse, unknown_name
from ..queue.prompt import Wish as Typed
from ..queue.records import ANY_MODEL, MAX_SEED, ImageRequest, Usual, image_request
from ..web.problems import beyond_one_job, explain, failure, malformed, unknown_words
from ..web.problems import unknown as unknown_here
from .errors import Refused
from .output import check_writable, output_files, write_files
from .render import render, usual_for
from .settings import Configuration
from .worker import check_weights, load_engine, load_finisher


@dataclass(frozen=True, slots=True)
class Wish:
    """What was typed: None means "as the model is made for". The prompt may hold flags (queue/prompt/grammar.py)."""

    prompt: str
    out: Path
    negative: str = ""
    count: int = 1
    seed: int | None = None
    steps: int | None = None
    guidance: float | None = None
    size: int | None = None
    model: str = ""
    svg: bool = False

    def request(self, usual: Usual = ANY_MODEL, seed: int | None = None) -> ImageRequest:
        """The checked request, with what is `usual` where nothing is said; a missing seed is `seed`, or drawn.

        Raises:
            Refused: names the option and what is allowed.
        """
        try:
            typed = parse(self.prompt)
        except MalformedPrompt as error:
            if error.code != "empty":
                raise Refused(malformed(self.prompt, error)) from None
            typed = Typed()
        if (why := beyond_one_job(typed)) is not None:
            raise Refused(why)
        # An option wins over a flag in the prompt.
        size = usual.size if self.size is None else self.size
        if typed.control:
            raise Refused("--control needs a picture, which the command line cannot send: ask on Discord")
        meant = fields(typed, size=size, steps=usual.steps, guidance=usual.guidance)
        meant["seed"] = typed.seed if typed.seed is not None else random.randint(0, MAX_SEED) if seed is None else seed
        try:
            return image_request(**meant | self._options())
        except InvalidRequest as error:
            text = explain(error)
            raise Refused(text.replace("width", "--size", 1) if error.field in {"width", "height"} else text) from None

    def body(self, request: ImageRequest) -> dict[str, Any]:
        """For the API: what was typed, so that a server adds what is usual for its model; with that request's seed."""
        size = {} if self.size is None else {"width": request.width, "height": request.height}
        return {"prompt": self.prompt, **self._options(), **size, "seed": request.seed}

    def _options(self) -> dict[str, Any]:
        options = {
            "negative": self.negative or None,
            "count": self.count if self.count != 1 else None,
            "seed": self.seed,
            "steps": self.steps,
            "guidance": self.guidance,
            "model": self.model or None,
            "svg": self.svg or None,
        }
        return {name: value for name, value in options.items() if value is not None}


def progress_bar(console: Console) -> Progress:
    """Steps done, on standard error, so that standard output holds the file names alone."""
    return Progress(
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        console=console, transient=True, disable=not console.is_terminal,
    )  # fmt: skip


def load_words(weights: Path) -> Vocabulary | None:
    """The words that the model was taught; None where the weights do not tell."""
    try:
        return Vocabulary.load(weights / "vocabulary.json")
    except (OSError, ValueError):
        return None


def check_words(vocabulary: Vocabulary | None, prompt: str, console: Console) -> None:
    """Say which words the model has never seen.

    Raises:
        Refused: it knows none of them.
    """
    report = vocabulary.check(prompt) if vocabulary else None
    if report is None or not report.unknown:
        return
    if not report.anything_known and vocabulary is not None:
        known = ", ".join(vocabulary.concepts[:12])
        raise Refused(f"{unknown_words(report).message}. It draws things such as: {known}")
    for unknown in report.unknown:
        offered = " or ".join(unknown.nearest)
        hint = f"; did you mean {offered}?" if unknown.spelt else f"; the nearest that it knows: {offered}"
        hint = hint if unknown.nearest else ""
        console.print(f"the model does not know “{unknown.word}”{hint}", style="yellow", markup=False, highlight=False)


def model_of(configuration: Configuration, name: str) -> str:
    """The model of the settings that draws here; the first where none is named.

    Raises:
        Refused: there is none of that name; names those that there are.
    """
    known = tuple(configuration.models)
    if name and name not in known:
        raise Refused(unknown_here(UnknownName("model", name, known)).message)
    return name or known[0]


def imagine(configuration: Configuration, wish: Wish, console: Console) -> Sequence[Path]:
    """Render here and write the files; gives their names.

    Raises:
        AppError: says what to do.
    """
    request = wish.request()
    files = output_files(wish.out, request.count)
    check_writable(files)
    model = model_of(configuration, request.model)
    weights = configuration.models[model]
    check_weights(weights)
    vocabulary = load_words(weights)
    if (name := unknown_name(request, vocabulary, ())) is not None:
        raise Refused(unknown_here(name).message)
    check_words(vocabulary, request.prompt, console)
    settings = configuration.settings.render
    device = settings.devices[0] if settings.devices else "auto"
    # Nobody stands between the picture and its owner, so nobody judges it; its marks are those of a served one.
    finisher = load_finisher(configuration, judged=False)
    with progress_bar(console) as bar:
        task = bar.add_task("loading the model", total=None)
        engine = load_engine(configuration, device, model=model)
        # Only now it is known what the model is made for.
        request = wish.request(usual_for(engine), request.seed)
        bar.update(task, description="rendering", total=request.steps)
        try:
            pictures, _ = render(
                engine, request, lambda step, steps: bar.update(task, completed=step, total=steps), finisher
            )
        except EngineError as error:
            # In the words of a served job's end, with what the engine says of it.
            said = f"{failure(error.code)}: {error}" if isinstance(error, Unrenderable) else str(error)
            raise Refused(said) from None
    return write_files(files, pictures, svg=request.svg)
