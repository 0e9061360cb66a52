"""Insert-unless-there and insert-or-change, in the one spelling that both databases share."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection


def insert_missing(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Writes the rows whose keys are not there; the others stay as they are."""
    if rows:
        connection.execute(_insert(connection, table), list(rows))


def put(connection: Connection, table: Table, rows: Sequence[dict[str, Any]], *, changing: str) -> None:
    """Writes the rows; of those whose keys are there this column changes."""
    if rows:
        connection.execute(_put(connection.dialect.name, table, changing), rows)


@lru_cache
def _put(dialect: str, table: Table, changing: str) -> Any:
    inserted = _insert_into(dialect, table)
    changes = {changing: inserted.excluded[changing]}
    return inserted.on_conflict_do_update(index_elements=list(table.primary_key), set_=changes)


def insert_new(connection: Connection, table: Table, row: dict[str, Any]) -> bool:
    """True where the row was written; False where one of its key was there, which stays as it is."""
    # Of an insert the drivers do not all say how many rows there were.
    written = _insert(connection, table).values(row).returning(*table.primary_key)
    return connection.execute(written).first() is not None


def _insert(connection: Connection, table: Table) -> Any:
    return _insert_into(connection.dialect.name, table).on_conflict_do_nothing()


def _insert_into(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)
