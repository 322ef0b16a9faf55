"""What moderators did: append-only, each entry chained to the one before by SHA-256, exportable.

An entry that is changed, taken out or put in between breaks the chain from there on. Who can write the database can
rewrite the whole chain; whoever keeps an export, or its last digest, finds that out too. Details hold ids and settings,
never a prompt.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

from sqlalchemy import Connection, insert, select

from .database import Database
from .schema_moderation import AUDIT

#: What comes before the first entry.
BEGINNING = "0" * 64


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that was done."""

    server: str
    #: Counts from 1 in each server.
    number: int
    #: Unix time.
    at: float
    #: A member's id, or `daguerre` for what happens by itself.
    who: str
    #: Such as `settings`, `rule.add`, `ban`, `report.delete`.
    action: str
    details: Mapping[str, Any]
    #: Digest of the entry before.
    previous: str
    digest: str

    def right_digest(self) -> str:
        """What the digest has to be, by what the entry says."""
        said = [self.server, self.number, repr(self.at), self.who, self.action, self.details, self.previous]
        return hashlib.sha256(json.dumps(said, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def first_break(entries: Iterable[Entry]) -> int | None:
    """Number of the first entry, from 1, that does not follow from those before it; None when the chain is whole."""
    previous = BEGINNING
    for number, entry in enumerate(entries, start=1):
        if entry.number != number or entry.previous != previous or entry.digest != entry.right_digest():
            return number
        previous = entry.digest
    return None


def export(entries: Iterable[Entry]) -> str:
    """JSON Lines, oldest first."""
    return "".join(json.dumps(asdict(entry), ensure_ascii=False, sort_keys=True) + "\n" for entry in entries)


def read_export(text: str) -> list[Entry]:
    """The entries of an export.

    Raises:
        ValueError: it is none.
    """
    try:
        return [Entry(**cast("dict[str, Any]", json.loads(line))) for line in text.splitlines() if line.strip()]
    except (TypeError, json.JSONDecodeError):
        raise ValueError("this is no export of an audit log") from None


class Audit:
    """The log of all servers. Methods raise StorageFull or QueueUnavailable when the database fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def note(self, server: str, who: str, action: str, **details: Any) -> Entry:
        """Write down what was done. `details` are JSON: texts, numbers, lists."""

        def work(connection: Connection) -> Entry:
            return append(connection, server, who, action, details)

        return await self._database.change(work)

    async def entries(self, server: str) -> list[Entry]:
        """All of a server, oldest first."""
        query = select(AUDIT).where(AUDIT.c.server == server).order_by(AUDIT.c.number)
        rows = await self._database.view(lambda connection: connection.execute(query).all())
        return [Entry(*row) for row in rows]


def append(connection: Connection, server: str, who: str, action: str, details: Mapping[str, Any]) -> Entry:
    """Write an entry inside a transaction: what was done and that it was done stand together or not at all."""
    query = select(AUDIT.c.number, AUDIT.c.digest).where(AUDIT.c.server == server)
    last = connection.execute(query.order_by(AUDIT.c.number.desc()).limit(1)).first()
    number, previous = (last[0] + 1, last[1]) if last is not None else (1, BEGINNING)
    plain: dict[str, Any] = json.loads(json.dumps(dict(details)))
    blank = Entry(server, number, time.time(), who, action, plain, previous, "")
    entry = replace(blank, digest=blank.right_digest())
    connection.execute(insert(AUDIT), asdict(entry))
    return entry
