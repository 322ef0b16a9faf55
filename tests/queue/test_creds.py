"""A nats-server with operator, accounts and users (JWT and nkeys), as larger sites run it: [queue] nats_creds_file."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nkeys
import pytest
from queuekit import QUICK, paint, state, submit, until

from daguerre.queue.control.service import open_queue
from daguerre.queue.errors import BrokerUnavailable, QueueUnavailable
from daguerre.queue.nats.credentials import Credentials
from daguerre.queue.nats.embedded import nats_server_binary
from daguerre.queue.records.jobs import JobState
from daguerre.queue.worker.loop import Worker
from daguerre.queue.worker.settings import WorkerSettings

#: Everything allowed; -1 is no limit.
UNLIMITED: dict[str, Any] = {
    **dict.fromkeys(("subs", "data", "payload", "imports", "exports", "conn", "leaf"), -1),
    "wildcards": True,
}
STORAGE = dict.fromkeys(("mem_storage", "disk_storage", "streams", "consumer"), -1)


class Key:
    """An nkey of an operator, an account or a user, who signs for others."""

    def __init__(self, prefix: int) -> None:
        self.seed: bytes = nkeys.encode_seed(secrets.token_bytes(32), prefix)
        self._pair = nkeys.from_seed(bytearray(self.seed))
        self.public: str = self._pair.public_key.decode()

    def signed(self, name: str, subject: str, kind: str, claims: dict[str, Any]) -> str:
        """A JWT as `nsc` writes it (version 2)."""
        head = {"typ": "JWT", "alg": "ed25519-nkey"}
        body = {
            "jti": secrets.token_hex(16), "iat": int(time.time()), "iss": self.public, "name": name, "sub": subject,
            "nats": {**claims, "type": kind, "version": 2},
        }  # fmt: skip
        text = f"{_encoded(json.dumps(head).encode())}.{_encoded(json.dumps(body).encode())}"
        return f"{text}.{_encoded(self._pair.sign(text.encode()))}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass(frozen=True)
class Site:
    """A running server, a file of credentials that it knows, and one of somebody else."""

    url: str
    creds: Path
    foreign: Path


def credentials_file(path: Path, account: Key, user: Key) -> Path:
    token = account.signed("daguerre", user.public, "user", {"pub": {}, "sub": {}, **UNLIMITED})
    path.write_text(
        f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{user.seed.decode()}\n------END USER NKEY SEED------\n"
    )
    path.chmod(0o600)
    return path


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    operator = Key(nkeys.PREFIX_BYTE_OPERATOR)
    system, ours = Key(nkeys.PREFIX_BYTE_ACCOUNT), Key(nkeys.PREFIX_BYTE_ACCOUNT)
    account = operator.signed("pictures", ours.public, "account", {"limits": {**UNLIMITED, **STORAGE}})
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    settings = tmp_path / "server.conf"
    settings.write_text(
        f"""
        listen: "127.0.0.1:{port}"
        max_payload: 8MB
        jetstream {{ store_dir: "{tmp_path / "store"}" }}
        operator: {operator.signed("house", operator.public, "operator", {})}
        system_account: {system.public}
        resolver: MEMORY
        resolver_preload: {{
            {system.public}: {operator.signed("system", system.public, "account", {"limits": UNLIMITED})}
            {ours.public}: {account}
        }}
        """
    )
    log = tmp_path / "server.log"
    process = subprocess.Popen([nats_server_binary(), "-c", settings, "-l", log])
    try:
        yield Site(
            f"nats://127.0.0.1:{port}",
            credentials_file(tmp_path / "ours.creds", ours, Key(nkeys.PREFIX_BYTE_USER)),
            # An account that the operator never signed.
            credentials_file(tmp_path / "foreign.creds", Key(nkeys.PREFIX_BYTE_ACCOUNT), Key(nkeys.PREFIX_BYTE_USER)),
        )
    finally:
        process.kill()
        process.wait()


def a_worker(site: Site, creds: Path) -> Worker:
    return Worker(
        paint,
        WorkerSettings(
            nats_url=site.url, credentials=Credentials(creds_file=str(creds)), name="apart", drain_seconds=0.2
        ),
    )


async def test_control_and_worker_get_in_by_their_credentials(site: Site, tmp_path: Path) -> None:
    """A job goes all the way, without any token."""
    options = QUICK.model_copy(update={"nats_url": site.url, "nats_creds_file": str(site.creds)})
    stop = asyncio.Event()
    async with open_queue(options, tmp_path / "data") as queue:
        working = asyncio.create_task(a_worker(site, site.creds).run(stop))
        await state(queue, await submit(queue), JobState.RENDERED)
        stop.set()
        await working


async def test_credentials_of_somebody_else_are_refused_and_named(site: Site, tmp_path: Path) -> None:
    """The worker ends and says so; the control process starts all the same, keeps jobs, and tells its owner."""
    with pytest.raises(BrokerUnavailable, match="refuses"):
        await asyncio.wait_for(a_worker(site, site.foreign).run(asyncio.Event()), 20)
    options = QUICK.model_copy(update={"nats_url": site.url, "nats_creds_file": str(site.foreign)})
    async with open_queue(options, tmp_path / "data") as queue:
        await submit(queue)
        assert "nats_creds_file" in (queue.healthy().problem or "")


async def test_a_file_that_holds_no_credentials_is_named(site: Site, tmp_path: Path) -> None:
    """At once, and not by a traceback of the client."""
    (tmp_path / "empty.creds").write_text("nothing of use\n")
    options = QUICK.model_copy(update={"nats_url": site.url, "nats_creds_file": str(tmp_path / "empty.creds")})
    with pytest.raises(QueueUnavailable, match=r"nats_creds_file: .*empty\.creds holds no JWT"):
        async with open_queue(options, tmp_path / "data"):
            pass


async def test_a_damaged_seed_does_not_end_the_dialling(site: Site, tmp_path: Path) -> None:
    """Mended later, the file is used from then on, without a restart."""
    good = site.creds.read_text()
    site.creds.write_text(good.replace("\nSU", "\nXX"))
    options = QUICK.model_copy(update={"nats_url": site.url, "nats_creds_file": str(site.creds)})
    async with open_queue(options, tmp_path / "data") as queue:
        assert not queue.healthy().broker
        site.creds.write_text(good)
        await until(lambda: queue.healthy().broker)
