"""`daguerre doctor`: looks at everything that a start needs and says what to do about what is missing.

What it asks of this machine is in doctor_machine.py, what of Discord in doctor_discord.py.
"""

from __future__ import annotations

import asyncio
import platform
import re
from collections.abc import AsyncIterator

import aiohttp

from .devices import nvidia_gpus
from .doctor_discord import look_at_discord
from .doctor_machine import data_folder, database, device, gpus, nats_server, pictures
from .errors import AppError
from .finding import Finding
from .hiding import DISCORD_TOKEN
from .machine import listen, read_address
from .settings import Configuration
from .trial import Trial, try_drawing
from .worker import check_weights


async def examine(configuration: Configuration) -> AsyncIterator[Finding]:
    """Each finding as soon as it is known; the quick ones first."""
    yield Finding("ok", "python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    yield Finding("ok", "settings", str(configuration.file or "no config.toml: the defaults hold"))
    yield data_folder(configuration)
    if (elsewhere := pictures(configuration)) is not None:
        yield elsewhere
    yield await database(configuration)
    yield await nats_server(configuration)
    yield await api(configuration)
    shape = token(configuration)
    if shape.level != "ok":
        yield shape
    secret = configuration.secrets.discord_token if shape.level == "ok" else None
    async for finding in look_at_discord(configuration.settings.discord, secret.get_secret_value() if secret else None):
        yield finding
    yield device(await asyncio.to_thread(gpus))
    for name in configuration.models:
        yield weights(configuration, name)
    every = list(configuration.models) if configuration.settings.render.devices else [""]
    for model in every:
        for finding in await asyncio.to_thread(drawings, configuration, model):
            yield finding


def weights(configuration: Configuration, name: str = "") -> Finding:
    path = configuration.models[name] if name else configuration.weights
    try:
        check_weights(path)
    except AppError as error:
        return Finding("fail", "weights", str(error))
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return Finding("ok", "weights", f"{path}, {sum(file.stat().st_size for file in files) / 2**20:.0f} MB")


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
                "ok" if answer.status == 200 else "fail", "serve", f"runs at {address}: {workers} workers, bot {bot}"
            )
    except (aiohttp.ClientError, TimeoutError, ValueError):
        pass
    try:
        listen(options).close()
    except AppError as error:
        return Finding("fail", "port", str(error))
    return Finding("ok", "port", f"{options.host} port {options.port} is free; no `daguerre serve` runs")


def token(configuration: Configuration) -> Finding:
    secret = configuration.secrets.discord_token
    if secret is None:
        return Finding("warn", "token", "no DISCORD_TOKEN: the bot stays off, everything else works")
    text = secret.get_secret_value()
    if DISCORD_TOKEN.fullmatch(text):
        return Finding("ok", "token", "DISCORD_TOKEN has the shape of a bot token")
    advice = "copy it again from the Bot page of your application at https://discord.com/developers/applications"
    if re.fullmatch(r"[\w-]{32}|[0-9a-f]{64}|\d{17,20}", text):
        advice = f"it looks like a client secret, public key or application id; {advice}"
    return Finding(
        "fail", "token", f"DISCORD_TOKEN does not have the shape of a bot token (three parts with dots): {advice}"
    )


def drawings(configuration: Configuration, name: str = "") -> list[Finding]:
    """One small picture, drawn as a worker draws: in this environment, with these settings; and what the model is."""
    if not configuration.settings.render.devices:
        told = "[render] devices is empty: nothing is drawn here, workers elsewhere dial in"
        return [Finding("warn", "drawing", told)]
    trial = try_drawing(configuration.file, name)
    if isinstance(trial, str):
        named = f"{name}: " if len(configuration.models) > 1 else ""
        return [Finding("fail", "drawing", named + trial)]
    model = Finding("ok", "model", f"{trial.understood}; sha256 {trial.digest}")
    told = (
        f"a small picture in {trial.drawing:.2f} s on {trial.device}, after {trial.loading:.1f} s of loading; "
        f"torch {trial.torch}, {_with(trial)}"
    )
    wanted = "auto" in configuration.settings.render.devices
    if wanted and trial.device == "cpu" and (gpus := nvidia_gpus()):
        remedy = (
            f"it does not use the {gpus[0]} of this machine: install the CUDA build of torch, and a driver that is new "
            "enough for it"
        )
        return [model, Finding("warn", "drawing", told, remedy)]
    return [model, Finding("ok", "drawing", told)]


def _with(trial: Trial) -> str:
    return trial.cuda or f"{trial.threads} processor threads"
