"""How do events become a quantity, and how do two stretches of use become one?

    count, sum     add up                                  3 and 5 make 8
    min, max       the smaller, the larger                 a stretch without events has none, it is not 0
    avg            the sums and the counts add up, and the one is divided by the other at last
    last           the value of the latest (time, source, id), never the latest to arrive
    unique         does not merge: the union of the values is needed, so it is computed from the events; where values
                   are added and removed, from those before the stretch, too
    percentile     does not merge: the value of every interval of the stretch is needed. What is aggregated within the
                   intervals does merge, or not, as it does elsewhere
    time_weighted, duration, counter
                   parts of a stretch add up, but no part can be computed from its own events alone: each begins with a
                   level, an open session or a reading from before it (`flows.py`)

What merges is stored in buckets, what does not is read from the events; both exactly. Buckets hold the last reading of
each series, too: that is how a level or a total of long ago is found.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache
from hashlib import blake2b
from struct import Struct
from uuid import UUID

import msgspec

from app.domain.acceptance import Judged
from app.domain.events import UsageEvent
from app.domain.meters import Aggregation, Kept, Measured, Meter
from app.domain.money import ZERO, divide
from app.domain.paths import MAX_DECIMALS
from app.domain.periods import hour_at

MERGES: frozenset[Aggregation] = frozenset({"count", "sum", "min", "max", "avg", "last"})
"""Those whose quantity is that of the merged folds."""


class Last(msgspec.Struct, frozen=True, gc=False):
    """The latest value so far; ties of time are broken by source, then id."""

    at: datetime
    source: str
    id: str
    value: Decimal

    @property
    def order(self) -> tuple[datetime, str, str]:
        return self.at, self.source, self.id


class Fold(msgspec.Struct, gc=False):
    """Any number of events of one meter, merged. Parts that the aggregation does not ask for are None.

    Only a Tally changes a fold, and only its own.

    `identity_sum` is the sum of 32 bits of each event's identity: with `count` it tells, whatever the order of arrival,
    whether two folds hold the same events. It stays below 2^63 for two thousand million events.
    """

    count: int = 0
    identity_sum: int = 0
    sum: Decimal | None = None
    min: Decimal | None = None
    max: Decimal | None = None
    last: Last | None = None


EMPTY = Fold()


@lru_cache(maxsize=65_536)
def cell_of(resource: str, dimensions: str) -> bytes:
    """The short name of (resource, canonical dimensions) inside a bucket's key: 16 bytes."""
    return blake2b(f"{resource}\0{dimensions}".encode(), digest_size=16).digest()


class BucketKey(msgspec.Struct, frozen=True, gc=False):
    """Where a fold is stored. `start` is an aligned UTC hour, `cell` stands for resource and dimensions."""

    tenant_id: UUID
    meter_id: UUID
    start: datetime
    cell: bytes


class Bucket(msgspec.Struct, frozen=True, gc=False):
    """The stored use of one (tenant, meter, resource, dimensions) in one hour."""

    key: BucketKey
    resource: str
    dimensions: str
    fold: Fold


class Tally:
    """Buckets gathered one by one, those of one key merged. What is added belongs to the tally from then on."""

    def __init__(self) -> None:
        # UUIDs are slow to hash, and this is asked for every contribution of every event.
        self._found: dict[tuple[int, int, datetime, bytes], Bucket] = {}

    def add(self, bucket: Bucket) -> None:
        own = bucket.key
        present = self._found.setdefault((own.tenant_id.int, own.meter_id.int, own.start, own.cell), bucket)
        if present is not bucket:
            _absorb(present.fold, bucket.fold)

    def count(self, item: Judged) -> None:
        """Adds what was measured of one event."""
        event, tenant_id, at, hour = item.event, item.tenant_id, item.at, hour_at(item.moment)
        number = identity_number(item.identity)
        for meter, part in item.measured:
            key = (tenant_id.int, meter.meter_id.int, hour, cell_of(event.resource, part.dimensions))
            present = self._found.get(key)
            if present is None:
                self._found[key] = contribution(
                    meter, part, event, tenant_id=tenant_id, number=number, at=at, hour=hour
                )
            else:
                _absorb_one(present.fold, part, event, at, number)

    def buckets(self) -> list[Bucket]:
        return list(self._found.values())


def contribution(
    meter: Meter, measured: Measured, event: UsageEvent, *, tenant_id: UUID, number: int, at: datetime,
    hour: datetime,
) -> Bucket:  # fmt: skip
    """The bucket of one event that happened `at`: what it adds to its `hour`. `number` is its identity's."""
    cell = cell_of(event.resource, measured.dimensions)
    fold = fold_of(meter.kept_as, measured, event, at=at, number=number)
    return Bucket(BucketKey(tenant_id, meter.meter_id, hour, cell), event.resource, measured.dimensions, fold)


def identity_number(identity: bytes) -> int:
    """The 32 bits of an identity that `identity_sum` adds up."""
    number: int
    (number,) = _LAST_32_BITS(identity)
    return number


_LAST_32_BITS = Struct(">12xI").unpack


def fold_of(kept_as: Kept, measured: Measured, event: UsageEvent, *, at: datetime, number: int) -> Fold:
    """The fold of a single event that happened `at`; `number` is its identity's."""
    value = measured.value
    if not isinstance(value, Decimal):
        return Fold(1, number)
    match kept_as:
        case "sum":
            return Fold(1, number, value)
        case "min":
            return Fold(1, number, min=value)
        case "max":
            return Fold(1, number, max=value)
        case _:
            return Fold(1, number, last=Last(at, event.source, event.id, value))


def merge(first: Fold, second: Fold) -> Fold:
    """The fold of the events of both; neither order nor grouping matters."""
    if not first.count:
        return second
    if not second.count:
        return first
    merged = Fold(first.count, first.identity_sum, first.sum, first.min, first.max, first.last)
    _absorb(merged, second)
    return merged


def _absorb(fold: Fold, other: Fold) -> None:
    """Makes the fold that of the events of both; neither is empty."""
    fold.count += other.count
    fold.identity_sum += other.identity_sum
    if fold.sum is not None:
        fold.sum = None if other.sum is None else fold.sum + other.sum
    if fold.min is not None:
        fold.min = None if other.min is None else min(fold.min, other.min)
    if fold.max is not None:
        fold.max = None if other.max is None else max(fold.max, other.max)
    if other.last is not None and (fold.last is None or fold.last.order < other.last.order):
        fold.last = other.last


def _absorb_one(fold: Fold, measured: Measured, event: UsageEvent, at: datetime, number: int) -> None:
    """`_absorb` of the fold of a single event, which is not made: an event has the parts that its bucket has."""
    value = measured.value
    fold.count += 1
    fold.identity_sum += number
    if not isinstance(value, Decimal):
        return
    if fold.sum is not None:
        fold.sum += value
    if fold.min is not None:
        fold.min = min(fold.min, value)
    if fold.max is not None:
        fold.max = max(fold.max, value)
    if fold.last is not None and fold.last.order < (at, event.source, event.id):
        fold.last = Last(at, event.source, event.id, value)


def quantity_of(aggregation: Aggregation, fold: Fold) -> Decimal:
    """The quantity of a merged fold; 0 where there was no event."""
    match aggregation:
        case "count":
            return Decimal(fold.count)
        case "sum":
            return fold.sum or ZERO
        case "min":
            return fold.min or ZERO
        case "max":
            return fold.max or ZERO
        case "avg":
            return divide(fold.sum or ZERO, Decimal(fold.count), scale=MAX_DECIMALS) if fold.count else ZERO
        case "last":
            return fold.last.value if fold.last else ZERO
        case _:
            raise AssertionError(f"{aggregation} does not merge")


def over_intervals(
    aggregation: Aggregation, values: Sequence[Decimal], *, percentile: Decimal | None = None, number: int = 0
) -> Decimal:
    """One quantity of the values of the intervals with events; 0 where there are none.

    Of the `number` of all intervals the percentile takes those without events as 0; the others pass them over.
    """
    if not values:
        return ZERO
    match aggregation:
        case "sum":
            return sum(values, ZERO)
        case "min":
            return min(values)
        case "max":
            return max(values)
        case "avg":
            return divide(sum(values, ZERO), Decimal(len(values)), scale=MAX_DECIMALS)
        case _:
            assert aggregation == "percentile" and percentile is not None
            return nearest_rank(values, percentile, zeros=max(number - len(values), 0))


def nearest_rank(values: Sequence[Decimal], percentile: Decimal, *, zeros: int = 0) -> Decimal:
    """The smallest of the values, and of so many zeros, that `percentile` % of them all do not exceed: the 95th of 1 to
    20 is 19."""
    rank = int((percentile * (len(values) + zeros) / 100).to_integral_value(ROUND_CEILING))
    below = sorted(value for value in values if value < 0)
    if rank <= len(below):
        return below[rank - 1]
    rank -= len(below)
    return ZERO if rank <= zeros else sorted(value for value in values if value >= 0)[rank - zeros - 1]
