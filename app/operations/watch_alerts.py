"""Keep up with the alerts: who has used something is looked at within a second or two, everybody now and then.

Ingestion only remembers whose events it took, in memory. Here that is written down for tenants that have alerts, and
one process, by lease, looks at them. What a process had in memory when it died, and what changes without an event (a
plan, a period that begins), is found by the sweep over all tenants with alerts. A sweep takes a twentieth of the time
at most, so it lasts the longer the more tenants there are.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from uuid import UUID

from app.operations.check_alerts import check_alerts
from app.storage import alert_store
from app.storage.catalog_snapshot import CatalogCache
from app.storage.database import Database

SWEEP_EVERY = timedelta(seconds=60)
_TENANTS_AT_ONCE = 200
_PAUSE_PER_SECOND_OF_SWEEP = 20
_PAUSE_PER_SECOND_OF_LOOKING = 9
_LONGEST_PAUSE_SECONDS = 5.0
_ROUNDS_AT_ONCE = 50


class AlertWatch:
    """One process's part in it. Any number may be at it on one database."""

    def __init__(self, database: Database, cache: CatalogCache, *, holder: str, lease_seconds: int) -> None:
        self._database = database
        self._cache = cache
        self._holder = holder
        self._lease_seconds = lease_seconds
        self._swept_to: UUID | None = None
        self._is_sweeping = False
        self._sweep_again_at = 0.0
        self._look_again_at = 0.0

    def note(self, now: datetime) -> None:
        """Writes down which tenants with alerts were sent events for in this process since it was last asked."""
        subjects, tenant_ids = self._cache.take_touched()
        if not subjects and not tenant_ids:
            return
        found = self._database.read(lambda connection: alert_store.watched_among(connection, subjects, tenant_ids))
        if found:
            self._database.write(lambda connection: alert_store.mark(connection, found, now))

    def look(self, now: datetime) -> int:
        """How many crossings were noticed: of those who are marked, and of some of the others where it is time."""
        watch = self._database.read(alert_store.outlook)
        if not watch.has_alerts:
            if watch.has_marks:
                self._database.write(alert_store.forget_marks)
            return 0
        sweeps = self._is_sweeping or watch.swept_at is None or now - watch.swept_at >= SWEEP_EVERY
        sweeps = sweeps and time.monotonic() >= self._sweep_again_at
        looks = watch.has_marks and time.monotonic() >= self._look_again_at
        if not (looks or sweeps) or not self._holds(now):
            return 0
        noticed = self._look_at_marked(now) if looks else 0
        return noticed + (self._sweep(now) if sweeps else 0)

    def _holds(self, now: datetime) -> bool:
        return self._database.write(
            lambda connection: alert_store.take_watch(
                connection, holder=self._holder, now=now, seconds=self._lease_seconds
            )
        )

    def _look_at_marked(self, now: datetime) -> int:
        """Takes a tenth of the time at most, as long as that keeps nobody waiting for more than some seconds."""
        began = time.monotonic()
        noticed = 0
        for _ in range(_ROUNDS_AT_ONCE):
            marks = self._database.read(lambda connection: alert_store.oldest_marks(connection, limit=_TENANTS_AT_ONCE))
            if marks:
                noticed += check_alerts(self._database, [item.tenant_id for item in marks], now=now, marks=marks)
            if len(marks) < _TENANTS_AT_ONCE:
                break
        ended = time.monotonic()
        pause = min(_PAUSE_PER_SECOND_OF_LOOKING * (ended - began), _LONGEST_PAUSE_SECONDS)
        self._look_again_at = ended + pause
        return noticed

    def _sweep(self, now: datetime) -> int:
        began = time.monotonic()
        self._is_sweeping = True
        tenant_ids = self._database.read(
            lambda connection: alert_store.watched_after(connection, self._swept_to, limit=_TENANTS_AT_ONCE)
        )
        noticed = check_alerts(self._database, tenant_ids, now=now) if tenant_ids else 0
        self._swept_to = tenant_ids[-1] if len(tenant_ids) == _TENANTS_AT_ONCE else None
        if self._swept_to is None:
            self._is_sweeping = False
            self._database.write(lambda connection: alert_store.note_sweep(connection, holder=self._holder, at=now))
        ended = time.monotonic()
        self._sweep_again_at = ended + _PAUSE_PER_SECOND_OF_SWEEP * (ended - began)
        return noticed
