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
from app.domain.meters import Measured, Meter, measure
from app.domain.periods import Period, hour_floor
from app.storage import event_store, usage_store
from app.storage.event_store import StoredEvent

K = TypeVar("K")
HOUR = timedelta(hours=1)


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
    """A bucket, or one event of an edge, that lies wholly inside the stretch asked for. `subject` is the event's."""

    at: datetime
    bucket: Bucket
    value: str | None = None
    subject: str = ""


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
            yield Piece(stored.at, bucket, value, stored.event.subject)


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


def gather(found: Iterable[Piece], group: Callable[[Piece], K]) -> dict[K, Use]:
    """The pieces by group, merged."""
    uses: dict[K, Use] = {}
    for piece in found:
        uses.setdefault(group(piece), Use()).add(piece)
    return uses
