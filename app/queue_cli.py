"""`daguerre queue …`: look at a running queue and steer it, from this machine or any that reaches its nats-server."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .cli_options import ConfigFile
from .errors import QueueFailed, ServerUnreachable
from .hiding import escape_controls

if TYPE_CHECKING:
    from .settings import Configuration

app = typer.Typer(
    name="queue",
    help="Look at the queue of a running `daguerre serve`, and steer it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)
Nats = Annotated[
    str,
    typer.Option(
        "--nats", metavar="URL", help="Its nats-server; the data folder's if left out. Token: DAGUERRE_NATS_TOKEN."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print what was answered as JSON.")]
NOBODY = "no worker is connected"
Server = Annotated[str, typer.Argument(metavar="[SERVER]", help="Id of a Discord server; everything if left out.")]
Number = Annotated[str, typer.Argument(metavar="ID", help="Its Discord id.")]
JobNumber = Annotated[str, typer.Argument(metavar="JOB", help="Number of the job, or its beginning.")]


class Kind(StrEnum):
    """Who is shut out."""

    MEMBER = "member"
    SERVER = "server"


@app.command()
def status(config: ConfigFile = None, nats: Nats = "", as_json: AsJson = False) -> None:
    """How many jobs are in each state, and which workers are connected."""
    ask_and_print(config, nats, as_json, "status", "", _status)


@app.command()
def why(job: JobNumber, config: ConfigFile = None, nats: Nats = "", as_json: AsJson = False) -> None:
    """What a job waits for, and every state that it has been in."""
    ask_and_print(config, nats, as_json, "why", job, _why)


@app.command()
def pause(server: Server = "", config: ConfigFile = None, nats: Nats = "", as_json: AsJson = False) -> None:
    """Hand out no more jobs; what runs is finished. Holds over restarts."""
    ask_and_print(config, nats, as_json, "pause", server, lambda answer: f"paused: {answer['paused']}")


@app.command()
def resume(server: Server = "", config: ConfigFile = None, nats: Nats = "", as_json: AsJson = False) -> None:
    """Hand out jobs again."""
    ask_and_print(config, nats, as_json, "resume", server, lambda answer: f"resumed: {answer['resumed']}")


@app.command()
def drain(
    worker: Annotated[str, typer.Argument(metavar="[WORKER]", help="Its name; all of them if left out.")] = "",
    config: ConfigFile = None,
    nats: Nats = "",
    as_json: AsJson = False,
) -> None:
    """Have workers finish what runs, hand back the rest and end; supervised ones start afresh."""
    ask_and_print(config, nats, as_json, "drain", worker, lambda answer: "\n".join(answer["draining"]) or NOBODY)


@app.command()
def dead(config: ConfigFile = None, nats: Nats = "", as_json: AsJson = False) -> None:
    """Jobs that ended without pictures, newest first, each with its reason."""
    ask_and_print(config, nats, as_json, "dead", "", _dead)


@app.command()
def retry(job: JobNumber, config: ConfigFile = None, nats: Nats = "", as_json: AsJson = False) -> None:
    """Try a job again that ended without pictures; its message follows it as before."""
    ask_and_print(
        config, nats, as_json, "retry", job,
        lambda answer: f"job {answer['job']} waits again" if answer["retried"]
        else f"job {answer['job']} is {answer['state']}; only failed and dead ones can be tried again",
    )  # fmt: skip


@app.command()
def cancel(job: JobNumber, config: ConfigFile = None, nats: Nats = "", as_json: AsJson = False) -> None:
    """Cancel a job that waits or runs."""
    told = {"queued": "cancelled before it began", "running": "cancelled; it was running", "gone": "over already"}
    ask_and_print(
        config, nats, as_json, "cancel", job, lambda answer: f"job {answer['job']}: {told[answer['cancelled']]}"
    )


@app.command()
def ban(kind: Kind, number: Number, config: ConfigFile = None, nats: Nats = "", as_json: AsJson = False) -> None:
    """Shut a member or a whole server out, everywhere, until it is lifted."""
    ask_and_print(config, nats, as_json, "ban", f"{kind.value} {number}", lambda answer: f"banned: {answer['banned']}")


@app.command()
def unban(kind: Kind, number: Number, config: ConfigFile = None, nats: Nats = "", as_json: AsJson = False) -> None:
    """Lift such a ban."""
    told = {True: "lifted", False: "there was no such ban"}
    ask_and_print(config, nats, as_json, "unban", f"{kind.value} {number}", lambda answer: told[answer["unbanned"]])


def ask_and_print(
    config: Path | None, nats: str, as_json: bool, do: str, what: str, show: Callable[[dict[str, Any]], str]
) -> None:
    """Ask the control process and print its answer.

    Raises:
        ServerUnreachable: nobody answers.
        QueueFailed: the control process cannot do it; says why.
    """
    from ..queue.control import ask
    from ..queue.errors import BrokerUnavailable, QueueError
    from .config import load
    from .logs import configure

    configuration = load(config)
    configure("error", configuration.hidden)
    url, credentials = _address(configuration, nats)
    try:
        answer = asyncio.run(ask(url, credentials, do, what))
    except BrokerUnavailable as error:
        raise ServerUnreachable(f"{error}. Is `daguerre serve` running?") from None
    except QueueError as error:
        raise QueueFailed(str(error)) from None
    shown = "\n".join(escape_controls(line) for line in show(answer).split("\n"))
    typer.echo(json.dumps(answer, indent=2) if as_json else shown)


def _address(configuration: Configuration, nats: str) -> tuple[str, Any]:
    """Where the queue's nats-server is, and how to get in: as set up, else the one of the data folder.

    Raises:
        ServerUnreachable: no server has ever run in the data folder.
    """
    from ..queue.nats import Credentials

    options, token = configuration.settings.queue, configuration.secrets.nats_token
    files = {"creds_file": options.nats_creds_file, "ca_file": options.nats_ca_file}
    url = nats or options.nats_url
    if url:
        own = {"cert_file": options.nats_cert_file, "key_file": options.nats_key_file}
        return url, Credentials(token=token.get_secret_value() if token else "", **files, **own)
    folder = configuration.data_dir / "nats"
    try:
        port, kept = (folder / "port").read_text().strip(), (folder / "token").read_text().strip()
    except OSError:
        raise ServerUnreachable(
            f"no queue has run in the data folder {configuration.data_dir}: run scripts/start, or name the "
            "nats-server of another machine with --nats"
        ) from None
    host = options.nats_host if options.nats_host not in ("0.0.0.0", "::") else "127.0.0.1"  # noqa: S104
    scheme = "tls" if options.nats_cert_file else "nats"
    return f"{scheme}://{host}:{port}", Credentials(token=kept, ca_file=options.nats_ca_file)


def _status(answer: dict[str, Any]) -> str:
    jobs = ", ".join(f"{number} {state}" for state, number in answer["jobs"].items() if number) or "none"
    paused = "everything" if answer["paused"] else ", ".join(answer["paused_servers"]) or "nothing"
    lines = [f"queue    {'ok' if answer['ok'] else answer['problem']}", f"jobs     {jobs}", f"paused   {paused}"]
    for worker in answer["workers"]:
        models, side = ", ".join(worker["models"]) or "any model", worker["side"] or "any size"
        lines.append(
            f"worker   {worker['name']} ({worker['instance']}), pool {worker['pool']}, {worker['device'] or '?'}, "
            f"{models}, {side}: {worker['busy']} of {worker['slots']} slots busy"
            + (f", version {worker['version']}" if worker.get("version") else "")
        )
    return "\n".join(lines if answer["workers"] else [*lines, "workers  none is connected"])


def _dead(answer: dict[str, Any]) -> str:
    return "\n".join(
        f"{job['id']}  {job['state']} after {job['attempts']} attempts, {_when(job['changed'])}: "
        f"{job['detail'] or job['error']}"
        for job in answer["dead"]
    ) or "no job has ended without pictures"  # fmt: skip


def _why(answer: dict[str, Any]) -> str:
    ahead = ", ".join(f"{number} {whose}" for whose, number in answer["ahead"].items() if whose != "cost" and number)
    lines = [f"{answer['job']['id']}  {answer['job']['state']}: {answer['reason']}"]
    if answer["place"]:
        lines.append(f"  {answer['place']} jobs before it ({ahead})")
    if answer["begins_in"] is not None and answer["done_in"] is not None:
        lines.append(
            f"  begins in {answer['begins_in']:.0f} s, done in {answer['done_in']:.0f} s, as far as can be told"
        )
    lines += [f"  {_when(step['at'])}  {step['state']}" for step in answer["history"]]
    return "\n".join(lines)


def _when(unix: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(unix))
