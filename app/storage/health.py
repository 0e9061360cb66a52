"""What a database says of itself: its version, whether it drifted from the schema, how durable it is, its clock."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy.engine import Connection

from app.storage.database import Database
from app.storage.tables import metadata, number_series

OLDEST_SQLITE = (3, 35)  # RETURNING
OLDEST_POSTGRESQL = (15,)


@dataclass(frozen=True, slots=True)
class Disk:
    """Bytes of the database with its side files, and bytes that are free beside it."""

    used: int
    free: int


def version(connection: Connection) -> str:
    """`SQLite 3.45.1` or `PostgreSQL 17.2`."""
    name = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}[connection.dialect.name]
    return f"{name} {'.'.join(map(str, connection.dialect.server_version_info or ()))}"


def is_old(connection: Connection) -> bool:
    """True when this version of the database is older than what the service was made for."""
    oldest = OLDEST_SQLITE if connection.dialect.name == "sqlite" else OLDEST_POSTGRESQL
    return (connection.dialect.server_version_info or ()) < oldest


def drift(connection: Connection) -> list[str]:
    """How the tables differ from what the service expects, in words; empty where they do not."""
    found = compare_metadata(MigrationContext.configure(connection), metadata)
    return [" ".join(str(part) for part in item) if isinstance(item, tuple) else str(item) for item in found]


def unsafe_settings(connection: Connection) -> dict[str, str]:
    """The settings under which an acknowledged event may be lost with the power, and their values."""
    if connection.dialect.name == "sqlite":
        synchronous = str(connection.exec_driver_sql("PRAGMA synchronous").scalar_one())
        return {} if synchronous in ("2", "3") else {"synchronous": synchronous}
    names = ("fsync", "full_page_writes", "synchronous_commit")
    values = {name: str(connection.exec_driver_sql(f"SHOW {name}").scalar_one()) for name in names}
    return {name: value for name, value in values.items() if value == "off"}


def clock(connection: Connection) -> datetime | None:
    """The time on the database's own machine; None for SQLite, which has none of its own."""
    if connection.dialect.name == "sqlite":
        return None
    found: datetime = connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
    return found


def newest_issue(connection: Connection) -> datetime | None:
    """When the newest document of any series was issued."""
    found: datetime | None = connection.execute(sa.select(sa.func.max(number_series.c.last_issued_at))).scalar_one()
    return found


def disk(database: Database) -> Disk | None:
    """The room on the disk that the file lies on; None for a database on a server."""
    name = database.engine.url.database
    if not database.is_sqlite or not name:
        return None
    file = Path(name)
    parts = [Path(f"{file}{suffix}") for suffix in ("", "-wal", "-shm")]
    return Disk(sum(part.stat().st_size for part in parts if part.exists()), shutil.disk_usage(file.parent).free)
