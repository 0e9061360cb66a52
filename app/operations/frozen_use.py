"""What a line froze of the events of its stretch, and which of the events kept now those are.

Most hours are as they were: count and sum of identities in the buckets are those frozen, and every event that is not
cancelled counts. Of an hour that changed since, the events are told apart one by one (`domain/frozen_events.py`).
Nothing is read but the hours that are asked for.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.engine import Connection

from app.domain.aggregation import identity_number
from app.domain.events import parse_instant
from app.domain.frozen_events import Candidate, Counted, counted_then
from app.domain.invoices import InvoiceLine
from app.domain.meters import Measured, Meter, measure
from app.domain.periods import Period, hour_floor
from app.operations.read_usage import (
    HOUR,
    Piece,
    accrue,
    calendar_cuts_of,
    merges_by_hour,
    order_of,
    own_key,
    piece_of,
)
from app.storage import event_store, invoice_store, meter_store, usage_store
from app.storage.event_store import StoredEvent
from app.storage.invoice_store import StoredInvoice

_CHUNK = 1000


@dataclass(frozen=True, slots=True)
class Frozen:
    """What the line recorded: the meter's revision, the stretch (None where nothing is left of it), when, and of each
    hour with events how many they were and the sum of their identities (None where that was not recorded). `carried`
    are the identities of events before the stretch that have a part in it, `zone` is the one that it was rated in."""

    tenant_id: UUID
    meter: Meter
    stretch: Period | None
    frozen_at: datetime
    hours: Mapping[datetime, tuple[int, int | None]]
    carried: tuple[bytes, ...]
    zone: ZoneInfo


def frozen_of(connection: Connection, stored: StoredInvoice, line: InvoiceLine) -> Frozen | None:
    """What the line of the document froze; None where it measured nothing, or its meter is gone."""
    trace = line.trace
    found = None if trace.get("meter") is None else meter_store.find(connection, UUID(trace["meter"]["meter_id"]))
    if found is None:
        return None
    frozen_at = stored.invoice.issued_at or invoice_store.drafted_at(connection, stored.place)
    start, end = (parse_instant(text) for text in trace["stretch"])
    stretch = Period(start, end) if start < end else None
    carried = tuple(bytes.fromhex(name) for name in trace["usage"].get("carried", ()))
    return Frozen(
        stored.place.tenant_id, found[0], stretch, frozen_at, _hours(trace, hour_floor(start)), carried,
        ZoneInfo(trace["zone"]),
    )  # fmt: skip


def _hours(trace: Mapping[str, Any], first: datetime) -> dict[datetime, tuple[int, int | None]]:
    return {
        first + number * HOUR: (count, identity_sum[0] if identity_sum else None)
        for number, count, *identity_sum in trace["usage"]["hours"]
    }


class FrozenUse:
    """Says of every event of the stretch whether the line counted it, as the database stands."""

    def __init__(self, connection: Connection, frozen: Frozen) -> None:
        self.frozen = frozen
        self._connection = connection
        self._counted: dict[datetime, Counted] = {}

    @cached_property
    def changed(self) -> frozenset[datetime]:
        """The hours whose events are no longer those frozen, and those that an end of the stretch divides."""
        frozen = self.frozen
        if frozen.stretch is None:
            return frozenset()
        if frozen.meter.state != "active":  # the buckets of other revisions are gone
            return frozenset(frozen.hours)
        now = usage_store.by_hour(
            self._connection, tenant_id=frozen.tenant_id, meter_id=frozen.meter.meter_id,
            start=hour_floor(frozen.stretch.start), end=frozen.stretch.end,
        )  # fmt: skip
        found = {
            hour for hour in now.keys() | frozen.hours.keys() if not same_hour(now.get(hour), frozen.hours.get(hour))
        }
        divided = {hour_floor(at) for at in (frozen.stretch.start, frozen.stretch.end) if hour_floor(at) != at}
        return frozenset(found | divided)

    def counts(self, stored: StoredEvent) -> bool:
        """True where the line counted this event, one of its type."""
        stretch, hour = self.frozen.stretch, hour_floor(stored.at)
        if stretch is None or not stretch.start <= stored.at < stretch.end:
            return False
        if hour in self.changed:
            return stored.identity in self.hour(hour).identities
        # Of a revision without buckets the hours that froze nothing are not known to be as they were; nothing of them
        # counts.
        return (
            stored.cancelled_at is None
            and hour in self.frozen.hours
            and isinstance(measure(self.frozen.meter, stored.event), Measured)
        )

    def verified(self, first: datetime, last: datetime) -> bool:
        """True where the events of all hours from one to the other are those frozen."""
        return all(self.hour(hour).verified for hour in self.changed if hour_floor(first) <= hour <= last)

    def hour(self, hour: datetime) -> Counted:
        """What was counted in an hour that changed."""
        found = self._counted.get(hour)
        if found is None:
            count, identity_sum = self.frozen.hours.get(hour, (0, 0))
            candidates = list(self._candidates(hour))
            found = counted_then(
                candidates, frozen_at=self.frozen.frozen_at, count=count, identity_sum=identity_sum
            )  # fmt: skip
            self._counted[hour] = found
        return found

    def _candidates(self, hour: datetime) -> Iterator[Candidate]:
        for stored in self.events(hour, hour + HOUR):
            if isinstance(measure(self.frozen.meter, stored.event), Measured):
                yield Candidate(
                    stored.identity, identity_number(stored.identity), stored.received_at, stored.cancelled_at
                )

    def events(self, start: datetime, end: datetime, *, after: EventPlace | None = None) -> Iterator[StoredEvent]:
        """Every event of the meter's type in this part of the stretch, cancelled ones too, by (time, identity); those
        past the place."""
        stretch = self.frozen.stretch
        if stretch is None:
            return
        start, end = max(start, stretch.start), min(end, stretch.end)
        while True:
            rows = event_store.of_type(
                self._connection, tenant_id=self.frozen.tenant_id, type=self.frozen.meter.event_type, start=start,
                end=end, after=after, limit=_CHUNK,
            )  # fmt: skip
            yield from rows
            if len(rows) < _CHUNK:
                return
            after = (rows[-1].at, rows[-1].identity)

    def pieces(self, cuts: set[datetime]) -> Iterator[Piece]:
        """All that the line counted, each part once: buckets for the hours that are as they were and that no cut
        divides, events for the others."""
        frozen = self.frozen
        if frozen.stretch is None:
            return
        if frozen.meter.looks_back:
            yield from self._looking_back(cuts)
            return
        cuts = cuts | set(calendar_cuts_of(frozen.meter, frozen.stretch, {frozen.tenant_id: frozen.zone}))
        merges = merges_by_hour(frozen.meter) and frozen.meter.state == "active"
        divided = self.changed | {hour_floor(cut) for cut in cuts if hour_floor(cut) != cut}
        by_event = frozenset(frozen.hours) if not merges else divided & frozenset(frozen.hours)
        if merges:
            for bucket in usage_store.in_window(
                self._connection, meter_id=frozen.meter.meter_id, start=hour_floor(frozen.stretch.start),
                end=frozen.stretch.end, tenant_ids=[frozen.tenant_id],
            ):  # fmt: skip
                if bucket.key.start not in divided:
                    yield Piece(bucket.key.start, bucket)
        for hour in sorted(by_event):
            for stored in self.events(hour, hour + HOUR):
                if self.counts(stored):
                    yield from self._piece(stored)

    def _piece(self, stored: StoredEvent) -> Iterator[Piece]:
        piece = piece_of(self.frozen.meter, stored)
        if piece is not None:
            yield piece

    def _looking_back(self, cuts: set[datetime]) -> Iterator[Piece]:
        """What accrued of the events that were carried over and those that were counted, divided at the cuts."""
        frozen, stretch = self.frozen, self.frozen.stretch
        assert stretch is not None
        names = [(frozen.tenant_id, identity) for identity in frozen.carried]
        before = [piece for stored in event_store.find(self._connection, names) for piece in self._piece(stored)]
        own = [
            piece
            for hour in sorted(frozen.hours)
            for stored in self.events(hour, hour + HOUR)
            if self.counts(stored)
            for piece in self._piece(stored)
        ]
        starts = sorted({stretch.start, *cuts})
        ends = [*starts[1:], stretch.end]
        yield from accrue(
            frozen.meter, sorted(before, key=order_of), sorted(own, key=order_of), stretch,
            key=own_key(self._connection, frozen.tenant_id),
            window_of=lambda at: Period(starts[n := bisect_right(starts, at) - 1], ends[n]),
        )  # fmt: skip


EventPlace = tuple[datetime, bytes]
"""(time, identity): where an event stands among those of its tenant and type."""


def same_hour(first: tuple[int, int | None] | None, second: tuple[int, int | None] | None) -> bool:
    """True where both say that the hour has the same events, as far as they say."""
    count, identity_sum = first or (0, 0)
    other_count, other_sum = second or (0, 0)
    return count == other_count and (identity_sum == other_sum or None in (identity_sum, other_sum))
