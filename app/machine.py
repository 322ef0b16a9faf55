"""What this machine gives us: a folder to write to and an address to listen on. Each refusal says what to do."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import shutil
import socket
from pathlib import Path

from ..web.options import WebOptions
from .errors import ConfigError, DataFolderError, PortTaken

log = logging.getLogger(__name__)

#: Megabytes free in the data folder under which the owner is warned at the start.
LITTLE_ROOM = 200
#: The file in the data folder that tells `daguerre imagine --server` where the API listens.
ADDRESS_FILE = "api.url"
#: The file that stands in the data folder while a backup is brought back into it.
UNFINISHED = "restore.unfinished"


def prepare_data_dir(folder: Path) -> Path:
    """Make the data folder and try a write in it.

    Raises:
        DataFolderError: says what stands in the way.
    """
    probe = folder / f".write-test-{os.getpid()}"
    try:
        if (folder / UNFINISHED).exists():
            raise DataFolderError(f"a restore into {folder} was cut off: run `daguerre restore` again, then start")
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"daguerre" * 512)
        probe.unlink()
        free = shutil.disk_usage(folder).free // 2**20
    except OSError as error:
        with contextlib.suppress(OSError):
            probe.unlink()
        raise DataFolderError(data_folder_text(folder, error)) from None
    if free < LITTLE_ROOM:
        log.warning("little room left folder=%s megabytes=%d", folder, free)
    return folder


def data_folder_text(folder: Path, error: OSError) -> str:
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return f"the disk of the data folder {folder} is full: make room, then start again. Nothing was lost."
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return (
                f"the data folder {folder} cannot be written by user {os.getuid()}: change its owner "
                f"(chown {os.getuid()} {folder}) or name another with [storage] data_dir in config.toml or "
                "DAGUERRE_STORAGE__DATA_DIR."
            )
        case errno.EEXIST | errno.ENOTDIR:
            return f"{folder} or a part of its path is a file; [storage] data_dir must name a folder."
        case _:
            return f"the data folder {folder} cannot be used: {error.strerror or error}"


def listen(options: WebOptions) -> socket.socket:
    """Bind before anything is started, so that a second `serve` ends before it touches anything.

    Raises:
        PortTaken, ConfigError: says what to do.
    """
    where = f"{options.host} port {options.port}"
    try:
        family, _, _, _, address = socket.getaddrinfo(
            options.host, options.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server((str(address[0]), options.port), family=family, backlog=128)
    except socket.gaierror:
        raise ConfigError(
            f"[web] host {options.host} is no address of this machine; 127.0.0.1 is the usual one"
        ) from None
    except OSError as error:
        match error.errno:
            case errno.EADDRINUSE:
                raise PortTaken(
                    f"{where} is taken: perhaps another `daguerre serve` runs; stop it, or choose another port with "
                    "[web] port in config.toml or DAGUERRE_WEB__PORT"
                ) from None
            case errno.EACCES:
                raise ConfigError(f"{where} needs special rights; choose a [web] port of 1024 or more") from None
            case _:
                raise ConfigError(f"cannot listen on {where}: {error.strerror or error}") from None


def address_of(listener: socket.socket) -> str:
    """The URL by which this machine reaches the listener."""
    host, port, *_ = listener.getsockname()
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(str(host), str(host))  # noqa: S104 - recognised, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def read_address(data_dir: Path, options: WebOptions) -> str:
    """Where a running `serve` on this machine answers: as it noted itself, else as configured."""
    with contextlib.suppress(OSError):
        return (data_dir / ADDRESS_FILE).read_text(encoding="utf-8").strip()
    return f"http://127.0.0.1:{options.port}"
