"""The control process: queue, local API, bot and the supervisor of the workers, on one event loop. Never torch."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import socket
import sys
from collections.abc import Coroutine, Mapping
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from ..bot.text import LOCALES
from ..queue.control import Queue, open_queue
from ..queue.errors import Ousted, QueueError
from ..queue.prompt import Vocabulary
from ..queue.texts import Texts
from ..web.connections import serve_app
from ..web.server import make_app
from .bot_keeper import BotKeeper
from .children import without_secrets
from .devices import nvidia_gpus, worker_devices
from .errors import BotFailed, QueueFailed
from .machine import ADDRESS_FILE, address_of, listen, prepare_data_dir
from .reload import Reloader
from .settings import Configuration
from .signals import reload_on_hangup, stop_on_signals
from .supervisor import RestartPolicy, Supervisor
from .tracing import open_spans

log = logging.getLogger(__name__)

#: The file in the data folder with the token of the studio.
TOKEN_FILE = "web-token"  # noqa: S105 - its name, not the token
#: Seconds between two looks at whether a worker is ready, while none is.
READY_LOOK = 0.2
#: Seconds that a worker has on top of [render] drain_seconds to hand back the rest.
GIVE_BACK_SECONDS = 5.0


async def serve(configuration: Configuration) -> None:
    """Run until SIGTERM or Ctrl-C, then stop everything: jobs get [render] drain_seconds, the rest some ten more.

    Raises:
        AppError: it cannot start, or the bot cannot go on; says what to do.
    """
    stop = stop_on_signals()
    settings = configuration.settings
    data_dir = prepare_data_dir(configuration.data_dir)
    with listen(settings.web) as listener:
        token = configuration.secrets.nats_token
        spans = open_spans(settings.log.traces, "control")
        try:
            opening = open_queue(
                settings.queue,
                data_dir,
                nats_token=token.get_secret_value() if token else "",
                moderation=settings.moderation,
                spans=spans,
                log_prompts=settings.log.prompts,
                version=installed_version("daguerre"),
            )
            async with contextlib.AsyncExitStack() as stack:
                queue = await _until_stopped(stack.enter_async_context(opening), stop)
                if queue is not None:
                    await _serve_queue(configuration, queue, listener, stop)
                    if queue.ousted.is_set():
                        raise Ousted
        except QueueError as error:
            raise QueueFailed(str(error)) from error
        finally:
            await asyncio.to_thread(spans.close)
    log.info("stopped")


async def _until_stopped(opening: Coroutine[Any, Any, Queue], stop: asyncio.Event) -> Queue | None:
    """The opened queue, or None when told to stop meanwhile: a second control process may stand by for long."""
    task, stopping = asyncio.ensure_future(opening), asyncio.ensure_future(stop.wait())
    await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not task.done():
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return None
    return task.result()


async def _serve_queue(
    configuration: Configuration, queue: Queue, listener: socket.socket, stop: asyncio.Event
) -> None:
    settings = configuration.settings
    vocabulary = load_vocabulary(configuration.weights, next(iter(configuration.models)))
    devices = worker_devices(settings.render.devices, len(nvidia_gpus()) if "auto" in settings.render.devices else 0)
    supervisor = Supervisor(
        worker_commands(configuration, devices),
        worker_environment(queue.nats_url, queue.nats_token),
        # A worker gives back what it cannot finish in its time; only one that hangs is killed.
        RestartPolicy(grace=settings.render.drain_seconds + GIVE_BACK_SECONDS),
        tell=say_no_worker,
    )
    bot = BotKeeper(configuration, queue, vocabulary)
    reloader = Reloader(configuration, queue)
    queue.on_reload = reloader.reload
    reload_on_hangup(lambda: _reload(reloader))

    def about() -> Mapping[str, Any]:
        told = {"bot": bot.state, "worker_processes": supervisor.states()}
        reason = supervisor.trouble()
        return told if reason is None else {**told, "worker_problem": reason}

    # 1. The API, so that health checks and clients find somebody while the rest starts.
    app = make_app(
        queue, settings.web, texts=Texts(LOCALES), vocabulary=vocabulary, about=about,
        examples=configuration.weights / "examples.webp", token=web_token(configuration),
        data_dir=configuration.data_dir,
    )  # fmt: skip
    async with serve_app(app, listener, settings.web):
        address = address_of(listener)
        note = configuration.data_dir / ADDRESS_FILE
        with contextlib.suppress(OSError):  # a convenience: without it `imagine --server` looks at the configured port
            note.write_text(address, encoding="utf-8")
        log.info("api ready url=%s", address)
        try:
            # 2. Workers and bot, until one of them cannot go on or we are told to stop.
            async with asyncio.TaskGroup() as tasks:
                working = tasks.create_task(supervisor.run(stop))
                tasks.create_task(bot.run(stop, leave := asyncio.Event()))
                tasks.create_task(_leave_after(stop, working, leave))
                tasks.create_task(_stop_when_ousted(queue, stop))
                if not devices:
                    log.info("no worker is started here ([render] devices is empty); workers elsewhere dial in")
                tasks.create_task(_say_when_ready(queue, supervisor, address, bool(devices), stop))
                await stop.wait()
        finally:
            with contextlib.suppress(OSError):
                note.unlink()
    if bot.failure is not None:
        raise BotFailed(str(bot.failure))


def _reload(reloader: Reloader) -> None:
    with contextlib.suppress(QueueError):  # logged; what was in force stays so
        reloader.reload()


def say_no_worker(reason: str) -> None:
    """The one plain line about a worker that cannot start, among the lines of the log."""
    _say(f"daguerre: no picture can be drawn on this machine yet: {reason}")


async def _say_when_ready(
    queue: Queue, supervisor: Supervisor, address: str, workers: bool, stop: asyncio.Event
) -> None:
    """Tell where to look once a picture can be asked for, or once it is plain that the workers here cannot start."""
    while workers and not queue.healthy().workers and supervisor.trouble() is None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), READY_LOOK)
        if stop.is_set():
            return
    _say(f"Open {address}")


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # whoever read it has gone
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


async def _leave_after(stop: asyncio.Event, working: asyncio.Task[None], leave: asyncio.Event) -> None:
    """The bot goes last: what the workers here finish while they are being stopped is delivered yet."""
    await stop.wait()
    await asyncio.wait({working})
    leave.set()


async def _stop_when_ousted(queue: Queue, stop: asyncio.Event) -> None:
    """Another control process has the job table: whatever this one went on to say could be said twice."""
    ousted, stopping = asyncio.ensure_future(queue.ousted.wait()), asyncio.ensure_future(stop.wait())
    await asyncio.wait({ousted, stopping}, return_when=asyncio.FIRST_COMPLETED)
    for task in (ousted, stopping):
        task.cancel()
    stop.set()


def web_token(configuration: Configuration) -> str:
    """By which other machines sign in to the studio: as set, else one that is made once and kept in the data folder.

    Empty where no other machine is let in, so that there is nothing to sign in with.
    """
    if (secret := configuration.secrets.web_token) is not None:
        return secret.get_secret_value()
    if not configuration.settings.web.allowed_hosts:
        return ""
    file = configuration.data_dir / TOKEN_FILE
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(24), encoding="utf-8")
    log.info("other machines sign in to the studio with the token in %s", file)
    return file.read_text(encoding="utf-8").strip()


def load_vocabulary(weights: Path, model: str) -> Vocabulary | None:
    """The words of the weights, or None: then prompts are not checked, which is no reason not to start."""
    try:
        return Vocabulary.load(weights / "vocabulary.json", model)
    except (OSError, ValueError) as error:
        log.warning("vocabulary not usable, prompts are not checked reason=%s", error)
        return None


def worker_commands(configuration: Configuration, devices: tuple[str, ...]) -> Mapping[str, tuple[str, ...]]:
    command = (sys.executable, "-m", "daguerre.app", "worker", "--with-parent")
    config = ("--config", str(configuration.file.resolve())) if configuration.file else ()
    return {f"worker {device}": (*command, "--device", device, *config) for device in devices}


def worker_environment(nats_url: str, nats_token: str) -> Mapping[str, str]:
    """Ours with what a worker needs to dial in, and no other secret: it knows neither Discord nor the job table.

    As variables, since `ps` would show arguments to everybody.
    """
    return {**without_secrets(os.environ), "DAGUERRE_QUEUE__NATS_URL": nats_url, "DAGUERRE_NATS_TOKEN": nats_token}
