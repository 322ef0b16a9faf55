"""`daguerre backup` and `daguerre restore`: what cannot be made again, in one file and back."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .cli_models import settings_of
from .cli_options import ConfigFile
from .hiding import escape_controls

if TYPE_CHECKING:
    from .settings import Configuration


def add_to(app: typer.Typer) -> None:
    app.command()(backup)
    app.command()(restore)


def backup(
    out: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="File to write, or a folder for it; one with the date here if left out."),
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Write jobs, pictures and your own drawings into one file, also while `daguerre serve` runs."""
    configuration = _start(config)
    from .backup import backup, default_name

    named = out or Path()
    done = backup(configuration, named / default_name(time.time()) if named.is_dir() else named)
    typer.echo(f"{done.place}: {_counted(done.manifest.jobs, done.manifest.counts)}")
    for line in done.manifest.left_out:
        typer.echo(f"not in it: {escape_controls(line)}")


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `daguerre backup` wrote.")],
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Empty folder to fill; [storage] data_dir if left out.")
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Bring a backup back into an empty data folder, and an empty database where [queue] database_url names one."""
    configuration = _start(config)
    from .restore import restore

    done = restore(configuration, file, data or configuration.data_dir)
    typer.echo(f"{done.place}: {_counted(done.manifest.jobs, done.manifest.counts)}, of {done.manifest.created}")
    typer.echo(
        "Start with this folder as [storage] data_dir, or DAGUERRE_STORAGE__DATA_DIR; secrets were not in the file."
    )


def _start(config: Path | None) -> Configuration:
    """SIGTERM as Ctrl-C: what was half written is removed."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return settings_of(config)


def _counted(jobs: Mapping[str, int], counts: Mapping[str, int]) -> str:
    states = ", ".join(f"{number} {state}" for state, number in sorted(jobs.items())) or "none"
    files = ", ".join(f"{number} files of {kind}" for kind, number in counts.items() if kind != "pictures" and number)
    return f"{sum(jobs.values())} jobs ({states}), {counts.get('pictures', 0)} pictures{files and ', '}{files}"
