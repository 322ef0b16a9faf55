"""A control process for tests, to be killed: opens the queue, submits one job for each argument, waits."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from queuekit import QUICK, asked

from daguerre.queue.control.service import open_queue


async def main(folder: str, *prompts: str) -> None:
    options = QUICK.model_copy(update={"database_url": os.environ.get("DATABASE_URL", "")})
    async with open_queue(options, Path(folder)) as queue:
        for prompt in prompts:
            await queue.submit(asked(prompt), key=prompt, member="m", server="s", reply={})
        print(queue.nats_url, queue.nats_token, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
