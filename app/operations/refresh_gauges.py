"""Figures that only the database knows, brought up to date when they are scraped.

What is waiting or audited is asked for at each scrape. What is set aside has to be counted, what is due and what is
unpriced worked out: that is done again once twenty times as long has passed as it took, so that no frequency of scrapes
and no size of the database makes it cost more than a twentieth of the time. Small databases are therefore always up to
date.
"""

from __future__ import annotations

import threading
import time
from datetime import datetime

from sqlalchemy.engine import Connection

from app.domain.deliveries import CHANNELS
from app.domain.events import QUARANTINE_REASONS
from app.domain.ids import NOBODY
from app.observability import metrics
from app.operations.find_due import work_of
from app.operations.list_unpriced import list_unpriced
from app.storage import alert_store, audit_store, bank_store, job_store, outbox_store, quarantine_store, webhook_store
from app.storage.billing_store import BillingRun
from app.storage.database import Database

_PAUSE_PER_SECOND_OF_WORK = 20


class Gauges:
    """The gauges of one process on one database; `job_kinds` are shown even where no job of theirs waits."""

    def __init__(self, database: Database, *, version: str, job_kinds: tuple[str, ...]) -> None:
        self._database = database
        self._job_kinds = job_kinds
        self._lock = threading.Lock()
        self._survey_again_at = 0.0
        metrics.BUILD.labels(version).set(1)
        metrics.begin_at_zero(job_kinds)

    def refresh(self, *, now: datetime) -> None:
        """Sets every gauge. A scrape that comes while another is at it takes the figures of a moment ago."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            self._database.read(lambda connection: self._set_counts(connection, now))
            began = time.monotonic()
            if began >= self._survey_again_at:
                self._database.read(lambda connection: _survey(connection, now))
                ended = time.monotonic()
                self._survey_again_at = ended + _PAUSE_PER_SECOND_OF_WORK * (ended - began)
        finally:
            self._lock.release()

    def _set_counts(self, connection: Connection, now: datetime) -> None:
        backlog = job_store.backlog(connection)
        for kind in self._job_kinds:
            metrics.JOBS_WAITING.labels(kind).set(backlog[kind][0] if kind in backlog else 0)
        metrics.OLDEST_JOB_SECONDS.set(_age(min((since for _, since in backlog.values()), default=now), now))
        metrics.ALERT_CHECK_AGE_SECONDS.set(_age(alert_store.waiting_since(connection) or now, now))
        unsent = outbox_store.backlog(connection)
        for channel in CHANNELS:
            pending, since = unsent.get(channel, (0, now))
            metrics.OUTBOX_PENDING.labels(channel).set(pending)
            metrics.OLDEST_UNSENT_SECONDS.labels(channel).set(_age(since, now))
        metrics.ENDPOINTS_DISABLED.set(webhook_store.count_disabled(connection))
        audit = audit_store.last(connection)
        metrics.AUDIT_DIFFERENCES.set(audit.differences if audit else 0)
        metrics.AUDIT_FINISHED.set(audit.finished_at.timestamp() if audit else 0)


def _survey(connection: Connection, now: datetime) -> None:
    quarantined = quarantine_store.count_by_reason(connection)
    for reason in QUARANTINE_REASONS:
        metrics.QUARANTINED.labels(reason).set(quarantined.get(reason, 0))
    work = work_of(connection, BillingRun(NOBODY, now, issue=True, dry_run=True))
    metrics.PERIODS_DUE.set(work.periods_due)
    metrics.BANK_ENTRIES_UNMATCHED.set(bank_store.count_unmatched(connection))
    metrics.OLDEST_DUE_SECONDS.set(_age(work.due[0].at, now) if work.due else 0)
    metrics.UNPRICED.set(len(list_unpriced(connection, through=now)))


def _age(since: datetime, now: datetime) -> float:
    return max(0.0, (now - since).total_seconds())
