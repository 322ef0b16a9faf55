"""How a process of ours is asked to stop: SIGTERM, Ctrl-C, the end of its terminal or of its parent."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Callable

#: Seconds after its parent's end in which a child must have stopped by itself.
ORPHAN_SECONDS = 10.0


def stop_on_signals() -> asyncio.Event:
    """An event that SIGTERM and Ctrl-C set; a second Ctrl-C ends the process at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def interrupted() -> None:
        if stop.is_set():
            os._exit(130)
        stop.set()

    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, interrupted)
    # A terminal that is closed says so too.
    loop.add_signal_handler(signal.SIGHUP, stop.set)
    return stop


def reload_on_hangup(reload: Callable[[], object]) -> None:
    """Call `reload` at SIGHUP; where a terminal is watched, SIGHUP says that it was closed, and stops as before."""
    if not sys.stdin.isatty() and not sys.stderr.isatty():
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)


def stop_with_parent(stop: asyncio.Event, orphaned: Callable[[], None] = lambda: None) -> None:
    """Set `stop` when standard input closes, which its parent holds open for as long as it lives; `orphaned` is called
    before.

    A pipe tells it of a parent killed by SIGKILL too, on every system, which no signal does.
    """
    loop = asyncio.get_running_loop()

    def watch() -> None:
        # Not sys.stdin: a thread that holds its lock would disturb the end of the process.
        while os.read(0, 1024):
            pass
        try:
            loop.call_soon_threadsafe(orphaned)
            loop.call_soon_threadsafe(stop.set)
        except RuntimeError:
            return  # the loop is closed: the process is ending anyway
        time.sleep(ORPHAN_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()
