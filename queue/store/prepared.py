"""Frequent statements straight on SQLite's driver.

SQLAlchemy builds each once (statements.py) and says how values are stored and read; what it does besides for every call
takes ten times as long as SQLite. On PostgreSQL, whose driver is asynchronous, all goes the usual way.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from sqlalchemy import Connection, Executable
from sqlalchemy.dialects import sqlite

Process = Callable[[Any], Any] | None


def rows(connection: Connection, statement: Executable, values: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """What the statement gives back, by column. `values` of its parameters; those that it was built with may be left.

    In `Database.view` a statement run by this is a transaction of its own.
    """
    driver = _driver(connection)
    if driver is None:
        result = connection.execute(statement, values)
        return cast("Sequence[Mapping[str, Any]]", result.mappings().all()) if result.returns_rows else ()
    return _prepared(statement).run(driver, values)


def first(connection: Connection, statement: Executable, values: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The first row of `rows`; None where there is none."""
    found = rows(connection, statement, values)
    return found[0] if found else None


@dataclass(frozen=True, slots=True)
class Prepared:
    """One statement as SQLite's driver takes it."""

    sql: str
    #: Name, fixed value if it has one, and conversion of each parameter, in order.
    parameters: tuple[tuple[str, Any, Process], ...]
    #: Name and conversion of each column that comes back.
    columns: tuple[tuple[str, Process], ...]

    def run(self, driver: sqlite3.Connection, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Raises: KeyError when a value is missing, sqlite3.Error."""
        bound: list[Any] = []
        for name, fixed, process in self.parameters:
            value = values[name] if fixed is _ASKED or name in values else fixed
            bound.append(value if process is None else process(value))
        # Read to the end: an UPDATE with RETURNING is done only then.
        found = driver.execute(self.sql, bound).fetchall()
        return [
            {
                name: value if process is None else process(value)
                for (name, process), value in zip(self.columns, row, strict=True)
            }
            for row in found
        ]


_ASKED = object()


@lru_cache(maxsize=256)
def _prepared(statement: Executable) -> Prepared:
    """Statements are told apart as objects: they must be built once, as those of statements.py are."""
    dialect = sqlite.dialect()
    untyped: Any = statement
    compiled: Any = untyped.compile(dialect=dialect)
    if compiled.post_compile_params or compiled.literal_execute_params:
        raise TypeError("lists of parameters are expanded anew each time: run this statement by SQLAlchemy")

    def parameter(name: str) -> tuple[str, Any, Process]:
        bind: Any = compiled.binds[name]
        process: Process = bind.type.dialect_impl(dialect).bind_processor(dialect)
        return name, _ASKED if bind.required else bind.effective_value, process

    def column(one: Any) -> tuple[str, Process]:
        return one.name, one.type.dialect_impl(dialect).result_processor(dialect, None)

    given = getattr(statement, "exported_columns", ())
    return Prepared(
        sql=str(compiled),
        parameters=tuple(parameter(name) for name in compiled.positiontup),
        columns=tuple(column(one) for one in given),
    )


def _driver(connection: Connection) -> sqlite3.Connection | None:
    if connection.dialect.name != "sqlite":
        return None
    found = connection.connection.dbapi_connection
    return found if isinstance(found, sqlite3.Connection) else None
