"""Buckets plus raw edges -> what was used in any window, exactly, every acknowledged event included.

Where events before a stretch have a part in it (a level that holds, a session that is open, a total that ran), what
they left is found first, and what accrues is computed from it and from the stretch's events: `app/domain/flows.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import groupby
from typing import Any, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.engine import Connection

from app.domain.aggregation import (
    EMPTY,
    MERGES,
    Bucket,
    BucketKey,
    Fold,
    contribution,
    identity_number,
    merge,
    over_intervals,
    quantity_of,
)
from app.domain.errors import CatchingUp, NotFound
from app.domain.events import EARLIEST, identity_of, microseconds, parse_json
from app.domain.flows import Reading, Span, Toggle, accrued, increases, levels, sessions
from app.domain.intervals import calendar_cuts, cuts_hours, interval_length, interval_start, number_of_intervals
from app.domain.meters import Change, Measured, Meter, measure
from app.domain.money import ZERO
from app.domain.periods import HOUR_MICROSECONDS, Period, hour_floor
from app.storage import event_store, meter_store, tenant_store, usage_store
from app.storage.event_store import StoredEvent

K = TypeVar("K")
HOUR = timedelta(hours=1)
Zones = Mapping[UUID, ZoneInfo]
"""By whose calendar the days, weeks and months of a meter's intervals go."""
UTC_ZONE = ZoneInfo("UTC")
_LAST_OF_HOUR = HOUR - timedelta(microseconds=1)


def find_meter(connection: Connection, key: str) -> Meter:
    """The meter as it answers reads now."""
    return find_revisions(connection, key)[0]


def find_revisions(connection: Connection, key: str) -> tuple[Meter, bool]:
    """The meter as it answers reads now, and whether a newer revision of it is being built."""
    # No text that is kept holds a NUL character, and PostgreSQL refuses to be asked for one.
    known = [] if "\x00" in key else meter_store.load(connection, key=key)
    if not known:
        raise NotFound(f"There is no meter {key!r}.", meter=key)
    active = [meter for meter in known if meter.state == "active"]
    if not active:
        raise CatchingUp(f"The meter {key} is still being built; try again in a moment.")
    return active[0], len(known) > len(active)


@dataclass(frozen=True, slots=True)
class Piece:
    """A bucket, or one event of an edge, that lies wholly inside the stretch asked for. `subject` is the event's, and
    `value` what it says where that is no number.

    Or what accrued from `at` on inside of one window: then the bucket is empty, but for whose it is. Or an event from
    before the stretch that has a part in it (`carried`): then the bucket is empty as well.
    """

    at: datetime
    bucket: Bucket
    value: str | Change | None = None
    subject: str = ""
    order: tuple[datetime, str, str] | None = None
    amount: Decimal = ZERO
    is_open: bool = False
    is_cut: bool = False
    carried: bool = False

    @property
    def name(self) -> tuple[str, str]:
        """The event's (source, id)."""
        return ("", "") if self.order is None else self.order[1:]

    @property
    def identity(self) -> bytes:
        """The event's."""
        assert self.order is not None
        return identity_of(self.order[1], self.order[2])


@dataclass(slots=True)
class Use:
    """What was gathered for one group in one window: a fold; the distinct values where the meter counts those, and what
    was added or removed; what accrued; and the use of each interval where the meter has such."""

    fold: Fold = EMPTY
    values: set[str] = field(default_factory=set)
    amount: Decimal = ZERO
    present_before: frozenset[tuple[UUID, str]] = frozenset()
    changes: list[tuple[tuple[datetime, str, str], UUID, Change]] = field(default_factory=list)
    sessions_open: int = 0
    sessions_cut: int = 0
    intervals: dict[datetime, Use] = field(default_factory=dict)

    def add(self, piece: Piece, interval: datetime | None = None) -> None:
        """`interval` is the beginning of the piece's, where the meter has intervals."""
        self.fold = merge(self.fold, piece.bucket.fold)
        self.amount += piece.amount
        self.sessions_open += piece.is_open
        self.sessions_cut += piece.is_cut
        if isinstance(piece.value, str):
            self.values.add(piece.value)
        elif piece.value is not None and piece.order is not None:
            self.changes.append((piece.order, piece.bucket.key.tenant_id, piece.value))
        if interval is not None:
            self.intervals.setdefault(interval, Use()).add(piece)

    def absorb(self, other: Use) -> None:
        """Makes it the use of both."""
        self.fold = merge(self.fold, other.fold)
        self.values |= other.values
        self.amount += other.amount
        self.present_before |= other.present_before
        self.changes += other.changes
        self.sessions_open += other.sessions_open
        self.sessions_cut += other.sessions_cut
        for start, use in other.intervals.items():
            self.intervals.setdefault(start, Use()).absorb(use)

    def present(self) -> frozenset[tuple[UUID, str]]:
        """The values that are there at the end, each with whose it is."""
        present = set(self.present_before)
        for _, tenant_id, change in sorted(self.changes, key=lambda item: item[0]):
            (present.add if change.is_there else present.discard)((tenant_id, change.text))
        return frozenset(present)

    def quantity(self, meter: Meter, period: Period | None = None, *, zone: ZoneInfo = UTC_ZONE) -> Decimal:
        """The meter's quantity; `period`, of which intervals without events are a part, is needed for percentiles."""
        if meter.intervals is not None:
            values = [_quantity(meter.intervals.aggregation, use) for use in self.intervals.values()]
            number = 0
            if meter.percentile is not None and period is not None and self.intervals:
                # Nobody asks for the intervals since 1970: without a beginning, the first use is it.
                start = min(self.intervals) if period.start == EARLIEST else period.start
                number = number_of_intervals(Period(start, period.end), meter.intervals.per, zone)
            return over_intervals(meter.aggregation, values, percentile=meter.percentile, number=number)
        if meter.looks_back:
            return Decimal(len({text for _, text in self.present()})) if meter.operation else self.amount
        return _quantity(meter.aggregation, self)


def _quantity(aggregation: Any, use: Use) -> Decimal:
    return Decimal(len(use.values)) if aggregation == "unique" else quantity_of(aggregation, use.fold)


def zones_of(connection: Connection, meter: Meter, tenant_ids: Sequence[UUID] | None) -> Zones:
    """The zones of the tenants, where the meter has intervals of the calendar."""
    if meter.intervals is None or interval_length(meter.intervals.per) is not None:
        return {}
    tenants = (
        tenant_store.all_tenants(connection) if tenant_ids is None else tenant_store.find_many(connection, tenant_ids)
    )
    return {tenant.tenant_id: ZoneInfo(tenant.time_zone) for tenant in tenants}


def pieces(
    connection: Connection, meter: Meter, period: Period, *, cuts: Iterable[datetime] = (),
    tenant_ids: Sequence[UUID] | None = None, resource: str | None = None, from_events: bool = False,
    zones: Zones | None = None, until: datetime | None = None,
    window_of: Callable[[datetime], Period] | None = None,
) -> Iterator[Piece]:  # fmt: skip
    """Everything the meter measured in the period, each part once: buckets for the hours that no cut and no end of the
    period divides, events for the others. A meter that does not merge gives events throughout, and so does a revision
    whose buckets are gone, or a question that buckets cannot answer (`from_events`).

    What accrues, accrues up to `until` at most, and is divided by the windows.
    """
    if meter.looks_back:
        # An end of a session need not say whose resource it was.
        own = resource if meter.sessions is None else None
        found = _looking_back(
            connection, meter, period, tenant_ids=tenant_ids, resource=own, from_events=from_events, until=until,
            window_of=window_of,
        )  # fmt: skip
        yield from (piece for piece in found if resource in (None, piece.bucket.resource))
        return
    if from_events or not merges_by_hour(meter):
        yield from _events(connection, meter, period, tenant_ids, resource)
        return
    all_cuts = [*cuts, *calendar_cuts_of(meter, period, zones or {}), period.start, period.end]
    divided = {hour_floor(cut) for cut in all_cuts if cut != hour_floor(cut)}
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


def merges_by_hour(meter: Meter) -> bool:
    """True where whole hours of UTC can be taken from buckets."""
    return meter.reads in MERGES and (meter.intervals is None or not cuts_hours(meter.intervals.per))


def calendar_cuts_of(meter: Meter, period: Period, zones: Zones) -> Iterator[datetime]:
    """Where intervals of the tenants' calendars end that begin in the period."""
    if meter.intervals is not None:
        for zone in {zone.key: zone for zone in zones.values()}.values():
            yield from calendar_cuts(period, meter.intervals.per, zone)


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
    connection: Connection, meter: Meter, period: Period, tenant_ids: Sequence[UUID] | None, resource: str | None, *,
    in_order: bool = False,
) -> Iterator[Piece]:  # fmt: skip
    for stored in event_store.in_window(
        connection, type=meter.event_type, start=period.start, end=period.end, tenant_ids=tenant_ids, resource=resource,
        in_order=in_order,
    ):  # fmt: skip
        piece = piece_of(meter, stored)
        if piece is not None:
            yield piece


def piece_of(meter: Meter, stored: StoredEvent) -> Piece | None:
    """A kept event as a piece; None where the meter does not measure it."""
    measured = measure(meter, stored.event)
    if not isinstance(measured, Measured):
        return None
    value = measured.value if isinstance(measured.value, str | Change) else None
    event = stored.event
    return Piece(
        stored.at, _contribution(meter, measured, stored), value, event.subject, (stored.at, event.source, event.id)
    )


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


def gather(
    found: Iterable[Piece], group: Callable[[Piece], K], *, meter: Meter, zones: Zones | None = None,
    most: int | None = None,
) -> dict[K, Use]:  # fmt: skip
    """The pieces by group, merged. With more groups than `most` the rest is not looked at."""
    uses: dict[K, Use] = {}
    for piece in found:
        uses.setdefault(group(piece), Use()).add(piece, interval_of(meter, piece, zones or {}))
        if most is not None and len(uses) > most:
            break
    return uses


def interval_of(meter: Meter, piece: Piece, zones: Zones) -> datetime | None:
    """When the piece's interval began; None where the meter has none."""
    if meter.intervals is None:
        return None
    return interval_start(piece.at, meter.intervals.per, zones.get(piece.bucket.key.tenant_id, UTC_ZONE))


def quantities(
    connection: Connection, meter: Meter, period: Period, *, tenant_ids: Sequence[UUID], until: datetime | None = None
) -> dict[UUID, Decimal]:
    """What each of the tenants used in the period, up to `until`, exactly; one that used nothing is left out.

    It is what the pieces come to. Where the meter's hours can be summed as they are stored, no piece is made of them:
    a month of a million events is then read in the time of one of a thousand.
    """
    if meter.aggregation not in usage_store.SUMMED or meter.intervals is not None:
        zones = zones_of(connection, meter, tenant_ids)
        found = pieces(connection, meter, period, tenant_ids=tenant_ids, zones=zones, until=until)
        measured = period if until is None or not period.start < until < period.end else Period(period.start, until)
        return {
            tenant_id: use.quantity(meter, measured, zone=zones.get(tenant_id, UTC_ZONE))
            for tenant_id, use in gather(found, _tenant_of, meter=meter, zones=zones).items()
        }
    whole, edges = whole_and_edges(period)
    folds = (
        {}
        if whole is None
        else usage_store.folds(connection, meter, tenant_ids=tenant_ids, start=whole.start, end=whole.end)
    )
    for edge in edges:
        for piece in _events(connection, meter, edge, tenant_ids, None):
            tenant_id = _tenant_of(piece)
            folds[tenant_id] = merge(folds.get(tenant_id, EMPTY), piece.bucket.fold)
    return {tenant_id: quantity_of(meter.aggregation, fold) for tenant_id, fold in folds.items()}


def whole_and_edges(period: Period) -> tuple[Period | None, list[Period]]:
    """The hours of UTC that lie in the period (None: there are none), and what is left of it before and after them."""
    first, last = hour_floor(period.start + _LAST_OF_HOUR), hour_floor(period.end)
    edges = [(period.start, first), (last, period.end)] if first <= last else [(period.start, period.end)]
    return Period(first, last) if first < last else None, [Period(*edge) for edge in edges if edge[0] < edge[1]]


def adds_up(meter: Meter) -> bool:
    """True where the quantity of a stretch is the sum of its hours' quantities."""
    return meter.aggregation in ("sum", "count") and meter.intervals is None and not meter.looks_back


class Hours:
    """Hour by hour what one tenant used of meters that add up: of all of them read together, as often as there are
    stretches."""

    def __init__(self, connection: Connection, tenant_id: UUID, meters: Iterable[Meter]) -> None:
        self._connection, self._tenant_id = connection, tenant_id
        self._meter_ids = sorted({meter.meter_id for meter in meters})
        self._read: dict[Period, dict[UUID, list[usage_store.Hour]]] = {}

    def of(self, meter: Meter, period: Period) -> list[usage_store.Hour]:
        """What adds up to the meter's use in the period: several of one hour where it has cells or lies at an edge."""
        whole, edges = whole_and_edges(period)
        found = [] if whole is None else list(self._whole(whole)[meter.meter_id])
        for edge in edges:
            for piece in _events(self._connection, meter, edge, [self._tenant_id], None):
                fold, number = piece.bucket.fold, microseconds(piece.bucket.key.start) // HOUR_MICROSECONDS
                found.append((number, fold.count, fold.identity_sum, fold.sum))
        return found

    def _whole(self, period: Period) -> dict[UUID, list[usage_store.Hour]]:
        if period not in self._read:
            self._read[period] = usage_store.hours_of(
                self._connection, tenant_id=self._tenant_id, meter_ids=self._meter_ids, start=period.start,
                end=period.end,
            )  # fmt: skip
        return self._read[period]


def _tenant_of(piece: Piece) -> UUID:
    return piece.bucket.key.tenant_id


# --- what begins before the stretch -----------------------------------------------------------------------------------


def reach_of(meter: Meter, start: datetime) -> datetime:
    """From when on events may have a part in a stretch that begins at `start`."""
    if not meter.looks_back:
        return start
    return EARLIEST if meter.sessions is None else max(EARLIEST, start - meter.sessions.longest)


def _looking_back(
    connection: Connection, meter: Meter, period: Period, *, tenant_ids: Sequence[UUID] | None, resource: str | None,
    from_events: bool, until: datetime | None, window_of: Callable[[datetime], Period] | None,
) -> Iterator[Piece]:  # fmt: skip
    before: dict[UUID, list[Piece]] = {}
    for piece in _before(connection, meter, period.start, tenant_ids, resource, from_events=from_events):
        before.setdefault(piece.bucket.key.tenant_id, []).append(piece)
    own = _events(connection, meter, period, tenant_ids, resource, in_order=True)
    for tenant_id, group in groupby(own, key=lambda piece: piece.bucket.key.tenant_id):
        yield from accrue(
            meter, before.pop(tenant_id, []), list(group), period, key=own_key(connection, tenant_id), until=until,
            window_of=window_of,
        )  # fmt: skip
    for tenant_id, left in before.items():
        yield from accrue(meter, left, [], period, key=own_key(connection, tenant_id), until=until, window_of=window_of)


def own_key(connection: Connection, tenant_id: UUID) -> str:
    """The tenant's key: what names no subject is of the same series as what names its tenant."""
    tenant = tenant_store.find_by_id(connection, tenant_id)
    return "" if tenant is None else tenant.key


def _before(
    connection: Connection, meter: Meter, start: datetime, tenant_ids: Sequence[UUID] | None, resource: str | None, *,
    from_events: bool,
) -> Iterator[Piece]:  # fmt: skip
    """What of the events before the stretch may have a part in it: of levels and totals the last reading of each series
    will do, and buckets have it."""
    reach = reach_of(meter, start)
    if meter.kept_as == "last" and not from_events:
        reach = hour_floor(start)
        for bucket in usage_store.latest(
            connection, meter_id=meter.meter_id, before=reach, tenant_ids=tenant_ids, resource=resource
        ):
            last = bucket.fold.last
            assert last is not None
            yield Piece(last.at, bucket, None, _series_of(bucket)[0], last.order)
    if reach < start:
        yield from _events(connection, meter, Period(reach, start), tenant_ids, resource, in_order=True)


@lru_cache(maxsize=65_536)
def _series(dimensions: str) -> tuple[tuple[str, ...], str]:
    """(to what a reading belongs, the dimensions without it), of canonical JSON."""
    values = parse_json(dimensions)
    series = tuple(values.pop("", ()))
    return series, repr(sorted(values.items()))


def _series_of(bucket: Bucket) -> tuple[str, ...]:
    return _series(bucket.dimensions)[0]


def accrue(
    meter: Meter, before: Sequence[Piece], own: Sequence[Piece], period: Period, *, key: str,
    until: datetime | None = None, window_of: Callable[[datetime], Period] | None = None,
) -> Iterator[Piece]:  # fmt: skip
    """One tenant's events of the period, and what accrued in it, of a meter that looks back. Both lists are in order;
    `key` is the tenant's."""
    end = period.end if until is None else min(period.end, until)
    if meter.operation:
        yield from _added_before(before, period.start)
        yield from own
        return
    yield from own
    if not period.start < end:
        return
    measured = Period(period.start, end)
    counted = [piece for piece in own if piece.at < end]
    whole = window_of or (lambda _at: period)
    match meter.aggregation:
        case "counter":
            last = _last_readings(before, key)
            yield from (_carried(reading.of, period.start) for reading in last.values())
            for reading, amount in increases(last.values(), (_reading(piece, key) for piece in counted)):
                yield _accrued(reading.of, reading.at, amount)
        case "time_weighted":
            last = _last_readings(before, key)
            yield from (_carried(reading.of, period.start) for reading in last.values())
            for span in levels(last.values(), (_reading(piece, key) for piece in counted), measured):
                yield from _divided(span, meter, whole)
        case _:
            assert meter.sessions is not None
            toggles = [_toggle(piece) for piece in (*before, *counted)]
            for span in sessions(toggles, measured, longest=meter.sessions.longest):
                if span.of.at < period.start:
                    yield _carried(span.of, period.start)
                yield from _divided(span, meter, whole)


def _added_before(before: Sequence[Piece], start: datetime) -> Iterator[Piece]:
    """The changes from before the stretch, as if they had come at its start; carried is what is there then."""
    last = {piece.value.text: piece for piece in before if isinstance(piece.value, Change)}
    for piece in before:
        assert isinstance(piece.value, Change)
        is_carried = last[piece.value.text] is piece and piece.value.is_there
        yield replace(_carried(piece, start), carried=is_carried)


def _reading(piece: Piece, key: str) -> Reading[Piece]:
    last = piece.bucket.fold.last
    assert last is not None
    series, dimensions = _series(piece.bucket.dimensions)
    named = ("" if series[0] == key else series[0], *series[1:])
    return Reading((piece.bucket.resource, dimensions, named), piece.at, last.value, piece)


def _last_readings(before: Sequence[Piece], key: str) -> dict[Any, Reading[Piece]]:
    """The last reading of each series."""
    last: dict[Any, Reading[Piece]] = {}
    for piece in before:
        reading = _reading(piece, key)
        known = last.get(reading.series)
        if known is None or order_of(known.of) < order_of(piece):
            last[reading.series] = reading
    return last


def order_of(piece: Piece) -> tuple[datetime, str, str]:
    """When the piece's event happened; its source and its id say which of one time is first."""
    assert piece.order is not None
    return piece.order


def _toggle(piece: Piece) -> Toggle[Piece]:
    assert isinstance(piece.value, Change)
    return Toggle(piece.value.text, piece.at, piece.value.is_there, piece)


def _empty(piece: Piece, at: datetime) -> Bucket:
    """For whose it is: what accrues comes from events that are counted already."""
    own = piece.bucket.key
    return Bucket(
        BucketKey(own.tenant_id, own.meter_id, hour_floor(at), own.cell), piece.bucket.resource,
        piece.bucket.dimensions, EMPTY,
    )  # fmt: skip


def _carried(piece: Piece, start: datetime) -> Piece:
    return replace(piece, at=start, bucket=_empty(piece, start), carried=True)


def _accrued(piece: Piece, at: datetime, amount: Decimal) -> Piece:
    return Piece(at, _empty(piece, at), None, piece.subject, amount=amount)


def _divided(span: Span[Piece], meter: Meter, window_of: Callable[[datetime], Period]) -> Iterator[Piece]:
    """The span window by window: a session is open at the end of each but the last, which says how it ended."""
    at = span.start
    while at < span.end:
        end = min(span.end, window_of(at).end)
        piece = _accrued(span.of, at, accrued(at, end, span.level, meter.per))
        is_last = end == span.end
        is_open = span.is_open if is_last else meter.sessions is not None
        yield replace(piece, is_open=is_open, is_cut=span.is_cut and is_last)
        at = end
