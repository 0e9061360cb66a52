"""Figures that only the database knows, brought up to date when they are scraped."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.engine import Connection

from app.domain.events import QUARANTINE_REASONS
from app.domain.ids import NOBODY
from app.observability import metrics
from app.operations.find_due import work_of
from app.storage import quarantine_store
from app.storage.billing_store import BillingRun
from app.storage.database import Database


def refresh_gauges(database: Database, *, now: datetime) -> None:
    def work(connection: Connection) -> tuple[int, dict[str, int]]:
        run = BillingRun(NOBODY, now, issue=True, dry_run=True)
        return len(work_of(connection, run).due), quarantine_store.count_by_reason(connection)

    due, quarantined = database.read(work)
    metrics.PERIODS_DUE.set(due)
    for reason in QUARANTINE_REASONS:
        metrics.QUARANTINED.labels(reason).set(quarantined.get(reason, 0))
