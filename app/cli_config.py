"""`daguerre config`: the settings in force, and taking up changed ones while `daguerre serve` runs."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .cli_options import ConfigFile
from .queue_cli import AsJson, Nats, ask_and_print

app = typer.Typer(
    name="config",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)


@app.callback()
def config(
    context: typer.Context,
    file: ConfigFile = None,
    defaults: Annotated[bool, typer.Option("--defaults", help="Print config.toml as it is shipped.")] = False,
) -> None:
    """Print the settings in force, each with its description; secrets are hidden."""
    if context.invoked_subcommand is not None:
        return
    from .config import load
    from .config_text import write_sections
    from .settings import HEAD, Settings, sections_of

    sections = sections_of(Settings.model_construct()) if defaults else load(file).sections
    typer.echo(write_sections(sections, HEAD if defaults else "Settings in force."), nl=False)


@app.command()
def reload(config: ConfigFile = None, nats: Nats = "", as_json: AsJson = False) -> None:
    """Have a running `daguerre serve` read its config.toml again; says what was taken up and what needs a restart."""
    ask_and_print(config, nats, as_json, "reload", "", _reloaded)


def _reloaded(answer: dict[str, Any]) -> str:
    if not answer["taken_up"] and not answer["needs_restart"]:
        return "nothing has changed"
    lines = [f"taken up       {', '.join(answer['taken_up']) or 'nothing'}"]
    if answer["needs_restart"]:
        lines.append(f"needs restart  {', '.join(answer['needs_restart'])}")
    return "\n".join(lines)
