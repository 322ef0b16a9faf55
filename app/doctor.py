"""`daguerre doctor`: looks at everything that a start needs and says what to do about what is missing."""

from __future__ import annotations

import asyncio
import platform
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal

import aiohttp

from ..queue.errors import QueueError
from ..queue.nats import nats_server_binary
from .devices import nvidia_gpus
from .errors import AppError
from .hiding import DISCORD_TOKEN
from .machine import listen, prepare_data_dir, read_address
from .settings import Configuration
from .trial import try_drawing
from .worker import check_weights

#: Where discord.py looks by itself.
DISCORD_API = "https://discord.com/api/v10"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. "bad" keeps something from working, "note" only limits it."""

    level: Literal["ok", "note", "bad"]
    subject: str
    text: str


async def examine(configuration: Configuration) -> AsyncIterator[Finding]:
    """Each finding as soon as it is known; the quick ones first."""
    yield Finding("ok", "python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    yield Finding("ok", "settings", str(configuration.file or "no config.toml: the defaults hold"))
    yield data_folder(configuration)
    for name in configuration.models:
        yield weights(configuration, name)
    yield nats_server(configuration)
    yield await api(configuration)
    yield token(configuration)
    yield await discord_reachable(configuration.settings.discord.api_base or DISCORD_API)
    every = list(configuration.models) if configuration.settings.render.devices else [""]
    for model in every:
        for finding in await asyncio.to_thread(drawings, configuration, model):
            yield finding


def data_folder(configuration: Configuration) -> Finding:
    try:
        folder = prepare_data_dir(configuration.data_dir)
    except AppError as error:
        return Finding("bad", "data folder", str(error))
    free = shutil.disk_usage(folder).free / 2**30
    return Finding("ok" if free > 1 else "note", "data folder", f"{folder} is writable, {free:.1f} GB free")


def weights(configuration: Configuration, name: str = "") -> Finding:
    path = configuration.models[name] if name else configuration.weights
    try:
        check_weights(path)
    except AppError as error:
        return Finding("bad", "weights", str(error))
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return Finding("ok", "weights", f"{path}, {sum(file.stat().st_size for file in files) / 2**20:.0f} MB")


def nats_server(configuration: Configuration) -> Finding:
    if configuration.settings.queue.nats_url:
        return Finding("ok", "nats-server", "an existing one is used ([queue] nats_url)")
    try:
        program = nats_server_binary()
        answer = subprocess.run(  # noqa: S603 - the program that we ship
            [str(program), "--version"], capture_output=True, text=True, timeout=10, check=True
        )
    except (QueueError, OSError, subprocess.SubprocessError) as error:
        return Finding("bad", "nats-server", f"does not run: {error}")
    return Finding("ok", "nats-server", answer.stdout.strip())


async def api(configuration: Configuration) -> Finding:
    options = configuration.settings.web
    address = read_address(configuration.data_dir, options)
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=3)) as session,
            session.get(f"{address}/healthz") as answer,
        ):
            body = await answer.json()
            workers, bot = body.get("workers"), body.get("bot")
            return Finding(
                "ok" if answer.status == 200 else "bad", "serve", f"runs at {address}: {workers} workers, bot {bot}"
            )
    except (aiohttp.ClientError, TimeoutError, ValueError):
        pass
    try:
        listen(options).close()
    except AppError as error:
        return Finding("bad", "port", str(error))
    return Finding("ok", "port", f"{options.host} port {options.port} is free; no `daguerre serve` runs")


def token(configuration: Configuration) -> Finding:
    secret = configuration.secrets.discord_token
    if secret is None:
        return Finding("note", "token", "no DISCORD_TOKEN: the bot stays off, everything else works")
    text = secret.get_secret_value()
    if DISCORD_TOKEN.fullmatch(text):
        return Finding("ok", "token", "DISCORD_TOKEN has the shape of a bot token (whether it is valid, a start tells)")
    advice = "copy it again from the Bot page of your application at https://discord.com/developers/applications"
    if re.fullmatch(r"[\w-]{32}|[0-9a-f]{64}|\d{17,20}", text):
        advice = f"it looks like a client secret, public key or application id; {advice}"
    return Finding(
        "bad", "token", f"DISCORD_TOKEN does not have the shape of a bot token (three parts with dots): {advice}"
    )


async def discord_reachable(api_base: str) -> Finding:
    """Asks for the gateway's address, which needs no token."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=8), trust_env=True) as session,
            session.get(f"{api_base.rstrip('/')}/gateway") as answer,
        ):
            body = await answer.json()
            return Finding("ok", "discord", f"{api_base} answers, gateway {body['url']}")
    except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__} {error}".strip()
        return Finding("note", "discord", f"{api_base} does not answer ({reason}): without network the bot stays off")


def drawings(configuration: Configuration, name: str = "") -> list[Finding]:
    """One small picture, drawn as a worker draws: in this environment, with these settings; and what the model is."""
    if not configuration.settings.render.devices:
        told = "[render] devices is empty: nothing is drawn here, workers elsewhere dial in"
        return [Finding("note", "drawing", told)]
    trial = try_drawing(configuration.file, name)
    if isinstance(trial, str):
        named = f"{name}: " if len(configuration.models) > 1 else ""
        return [Finding("bad", "drawing", named + trial)]
    model = Finding("ok", "model", trial.understood)
    told = (
        f"a small picture in {trial.drawing:.2f} s on {trial.device}, after {trial.loading:.1f} s of loading; "
        f"torch {trial.torch}, {trial.threads} processor threads"
    )
    wanted = "auto" in configuration.settings.render.devices
    if wanted and trial.device == "cpu" and (gpus := nvidia_gpus()):
        told += f"; it does not use the {gpus[0]} of this machine: install the CUDA build of torch"
        return [model, Finding("note", "drawing", told)]
    return [model, Finding("ok", "drawing", told)]
