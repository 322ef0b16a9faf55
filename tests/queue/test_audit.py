"""The audit log cannot be changed by its writers, and a change behind their back is found."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from daguerre.queue.errors import QueueUnavailable
from daguerre.queue.store.audit import Audit, Entry, export, first_break, read_export
from daguerre.queue.store.database import Database, database_url
from daguerre.queue.store.migrate import migrate


@pytest.fixture
async def database(tmp_path: Path) -> AsyncGenerator[Database]:
    opened = Database(database_url("", tmp_path))
    await migrate(opened)
    yield opened
    await opened.close()


async def a_log(database: Database) -> list[Entry]:
    audit = Audit(database)
    for number in range(5):
        await audit.note("1", "mona", "ban", subject=f"member {number}", until=None, names=["ä", "🐱"])
        await audit.note("2", "else", "ban", subject="x")
    return await audit.entries("1")


async def test_entries_are_chained_in_each_server(database: Database) -> None:
    entries = await a_log(database)
    assert [entry.number for entry in entries] == [1, 2, 3, 4, 5]
    assert first_break(entries) is None
    assert first_break(await Audit(database).entries("2")) is None
    assert entries[0].previous == "0" * 64
    assert len({entry.digest for entry in entries}) == 5


@pytest.mark.parametrize(
    "statement", ["UPDATE audit SET who = 'nobody' WHERE number = 3", "DELETE FROM audit WHERE number = 3"]
)
async def test_rows_cannot_be_changed_or_deleted(database: Database, statement: str) -> None:
    """The database itself refuses."""
    entries = await a_log(database)
    with pytest.raises(QueueUnavailable, match="append-only"):
        async with database.write() as connection:
            await connection.execute(text(statement))
    assert await Audit(database).entries("1") == entries


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET who = 'nobody' WHERE server = '1' AND number = 3",
        "UPDATE audit SET details = '{}' WHERE server = '1' AND number = 3",
        "UPDATE audit SET at = at + 1 WHERE server = '1' AND number = 3",
        "UPDATE audit SET digest = previous WHERE server = '1' AND number = 3",
        "DELETE FROM audit WHERE server = '1' AND number = 3",
    ],
)
async def test_a_change_behind_the_back_is_found_at_its_row(database: Database, statement: str) -> None:
    """By somebody who drops the triggers first."""
    await a_log(database)
    async with database.write() as connection:
        for trigger in ("audit_no_update", "audit_no_delete"):
            await connection.execute(text(f"DROP TRIGGER {trigger}"))
        await connection.execute(text(statement))
    assert first_break(await Audit(database).entries("1")) == 3


async def test_a_forged_entry_in_between_is_found(database: Database) -> None:
    entries = await a_log(database)
    forged = replace(entries[2], who="nobody")
    assert first_break([*entries[:2], replace(forged, digest=forged.right_digest()), *entries[3:]]) == 4


async def test_an_export_opens_again_and_can_be_checked_elsewhere(database: Database) -> None:
    entries = await a_log(database)
    told = export(entries)
    assert first_break(read_export(told)) is None
    assert read_export(told) == entries
    assert first_break(read_export(told.replace("member 2", "member 9"))) == 3
    with pytest.raises(ValueError, match="no export"):
        read_export("{}")
