"""Gives birth to control and worker processes quickly: it has imported everything, and forks.

    python -m campaign.nursery

Reads one JSON list a line: `["control", log file, arguments…]`. Answers `born PID`, and later what the child prints.
Starting Python and importing the bot takes seconds of a busy processor; a campaign kills hundreds of processes.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import signal
import sys
import traceback
from pathlib import Path

from . import control, painter


def bear(what: str, log: str, *arguments: str) -> int:
    """A child that runs one of the two; gives its process id."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        # 1. A process of its own: no input of ours, its own log, and children that it can wait for.
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        random.seed()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT), 2)
        # 2. What `python -m` would do.
        if what == "control":
            logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
            asyncio.run(control.main(Path(arguments[0]), *arguments[1:]))
        else:
            asyncio.run(painter.main(*arguments))
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # The dead need no funeral.
    for line in sys.stdin:
        print("born", bear(*json.loads(line)), flush=True)


if __name__ == "__main__":
    main()
