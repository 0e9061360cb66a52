"""What happens to a transaction that cannot get through, and to a job whose lease was lost."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError

from app.domain.errors import DatabaseBusy
from app.domain.ids import new_id
from app.storage import database as database_module
from app.storage import event_store, job_store
from app.storage.database import Database

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def locked(_connection: Connection) -> None:
    raise OperationalError("BEGIN IMMEDIATE", {}, sqlite3.OperationalError("database is locked"))


def test_what_is_locked_for_long_is_told_as_busy(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "_ATTEMPTS", 3)
    tried: list[int] = []

    def work(connection: Connection) -> None:
        tried.append(1)
        locked(connection)

    with pytest.raises(DatabaseBusy):
        database.write(work)
    assert len(tried) == 3


def test_what_passes_is_tried_again(database: Database) -> None:
    tried: list[int] = []

    def work(connection: Connection) -> int:
        tried.append(1)
        if len(tried) < 3:
            locked(connection)
        return int(connection.execute(sa.select(sa.literal(7))).scalar_one())

    assert (database.write(work), len(tried)) == (7, 3)


def test_a_lost_lease_changes_nothing_of_a_job(database: Database) -> None:
    """One worker's lease runs out, another does the job; what the first does afterwards is too late."""
    job_id = database.write(lambda connection: job_store.enqueue(connection, "billing_run", {}, NOW))
    for holder, at in (("slow", NOW), ("quick", NOW + timedelta(hours=1))):
        leased = database.write(
            lambda connection, holder=holder, at=at: job_store.lease(  # type: ignore[misc]
                connection, holder=holder, now=at, seconds=20, job_id=job_id
            )
        )
        assert leased is not None
    database.write(lambda connection: job_store.finish(connection, job_id, holder="quick"))
    database.write(lambda connection: job_store.postpone(connection, job_id, holder="slow", due_at=NOW, problem="late"))
    database.write(lambda connection: job_store.finish(connection, job_id, holder="slow", problem="late"))
    job = database.read(lambda connection: job_store.find(connection, job_id))
    assert job is not None and (job.status, job.problem) == ("done", "")


def test_a_kept_event_is_looked_up_by_its_key(sqlite_url: str) -> None:
    """Not by a walk through all there are: that would take longer with every event that is kept."""
    database = Database.open(sqlite_url)
    statements = []

    @sa.event.listens_for(database.engine, "before_cursor_execute")
    def note(_connection, _cursor, statement, parameters, _context, _many):
        statements.append((statement, parameters))

    keys = [(new_id(), bytes([number] * 16)) for number in range(3)]
    assert database.read(lambda connection: event_store.find(connection, keys)) == []
    statement, parameters = statements[-1]
    plan = database.read(
        lambda connection: [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
    )
    database.close()
    assert any(step.startswith("SEARCH events USING INDEX") for step in plan)
    assert not any(step.startswith("SCAN events") for step in plan)
