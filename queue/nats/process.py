"""A nats-server process and its files: is it alive, what did it complain of, which port is free."""

from __future__ import annotations

import os
import secrets
import socket
import sys
from contextlib import suppress
from pathlib import Path

from ..errors import BrokerUnavailable, QueueUnavailable, StorageFull


class PortTaken(BrokerUnavailable):
    """The port is taken by another program."""


def start_error(port: int, complaint: str) -> QueueUnavailable:
    lowered = complaint.lower()
    if "address already in use" in lowered:
        return PortTaken(
            f"port {port} is taken by another program: choose another in [queue] nats_port, or 0 for a free one"
        )
    if any(sign in lowered for sign in ("no space left", "read-only file system", "permission denied")):
        return StorageFull(f"nats-server cannot write its folder: {complaint}")
    if "tls" in lowered or "certificate" in lowered or "pem" in lowered:
        return BrokerUnavailable(
            f"nats-server cannot use [queue] nats_cert_file or nats_key_file as they are: {complaint}"
        )
    if "sync_interval" in lowered or "unknown field" in lowered:
        return BrokerUnavailable(f"this nats-server is too old, 2.10 or newer is needed: {complaint}")
    return BrokerUnavailable(f"nats-server ended at once: {complaint}")


def complaint(folder: Path) -> str:
    """The last thing that it said: on stderr when the configuration was refused, else in its log."""
    files = [folder / "nats-server.err", folder / "nats-server.log"]
    said = "\n".join(file.read_text(errors="replace") for file in files if file.exists())
    lines = [line for line in said.splitlines() if line.strip()]
    worst = [line for line in lines if "[FTL]" in line or "[ERR]" in line]
    return (worst or lines or ["no reason given"])[-1].strip()


def write_private(path: Path, text: str) -> None:
    """Whole or not at all, and readable by the owner alone: the token is in some of them."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    draft.replace(path)


def number_in(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0


def free_port(host: str) -> int:
    with socket.socket() as free:
        free.bind((host, 0))
        return int(free.getsockname()[1])


def send_signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):  # It ended by itself.
        os.kill(pid, number)


def alive(pid: int) -> bool:
    """Whether the process runs; a dead one that nobody has waited for does not."""
    if sys.platform == "win32":
        return False  # There, ending a process is immediate and signal 0 would not be harmless.
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return True  # No such files on this system.
