"""Which job a message of ours shows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import discord

from ...queue.control import Queue
from ...queue.errors import UnknownJob
from ...queue.records import Job
from .keys import TEMPLATE

_KEY = re.compile(TEMPLATE)


async def job_of_message(queue: Queue, message: discord.Message, application: int | None) -> Job | None:
    """The job that a message of this bot shows, by its buttons or by its number; None for any other message."""
    if message.author.id != application and message.application_id != application:
        return None
    for custom_id in _custom_ids(message.components):
        found = _KEY.fullmatch(custom_id)
        if found is not None:
            try:
                return await queue.job(found["job"])
            except UnknownJob:
                return None
    return None


async def is_foreign(queue: Queue, message: discord.Message) -> bool:
    """Whether a message of this application shows a job that is not in this queue: another bot wrote it."""
    jobs = {found["job"] for custom_id in _custom_ids(message.components) if (found := _KEY.fullmatch(custom_id))}
    for job in jobs:
        try:
            await queue.job(job)
        except UnknownJob:
            return True
    return False


def _custom_ids(parts: Iterable[Any]) -> Iterable[str]:
    for part in parts:
        if custom_id := getattr(part, "custom_id", None):
            yield str(custom_id)
        yield from _custom_ids(getattr(part, "children", ()))
