"""What is sure of a subscription without rating anything: that all it was billed still stands, and stands alone.

Most subscriptions at most closings have had no late use: they are told by the marks of their lines and the sums of
their buckets, and nothing else of what they were billed is read. Where that does not do, every line is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.engine import Connection

from app.domain.events import instant_text, parse_instant
from app.domain.marks import Mark
from app.domain.meters import Meter
from app.domain.periods import Period, hour_floor
from app.domain.subscriptions import Subscription
from app.operations.read_usage import reach_of
from app.storage import coupon_store, credit_store, invoice_store, usage_store
from app.storage.invoice_store import MarkedLine
from app.storage.usage_store import Range


@dataclass(frozen=True, slots=True)
class Facts:
    """`is_untouched`: no billed line has changed, nor does any depend on others. `is_given`: there are prepaid units or
    coupons that may yet be taken."""

    is_untouched: bool
    is_given: bool


def facts_of(
    connection: Connection, subscriptions: Sequence[Subscription], meters: Mapping[str, Meter]
) -> dict[UUID, Facts]:
    """By subscription. Use that comes while this is read is late use of the next document, if it is not of this one."""
    keys = [(item.tenant_id, item.subscription_id) for item in subscriptions]
    tenant_ids = sorted({tenant_id for tenant_id, _ in keys})
    marked = invoice_store.marked_lines(connection, keys)
    given = credit_store.tenants_with_units(connection, tenant_ids) | coupon_store.tenants_with_open(
        connection, tenant_ids
    )
    expected = {
        item.subscription_id: _expected(item, marked[item.tenant_id, item.subscription_id], meters)
        for item in subscriptions
    }  # fmt: skip
    changed = _changed(connection, [one for sums in expected.values() for one in sums or ()])
    return {
        item.subscription_id: Facts(_stand(expected[item.subscription_id], changed), item.tenant_id in given)
        for item in subscriptions
    }  # fmt: skip


def _expected(
    subscription: Subscription, lines: Sequence[MarkedLine], meters: Mapping[str, Meter]
) -> list[Sums] | None:  # fmt: skip
    """What must still be as it was for all lines to stand; None where sums of buckets cannot tell."""
    first: dict[tuple[datetime, str, str, str], MarkedLine] = {}
    last: dict[tuple[datetime, str, str, str], Mark] = {}
    for line in lines:
        if not line.mark.is_plain:
            return None
        key = (line.period.start, line.charge, line.mark.since, line.mark.meter)
        first.setdefault(key, line)
        last[key] = line.mark
    expected: list[Sums] = []
    for key, mark in last.items():
        end = end_now(subscription, first[key].period, mark.since)
        sums = sums_as_billed(subscription.tenant_id, mark, key[0], end, meters.get(mark.meter))
        if sums is None:
            return None
        expected += sums
    return expected


Sums = tuple[Range, tuple[int, int]]
"""A range of buckets, with the count and identity sum that it had when a line was issued."""


def sums_as_billed(
    tenant_id: UUID, mark: Mark, start: datetime, end: datetime, meter: Meter | None
) -> list[Sums] | None:  # fmt: skip
    """What must still be as it was for a line over [start, end) to stand: its stretch, and what lies before it where
    that has a part in it. None where sums of buckets cannot tell; `meter` is the active revision, if there is one."""
    if end != mark.end:
        return None
    if mark.meter_id is None:
        return []
    is_aligned = hour_floor(start) == start and hour_floor(end) == end
    if meter is None or meter.meter_id != mark.meter_id or not is_aligned:
        return None
    own = ((tenant_id, mark.meter_id, start, end), (mark.count, mark.identity_sum))
    if not meter.looks_back:
        return [own]
    if mark.before is None:
        return None
    return [((tenant_id, mark.meter_id, hour_floor(reach_of(meter, start)), start), mark.before), own]


def all_stand(connection: Connection, expected: Sequence[Sums]) -> bool:
    """True where all of the sums are as they were."""
    return not _changed(connection, expected)


def _changed(connection: Connection, expected: Sequence[Sums]) -> set[Sums]:
    """Those of the sums that are no longer as they were."""
    found = usage_store.totals_of_ranges(connection, [one for one, _ in expected])
    return {one for one, totals in zip(expected, found, strict=True) if one[1] != totals}


def _stand(expected: Sequence[Sums] | None, changed: Set[Sums]) -> bool:
    return expected is not None and changed.isdisjoint(expected)


def end_now(subscription: Subscription, period: Period, since: str) -> datetime:
    """The end of a billed line's stretch; an earlier one where the subscription has been ended since or is on another
    plan, and the stretch's own start where that was before it began."""
    begun = parse_instant(since or instant_text(subscription.start))
    phase = next((phase for phase in subscription.phases if phase.start == begun), None)
    if phase is None:
        return period.start
    if phase.end is None:
        return period.end
    return max(period.start, min(period.end, phase.end))
