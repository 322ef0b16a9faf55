"""`daguerre data`, `train`, `evaluate`, `synthesize`, `sheet`, `reproduce`: what concerns models and not the server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .cli_options import ConfigFile
from .packages import need

if TYPE_CHECKING:
    from .settings import Configuration

DataFolder = Annotated[Path, typer.Option("--data", metavar="DIR", help="Folder of the data set.")]
Steps = Annotated[int, typer.Option(min=1, max=100, help="Denoising steps.")]
Guidance = Annotated[float, typer.Option(min=1, max=20, help="How closely to follow the prompt.")]
UsualSteps = Annotated[
    int | None, typer.Option(min=1, max=100, help="Denoising steps; as the model is made for if left out.")
]
UsualGuidance = Annotated[
    float | None,
    typer.Option(min=1, max=20, help="How closely to follow the prompt; as the model is made for if left out."),
]
Threads = Annotated[int | None, typer.Option(min=1, help="Processor threads.")]
RUNS = Path("runs/data")

data_app = typer.Typer(
    name="data", help="Build the pictures and captions that models are trained on.", no_args_is_help=True,
    pretty_exceptions_enable=False, rich_markup_mode=None, add_completion=False,
)  # fmt: skip


@data_app.command("build")
def data_build(
    folder: DataFolder = RUNS,
    size: Annotated[int, typer.Option(min=16, max=512, help="Side of a sprite in pixels.")] = 64,
    also: Annotated[list[str] | None, typer.Option(help="A source that released weights may not use.")] = None,
    without: Annotated[list[str] | None, typer.Option(help="A source to leave out.")] = None,
) -> None:
    """Fetch the pinned packages and draw every sprite. The same command goes on where it stopped."""
    need("data")
    from ..models.commands.data import build_data

    build_data(folder, size, also or (), without or (), typer.echo)


@data_app.command("import")
def data_import(
    pictures: Annotated[Path, typer.Argument(help="Folder of pictures, best with a metadata.jsonl.")],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Data set to write; below runs/data/imported if left out.")
    ] = None,
    size: Annotated[int, typer.Option(min=16, max=1024, help="Side in pixels.")] = 64,
    crop: Annotated[bool, typer.Option(help="Cut to the middle instead of padding.")] = False,
    skip_broken: Annotated[bool, typer.Option(help="Leave out what cannot be used, and say how much.")] = False,
    licence: Annotated[str, typer.Option(help="Licence of the pictures.")] = "unknown",
    tier: Annotated[Literal["A", "B"], typer.Option(help="A where weights trained on them may be released.")] = "B",
) -> None:
    """Make a data set of your own pictures and captions."""
    need("data")
    from ..models.commands.data import import_data

    import_data(
        pictures, out or RUNS / "imported" / pictures.resolve().name, size, crop=crop, skip_broken=skip_broken,
        licence=licence, tier=tier, report=typer.echo,
    )  # fmt: skip


@data_app.command("bank")
def data_bank(
    out: Annotated[Path | None, typer.Argument(help="Folder to write; bank/ of the weights if left out.")] = None,
    folder: DataFolder = RUNS,
    size: Annotated[int, typer.Option(min=16, max=512, help="Side of the sprites, and of the denoiser.")] = 64,
    weights: Annotated[Path | None, typer.Option(help="Whose text encoder reads the names.")] = None,
    config: ConfigFile = None,
) -> None:
    """Choose the drawings that the denoiser draws from, and name them in 21 languages."""
    used = weights or settings_of(config).weights
    from ..models.commands.data import build_reference_bank

    build_reference_bank(folder, size, used, out or used / "bank", typer.echo)


@data_app.command("credits")
def data_credits(
    file: Annotated[Path, typer.Argument(help="The file to bring up to date.")] = Path("CREDITS.md"),
) -> None:
    """Write the part of CREDITS.md that follows from the sources."""
    from ..models.data import write_credits

    typer.echo(f"{file}: {'brought up to date' if write_credits(file) else 'was up to date'}")


def train(
    recipe: Annotated[Path, typer.Argument(help="TOML file, such as models/recipes/cpu.toml.")],
    run: Annotated[
        Path | None, typer.Option(help="Folder of checkpoints; runs/<name of the recipe> if left out.")
    ] = None,
    folder: DataFolder = RUNS,
    weights: Annotated[Path | None, typer.Option(help="Where results go; below the run if left out.")] = None,
    pictures: Annotated[Path | None, typer.Option(help="Your own pictures, for a fine-tune.")] = None,
    base: Annotated[Path | None, typer.Option(help="Weights to fine-tune, in place of the recipe's.")] = None,
    objective: Annotated[Literal["", "flow", "epsilon"], typer.Option(help="What the denoiser predicts.")] = "",
    tensorboard: Annotated[Path | None, typer.Option(metavar="DIR", help="Write scalars and samples there.")] = None,
    threads: Threads = None,
) -> None:
    """Train a model from a recipe. The same command resumes; Ctrl-C and SIGTERM save first."""
    need("data")
    from ..models.commands.kinds import Task
    from ..models.commands.train import train_recipe

    task = Task(recipe, run or Path(), folder, weights, pictures, base, objective)
    train_recipe(task, run, threads, tensorboard, typer.echo)


def evaluate(
    weights: Annotated[Path | None, typer.Argument(help="Pipeline folder; the configured one if left out.")] = None,
    folder: DataFolder = RUNS,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where the report goes; beside the weights.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Few questions, wide intervals; minutes.")] = False,
    questions: Annotated[
        int | None, typer.Option(min=1, help="Questions of each figure and language; all of them if left out.")
    ] = None,
    steps: Steps = 16,
    guidance: Guidance = 3.0,
    reference_guidance: Annotated[
        float | None, typer.Option(min=0, max=20, help="Of the drawings drawn from; as much as the words' if left out.")
    ] = None,
    dcgan: Annotated[Path | None, typer.Option(help="Folder of a trained DCGAN to compare with.")] = None,
    vae: Annotated[Path | None, typer.Option(help="Folder of a trained VAE to compare with.")] = None,
    crisp: Annotated[Path | None, typer.Option(help="Large sprites, to measure the upscaler on.")] = None,
    threads: Threads = None,
    config: ConfigFile = None,
) -> None:
    """Ask a recogniser whether weights draw what is asked for; writes EVALUATION.md and evaluation.json."""
    configuration = settings_of(config)
    need("data")
    from ..models.commands.evaluate import draws_from_drawings, evaluate_folder
    from .worker import check_weights

    chosen = weights or configuration.weights
    # A training exports its denoiser alone, which is no pipeline yet.
    if not draws_from_drawings(chosen):
        check_weights(chosen)
    evaluate_folder(
        chosen, folder, out, quick=quick, each=questions, steps=steps, guidance=guidance,
        dcgan=dcgan, vae=vae, crisp=crisp, threads=threads, report=typer.echo, reference_guidance=reference_guidance,
    )  # fmt: skip


def synthesize(
    prompts: Annotated[Path, typer.Argument(help="One prompt a line, or JSON lines.")],
    folder: Annotated[Path, typer.Argument(help="Data set to write: pictures and metadata.jsonl.")],
    count: Annotated[int, typer.Option(min=1, max=10_000, help="Pictures of each prompt.")] = 1,
    steps: UsualSteps = None,
    guidance: UsualGuidance = None,
    size: Annotated[
        int | None, typer.Option(min=64, max=2048, help="Side in pixels; the model's own if left out.")
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Render a list of prompts into a data set that `daguerre data import` reads. The same command goes on."""
    configuration = settings_of(config)
    need("worker")
    from ..models.commands.draw import synthesize_list
    from .imagine import load_words
    from .worker import check_weights, load_finisher

    check_weights(configuration.weights)
    known = load_words(configuration.weights)

    def unknown(prompt: str) -> list[str]:
        return [one.word for one in known.check(prompt).unknown] if known else []

    finisher = load_finisher(configuration, judged=False)
    synthesize_list(
        configuration.weights, prompts, folder, count, steps, guidance, size, unknown, typer.echo, finisher.file_of
    )


def sheet(
    prompts: Annotated[list[str], typer.Argument(help="One row of pictures each.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="PNG file to write.")],
    seeds: Annotated[int, typer.Option(min=1, max=64, help="Pictures a row, with the seeds 0, 1, …")] = 8,
    steps: UsualSteps = None,
    guidance: UsualGuidance = None,
    font: Annotated[Path | None, typer.Option(help="Font file for prompts beyond Latin letters.")] = None,
    config: ConfigFile = None,
) -> None:
    """Draw a contact sheet, to judge the weights by eye."""
    configuration = settings_of(config)
    need("worker")
    from ..models.commands.draw import draw_sheet
    from .output import check_writable, output_files
    from .worker import check_weights, load_finisher

    check_writable(output_files(out, 1))
    check_weights(configuration.weights)
    finisher = load_finisher(configuration, judged=False)
    draw_sheet(configuration.weights, prompts, seeds, out, font, steps, guidance, finisher.file_of)


def reproduce(
    picture: Annotated[Path, typer.Argument(help="A PNG as it was stored.", exists=True, dir_okay=False)],
    source: Annotated[Path | None, typer.Option(help="The picture that it began from, if any.")] = None,
    mask: Annotated[Path | None, typer.Option(help="The mask of that picture, if any.")] = None,
    config: ConfigFile = None,
) -> None:
    """Make a picture again from its metadata and compare every pixel; exit code 1 if any differs."""
    configuration = settings_of(config)
    need("worker")
    from .reproduce import reproduce as make_again

    verdict = make_again(configuration, picture, source, mask)
    typer.echo("\n".join(verdict.lines()))
    if not verdict.identical:
        raise typer.Exit(1)


def add_to(app: typer.Typer) -> None:
    """Put these commands into the command line."""
    app.add_typer(data_app)
    for command in (train, evaluate, synthesize, sheet, reproduce):
        app.command()(command)


def settings_of(file: Path | None) -> Configuration:
    """The settings of a command, with logs of warnings only."""
    from .config import load
    from .logs import configure

    configuration = load(file)
    configure("warning", configuration.secrets.values())
    return configuration
