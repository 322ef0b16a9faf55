"""What the bot is made of, as its source says: components, commands, and a job for its texts."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import discord

from daguerre.bot.client import Backend, DaguerreClient
from daguerre.bot.options import DiscordOptions
from daguerre.queue.records.jobs import Job, JobState
from daguerre.queue.records.requests import image_request

BOT = Path(__file__).resolve().parents[2] / "bot"


def dynamic_items() -> set[type[Any]]:
    """Every kind of component in the bot's source that is understood by its id."""
    for file in BOT.rglob("*.py"):
        importlib.import_module(".".join(("daguerre", "bot", *file.relative_to(BOT).with_suffix("").parts)))
    every: Any = discord.ui.DynamicItem
    return {kind for kind in every.__subclasses__() if kind.__module__.startswith("daguerre.bot.")}


def command_tree() -> Any:
    queue: Any = _NoQueue()
    return DaguerreClient(DiscordOptions(), Backend(queue, Path())).tree


class _NoQueue:
    """Commands are only described here."""

    def __init__(self) -> None:
        self.on_revived: list[Any] = []
        self.members: Any = None
        self.moderation: Any = SimpleNamespace(reports=None)

    def __getattr__(self, name: str) -> Any:
        return None


def a_job(state: JobState = JobState.QUEUED, **request: object) -> Job:
    fields = {"prompt": "a red apple", "seed": 7, **request}
    return Job(
        id="0123456789abcdef" * 2,
        key="1",
        member="2",
        server="3",
        state=state,
        generation=0,
        sequence=None,
        attempts=3,
        request=image_request(**fields),
    )
