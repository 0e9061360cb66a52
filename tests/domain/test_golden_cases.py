"""Amounts that other billing systems assert in their own tests, and that this one is held to.

Each test is named after the system and its test; the docstring has the numbers by hand. `c` is cents. Where another
system bills the difference between two running totals, so does this one: the new total is rated and what was billed is
taken off (`rating/results.py`).

Left out, by name:

- OpenMeter graduated, minimum 1000 with 100 already billed (last split -> 900, mid split -> nothing) and
  `periodpreserving/engine_test`, minimum only in the final phase: progressive billing. Here a period is billed once, at
  its end, with its minimum.
- OpenMeter, the two lines of a capped split invoice (75 - 65; discounts 5 and 7): here a cap is one component of the
  period's line. The sums of those cases (10 and 10) are held to below.
- OpenMeter `periodpreserving/engine_test`, volume total 16 reached in P2 (-150 on P1, +80 on P2): volume counted across
  billing periods. Here every billing period has a total of its own, so only the case of the late unit applies.
- Flexprice, windowed maximum [50, 150, 200, 99] with packages of 100 (30, a sum over windows): here a maximum is one
  quantity for the stretch and packages are counted once.
- Lago `invoices_spec`, time zones (weekly 7.00 from Denver, Halifax, Paris, Karachi): tests/scenarios/test_periods.py.
- Lago `billing_boundaries_spec` and Flexprice `billing_commitment_test`, month ends and leap days: test_periods.py.
- Lago, February 2024 at 7.00 in advance beside January's usage: which period a charge is due for is decided by
  `domain/billing.py`, not by rating.
- Polar `meter/test_service.py` (average, maximum, minimum, unique, values that are no numbers): aggregation, not
  rating: tests/api/test_golden_aggregations.py.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from app.domain.charge_models import (
    Capacity,
    ChargeModel,
    Dynamic,
    Graduated,
    MeasuredUsage,
    Package,
    Percentage,
    PerUnit,
    Tier,
    Volume,
)
from app.domain.coupons import Coupon, reduction
from app.domain.credit import CreditKind, Grant, draw
from app.domain.meters import Rounding
from app.domain.plan_totals import PlanTotals, plan_components
from app.domain.plans import PlanCharge
from app.domain.rating.lines import RatedLine, RatingTerms
from app.domain.rating.pipeline import rate
from app.domain.rating.results import Result, difference
from app.domain.tax import TaxGroup, TaxRate, group_tax


def d(text: str | int) -> Decimal:
    return Decimal(text)


def tiers(*stated: str) -> tuple[Tier, ...]:
    """Tiers as "bound price flat"; the bound `-` is none, the flat may be absent: "10 5 3", "- 2"."""
    made = []
    for text in stated:
        bound, price, *flat = text.split()
        made.append(Tier(None if bound == "-" else d(bound), d(price), d(flat[0]) if flat else None))
    return tuple(made)


def line(
    model: ChargeModel,
    quantity: str | int,
    *,
    allowance: str | None = None,
    maximum: str | None = None,
    rounding: Rounding | None = None,
) -> RatedLine:
    charge = PlanCharge(
        "usage", model, "usage", allowance=None if allowance is None else d(allowance),
        maximum=None if maximum is None else d(maximum),
    )  # fmt: skip
    return rate(RatingTerms(charge, "USD", 1, 1, rounding), MeasuredUsage(d(quantity)))


def amounts(model: ChargeModel, *quantities: str | int) -> list[Decimal]:
    return [line(model, quantity).amount for quantity in quantities]


def still_due(new: RatedLine, billed: RatedLine) -> Decimal:
    """What is billed (or, below zero, credited) once the quantity of a billed period has changed."""
    before, after = (Result(one.quantity, one.components, one.allowances, one.amount) for one in (billed, new))
    return difference(after, before).amount


# --- graduated -------------------------------------------------------------------------------------------------------


def test_lago_graduated_service_spec_boundaries_and_zero_use():
    """0-10 at 10 and 2 on entry, 11-20 at 5 and 3, 21+ at 5 and 3. 0: 2. 1: 10 + 2. 10: 100 + 2. 11: 102 + 5 + 3 = 110.
    12: 115. 20: 102 + 50 + 3 = 155, so 21: 155 + 5 + 3 = 163.
    """
    model = Graduated(tiers("10 10 2", "20 5 3", "- 5 3"))

    assert amounts(model, 0, 1, 10, 11, 12, 21) == [2, 12, 102, 110, 115, 163]


def test_lago_graduated_service_spec_decimal_tiers():
    """0-0.1 at 10, 0.1-1 at 5, 1+ at 2. 0.05: 0.50. 0.5: 0.1 x 10 + 0.4 x 5 = 3.00."""
    model = Graduated(tiers("0.1 10", "1 5", "- 2"))

    assert amounts(model, "0.05", "0.5") == [d("0.50"), d("3.00")]


def test_openmeter_tieredgraduated_test_flat_and_unit_tiers():
    """Up to 5 a flat 100, up to 10 a flat 50, up to 15 at 10, then 5. 0 and 5: 100. 5.001 and 7: 150.
    12: 150 + 2 x 10 = 170. 22: 150 + 5 x 10 + 7 x 5 = 235.
    """
    model = Graduated(tiers("5 0 100", "10 0 50", "15 10", "- 5"))

    assert amounts(model, 0, 5, "5.001", 7, 12, 22) == [100, 100, 150, 150, 170, 235]


def test_flexprice_price_test_slab():
    """Up to 10 at 50, up to 20 at 40, then 30. 15: 500 + 5 x 40 = 700. 25: 500 + 400 + 5 x 30 = 1,050."""
    assert amounts(Graduated(tiers("10 50", "20 40", "- 30")), 15, 25) == [700, 1050]


def test_flexprice_price_test_slab_with_flat():
    """Up to 5 at 0 and 1 on entry, up to 10 at 1 and 2, then 2. 3: 1. 7: 1 + 2 + 2 = 5. 12: 1 + 5 + 2 + 4 = 12."""
    assert amounts(Graduated(tiers("5 0 1", "10 1 2", "- 2")), 3, 7, 12) == [1, 5, 12]


def test_kill_bill_compute_billed_usage_size_one_with_all_tiers():
    """10 at 1.5, 100 more at 1.0, then 0.5. 111: 15.0 + 100.0 + 0.5 = 115.50."""
    rated = line(Graduated(tiers("10 1.5", "110 1.0", "- 0.5")), 111)

    assert [c.amount for c in rated.components] == [d("15.00"), d("100.00"), d("0.50")]
    assert rated.amount == d("115.50")


# --- volume ----------------------------------------------------------------------------------------------------------


def test_kill_bill_compute_billed_usage_size_one_with_top_tier():
    """The same tiers as a volume price: 111 x 0.5 = 55.50."""
    assert line(Volume(tiers("10 1.5", "110 1.0", "- 0.5")), 111).amount == d("55.50")


def test_kill_bill_compute_billed_usage_with_top_tier_at_its_bound():
    """Blocks of 1,000, up to 101 blocks at 1.0, then 0.5. 101,000: 101 x 1.0 = 101. 101,001 begin a block: 102 x 0.5 =
    51.00, less for one unit more. 300,000, past the last bound there, stay in the last tier: 300 x 0.5 = 150.

    A block is the meter's unit here, and its rounding counts a begun one. The lower tier's price and bound are what
    the asserted amounts imply.
    """
    model, blocks = Volume(tiers("101 1.0", "- 0.5")), Rounding("up", 0)

    rated = [line(model, thousands, rounding=blocks).amount for thousands in ("101", "101.001", "300")]

    assert rated == [d("101.00"), d("51.00"), d("150.00")]


# --- package ---------------------------------------------------------------------------------------------------------


def test_openmeter_package_test_begun_packages():
    """Size 10 at 15. 0: 0. 10: 15. 11: 30."""
    assert amounts(Package(d(10), d(15)), 0, 10, 11) == [0, 15, 30]


def test_openmeter_package_test_more_use_of_a_billed_quantity():
    """17 were billed as 2 packages, 30.00; 5 more make 22, 3 packages, 45.00: 15.00 are due."""
    model = Package(d(10), d(15))

    assert still_due(line(model, 22), line(model, 17)) == d("15.00")


def test_openmeter_package_test_more_use_under_a_cap():
    """60 were billed, 6 x 15 = 90; 50 more make 110, 11 x 15 = 165, capped to 100: 10.00 are due."""
    model = Package(d(10), d(15))

    assert still_due(line(model, 110, maximum="100"), line(model, 60, maximum="100")) == d("10.00")


def test_openmeter_package_spec_of_twenty():
    """Size 20 at 10. 98: 5 packages, 50. 20: 10. 20.1: 20."""
    assert amounts(Package(d(20), d(10)), 98, 20, "20.1") == [50, 10, 20]


def test_lago_package_service_spec_with_free_units():
    """Size 10 at 100. 121: 13 packages, 1,300. 10 free leave 111: 12 packages, 1,200. 200 free leave none: 0."""
    model = Package(d(10), d(100))

    rated = [line(model, 121, allowance=free).amount for free in (None, "10", "200")]

    assert rated == [1300, 1200, 0]


def test_flexprice_package_floor():
    """Size 100 at 1, rounded down. 50: none. 250: 2 packages."""
    assert amounts(Package(d(100), d(1), "down"), 50, 250) == [0, 2]


# --- dynamic, capacity, percentage -----------------------------------------------------------------------------------


def test_openmeter_dynamic_price_with_a_multiplier():
    """10 x 1.33333 = 13.3333, so 13.33."""
    assert line(Dynamic(d("1.33333")), 10).amount == d("13.33")


def test_openmeter_dynamic_price_with_most_of_the_cap_billed():
    """70 x 1.33333 = 93.33 were billed; 50 more make 120 x 1.33333 = 160.00, capped to 100: 6.67 are due."""
    billed, new = (line(Dynamic(d("1.33333")), quantity, maximum="100") for quantity in (70, 120))

    assert billed.amount == d("93.33")
    assert still_due(new, billed) == d("6.67")


@pytest.mark.parametrize(
    ("peaks", "price"),
    [((100, 1000, 50), 10), ((100, 1001, 50), 20), ((101, 1000, 50), 20), ((10, 2001, 10), 30), ((0, 0, 0), 0)],
)
def test_kill_bill_test_contiguous_interval_capacity_in_arrear(peaks: tuple[int, int, int], price: int):
    """Limits of 100, 1,000 and 50 at 10; 200, 2,000 and 100 at 20; beyond at 30. Nothing used costs nothing.

    There one tier has a limit for each of three units, and the first tier that holds them all is due: the dearest of
    those that the units reach. Here a charge has one unit.
    """
    limits = ((100, 200), (1000, 2000), (50, 100))
    models = [Capacity(tiers(f"{low} 0 10", f"{high} 0 20", "- 0 30")) for low, high in limits]

    assert max(line(model, peak).amount for model, peak in zip(models, peaks, strict=True)) == price


def share(model: Percentage, *amounts: int) -> RatedLine:
    """The line of events with these amounts, in this order."""
    events = tuple((d(amount), 1) for amount in amounts)
    usage = MeasuredUsage(d(sum(amounts)), len(amounts), amounts=events)
    return rate(RatingTerms(PlanCharge("usage", model, "usage"), "USD", 1, 1), usage)


@pytest.mark.parametrize(
    ("fixed", "free_events", "free_units", "expected"),
    [
        pytest.param("2", 3, "250", "11.15", id="what_is_free_ends_with_the_units"),
        pytest.param("2", None, "250", "11.15", id="free_units_only"),
        pytest.param("2", 3, None, "7.20", id="free_events_only"),
        pytest.param("2", 3, "500", "7.20", id="what_is_free_ends_with_the_events"),
        pytest.param("2", None, None, "18.40", id="nothing_free"),
        pytest.param(None, None, None, "10.40", id="no_fee"),
    ],
)
def test_lago_percentage_service_spec(
    fixed: str | None, free_events: int | None, free_units: str | None, expected: str
):
    """50, 100, 250 and 400 at 1.3 % and 2 each. 250 free: 550 x 1.3 % = 7.15 and 2 x 2. Three free: 400 x 1.3 % = 5.20
    and 2. Nothing free: 10.40 and 4 x 2.
    """
    model = Percentage(
        d("1.3"), None if fixed is None else d(fixed), free_events, None if free_units is None else d(free_units)
    )

    assert share(model, 50, 100, 250, 400).amount == d(expected)


def test_lago_percentage_service_spec_small_amounts_and_more_free_events_than_there_are():
    """4 x 2.9 % = 0.116, so 0.12. Five free of four: nothing."""
    assert share(Percentage(d("2.9")), 4).amount == d("0.12")
    assert share(Percentage(d("1.3"), d(2), 5), 50, 100, 250).amount == 0


@pytest.mark.parametrize(
    ("fixed", "free_events", "free_units", "expected"),
    [
        pytest.param("0", None, None, "16.14", id="minimum_and_maximum"),
        pytest.param("2", None, None, "18.69", id="with_a_fee"),
        pytest.param("0", 2, None, "12.00", id="two_free_events"),
        pytest.param("0", None, "30", "13.79", id="thirty_free"),
        pytest.param("0", 3, "10000", "2.69", id="both"),
    ],
)
def test_lago_percentage_service_spec_bounds_of_an_event(
    fixed: str, free_events: int | None, free_units: str | None, expected: str
):
    """10, 80 and 10,000 at 2.99 %, from 1.75 to 12. By itself 0.299, 2.392 and 299: 1.75 + 2.39 + 12. With 2 each:
    2.299 + 4.392 + 12. Two free: 12. Thirty free: 60 x 2.99 % = 1.794, and 12. With 10,000 of three events free, 90 of
    the last are left: 2.691.
    """
    free = None if free_units is None else d(free_units)
    model = Percentage(d("2.99"), d(fixed), free_events, free, d("1.75"), d(12))

    assert share(model, 10, 80, 10_000).amount == d(expected)


# --- maximum, late usage ---------------------------------------------------------------------------------------------


def test_openmeter_maximum_spend_with_most_of_it_billed():
    """Maximum 170, 160 billed; 15 and 7 more come to 182, capped to 170: 10.00 are due (there less 5 and 7)."""
    billed, new = (line(PerUnit(d(1)), quantity, maximum="170") for quantity in (160, 182))

    assert still_due(new, billed) == d("10.00")


def test_openmeter_periodpreserving_engine_test_a_late_unit():
    """At 10: P1 had 3 units, 30.00, and P2 2, 20.00. A late unit makes P1 4: the invoice of P3 with its 3 units has
    10.00 for P1 and 30.00 for P3.
    """
    model = PerUnit(d(10))
    p1, p2, p3 = line(model, 3), line(model, 2), line(model, 3)

    late = still_due(line(model, 4), p1)

    assert [p1.amount, p2.amount, late, p3.amount, late + p3.amount] == [30, 20, 10, 30, 40]


def test_openmeter_periodpreserving_engine_test_a_late_unit_that_makes_volume_cheaper():
    """Up to 15 at 10, from 16 at 5: P1 was billed 15 x 10 = 150.00; a late unit makes it 16 x 5 = 80.00: -70.00."""
    model = Volume(tiers("15 10", "- 5"))

    assert still_due(line(model, 16), line(model, 15)) == d("-70.00")


def test_kill_bill_test_with_change_across_catalogs():
    """Up to 1,000 at 1.50, then 2.00; from 8 May 2.50 and 3.00. 100 kWh on 2 May: 150.00, 100 on 10 May: 250.00."""
    before, after = Graduated(tiers("1000 1.50", "- 2.00")), Graduated(tiers("1000 2.50", "- 3.00"))

    assert [line(before, 100).amount, line(after, 100).amount] == [d("150.00"), d("250.00")]


def test_kill_bill_test_with_removed_data():
    """1,200 before 8 May: 1,500 + 400 = 1,900.00. Tiers start again in each stretch: June's 1,100 at the new prices are
    2,500 + 300 = 2,800.00.
    """
    before, after = Graduated(tiers("1000 1.50", "- 2.00")), Graduated(tiers("1000 2.50", "- 3.00"))

    assert [line(before, 1_200).amount, line(after, 1_100).amount] == [d("1900.00"), d("2800.00")]


def test_polar_issue_5648_use_beyond_the_credited_units():
    """110 used with 100 free: 10 are owed, not 110."""
    assert line(PerUnit(d(1)), 110, allowance="100").amount == d("10.00")


def test_polar_billing_entry_test_credit_events():
    """10 units were billed at 1.00; 20 and 30 more and 10 given back make 50 in all: 40.00, and not the 10 again."""
    model = PerUnit(d(1))

    assert still_due(line(model, 10 + 20 + 30 - 10), line(model, 10)) == d("40.00")


# --- tax -------------------------------------------------------------------------------------------------------------


def standard(percent: str) -> TaxRate:
    return TaxRate("S", d(percent))


def total(groups: tuple[TaxGroup, ...]) -> Decimal:
    return sum((group.base + group.amount for group in groups), d(0))


def test_lago_taxes_on_invoice_spec():
    """After a coupon of 10 spread by amount: 95.00 at 10 %, 47.50 at 0 %, and 28.50 and 19.00 at 20 %. VAT 9.50 + 0 +
    9.50 (there 5.70 + 3.80) = 19.00; net 190.00, total 209.00.
    """
    groups = group_tax(
        [
            (standard("10"), d("95.00")),
            (TaxRate("Z", d(0)), d("47.50")),
            (standard("20"), d("28.50")),
            (standard("20"), d("19.00")),
        ],
        "EUR",
    )

    assert [(g.category, g.rate, g.base, g.amount) for g in groups] == [
        ("S", d(10), d("95.00"), d("9.50")),
        ("S", d(20), d("47.50"), d("9.50")),
        ("Z", d(0), d("47.50"), d("0.00")),
    ]
    assert total(groups) == d("209.00")


@pytest.mark.parametrize(
    ("fees", "net", "tax"),
    [
        pytest.param(["0.004"] * 6 + ["0.01"] * 2, "0.02", "0.01", id="six_fees_of_0.4_c_and_two_of_1_c"),
        pytest.param(["0.014"] * 8, "0.08", "0.03", id="eight_fees_of_1.4_c"),
    ],
)
def test_lago_negative_total_with_prepaid_credits_spec_totals(fees: list[str], net: str, tax: str):
    """6 x 0.4 c round to 0 and 2 x 1 c stay: 2 c, 40 % of it is 0.8 c, so 1 c, in all 3 c (and not 4). 8 x 1.4 c round
    to 8 c, 40 % of it is 3.2 c, so 3 c, in all 11 c.
    """
    lines = [line(PerUnit(d(fee)), 1).amount for fee in fees]

    (group,) = group_tax([(standard("40"), one) for one in lines], "USD")

    assert (group.base, group.amount) == (d(net), d(tax))


@pytest.mark.parametrize(("base", "percent", "tax"), [("100.00", "8.875", "8.88"), ("123.45", "7.25", "8.95")])
def test_flexprice_tax_rounding_test(base: str, percent: str, tax: str):
    """100 x 8.875 % = 8.875, half up 8.88; 123.45 x 7.25 % = 8.950125, so 8.95."""
    (group,) = group_tax([(standard(percent), d(base))], "USD")

    assert group.amount == d(tax)


# --- coupons and credit ----------------------------------------------------------------------------------------------


def grant(number: int, amount: str | int, kind: CreditKind = "prepaid") -> Grant:
    moment = datetime(2026, 10, number, tzinfo=UTC)
    return Grant(UUID(int=1), UUID(int=number), kind, d(amount), d(amount), moment)


def test_lago_taxes_on_invoice_spec_spread_of_the_coupon():
    """10 over fees of 100, 50 and 30 and a true-up of 20: 5, 2.50, 1.50 and 1. The whole invoice is held to over HTTP
    in tests/scenarios/test_coupons.py.
    """
    coupon = Coupon("ten", "Ten", amount=d("10.00"), currency="EUR")

    assert reduction(coupon, [d(100), d(50), d(30), d(20)], "EUR") == [d("5.00"), d("2.50"), d("1.50"), d("1.00")]


@pytest.mark.parametrize(("net", "tax", "used"), [("0.02", "0.01", "0.03"), ("0.08", "0.03", "0.11")])
def test_lago_negative_total_with_prepaid_credits_spec_credit_used(net: str, tax: str, used: str):
    """Of 10.00 prepaid the total is paid, 2 + 1 = 3 c, and not the 4 c of taxes summed by fee; 8 + 3 = 11 c."""
    (one,) = draw([grant(1, "10.00")], d(net) + d(tax))

    assert one.amount == d(used)


def test_polar_customer_meter_test_service_credits():
    """+100, -150, +50 -> 50: of 150 used the 100 are drawn and 50 are billed; what is credited afterwards is left."""
    (first,) = draw([grant(1, 100, "units")], d(150))
    later = [replace(grant(1, 100, "units"), left=d(100) - first.amount), grant(2, 50, "units")]

    assert (first.amount, sum(one.left for one in later)) == (d(100), d(50))


def test_openmeter_minimum_spend_of_a_whole_period():
    """Minimum 1000, of which 100 were used: 900 more, on one invoice (there on the last of several)."""
    (component,) = plan_components(PlanTotals(d("100.00"), minimum=d("1000.00")), "USD")

    assert (component.kind, component.amount) == ("plan_minimum", d("900.00"))
