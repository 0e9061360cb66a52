"""Insert-unless-there, in the one spelling that both databases share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection


def insert_missing(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> int:
    """How many of the rows were new; those whose key was there stay as they are."""
    if not rows:
        return 0
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    return int(connection.execute(insert(table).on_conflict_do_nothing(), list(rows)).rowcount)
