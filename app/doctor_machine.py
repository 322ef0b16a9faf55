"""What `daguerre doctor` asks this machine: its disk, its database, its nats-server, its devices."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from ..queue.errors import QueueError
from ..queue.nats import Credentials, look_at, nats_server_binary
from ..queue.pictures import local_folder
from ..queue.store import Database, database_url, newest_revision
from .children import without_secrets
from .errors import AppError
from .finding import Finding
from .hiding import hide_in_address
from .machine import prepare_data_dir
from .settings import Configuration
from .worker import worker_credentials

#: Gigabytes free under which pictures soon find no room.
LITTLE = 2.0


def data_folder(configuration: Configuration) -> Finding:
    """Whether it can be written, and how much room there is."""
    try:
        folder = prepare_data_dir(configuration.data_dir)
    except AppError as error:
        return Finding("fail", "data folder", str(error))
    return _room("data folder", folder, f"{folder} is writable")


def pictures(configuration: Configuration) -> Finding | None:
    """Where pictures go when that is another disk; None when it is the data folder's."""
    setting = configuration.settings.queue.pictures_url
    if not setting:
        return None
    folder = local_folder(setting)
    if folder is None:
        return Finding("ok", "pictures", f"are kept at {hide_in_address(setting)}; it is first used at the start")
    if not folder.is_dir():
        return Finding("ok", "pictures", f"{folder} is made at the first start")
    if not os.access(folder, os.W_OK):
        return Finding("fail", "pictures", f"{folder} cannot be written", f"chown {os.getuid()} {folder}")
    return _room("pictures", folder, f"{folder} is writable")


def _room(subject: str, folder: Path, told: str) -> Finding:
    use = shutil.disk_usage(folder)
    free = use.free / 2**30
    told = f"{told}, {free:.1f} of {use.total / 2**30:.0f} GB free"
    if free >= LITTLE:
        return Finding("ok", subject, told)
    remedy = "make room, or let go of old pictures: [moderation] keep_pictures_days"
    return Finding("warn" if free > 0.2 else "fail", subject, told, remedy)


async def database(configuration: Configuration) -> Finding:
    """Whether the job table is whole and of a revision that this version reads. Nothing is changed."""
    setting = configuration.settings.queue.database_url
    try:
        url = database_url(setting, configuration.data_dir)
    except QueueError as error:
        return Finding("fail", "database", str(error))
    sqlite = url.get_backend_name() == "sqlite"
    if sqlite and not await asyncio.to_thread(Path(url.database or "").is_file):
        return Finding("ok", "database", f"{url.database} is made at the first start")
    known, opened = newest_revision(), Database(url)
    try:
        async with opened.read() as connection:
            # By a whole look at the file, SQLite finds damage that it would else meet months later.
            state = (await connection.execute(text("PRAGMA quick_check(1)" if sqlite else "SELECT 'ok'"))).scalar_one()
            kind = "SELECT sqlite_version()" if sqlite else "SHOW server_version"
            version = str((await connection.execute(text(kind))).scalar_one())
            table = await connection.execute(text("SELECT version_num FROM alembic_version"))
            revision = str(table.scalar_one())
    except (SQLAlchemyError, QueueError, OSError, TimeoutError) as error:
        if "alembic_version" in str(error):
            return Finding("ok", "database", "is empty and is filled at the first start")
        return Finding(
            "fail", "database", f"cannot be used: {_first_line(error)}",
            "look at [queue] database_url and its server" if setting else "restore a backup: daguerre restore",
        )  # fmt: skip
    finally:
        await opened.close()
    about = f"{'SQLite' if sqlite else 'PostgreSQL'} {version}, revision {revision}"
    if state != "ok":
        return Finding("fail", "database", f"{about}, is damaged: {state}", "restore a backup: daguerre restore")
    if revision > known:
        return Finding(
            "fail", "database", f"{about}, written by a newer Daguerre; this one knows {known}", "install the newer one"
        )
    later = f"; the next start brings it to {known}, after a copy" if revision < known else ""
    return Finding("ok", "database", about + later)


async def nats_server(configuration: Configuration) -> Finding:
    """Whether the shipped one runs, or the one of [queue] nats_url lets us in and has JetStream."""
    urls = configuration.settings.queue.nats_url
    if not urls:
        try:
            answer = await asyncio.to_thread(
                subprocess.run,
                [str(nats_server_binary()), "--version"],
                capture_output=True,
                text=True,
                timeout=10,
                check=True,
            )
        except (QueueError, OSError, subprocess.SubprocessError) as error:
            return Finding("fail", "nats-server", f"does not run: {error}", "scripts/start --repair brings it again")
        return Finding("ok", "nats-server", answer.stdout.strip())
    shown = hide_in_address(urls)
    try:
        credentials: Credentials = worker_credentials(configuration)
        about = await look_at(urls, credentials)
    except (QueueError, AppError) as error:
        return Finding(
            "fail", "nats-server", f"{shown}: {error}",
            "look at [queue] nats_url, its certificate files, and the token in DAGUERRE_NATS_TOKEN",
        )  # fmt: skip
    return Finding("ok", "nats-server", f"{shown} is version {about}, with JetStream")


@dataclass(frozen=True, slots=True)
class Gpu:
    """What the driver says about one device; memory in MB."""

    name: str
    driver: str
    total: int
    free: int


def gpus() -> tuple[Gpu, ...]:
    """As `nvidia-smi` tells; () without it."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    fields = "name,driver_version,memory.total,memory.free"
    try:
        answer = subprocess.run(  # noqa: S603 - the driver's own program
            [tool, f"--query-gpu={fields}", "--format=csv,noheader,nounits"],
            capture_output=True, text=True, timeout=10, check=False, env=without_secrets(os.environ),
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return gpus_of(answer.stdout)


def gpus_of(answer: str) -> tuple[Gpu, ...]:
    """Reads `nvidia-smi`'s lines; what it does not know ("[N/A]") counts as 0. Pure."""
    found: list[Gpu] = []
    for line in answer.splitlines():
        parts = [part.strip() for part in line.split(",")]
        if len(parts) == 4:
            total, free = (int(part) if part.isdigit() else 0 for part in parts[2:])
            found.append(Gpu(parts[0], parts[1], total, free))
    return tuple(found)


def device(found: tuple[Gpu, ...]) -> Finding:
    """Which GPUs the driver knows and how much of their memory is free."""
    if not found:
        return Finding("ok", "device", f"no NVIDIA driver here: drawing uses the processor, {os.cpu_count()} threads")
    told = "; ".join(
        f"GPU {number} {gpu.name}, {gpu.free / 1024:.1f} of {gpu.total / 1024:.1f} GB free, driver {gpu.driver}"
        for number, gpu in enumerate(found)
    )
    if any(gpu.total and gpu.free < gpu.total / 10 for gpu in found):
        return Finding("warn", "device", told, "other programs use its memory (nvidia-smi names them); end them")
    return Finding("ok", "device", told)


def _first_line(error: BaseException) -> str:
    return (str(getattr(error, "orig", None) or error).strip() or type(error).__name__).splitlines()[0]
