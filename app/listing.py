"""`daguerre models`: what prompts may name by --model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp

from .errors import AppError, Refused, ServerUnreachable
from .settings import Configuration
from .worker import check_weights


def of_settings(configuration: Configuration) -> Sequence[str]:
    """One line for each model of the settings, with what its own files tell against it."""
    lines: list[str] = []
    for number, (name, weights) in enumerate(configuration.models.items()):
        first = "" if number else " (draws what names none)"
        try:
            check_weights(weights)
        except AppError as error:
            lines.append(f"{name}{first}: cannot be used: {error}")
        else:
            lines.append(f"{name}{first}: {weights}")
    return lines


async def of_server(address: str) -> Sequence[str]:
    """One line for each model of the workers that are connected to that server.

    Raises:
        ServerUnreachable, Refused: nobody answers, or it is no daguerre of this version.
    """
    try:
        async with (
            aiohttp.ClientSession(address, timeout=aiohttp.ClientTimeout(total=10)) as session,
            session.get("/api/v1/models") as answer,
        ):
            if answer.status != 200:
                raise Refused(f"what answers at {address} lists no models (HTTP {answer.status})")
            body = await answer.json()
    except (aiohttp.ClientError, TimeoutError, ValueError):
        raise ServerUnreachable(f"no daguerre answers at {address}. Start it (scripts/start).") from None
    return [_line(model) for model in body["models"]] or ["no worker is connected"]


def _line(model: Mapping[str, Any]) -> str:
    usual = f", {model['size']} × {model['size']}, {model['steps']} steps" if "steps" in model else ""
    workers = f"{model['workers']} worker{'' if model['workers'] == 1 else 's'}"
    return f"{model['name']}: {workers}, loaded by {model['loaded']}{usual}"
