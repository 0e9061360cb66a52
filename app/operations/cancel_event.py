"""Count an event no more: it is kept, marked, and its buckets are made anew from the events that are left."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.engine import Connection

from app.domain.aggregation import Bucket, BucketKey, Tally
from app.domain.errors import CatchingUp, EventAlreadyCancelled, NotFound
from app.domain.events import identity_of
from app.domain.meters import Meter
from app.domain.periods import Period
from app.operations.read_usage import HOUR, contribution_of
from app.storage import event_store, usage_store
from app.storage.catalog_snapshot import CatalogCache
from app.storage.database import Database
from app.storage.event_store import StoredEvent


def cancel_event(
    database: Database, cache: CatalogCache, *, tenant_id: UUID, source: str, id: str, reason: str, now: datetime
) -> StoredEvent:
    """The event as it was. Raises NotFound, EventAlreadyCancelled, or CatchingUp while a meter of its type is built."""
    key = (tenant_id, identity_of(source, id))

    def work(connection: Connection) -> StoredEvent:
        snapshot = cache.at_locked_version(connection)
        stored = event_store.lock(connection, key)
        if stored is None:
            raise NotFound("This tenant has no such event.", source=source, id=id)
        if stored.cancelled_at is not None:
            raise EventAlreadyCancelled("This event was cancelled before.", source=source, id=id)
        meters = snapshot.meters.get(stored.event.type, ())
        if any(meter.state == "building" for meter in meters):
            raise CatchingUp("A meter of this event's type is being built; try again in a moment.")
        event_store.mark_cancelled(connection, key, at=now, reason=reason)
        touched = {bucket: meter for meter in meters if (bucket := _bucket_key(meter, stored)) is not None}
        # Min, max and last cannot be subtracted. The buckets are locked first and read in a later statement, so an
        # event that is being counted meanwhile is either in what is read or added afterwards.
        usage_store.lock(connection, list(touched))
        for bucket_key, meter in touched.items():
            usage_store.replace(connection, bucket_key, _fold_anew(connection, meter, bucket_key))
        return stored

    return database.write(work)


def _bucket_key(meter: Meter, stored: StoredEvent) -> BucketKey | None:
    bucket = contribution_of(meter, stored)
    return None if bucket is None else bucket.key


def _fold_anew(connection: Connection, meter: Meter, key: BucketKey) -> Bucket | None:
    hour = Period(key.start, key.start + HOUR)
    found = Tally()
    for stored in event_store.in_window(
        connection, type=meter.event_type, start=hour.start, end=hour.end, tenant_ids=[key.tenant_id]
    ):
        bucket = contribution_of(meter, stored)
        if bucket is not None and bucket.key == key:
            found.add(bucket)
    return next(iter(found.buckets()), None)
