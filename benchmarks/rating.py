"""How many lines does one process rate in a second?

python -m benchmarks.rating
"""

from __future__ import annotations

from decimal import Decimal
from time import perf_counter

from app.domain.charge_models import Graduated, MeasuredUsage, Tier
from app.domain.meters import Rounding
from app.domain.plans import PlanCharge
from app.domain.rating.lines import RatingTerms
from app.domain.rating.pipeline import rate

_FIVE_TIERS = Graduated(
    (
        Tier(Decimal(1_000), Decimal("0.01")),
        Tier(Decimal(10_000), Decimal("0.008")),
        Tier(Decimal(100_000), Decimal("0.006")),
        Tier(Decimal(1_000_000), Decimal("0.0045"), Decimal("25.00")),
        Tier(None, Decimal("0.0031")),
    )
)
_TERMS = RatingTerms(PlanCharge("calls", _FIVE_TIERS, "calls"), "EUR", 30, 30, Rounding("half_up", 4))


def measure_rating_lines_per_second(*, lines: int = 20_000) -> float:
    """Lines a second through the whole pipeline, of quantities that reach all five tiers, each quantity another."""
    usages = [MeasuredUsage(1_200_000 + Decimal(number) / 8) for number in range(lines)]
    started = perf_counter()
    for usage in usages:
        rate(_TERMS, usage)
    return lines / (perf_counter() - started)


if __name__ == "__main__":
    print(f"{measure_rating_lines_per_second():.0f} lines/s")
