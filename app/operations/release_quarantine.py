"""Try kept events again: what the catalog claims by now is accepted as if it had just come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.engine import Connection

from app.domain.acceptance import Judged, judge
from app.domain.events import instant_text, parse_instant
from app.operations.keep_events import count, keep
from app.storage import job_store, quarantine_store
from app.storage.catalog_snapshot import CatalogCache
from app.storage.database import Database
from app.storage.job_store import Job
from app.storage.quarantine_store import Quarantined

JOB_KIND = "release_quarantine"
_BATCH = 1000


@dataclass
class Released:
    """How many copies were tried, and what became of them; `remaining` are still set aside."""

    released: int = 0
    duplicates: int = 0
    conflicts: int = 0
    remaining: int = 0


def start_release(database: Database, *, reason: str | None, tenant_id: UUID | None, now: datetime) -> UUID:
    """The id of a new job that tries open copies again: those with this reason, or all."""
    payload = {} if reason is None else {"reason": reason}
    if tenant_id is not None:
        payload["tenant_id"] = tenant_id.hex
    return database.write(lambda connection: job_store.enqueue(connection, JOB_KIND, payload, now))


def release_quarantine(
    database: Database, cache: CatalogCache, job: Job, *, now: datetime, future: timedelta,
    keep_going: Callable[[], bool],
) -> Released | None:  # fmt: skip
    """Works through the job's copies in order of arrival, a batch a transaction, its cursor saved with each.

    None when `keep_going` said to stop: the job goes on later from where it stands.
    """
    progress = dict(job.progress)
    while not progress.get("done"):
        if not keep_going():
            return None
        progress, subjects = database.write(lambda connection: _batch(connection, cache, job, now=now, future=future))
        cache.touch(subjects, set())
    return Released(**{name: progress.get(name, 0) for name in asdict(Released())})


def _batch(
    connection: Connection, cache: CatalogCache, job: Job, *, now: datetime, future: timedelta
) -> tuple[dict[str, Any], set[str]]:
    """How far the job is, and whose copies it tried."""
    snapshot = cache.at_locked_version(connection)
    progress = job_store.lock_progress(connection, job.job_id)
    after = (parse_instant(progress["at"]), UUID(progress["id"])) if "at" in progress else None
    matching = {name: value for name, value in job.payload.items() if name != "tenant_id"}
    own = UUID(job.payload["tenant_id"]) if "tenant_id" in job.payload else None
    rows = quarantine_store.page(connection, matching, limit=_BATCH, after=after, tenant_id=own, lock=True)
    subjects = {row.event.subject for row in rows if row.event.subject}
    snapshot.look_up(connection, subjects, {row.event.resource for row in rows})
    judged = [_judge(row, snapshot, now, future) for row in rows]
    kept = keep(connection, judged, version=snapshot.version, received_at=[row.received_at for row in rows])
    tally = Released(**{name: progress.get(name, 0) for name in asdict(Released())})
    for row, item, status in zip(rows, judged, kept.statuses, strict=True):
        if status == "quarantined":
            tally.remaining += 1
            assert item.reason is not None
            quarantine_store.keep_open(connection, row, item.reason, item.detail)
            continue
        quarantine_store.close(connection, row, "released" if status == "accepted" else status)
        tally.released += status == "accepted"
        tally.duplicates += status == "duplicate"
        tally.conflicts += status == "conflict"
    result: dict[str, Any] = asdict(tally) | {"done": len(rows) < _BATCH}
    if rows:
        result |= {"at": instant_text(rows[-1].received_at), "id": str(rows[-1].quarantine_id)}
    job_store.save_progress(connection, job.job_id, result)
    count(connection, kept)
    return result, subjects


def _judge(row: Quarantined, catalog: Any, now: datetime, future: timedelta) -> Judged:
    bound_to = row.tenant_id if not row.event.subject else None
    item = judge(row.event, catalog, received_at=row.received_at, latest=now + future, bound_to=bound_to)
    assert isinstance(item, Judged), "what was well-formed when it came still is"
    return item
