"""Use that is priced in parts: event by event, by dimensions, by local time; each against a slow count of its own."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.domain.charge_models import (
    AmountsNeeded,
    CellsNeeded,
    Matrix,
    MatrixCell,
    MeasuredUsage,
    Part,
    Percentage,
    SlotsNeeded,
    TimeOfUse,
    TimeRate,
    TotalNeeded,
    charge,
    model_problems,
    need_of,
    parts_of,
    take_off,
)
from app.domain.charge_models.matrix import cell_finder
from app.domain.charge_models.models import WEEKDAYS
from app.domain.charge_models.time_of_use import divided_hours, rate_at
from app.domain.meters import Rounding
from app.domain.periods import Period, hour_floor
from app.domain.plans import PlanCharge
from app.domain.rating.lines import RatedLine, RatingTerms
from app.domain.rating.pipeline import rate

CENT = Decimal("0.01")
HOUR = timedelta(hours=1)


def d(text: str | int) -> Decimal:
    return Decimal(text)


# --- what is needed --------------------------------------------------------------------------------------------------

NIGHT = TimeOfUse((TimeRate(22 * 60, 6 * 60, d("0.10")),), d("0.20"))


@pytest.mark.parametrize(
    ("model", "need"),
    [
        (Percentage(d(1)), TotalNeeded()),
        (Percentage(d(1), fixed=d(1)), TotalNeeded()),
        (Percentage(d(1), free_units=d(1)), TotalNeeded()),
        (Percentage(d(1), fixed=d(1), free_units=d(1)), AmountsNeeded(in_order=True)),
        (Percentage(d(1), free_events=1), AmountsNeeded(in_order=True)),
        (Percentage(d(1), event_minimum=d(1)), AmountsNeeded(in_order=False)),
        (Percentage(d(1), event_maximum=d(1), free_units=d(1)), AmountsNeeded(in_order=True)),
        (Matrix((MatrixCell((("b", "1"),), d(1)), MatrixCell((("a", "1"),), d(1)))), CellsNeeded(("a", "b"))),
        (NIGHT, SlotsNeeded(NIGHT)),
    ],
)
def test_no_more_is_measured_than_the_model_looks_at(model, need):
    """Buckets know how many events there were, so a fee for each needs none of them; free ones need their order."""
    assert need_of(model) == need


# --- free units ------------------------------------------------------------------------------------------------------

parts = st.lists(
    st.builds(Part, st.decimals(-50, 50, places=2), st.integers(0, 3), st.integers(1, 4)), min_size=1, max_size=6
).map(tuple)


@given(parts, st.decimals(0, 300, places=2))
def test_what_is_free_comes_off_the_whole_whatever_its_parts(given_parts: tuple[Part, ...], free: Decimal):
    """As of a single total: never more than there is, and nothing of a total below zero; part by part, never below
    zero."""
    before, left = (
        sum((p.quantity * p.times for p in each), d(0)) for each in (given_parts, take_off(given_parts, free))
    )

    assert left == (max(before - free, d(0)) if before > 0 else before)
    assert sum(p.times for p in take_off(given_parts, free)) == sum(p.times for p in given_parts)
    assert sum(p.quantity < 0 for p in take_off(given_parts, free)) == sum(p.quantity < 0 for p in given_parts)


# --- percentages of single events ------------------------------------------------------------------------------------

maybe = st.none() | st.decimals(0, 8, places=2)
percentages = st.builds(
    Percentage, st.decimals(0, 9, places=3), maybe, st.none() | st.integers(0, 5),
    st.none() | st.decimals(0, 200, places=2), maybe, maybe,
).filter(lambda model: not list(model_problems(model)))  # fmt: skip
amounts = st.lists(st.sampled_from(["0", "1", "2.50", "10", "99.99", "120"]).map(Decimal), max_size=8)


def owed_slowly(model: Percentage, events: list[Decimal]) -> Decimal:
    """Event by event, exactly: what the formula says."""
    free_events = len(events) if model.free_events is None else model.free_events
    left = d("Infinity") if model.free_units is None else model.free_units
    if model.free_events is None and model.free_units is None:
        free_events = 0
    total = d(0)
    for number, amount in enumerate(events):
        if number < free_events and left > 0:
            if amount <= left:
                left -= amount
                continue
            amount, left = amount - left, d(0)
        owed = amount * model.rate / 100 + (model.fixed or 0)
        if model.event_minimum is not None:
            owed = max(owed, model.event_minimum)
        if model.event_maximum is not None:
            owed = min(owed, model.event_maximum)
        total += owed
    return total


def usage_of(model: Percentage, events: list[Decimal]) -> MeasuredUsage:
    need = need_of(model)
    if not isinstance(need, AmountsNeeded):
        return MeasuredUsage(sum(events, d(0)), len(events))
    ordered = events if need.in_order else sorted(events)
    runs = tuple((amount, len(list(run))) for amount, run in groupby(ordered))
    return MeasuredUsage(sum(events, d(0)), len(events), amounts=runs)


@given(percentages, amounts)
def test_events_owe_what_each_of_them_owes(model: Percentage, events: list[Decimal]):
    """The sum of single amounts, but for the rounding of at most four components; each is quantity x unit price."""
    parts = parts_of(model, usage_of(model, events))
    components = charge(model, parts, events=len(events), currency="EUR", used=1, full=1)

    assert abs(sum(c.amount for c in components) - owed_slowly(model, events)) <= CENT / 2 * len(components)
    for item in components:
        assert abs(item.quantity * item.unit_price - item.amount) <= CENT / 2
        assert item.unit_price >= 0


def test_a_refund_within_a_percentage_is_worth_what_it_cost():
    """200.00 and -80.00 at 2 %: 2.40. With 100 free of the 120 that are left: 20 x 2 % = 0.40."""
    events = [d(200), d(-80)]
    for model, owed in ((Percentage(d(2)), "2.40"), (Percentage(d(2), fixed=d(0), free_units=d(100)), "0.40")):
        parts = parts_of(model, usage_of(model, events))
        components = charge(model, parts, events=2, currency="EUR", used=1, full=1)
        assert sum(c.amount for c in components) == d(owed)


# --- cells -----------------------------------------------------------------------------------------------------------

values = st.sampled_from(["x", "y", None])
wheres = st.dictionaries(st.sampled_from("abc"), st.sampled_from(["x", "y"]), min_size=1, max_size=3)


@given(
    st.lists(wheres, min_size=1, max_size=8, unique_by=lambda when: tuple(sorted(when.items()))),
    st.fixed_dictionaries(dict.fromkeys("abc", values)),
)
def test_the_most_specific_cell_wins_and_of_equals_the_first(cells: list[dict[str, str]], where: dict[str, str | None]):
    model = Matrix(tuple(MatrixCell(tuple(sorted(when.items())), d(1)) for when in cells))
    fitting = [(len(when), -n) for n, when in enumerate(cells, 1) if all(where[k] == v for k, v in when.items())]

    found = cell_finder(model)(json.dumps(where))

    assert found == (-max(fitting)[1] if fitting else 0)


def line(
    model: Matrix, *cells: tuple[str, str], allowance: str | None = None, rounding: Rounding | None = None
) -> RatedLine:
    """Use by station: ("12", "10") is 10 at station 12."""
    gathered = tuple((json.dumps({"station": station}), d(quantity)) for station, quantity in cells)
    price = PlanCharge("energy", model, "energy", allowance=None if allowance is None else d(allowance))
    total = sum((quantity for _, quantity in gathered), d(0))
    return rate(RatingTerms(price, "EUR", 1, 1, rounding), MeasuredUsage(total, len(cells), cells=gathered))


STATIONS = Matrix((MatrixCell((("station", "12"),), d("0.30")), MatrixCell((("station", "7"),), d("0.50"))), d("0.40"))


def test_each_price_has_its_own_rounded_quantity_and_the_line_their_sum():
    """1.4 and 1.3 at station 12 are 2.7, up to 3; 0.2 elsewhere are 1: the line has 4, and 3 x 0.30 + 1 x 0.40."""
    rated = line(STATIONS, ("12", "2.7"), ("13", "0.2"), rounding=Rounding("up", 0))

    assert (rated.quantity, rated.amount) == (d(4), d("1.30"))


def test_free_units_come_off_the_cells_in_their_order():
    """12 free: all 10 at station 12, 2 of the 5 at station 7, nothing of other use."""
    rated = line(STATIONS, ("13", "4"), ("12", "10"), ("7", "5"), allowance="12")

    assert [(c.description, c.quantity) for c in rated.components] == [("station 7", d(3)), ("other use", d(4))]


def test_use_below_zero_in_one_cell_takes_off_at_its_own_price():
    """10 x 0.30 - 4 x 0.50 = 1.00."""
    assert line(STATIONS, ("12", "10"), ("7", "-4")).amount == d("1.00")


def test_no_use_at_all_is_one_component_of_zero():
    assert [(c.quantity, c.amount) for c in line(STATIONS).components] == [(d(0), d(0))]


# --- rates by local time ---------------------------------------------------------------------------------------------

ZONES = [
    ZoneInfo(name)
    for name in ("Europe/Paris", "Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns", "Pacific/Apia", "UTC")
]
minutes = st.integers(0, 1439)
time_rates = st.builds(
    TimeRate, minutes, minutes, st.just(d(1)),
    st.lists(st.sampled_from([*WEEKDAYS, "holiday"]), max_size=3, unique=True).map(tuple),
    st.lists(st.integers(1, 12), max_size=3, unique=True).map(tuple),
)  # fmt: skip
tariffs = st.builds(
    TimeOfUse, st.lists(time_rates, min_size=1, max_size=3).map(tuple), st.just(d(2)),
    st.just((date(2026, 4, 5), date(2026, 10, 25))),
)  # fmt: skip
instants = st.integers(0, 365 * 24 * 3600 - 1).map(
    lambda second: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
)
# The days on which the clocks of these zones change.
changes = st.sampled_from([datetime(2026, 4, 4, tzinfo=UTC), datetime(2026, 10, 3, tzinfo=UTC),
                           datetime(2026, 10, 24, 22, tzinfo=UTC), datetime(2026, 3, 28, 22, tzinfo=UTC),
                           datetime(2026, 11, 1, tzinfo=UTC)]).flatmap(
    lambda day: st.integers(0, 36 * 3600).map(lambda second: day + timedelta(seconds=second)))  # fmt: skip


def rate_slowly(model: TimeOfUse, at: datetime, zone: ZoneInfo) -> int:
    """Read off the clock of the zone, text by text."""
    clock, day = at.astimezone(zone).strftime("%H:%M"), at.astimezone(zone).date()
    names = {"holiday", "sun"} if day in model.holidays else {day.strftime("%a").lower()}
    for number, one in enumerate(model.rates, 1):
        start, end = (f"{minute // 60:02}:{minute % 60:02}" for minute in (one.start, one.end))
        inside = start <= clock < end if start < end else not end <= clock < start
        if inside and (not one.weekdays or names & set(one.weekdays)) and (not one.months or day.month in one.months):
            return number
    return 0


@given(tariffs, instants | changes, st.sampled_from(ZONES))
def test_the_first_rate_that_holds_on_the_local_clock_prices_the_use(model: TimeOfUse, at: datetime, zone: ZoneInfo):
    assert rate_at(model, at, zone) == rate_slowly(model, at, zone)


@given(tariffs, instants | changes, st.sampled_from(ZONES))
def test_an_hour_that_is_not_divided_has_one_rate(model: TimeOfUse, at: datetime, zone: ZoneInfo):
    """Each of its minutes has the rate of its bucket."""
    hour = hour_floor(at)
    assume(not divided_hours(model, Period(hour, hour + HOUR), zone))

    assert {rate_at(model, hour + timedelta(minutes=n), zone) for n in range(60)} == {rate_at(model, hour, zone)}


def test_whole_hours_in_a_zone_of_whole_hours_are_never_divided():
    """A month of Paris in which the clocks change: buckets answer everything."""
    month = Period(datetime(2026, 9, 30, 22, tzinfo=UTC), datetime(2026, 10, 31, 23, tzinfo=UTC))

    assert divided_hours(NIGHT, month, ZoneInfo("Europe/Paris")) == []
    assert len(divided_hours(NIGHT, month, ZoneInfo("Asia/Kathmandu"))) == 62  # 22:00 and 06:00 of 31 days


def test_a_rate_may_pass_midnight():
    """From 22:00 to 06:00: 21:59 is day, 22:00, 23:59, 00:00 and 05:59 are night, 06:00 is day."""
    clocks = ("21:59", "22:00", "23:59", "00:00", "05:59", "06:00")
    found = [
        rate_at(NIGHT, datetime.fromisoformat(f"2026-06-01T{clock}:00+00:00"), ZoneInfo("UTC")) for clock in clocks
    ]

    assert found == [0, 1, 1, 1, 1, 0]


def test_the_hour_that_comes_twice_has_its_price_twice_and_the_skipped_one_none():
    """A rate from 02:00 to 03:00 in Paris: two hours on 25 October 2026, none on 29 March."""
    model = TimeOfUse((TimeRate(120, 180, d(1)),), d(2))
    paris = ZoneInfo("Europe/Paris")
    held = {
        day: sum(rate_at(model, datetime(2026, *day, tzinfo=UTC) + n * HOUR, paris) for n in range(-3, 21))
        for day in ((10, 25), (3, 29), (6, 1))
    }

    assert held == {(10, 25): 2, (3, 29): 0, (6, 1): 1}
