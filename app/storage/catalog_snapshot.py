"""The catalog as ingestion sees it: held in memory under a version, and exact while that version stands.

A transaction that ingests reads the version row and so keeps catalog changes waiting until it commits; a change takes
the row for itself and raises the version. Whatever was looked up under a version, found or not found, therefore stays
true as long as the version does.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.domain.ids import NOBODY
from app.domain.meters import Meter
from app.storage import meter_store
from app.storage.database import Database
from app.storage.tables import catalog_version, resources, tenant_subjects

_MAX_REMEMBERED = 500_000
_CHUNK = 500
_FEW = 5_000


class Snapshot:
    """One version of the catalog. Subjects and resources are looked up once and remembered; where there are few
    subjects, all of them at first."""

    def __init__(self, version: int, meters: Iterable[Meter]) -> None:
        self._version = version
        by_type: dict[str, list[Meter]] = {}
        for meter in meters:
            by_type.setdefault(meter.event_type, []).append(meter)
        self._meters = by_type
        self._subjects: dict[str, tuple[list[datetime], list[UUID]]] = {}
        self._resources: dict[str, bool] = {"": True}

    @property
    def version(self) -> int:
        return self._version

    @property
    def meters(self) -> Mapping[str, Sequence[Meter]]:
        return self._meters

    def tenant_of(self, subject: str, at: datetime) -> UUID:
        """Whose use the subject was at the instant; NOBODY's where no tenant claims it."""
        starts, owners = self._subjects[subject]
        position = bisect_right(starts, at)
        return owners[position - 1] if position else NOBODY

    def knows_resource(self, key: str) -> bool:
        return self._resources[key]

    @property
    def is_full(self) -> bool:
        """True when it remembers so much that a new one is due; whoever uses this one may go on."""
        return len(self._subjects) + len(self._resources) > _MAX_REMEMBERED

    def covers(self, subjects: set[str], resource_keys: set[str]) -> bool:
        """True when all of these were looked up before."""
        return subjects <= self._subjects.keys() and resource_keys <= self._resources.keys()

    def look_up_few(self, connection: Connection) -> None:
        """Remembers all subjects that are claimed, where they are so few that it costs next to nothing: no event of
        theirs waits for a look-up of its own."""
        rows = connection.execute(sa.select(tenant_subjects).limit(_FEW + 1)).all()
        if len(rows) <= _FEW:
            self._subjects.update(_by_subject({row.subject for row in rows}, sorted(rows, key=attrgetter("from_at"))))

    def look_up(self, connection: Connection, subjects: set[str], resource_keys: set[str]) -> None:
        """Remembers what the database says of those not looked up before."""
        for chunk in _chunks(subjects - self._subjects.keys()):
            query = sa.select(tenant_subjects).where(tenant_subjects.c.subject.in_(chunk))
            rows = connection.execute(query.order_by(tenant_subjects.c.from_at))
            self._subjects.update(_by_subject(chunk, rows))
        for chunk in _chunks(resource_keys - self._resources.keys()):
            known = set(connection.execute(sa.select(resources.c.key).where(resources.c.key.in_(chunk))).scalars())
            self._resources.update({key: key in known for key in chunk})


def _by_subject(subjects: Iterable[str], rows: Iterable[Any]) -> dict[str, tuple[list[datetime], list[UUID]]]:
    """Of each subject since when it is whose; the rows are in order of time."""
    found: dict[str, tuple[list[datetime], list[UUID]]] = {subject: ([], []) for subject in subjects}
    for row in rows:
        found[row.subject][0].append(row.from_at)
        found[row.subject][1].append(row.tenant_id)
    return found


def _chunks(items: set[str]) -> Iterable[list[str]]:
    ordered = sorted(items)
    return (ordered[start : start + _CHUNK] for start in range(0, len(ordered), _CHUNK))


class CatalogCache:
    """The newest snapshot seen by this process. Shared by its threads."""

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None
        self._touched: tuple[set[str], set[UUID]] = set(), set()
        self._touching = threading.Lock()

    def touch(self, subjects: set[str], tenant_ids: set[UUID]) -> None:
        """Remembers whose events were just kept: by their subjects, and the tenants of keys that name none."""
        with self._touching:
            self._touched[0].update(subjects)
            self._touched[1].update(tenant_ids)

    def take_touched(self) -> tuple[set[str], set[UUID]]:
        """Whose events were kept in this process since this was last asked."""
        with self._touching:
            found, self._touched = self._touched, (set(), set())
        return found

    def at_locked_version(self, connection: Connection) -> Snapshot:
        """The snapshot of the version that stands; no catalog change commits before this transaction does."""
        return self._at(connection, hold_version(connection))

    def covering(self, database: Database, subjects: set[str], resource_keys: set[str]) -> Snapshot:
        """A snapshot that covers all of these; its version stood a moment ago, and may stand no longer."""
        snapshot = self.snapshot
        if snapshot is not None and snapshot.covers(subjects, resource_keys):
            return snapshot

        def work(connection: Connection) -> Snapshot:
            found = self._at(connection, version_now(connection))
            found.look_up(connection, subjects, resource_keys)
            return found

        return database.read(work)

    def _at(self, connection: Connection, version: int) -> Snapshot:
        snapshot = self.snapshot
        if snapshot is None or snapshot.version != version or snapshot.is_full:
            snapshot = Snapshot(version, meter_store.load(connection))
            snapshot.look_up_few(connection)
            self.snapshot = snapshot
        return snapshot


def hold_version(connection: Connection) -> int:
    """The version that stands; no catalog change commits before this transaction does."""
    query = sa.select(catalog_version.c.version).where(catalog_version.c.id == 1)
    version: int = connection.execute(query.with_for_update(read=True)).scalar_one()
    return version


def version_now(connection: Connection) -> int:
    """The version as the transaction sees it; it may be raised at any moment."""
    version: int = connection.execute(sa.select(catalog_version.c.version)).scalar_one()
    return version


def lock_for_change(connection: Connection) -> int:
    """The version, held against every reader until the transaction ends. To be called first in a catalog change."""
    version: int = connection.execute(
        sa.select(catalog_version.c.version).where(catalog_version.c.id == 1).with_for_update()
    ).scalar_one()
    return version


def raise_version(connection: Connection) -> int:
    """The next version; the caller holds the lock."""
    connection.execute(catalog_version.update().values(version=catalog_version.c.version + 1))
    version: int = connection.execute(sa.select(catalog_version.c.version)).scalar_one()
    return version
