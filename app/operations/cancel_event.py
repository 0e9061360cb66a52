"""Count an event no more: it is kept, marked, and its buckets are made anew from the events that are left.

With a replacement, the right event is kept and counted in the same transaction: there is no moment in which both count,
or neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.engine import Connection

from app.domain.acceptance import Judged, Rejected, judge
from app.domain.aggregation import Bucket, BucketKey, Tally
from app.domain.errors import CatchingUp, EventAlreadyCancelled, InvalidInput, NotFound
from app.domain.events import QuarantineReason, UsageEvent, identity_of, same_content
from app.domain.meters import Meter
from app.domain.periods import Period
from app.operations.keep_events import count, keep
from app.operations.read_usage import HOUR, contribution_of
from app.storage import event_store, usage_store
from app.storage.catalog_snapshot import CatalogCache, Snapshot
from app.storage.database import Database
from app.storage.event_store import StoredEvent

_POINTERS: dict[QuarantineReason, str] = {
    "unknown_tenant": "/subject", "unknown_type": "/type", "unknown_resource": "/resource", "unmeasurable": "/data",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cancelling:
    """Which event is to count no more, and the one that counts in its place, where there is one. `bound_to` is the
    tenant of a caller who may post for one only."""

    tenant_id: UUID
    source: str
    id: str
    reason: str
    replacement: UsageEvent | None = None
    bound_to: UUID | None = None


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The event, since when it counts no more, and when its replacement was received."""

    stored: StoredEvent
    cancelled_at: datetime
    replaced_at: datetime | None


def cancel_event(
    database: Database, cache: CatalogCache, wanted: Cancelling, *, now: datetime, future: timedelta
) -> Cancelled:
    """What was done, now or when just this was asked before.

    Raises NotFound, EventAlreadyCancelled where it was cancelled otherwise, InvalidInput for a replacement that would
    not be accepted, or CatchingUp while a meter of a type is built.
    """
    cancelled = database.write(lambda connection: _cancel(connection, cache, wanted, now, future))
    cache.touch({wanted.replacement.subject or ""} if wanted.replacement else set(), {wanted.tenant_id})
    return cancelled


def _cancel(
    connection: Connection, cache: CatalogCache, wanted: Cancelling, now: datetime, future: timedelta
) -> Cancelled:
    snapshot = cache.at_locked_version(connection)
    key = (wanted.tenant_id, identity_of(wanted.source, wanted.id))
    stored = event_store.lock(connection, key)
    if stored is None:
        raise NotFound("This tenant has no such event.", source=wanted.source, id=wanted.id)
    new = None if wanted.replacement is None else _judged(connection, snapshot, wanted, now, future)
    if stored.cancelled_at is not None:
        replaced_at = _done_before(connection, stored, wanted, new)
        return Cancelled(stored, stored.cancelled_at, replaced_at)
    if new is not None and new.reason is not None:
        raise InvalidInput.at(f"#/replacement{_POINTERS[new.reason]}", new.detail)
    meters = snapshot.meters.get(stored.event.type, ())
    if any(meter.state == "building" for meter in meters):
        raise CatchingUp("A meter of this event's type is being built; try again in a moment.")
    event_store.mark_cancelled(connection, key, at=now, reason=wanted.reason)
    touched = {bucket: meter for meter in meters if (bucket := _bucket_key(meter, stored)) is not None}
    # Min, max and last cannot be subtracted. The buckets are locked first and read in a later statement, so an event
    # that is being counted meanwhile is either in what is read or added afterwards. Those of the replacement are locked
    # with them: all in one order.
    usage_store.lock(connection, list({*touched, *_bucket_keys(new)}))
    for bucket_key, meter in touched.items():
        usage_store.replace(connection, bucket_key, _fold_anew(connection, meter, bucket_key))
    if new is not None:
        _keep_replacement(connection, new, version=snapshot.version, now=now)
    return Cancelled(stored, now, None if new is None else now)


def _judged(connection: Connection, snapshot: Snapshot, wanted: Cancelling, now: datetime, future: timedelta) -> Judged:
    """What the catalog says to the replacement. Raises InvalidInput where it is malformed."""
    event = wanted.replacement
    assert event is not None
    snapshot.look_up(connection, {event.subject} if event.subject else set(), {event.resource})
    new = judge(event, snapshot, received_at=now, latest=now + future, bound_to=wanted.bound_to)
    if isinstance(new, Rejected):
        raise InvalidInput.at(f"#/replacement{new.pointer}", new.detail)
    return new


def _done_before(
    connection: Connection, stored: StoredEvent, wanted: Cancelling, new: Judged | None
) -> datetime | None:
    """When the replacement was received, if the event was cancelled just so. Raises EventAlreadyCancelled."""
    replaced_at = None
    same = event_store.cancel_reason(connection, stored.key) == wanted.reason
    if new is not None:
        replaced_at = stored.cancelled_at
        same = same and any(
            kept.received_at == replaced_at and same_content(kept.event, new.event)
            for kept in event_store.find(connection, [(new.tenant_id, new.identity)])
        )
    if not same:
        raise EventAlreadyCancelled("This event was cancelled before.", source=wanted.source, id=wanted.id)
    return replaced_at


def _keep_replacement(connection: Connection, new: Judged, *, version: int, now: datetime) -> None:
    kept = keep(connection, [new], version=version, received_at=[now])
    if kept.statuses != ("accepted",):
        raise InvalidInput.at(
            "#/replacement/id", "there is an event with this source and id already: give the replacement its own"
        )
    count(connection, kept)


def _bucket_keys(new: Judged | None) -> list[BucketKey]:
    additions = Tally()
    if new is not None:
        additions.count(new)
    return [bucket.key for bucket in additions.buckets()]


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
