"""How many lines does one process rate in a second, with the trace from which each can be rated again?

python -m benchmarks.rating
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from time import perf_counter, process_time
from uuid import UUID
from zoneinfo import ZoneInfo

from app.domain.charge_models import Graduated, Tier
from app.domain.meters import Meter, Rounding
from app.domain.periods import Period
from app.domain.plans import PlanCharge, PlanTerms
from app.domain.subscriptions import Phase
from app.operations.rate_period import Billable, Measurement, rate_gathered

_FIVE_TIERS = Graduated(
    (
        Tier(Decimal(1_000), Decimal("0.01")),
        Tier(Decimal(10_000), Decimal("0.008")),
        Tier(Decimal(100_000), Decimal("0.006")),
        Tier(Decimal(1_000_000), Decimal("0.0045"), Decimal("25.00")),
        Tier(None, Decimal("0.0031")),
    )
)
_CHARGE = PlanCharge("calls", _FIVE_TIERS, "calls")
_METER = Meter("calls", UUID(int=1), "call", "sum", "$.calls", rounding=Rounding("half_up", 4), unit="call")
_MONTH = Period(datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC))
_PHASE = Phase(_MONTH.start, date(2026, 10, 1), None, "standard", date(2026, 10, 1), None, (), False)
_BILLABLE = Billable(
    _MONTH, "standard", 1, PlanTerms("EUR", "month", "calendar", (_CHARGE,)), _CHARGE,
    (date(2026, 10, 1), date(2026, 11, 1)), {}, ZoneInfo("UTC"), _PHASE,
)  # fmt: skip


def measure_rating_lines_per_second(*, lines: int = 20_000, clock: Callable[[], float] = perf_counter) -> float:
    """Lines a second from a measured quantity to a rated charge with its trace, as a close makes it, through the whole
    pipeline; each quantity another one that reaches all five tiers."""
    measured = [Measurement(1_200_000 + Decimal(number) / 8, number, number) for number in range(lines)]
    started = clock()
    for measurement in measured:
        rate_gathered(_BILLABLE, _METER, measurement)
    return lines / (clock() - started)


if __name__ == "__main__":
    print(f"{measure_rating_lines_per_second():.0f} lines/s")
    print(f"{measure_rating_lines_per_second(clock=process_time):.0f} lines/s of processor time")
