"""Buckets plus raw edges -> what was used in any window, exactly, every acknowledged event included."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeVar
from uuid import UUID

from sqlalchemy.engine import Connection

from app.domain.aggregation import EMPTY, MERGES, Bucket, Fold, contribution, identity_number, merge, quantity_of
from app.domain.errors import CatchingUp, NotFound
from app.domain.meters import Measured, Meter, measure
from app.domain.periods import Period, hour_floor
from app.storage import event_store, meter_store, usage_store
from app.storage.event_store import StoredEvent

K = TypeVar("K")
HOUR = timedelta(hours=1)
_LAST_OF_HOUR = HOUR - timedelta(microseconds=1)


def find_meter(connection: Connection, key: str) -> Meter:
    """The meter as it answers reads now."""
    known = [meter for meter in meter_store.load(connection) if meter.key == key]
    if not known:
        raise NotFound(f"There is no meter {key!r}.", meter=key)
    active = [meter for meter in known if meter.state == "active"]
    if not active:
        raise CatchingUp(f"The meter {key} is still being built; try again in a moment.")
    return active[0]


@dataclass(slots=True)
class Use:
    """What was gathered for one group in one window: a fold, and the distinct values where the meter counts those."""

    fold: Fold = EMPTY
    values: set[str] = field(default_factory=set)

    def quantity(self, meter: Meter) -> Decimal:
        return Decimal(len(self.values)) if meter.aggregation == "unique" else quantity_of(meter.aggregation, self.fold)

    def add(self, piece: Piece) -> None:
        self.fold = merge(self.fold, piece.bucket.fold)
        if piece.value is not None:
            self.values.add(piece.value)


@dataclass(frozen=True, slots=True)
class Piece:
    """A bucket, or one event of an edge, that lies wholly inside the stretch asked for. `subject` and `name`, its
    (source, id), are the event's."""

    at: datetime
    bucket: Bucket
    value: str | None = None
    subject: str = ""
    name: tuple[str, str] = ("", "")


def pieces(
    connection: Connection, meter: Meter, period: Period, *, cuts: Iterable[datetime] = (),
    tenant_ids: Sequence[UUID] | None = None, resource: str | None = None, from_events: bool = False,
) -> Iterator[Piece]:  # fmt: skip
    """Everything the meter measured in the period, each part once: buckets for the hours that no cut and no end of the
    period divides, events for the others. A meter that does not merge gives events throughout, and so does a revision
    whose buckets are gone, or a question that buckets cannot answer (`from_events`)."""
    if from_events or meter.aggregation not in MERGES:
        yield from _events(connection, meter, period, tenant_ids, resource)
        return
    divided = {hour_floor(cut) for cut in (*cuts, period.start, period.end) if cut != hour_floor(cut)}
    buckets = usage_store.in_window(
        connection, meter_id=meter.meter_id, start=hour_floor(period.start), end=period.end, tenant_ids=tenant_ids,
        resource=resource,
    )  # fmt: skip
    for bucket in buckets:
        if bucket.key.start not in divided:
            yield Piece(bucket.key.start, bucket)
    for hour in _runs(divided):
        edge_start, edge_end = max(hour.start, period.start), min(hour.end, period.end)
        if edge_start < edge_end:
            yield from _events(connection, meter, Period(edge_start, edge_end), tenant_ids, resource)


def _runs(hours: set[datetime]) -> Iterator[Period]:
    """The hours as few unbroken stretches."""
    start: datetime | None = None
    end: datetime | None = None
    for hour in sorted(hours):
        if end == hour:
            end = hour + HOUR
            continue
        if start is not None and end is not None:
            yield Period(start, end)
        start, end = hour, hour + HOUR
    if start is not None and end is not None:
        yield Period(start, end)


def _events(
    connection: Connection, meter: Meter, period: Period, tenant_ids: Sequence[UUID] | None, resource: str | None
) -> Iterator[Piece]:
    for stored in event_store.in_window(
        connection, type=meter.event_type, start=period.start, end=period.end, tenant_ids=tenant_ids, resource=resource
    ):
        measured = measure(meter, stored.event)
        if isinstance(measured, Measured):
            bucket = _contribution(meter, measured, stored)
            value = measured.value if isinstance(measured.value, str) else None
            event = stored.event
            yield Piece(stored.at, bucket, value, event.subject, (event.source, event.id))


def contribution_of(meter: Meter, stored: StoredEvent) -> Bucket | None:
    """What a kept event adds to the meter's buckets; None where the meter does not measure it."""
    measured = measure(meter, stored.event)
    return _contribution(meter, measured, stored) if isinstance(measured, Measured) else None


def _contribution(meter: Meter, measured: Measured, stored: StoredEvent) -> Bucket:
    return contribution(
        meter,
        measured,
        stored.event,
        tenant_id=stored.tenant_id,
        number=identity_number(stored.identity),
        at=stored.at,
        hour=hour_floor(stored.at),
    )


def quantities(
    connection: Connection, meter: Meter, period: Period, *, tenant_ids: Sequence[UUID]
) -> dict[UUID, Decimal]:
    """What each of the tenants used in the period, exactly; one that used nothing is left out.

    It is what the pieces come to. Where the meter's hours can be summed as they are stored, no piece is made of them:
    a month of a million events is then read in the time of one of a thousand.
    """
    if meter.aggregation not in usage_store.SUMMED:
        uses = gather(pieces(connection, meter, period, tenant_ids=tenant_ids), _tenant_of)
        return {tenant_id: use.quantity(meter) for tenant_id, use in uses.items()}
    first, last = hour_floor(period.start + _LAST_OF_HOUR), hour_floor(period.end)
    edges = [(period.start, first), (last, period.end)] if first <= last else [(period.start, period.end)]
    folds = usage_store.folds(connection, meter, tenant_ids=tenant_ids, start=first, end=last)
    for start, end in edges:
        if start < end:
            for piece in _events(connection, meter, Period(start, end), tenant_ids, None):
                tenant_id = _tenant_of(piece)
                folds[tenant_id] = merge(folds.get(tenant_id, EMPTY), piece.bucket.fold)
    return {tenant_id: quantity_of(meter.aggregation, fold) for tenant_id, fold in folds.items()}


def _tenant_of(piece: Piece) -> UUID:
    return piece.bucket.key.tenant_id


def gather(found: Iterable[Piece], group: Callable[[Piece], K]) -> dict[K, Use]:
    """The pieces by group, merged."""
    uses: dict[K, Use] = {}
    for piece in found:
        uses.setdefault(group(piece), Use()).add(piece)
    return uses
