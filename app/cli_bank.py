"""`daguerre bank`: drawings of one's own, which prompts can ask for at once, without any training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .cli_models import settings_of
from .cli_options import ConfigFile

bank_app = typer.Typer(
    name="bank", help="Your own drawings: whatever they show can be asked for at once.", no_args_is_help=True,
    pretty_exceptions_enable=False, add_completion=False,
)  # fmt: skip


@bank_app.command("add")
def bank_add(
    pictures: Annotated[Path, typer.Argument(help="Folder of pictures named after what they show, with alpha.")],
    config: ConfigFile = None,
) -> None:
    """Add the pictures of a folder; a worker that runs draws from them at its next request."""
    folder, side = _place(config)
    from ..models.drawer import own

    found = own.pictures_of(pictures)
    own.add(folder, side, found)
    names = ", ".join(dict.fromkeys(each.caption for each in found))
    typer.echo(f"{len(found)} drawings added, to be asked for as: {names}")


@bank_app.command("list")
def bank_list(config: ConfigFile = None) -> None:
    """Say what was added."""
    folder, _ = _place(config)
    from ..models.drawer import own

    for thing in own.listed(folder):
        typer.echo(f"{thing.caption} ({len(thing.drawings)})")


@bank_app.command("remove")
def bank_remove(
    name: Annotated[str, typer.Argument(help="As `scripts/start bank list` says it.")], config: ConfigFile = None
) -> None:
    """Remove a thing with all its drawings."""
    folder, side = _place(config)
    from ..models.drawer import own

    there = own.remove(folder, side, name)
    typer.echo(f"{name} removed" if there else f"There is no {name} here; `scripts/start bank list` names all.")
    raise typer.Exit(0 if there else 1)


def _place(config: Path | None) -> tuple[Path, int]:
    """The folder of one's own bank, and the side that the configured weights draw at."""
    from .errors import Refused
    from .packages import need

    configuration = settings_of(config)
    need("worker")
    from ..models.drawer import own

    try:
        side = own.side_of(configuration.weights)
    except (OSError, ValueError, KeyError, TypeError):
        raise Refused(
            f"The weights in {configuration.weights} do not draw from drawings: there is nothing to add any to."
        ) from None
    return configuration.data_dir / "bank", side
