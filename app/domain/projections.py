"""What would a period come to, if use went on as it has so far?

70 kWh in 10 of 30 days make 210 kWh by its end: that quantity is rated, so tiers, allowance and minimum are those of
210 kWh. Fixed amounts are what they are. What does not add up over time (a maximum, an average, a last value, a count
of distinct values) stays as it is measured: nobody knows what comes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Literal, assert_never

from app.domain.charge_models import MeasuredUsage
from app.domain.meters import Aggregation
from app.domain.money import divide
from app.domain.periods import Period

Basis = Literal["extrapolated", "as_measured", "ended", "not_begun", "fixed", "correction"]
"""Why a line has its projected quantity: use went on in line; its meter does not add up over time; its stretch is over,
or has not begun; it measures nothing; it corrects an earlier period."""

_DECIMALS = 18


@dataclass(frozen=True, slots=True)
class LineProjection:
    """What a line's quantity was taken to be, and from what: `elapsed` of `whole` microseconds of its stretch."""

    line: str
    basis: Basis
    measured: Decimal
    quantity: Decimal
    elapsed: int
    whole: int


def adds_up(aggregation: Aggregation) -> bool:
    """True where twice the time makes twice the quantity, if use goes on as before."""
    match aggregation:
        case "count" | "sum" | "time_weighted" | "duration" | "counter":
            return True
        case "min" | "max" | "avg" | "last" | "unique" | "percentile":
            return False
        case _:
            assert_never(aggregation)


def share_elapsed(stretch: Period, now: datetime) -> tuple[int, int]:
    """(elapsed, whole) of the stretch in microseconds."""
    whole = _microseconds(stretch.start, stretch.end)
    return min(max(_microseconds(stretch.start, now), 0), whole), whole


def basis_of(aggregation: Aggregation, *, elapsed: int, whole: int) -> Basis:
    if elapsed == whole:
        return "ended"
    if not elapsed:
        return "not_begun"
    return "extrapolated" if adds_up(aggregation) else "as_measured"


def projected(usage: MeasuredUsage, *, elapsed: int, whole: int) -> MeasuredUsage:
    """The use of the whole stretch, every part of it in the same measure; a number of events to the nearest."""

    def scaled(quantity: Decimal) -> Decimal:
        return divide(quantity * whole, Decimal(elapsed), scale=_DECIMALS)

    def times(count: int) -> int:
        return (2 * count * whole + elapsed) // (2 * elapsed)

    return replace(
        usage, total=scaled(usage.total), count=times(usage.count),
        cells=tuple((cell, scaled(quantity)) for cell, quantity in usage.cells),
        slots=tuple((rate, scaled(quantity)) for rate, quantity in usage.slots),
        amounts=tuple((amount, times(count)) for amount, count in usage.amounts),
    )  # fmt: skip


def _microseconds(start: datetime, end: datetime) -> int:
    passed = end - start
    return (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds
