"""Levels, sessions, running totals and percentiles by their numbers, and that parts sum to the whole."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.aggregation import nearest_rank, over_intervals
from app.domain.flows import Reading, Toggle, accrued, increases, levels, sessions
from app.domain.intervals import interval_length, number_of_intervals
from app.domain.meters import Per
from app.domain.periods import Period

ZERO_HOUR = datetime(2026, 10, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)


def at(hours: float) -> datetime:
    return ZERO_HOUR + timedelta(seconds=round(hours * 3600))


def reading(hours: float, value: int, series: str = "a") -> Reading[str]:
    return Reading(series, at(hours), Decimal(value), series)


def used(carried: list[Any], own: list[Any], start: float, end: float, per: Per = "hour") -> Decimal:
    spans = levels(carried, own, Period(at(start), at(end)))
    return sum((accrued(span.start, span.end, span.level, per) for span in spans), Decimal(0))


# --- levels -----------------------------------------------------------------------------------------------------------


def test_a_level_counts_by_the_time_that_it_holds():
    """3 seats at 08:00 and 5 at 10:00 are, until 11:00, 3 x 2 h + 5 x 1 h = 11."""
    assert used([], [reading(8, 3), reading(10, 5)], 0, 11) == 11


def test_the_level_of_before_holds_from_the_start_and_every_series_has_its_own():
    """2 from before until 01:00, then 4, is 2 + 4 x 2 = 10; another series of 1 adds 3."""
    assert used([reading(-9, 2), reading(-5, 1, "b")], [reading(1, 4)], 0, 3) == 13


def test_twenty_minutes_are_a_third_of_an_hour_and_three_of_them_an_hour():
    thirds = [used([reading(-1, 1)], [], n / 3, (n + 1) / 3) for n in range(3)]

    assert thirds[0] == Decimal("0.333333333333333333")
    assert sum(thirds) == 1


@given(
    told=st.lists(st.tuples(st.integers(0, 86_399), st.decimals("-99", "99", places=3)), max_size=12),
    cut=st.integers(1, 86_399), per=st.sampled_from(["second", "minute", "hour", "day"]),
)  # fmt: skip
def test_the_parts_of_a_stretch_sum_to_it_wherever_it_is_cut(told: Any, cut: int, per: Per):
    readings = [Reading("a", ZERO_HOUR + timedelta(seconds=s), v, "a") for s, v in sorted(told, key=lambda one: one[0])]
    middle, end = ZERO_HOUR + timedelta(seconds=cut), ZERO_HOUR + timedelta(days=1)

    def part(carried: list[Any], own: list[Any], period: Period) -> Decimal:
        return sum((accrued(s.start, s.end, s.level, per) for s in levels(carried, own, period)), Decimal(0))

    first = [item for item in readings if item.at < middle]
    whole = part([], readings, Period(ZERO_HOUR, end))
    parts = part([], first, Period(ZERO_HOUR, middle)) + part(first[-1:], readings[len(first) :], Period(middle, end))
    assert parts == whole


# --- running totals ---------------------------------------------------------------------------------------------------


def grown(carried: list[Any], own: list[Any]) -> list[Decimal]:
    return [amount for _, amount in increases(carried, own)]


def test_the_first_reading_is_where_a_total_begins():
    """100 says nothing; 130 is 30 more; 20 began anew; 45 is 25 more."""
    assert grown([], [reading(n, value) for n, value in enumerate((100, 130, 20, 45))]) == [30, 20, 25]


def test_the_last_reading_of_before_is_the_one_to_compare_with():
    assert grown([reading(-1, 90)], [reading(1, 100), reading(2, 7, "b")]) == [10]


# --- sessions ---------------------------------------------------------------------------------------------------------


def minutes(told: list[tuple[float, str]], start: float, end: float, longest: float = 24) -> tuple[Decimal, int, int]:
    """(minutes, still open, cut) of one session; "+" begins it, "-" ends it."""
    toggles = [Toggle("s", at(hours), what == "+", "s") for hours, what in told]
    spans = list(sessions(toggles, Period(at(start), at(end)), longest=timedelta(hours=longest)))
    total = sum((accrued(span.start, span.end, span.level, "minute") for span in spans), Decimal(0))
    return total, sum(span.is_open for span in spans), sum(span.is_cut for span in spans)


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ([(1, "+"), (3, "-")], (120, 0, 0)),
        ([(-2, "+"), (3, "-")], (180, 0, 0)),
        ([(8, "+")], (120, 1, 0)),
        ([(-2, "+")], (480, 0, 1)),
        ([(-20, "+")], (0, 0, 0)),
        ([(1, "-")], (0, 0, 0)),
        ([(1, "+"), (2, "+"), (3, "-")], (120, 0, 0)),
        ([(0, "+"), (9, "+")], (600, 1, 0)),
        ([(0, "+"), (3, "-"), (3, "+"), (5, "-")], (300, 0, 0)),
        ([(0, "+"), (3, "+"), (3, "-"), (5, "-")], (300, 0, 0)),
        ([(1, "+"), (1, "-")], (0, 0, 0)),
        ([(1, "-"), (1, "+")], (0, 0, 0)),
    ],
)
def test_a_session_lasts_from_its_start_to_its_end_and_no_longer_than_ten_hours(told: Any, found: Any):
    """Of the hours from 0 to 10."""
    assert minutes(told, 0, 10, longest=10) == found


@given(
    told=st.lists(st.tuples(st.integers(-40, 40), st.sampled_from("+-")), max_size=10), cut=st.integers(1, 19),
    longest=st.integers(1, 12),
)  # fmt: skip
def test_sessions_too_are_the_same_in_parts(told: Any, cut: int, longest: int):
    """Each part is told the events of `longest` before it only."""
    ordered = sorted(told, key=lambda one: one[0])

    def part(start: int, end: int) -> Decimal:
        near = [(hours, what) for hours, what in ordered if start - longest <= hours < end]
        return minutes(near, start, end, longest)[0]

    assert part(0, cut) + part(cut, 20) == part(0, 20)


# --- intervals --------------------------------------------------------------------------------------------------------


def test_the_nearest_rank_is_a_value_that_was_measured():
    """The 95th of 1 to 20 is the 19th. Of 274 zeros and 14 others the rank is 274: 0; with 15 it is their least."""
    numbers = [Decimal(n) for n in range(1, 21)]

    assert nearest_rank(numbers, Decimal(95)) == 19
    assert nearest_rank(numbers, Decimal(100)) == 20
    assert nearest_rank(numbers, Decimal("0.01")) == 1
    assert nearest_rank(numbers[:14], Decimal(95), zeros=274) == 0
    assert nearest_rank(numbers[:15], Decimal(95), zeros=273) == 1
    assert nearest_rank([Decimal(-3), *numbers[:2]], Decimal(50), zeros=2) == 0
    assert nearest_rank([Decimal(-3)], Decimal(10), zeros=9) == -3


@given(st.lists(st.integers(-9, 9).map(Decimal), min_size=1), st.integers(1, 100), st.integers(0, 20))
def test_so_many_percent_of_all_do_not_exceed_the_percentile(values: list[Decimal], percentile: int, zeros: int):
    found = nearest_rank(values, Decimal(percentile), zeros=zeros)
    everything = sorted([*values, *[Decimal(0)] * zeros])

    assert found in everything
    assert sum(value <= found for value in everything) * 100 >= percentile * len(everything)
    assert sum(value < found for value in everything) * 100 < percentile * len(everything)


def test_intervals_without_events_are_passed_over_but_by_a_percentile():
    """Days of 10 and 20, and eight without any: together 30, least 10, greatest 20, on average 15; the median is 0."""
    days = [Decimal(10), Decimal(20)]

    assert [over_intervals(name, days, number=10) for name in ("sum", "min", "max", "avg")] == [30, 10, 20, 15]
    assert over_intervals("percentile", days, percentile=Decimal(50), number=10) == 0
    assert over_intervals("sum", [], number=10) == 0


def test_a_period_has_every_interval_that_it_shares_an_instant_with():
    """10:17 to 11:00 has 9 of five minutes, the first of them for 3 minutes only."""
    period = Period(at(10) + timedelta(minutes=17), at(11))

    assert number_of_intervals(period, "5m", UTC) == 9  # type: ignore[arg-type]
    assert [interval_length(name) for name in ("hour", "90s", "day")] == [HOUR, timedelta(seconds=90), None]


@pytest.mark.parametrize("name", ["7m", "0m", "5", "5min", "25h", "1w", "-5m", ""])
def test_what_names_no_intervals_is_refused(name: str):
    with pytest.raises(ValueError, match=r"day|length"):
        interval_length(name)
