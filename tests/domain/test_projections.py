"""Use that goes on in line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from app.domain.charge_models import MeasuredUsage
from app.domain.meters import Aggregation
from app.domain.periods import Period
from app.domain.projections import adds_up, basis_of, projected, share_elapsed

NOVEMBER = Period(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))


def test_a_third_of_the_time_makes_three_times_the_use() -> None:
    elapsed, whole = share_elapsed(NOVEMBER, datetime(2026, 11, 11, tzinfo=UTC))
    usage = MeasuredUsage(
        Decimal(70), 7, cells=(("{}", Decimal("1.5")),), slots=((1, Decimal(2)),), amounts=((Decimal(10), 7),)
    )
    assert projected(usage, elapsed=elapsed, whole=whole) == MeasuredUsage(
        Decimal(210), 21, cells=(("{}", Decimal("4.5")),), slots=((1, Decimal(6)),), amounts=((Decimal(10), 21),)
    )


def test_every_aggregation_says_whether_it_adds_up_over_time() -> None:
    assert {name for name in get_args(Aggregation) if adds_up(name)} >= {"count", "sum"}


@given(st.integers(0, 40 * 24), st.decimals("-1000000", "1000000", places=6))
def test_at_the_end_nothing_is_left_to_be_projected(hours: int, total: Decimal) -> None:
    elapsed, whole = share_elapsed(NOVEMBER, NOVEMBER.start + timedelta(hours=hours))
    basis = basis_of("sum", elapsed=elapsed, whole=whole)
    assert (basis == "ended") == (hours >= 30 * 24)
    if basis == "extrapolated":
        again = projected(MeasuredUsage(total), elapsed=elapsed, whole=whole).total * elapsed / whole
        assert abs(again - total) < Decimal("0.000000000001")
