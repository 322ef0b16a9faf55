"""The command line. Each command imports what it needs when it runs, so that none waits for another's packages."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Coroutine
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import cli_backup, cli_bank, cli_config, cli_models, queue_cli
from .cli_options import ConfigFile
from .errors import AppError, WorkerError
from .hiding import escape_controls
from .packages import import_behind, need, of_import

if TYPE_CHECKING:
    from .settings import Configuration

app = typer.Typer(
    name="daguerre",
    help="Your Discord server's own /imagine, on your own GPU.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # else "[queue]" in a help text would be a style
    add_completion=False,
)


@app.command()
def serve(config: ConfigFile = None) -> None:
    """Run the bot, its queue, the local API and the workers of this machine."""
    configuration = _start(config)
    from .serve import serve

    asyncio.run(serve(configuration))


@app.command()
def worker(
    nats: Annotated[
        str, typer.Option(metavar="URL", help="Address of the nats-server; [queue] nats_url if left out.")
    ] = "",
    device: Annotated[str, typer.Option(help='"auto", "cpu", "cuda:0", …')] = "auto",
    config: ConfigFile = None,
    with_parent: Annotated[bool, typer.Option("--with-parent", hidden=True)] = False,
) -> None:
    """Render for a `daguerre serve`, here or elsewhere. The token of nats-server: DAGUERRE_NATS_TOKEN."""
    configuration = _start(config)
    url = nats or configuration.settings.queue.nats_url
    if not url:
        raise WorkerError("a worker needs to know its nats-server: daguerre worker --nats nats://host:4222")
    from .worker import run_worker

    try:
        need("worker")
        asyncio.run(run_worker(configuration, nats_url=url, device=device, with_parent=with_parent))
    except AppError as error:
        if not with_parent:
            raise
        # Said to the parent, which tells its owner once, however often it starts us again (app/supervisor.py).
        typer.echo(str(error).replace("\n", " "))
        sys.exit(error.code)


@app.command()
def imagine(
    prompt: Annotated[str, typer.Argument(help="What the picture should show.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="PNG file to write; several are numbered.")],
    count: Annotated[int, typer.Option(help="Pictures (1 to 4).")] = 1,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same picture.")] = None,
    steps: Annotated[int | None, typer.Option(help="Denoising steps.")] = None,
    guidance: Annotated[float | None, typer.Option(help="How closely to follow the prompt; 1 is freely.")] = None,
    size: Annotated[int | None, typer.Option(help="Side in pixels; the model's own if left out.")] = None,
    negative: Annotated[str, typer.Option(help="What it should not show.")] = "",
    model: Annotated[str, typer.Option(help="Who draws it; `daguerre models` lists them.")] = "",
    svg: Annotated[bool, typer.Option("--svg", help="Write an SVG beside each picture, too.")] = False,
    server: Annotated[bool, typer.Option("--server", help="Have a running `daguerre serve` render it.")] = False,
    address: Annotated[
        str, typer.Option(metavar="URL", help="Where that serve answers; this machine's own if left out.")
    ] = "",
    config: ConfigFile = None,
) -> None:
    """Render a prompt and write the picture; no token is needed."""
    configuration = _start(config, level="warning")
    from rich.console import Console

    from .imagine import Wish, imagine
    from .imagine_server import imagine_on_server
    from .machine import read_address

    wish = Wish(prompt, out, negative, count, seed, steps, guidance, size, model, svg)
    console = Console(stderr=True)
    if server or address:
        url = address.rstrip("/") or read_address(configuration.data_dir, configuration.settings.web)
        files = _run(imagine_on_server(url, wish, console))
    else:
        need("worker")
        files = imagine(configuration, wish, console)
    for file in files:
        typer.echo(file)


@app.command()
def models(
    server: Annotated[bool, typer.Option("--server", help="Those of a running `daguerre serve`'s workers.")] = False,
    address: Annotated[
        str, typer.Option(metavar="URL", help="Where that serve answers; this machine's own if left out.")
    ] = "",
    config: ConfigFile = None,
) -> None:
    """List the models that --model may name: of these settings, or of the workers that are connected."""
    configuration = _start(config, level="error")
    from .listing import of_server, of_settings
    from .machine import read_address

    if server or address:
        url = address.rstrip("/") or read_address(configuration.data_dir, configuration.settings.web)
        lines = _run(of_server(url))
    else:
        lines = of_settings(configuration)
    typer.echo("\n".join(lines))


@app.command()
def doctor(
    config: ConfigFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object with every finding.")] = False,
) -> None:
    """Look at everything that a start needs, and say what to do about what is missing."""
    configuration = _start(config, level="error")
    from .doctor import examine
    from .doctor_report import report

    if not _run(report(examine(configuration), typer.echo, as_json=as_json, secrets=configuration.hidden)):
        raise typer.Exit(1)


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="A PNG, JPEG or WebP picture.", exists=True, dir_okay=False)],
) -> None:
    """Say what can be read from a picture about where it comes from; exit code 1 if it is not ours."""
    from .verify import describe, read_origin

    try:
        origin = read_origin(file.read_bytes())
    except ValueError as problem:
        raise AppError(f"{file}: {problem}") from None
    typer.echo("\n".join(describe(origin)))
    if not origin.ours:
        raise typer.Exit(1)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(f"daguerre {installed_version('daguerre')}")


cli_backup.add_to(app)
cli_models.add_to(app)
app.add_typer(cli_bank.bank_app)
app.add_typer(queue_cli.app)
app.add_typer(cli_config.app)


def main() -> None:
    """Run a command; whatever goes wrong ends in one message on standard error, never in a traceback."""
    try:
        status: object = app(standalone_mode=False)
    except AppError as error:
        _fail(str(error), error.code)
    except (KeyboardInterrupt, typer.Abort):
        _fail("stopped", 130)
    except typer.TyperException as error:  # a wrong command or option
        _fail(f"{error.format_message()}\nTry: daguerre --help", error.exit_code)
    except Exception as error:
        from ..models.errors import ModelError

        if isinstance(error, ModelError):
            _fail(str(error), 1)
        if (failed := import_behind(error)) is not None:
            logging.getLogger(__name__).debug("import failed", exc_info=True)
            missing = of_import(failed)
            _fail(str(missing), missing.code)
        logging.getLogger(__name__).exception("unexpected error")
        _fail(f"unexpected error ({type(error).__name__}); the line above says where. Please report it", 70)
    else:
        sys.exit(status if isinstance(status, int) else 0)


def _fail(text: str, code: int) -> None:
    for line in text.splitlines():
        typer.echo(f"daguerre: {escape_controls(line)}", err=True)
    sys.exit(code)


def _start(file: Path | None, level: str | None = None) -> Configuration:
    """Settings and logging, which every command but `version` begins with."""
    from .config import load
    from .logs import configure

    configuration = load(file)
    options = configuration.settings.log
    # Other commands talk to whoever typed them.
    configure(level or options.level, configuration.hidden, "text" if level else options.format)
    return configuration


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)
