"""Bring a new or changed meter up to the events stored before it, while events keep coming.

The events to count are a closed set: those stored under a catalog version older than the revision's first. They are
walked a batch a transaction, in the order of the index that has a type's events together, with the cursor saved beside
the buckets: no batch takes longer for what else is kept. Then the revision answers reads in
place of the one it replaces, whose buckets are dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from sqlalchemy.engine import Connection

from app.domain.aggregation import Bucket, Tally
from app.domain.events import instant_text, parse_instant
from app.domain.meters import Meter
from app.operations.read_usage import contribution_of
from app.storage import event_lists, job_store, meter_store, usage_store
from app.storage.catalog_snapshot import lock_for_change, raise_version
from app.storage.database import Database
from app.storage.event_lists import Place, Wanted
from app.storage.event_store import StoredEvent
from app.storage.job_store import Job

JOB_KIND = "catch_up_meter"
_BATCH = 5000


def catch_up_meter(database: Database, job: Job, *, keep_going: Callable[[], bool]) -> bool:
    """True once the job's revision has counted every older event and answers reads; False when told to stop before."""
    meter_id = UUID(job.payload["meter_id"])
    progress = dict(job.progress)
    while not progress.get("walked"):
        if not keep_going():
            return False
        progress = database.write(lambda connection: _batch(connection, job, meter_id))
    for old in database.write(lambda connection: _switch(connection, meter_id)):
        database.write(lambda connection, retired=old: usage_store.delete_meter(connection, retired))  # type: ignore[misc]
    return True


def _batch(connection: Connection, job: Job, meter_id: UUID) -> dict[str, Any]:
    # Read again and locked: another worker may have counted a batch since this one last looked.
    progress = job_store.lock_progress(connection, job.job_id)
    found = meter_store.find(connection, meter_id)
    if found is None or found[1] != "building":
        return progress | {"walked": True}
    meter, _, since = found
    listed = event_lists.page(connection, Wanted(type=meter.event_type), after=_place(progress), limit=_BATCH)
    rows = [row for row in listed.rows if row.catalog_version < since]
    additions = _additions(meter, rows)
    result = progress | {"walked": listed.next is None, "events": progress.get("events", 0) + len(rows)}
    if listed.next is not None:
        tenant_id, at, identity = listed.next
        result |= {"tenant": str(tenant_id), "at": instant_text(at), "event": identity.hex()}
    job_store.save_progress(connection, job.job_id, result)
    usage_store.add(connection, additions)
    return result


def _place(progress: dict[str, Any]) -> Place | None:
    if "event" not in progress:
        return None
    return UUID(progress["tenant"]), parse_instant(progress["at"]), bytes.fromhex(progress["event"])


def _additions(meter: Meter, rows: list[StoredEvent]) -> list[Bucket]:
    additions = Tally()
    for stored in rows:
        bucket = contribution_of(meter, stored) if stored.cancelled_at is None else None
        if bucket is not None:
            additions.add(bucket)
    return additions.buckets()


def _switch(connection: Connection, meter_id: UUID) -> list[UUID]:
    """Lets the revision answer reads; the retired revisions of its meter, whose buckets are of no more use."""
    lock_for_change(connection)
    found = meter_store.find(connection, meter_id)
    if found is None:
        return []
    meter, state, _ = found
    if state == "building":
        meter_store.activate(connection, meter)
        raise_version(connection)
    return meter_store.retired(connection, meter.key)
