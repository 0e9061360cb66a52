"""Which thresholds are crossed, and when there is something new to say."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.alerts import Alert, Change, Value, alert_problems, look
from app.domain.periods import Period

NOVEMBER = Period(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
USED = Alert("a", "quantity", (Decimal(80), Decimal(100)), tenant="acme", meter="energy")
LEFT = Alert("a", "balance", (Decimal(10), Decimal(0)), tenant="acme", meter="energy")


def at(figure: str | Decimal, base: str | None = None) -> Value:
    return Value("acme-1", NOVEMBER, Decimal(figure), None if base is None else Decimal(base))


def bounds(*thresholds: int) -> tuple[Decimal, ...]:
    return tuple(map(Decimal, thresholds))


def noticed_by(alert: Alert, figures: list[Decimal]) -> list[Decimal]:
    """The thresholds that looks at these figures notice, one after another."""
    known: dict[Decimal, bool] = {}
    found: list[Decimal] = []
    for figure in figures:
        change = look(alert, at(figure), known)
        known |= dict.fromkeys((*change.crossed, *change.returned), False) | dict.fromkeys(change.receded, True)
        found += change.crossed
    return found


def test_a_threshold_is_crossed_where_it_is_reached():
    """79.99 is not 80, 80 is; 130 is beyond both thresholds at once."""
    assert look(USED, at("79.99"), {}).crossed == ()
    assert look(USED, at("80"), {}).crossed == bounds(80)
    assert look(USED, at("130"), {}).crossed == bounds(80, 100)


def test_what_is_left_crosses_its_thresholds_downwards():
    assert look(LEFT, at("10.01"), {}).crossed == ()
    assert look(LEFT, at("10"), {}).crossed == bounds(10)
    assert look(LEFT, at("0"), {}).crossed == bounds(0, 10)


def test_what_was_noticed_is_not_new():
    assert look(USED, at("90"), {Decimal(80): False}) == Change()
    assert look(USED, at("100"), {Decimal(80): False}).crossed == bounds(100)


def test_a_value_that_goes_back_leaves_its_crossing_noticed_and_marked():
    """At 90 the first threshold was noticed; 70 after a cancelled event; 85 later."""
    noticed = {Decimal(80): False}
    assert look(USED, at("70"), noticed) == Change(receded=(Decimal(80),))
    assert look(USED, at("70"), {Decimal(80): True}) == Change()
    assert look(USED, at("85"), {Decimal(80): True}) == Change(returned=(Decimal(80),))


def test_a_percentage_is_of_what_the_tenant_has():
    """80 % of 50 is 40: exactly, and a third of 1 is crossed at a third and not before."""
    alert = Alert("a", "quantity", (Decimal(80),), tenant="acme", meter="energy", percent_of="allowance")
    assert look(alert, at("39.999999"), {}).crossed == ()
    assert look(alert, at("39.999999", "50"), {}).crossed == ()
    assert look(alert, at("40", "50"), {}).crossed == bounds(80)
    assert look(alert, at("1000"), {}).crossed == ()


amounts = st.decimals(min_value=0, max_value=300, places=2, allow_nan=False)


@given(st.lists(st.tuples(amounts, st.integers(0, 3)), max_size=30), st.randoms(use_true_random=False))
def test_any_order_and_any_split_notice_what_one_look_at_the_end_would(uses, random):
    """Use that only grows: however its events are ordered, and after whichever of them somebody looks, the thresholds
    noticed are those below the total, each once."""
    events = [used for used, _ in uses]
    random.shuffle(events)
    totals = list(accumulate(events, initial=Decimal(0)))
    looks = [total for total, (_, skipped) in zip(totals[1:], uses, strict=True) if not skipped] + [totals[-1]]
    for alert, figures in ((USED, looks), (LEFT, [max(Decimal(100) - total, Decimal(0)) for total in looks])):
        found = noticed_by(alert, figures)
        assert len(found) == len(set(found))
        assert set(found) == set(look(alert, at(figures[-1]), {}).crossed)


@given(st.lists(amounts, max_size=30))
def test_of_any_figures_each_threshold_is_noticed_once_if_ever_it_was_reached(figures):
    found = noticed_by(USED, figures)
    assert sorted(found) == [bound for bound in USED.thresholds if any(figure >= bound for figure in figures)]


@pytest.mark.parametrize(
    ("changed", "pointers"),
    [
        ({}, []),
        ({"tenant": None}, ["/tenant"]),
        ({"plan": "standard"}, ["/tenant"]),
        ({"meter": None}, ["/meter"]),
        ({"charge": "energy"}, ["/charge"]),
        ({"measure": "balance", "meter": None}, []),
        ({"measure": "balance", "meter": None, "percent_of": "allowance"}, ["/meter"]),
        ({"measure": "amount", "charge": "energy"}, ["/charge"]),
        ({"measure": "amount", "percent_of": "limit"}, ["/percent_of"]),
        ({"measure": "balance", "percent_of": "limit"}, ["/percent_of"]),
        ({"percent_of": "commitment"}, ["/percent_of"]),
        ({"measure": "amount", "percent_of": "commitment"}, ["/percent_of"]),
        ({"measure": "amount", "meter": None, "percent_of": "commitment"}, []),
        ({"thresholds": ()}, ["/thresholds"]),
        ({"thresholds": (Decimal(1), Decimal("1.0"))}, ["/thresholds/1"]),
        ({"thresholds": (Decimal(-1), Decimal(10) ** 20)}, ["/thresholds/0", "/thresholds/1"]),
    ],
)
def test_an_alert_that_makes_no_sense_is_refused(changed, pointers):
    fields = {"key": "a", "measure": "quantity", "thresholds": (Decimal(80),), "tenant": "acme", "meter": "energy"}
    assert [item.pointer for item in alert_problems(Alert(**(fields | changed)))] == pointers
