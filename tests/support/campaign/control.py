"""The control process of the campaign: queue and bot, to be killed, stopped and started again."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from daguerre.bot.client import Backend
from daguerre.bot.connection import run_bot
from daguerre.bot.options import DiscordOptions
from daguerre.queue.control.service import open_queue
from daguerre.queue.options import QueueOptions

#: Short leases; as many attempts as there are faults, so that none is given up.
OPTIONS = QueueOptions(
    ack_wait_seconds=1.0,
    reconcile_seconds=1.0,
    worker_timeout_seconds=1.5,
    max_attempts=20,
    max_queued_per_member=10_000,
)


async def main(folder: Path, api_base: str, gateway: str, token: str) -> None:
    options = DiscordOptions(api_base=api_base, gateway=gateway, connect_attempts=20)
    async with open_queue(OPTIONS, folder) as queue:
        print("up", os.getpid(), queue.nats_url, queue.nats_token, flush=True)
        await run_bot(options, token, Backend(queue, folder), asyncio.Event())
