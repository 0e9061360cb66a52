"""The stages in their order: what comes off before pricing, what acts on the priced amount, who has the last word."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.domain.charge_models import (
    ChargeModel,
    Flat,
    Graduated,
    MeasuredUsage,
    Package,
    PerUnit,
    Tier,
    Volume,
    prorate,
)
from app.domain.meters import Conversion, Rounding
from app.domain.plans import Discount, PlanCharge
from app.domain.rating.lines import Allowance, RatedLine, RatingTerms
from app.domain.rating.pipeline import STAGES, rate

CENT = Decimal("0.01")


def d(text: str | int) -> Decimal:
    return Decimal(text)


def terms(
    model: ChargeModel,
    *,
    currency: str = "EUR",
    used: int = 1,
    full: int = 1,
    rounding: Rounding | None = None,
    conversion: Conversion | None = None,
    discount: Discount | None = None,
    **amounts: str,
) -> RatingTerms:
    """`amounts` are allowance, minimum and maximum, as text."""
    numbers: dict[str, Any] = {name: d(text) for name, text in amounts.items()}
    return RatingTerms(
        PlanCharge("energy", model, "energy", discount=discount, **numbers), currency, used, full, rounding,
        conversion,
    )  # fmt: skip


def rated(model: ChargeModel, quantity: Decimal | str | int, **stated: Any) -> RatedLine:
    return rate(terms(model, **stated), MeasuredUsage(Decimal(quantity)))


def pieces(line: RatedLine) -> list[tuple[Any, ...]]:
    """(kind, quantity, unit price, amount) of each component."""
    return [(c.kind, c.quantity, c.unit_price, c.amount) for c in line.components]


def percent(text: str) -> Discount:
    return Discount(percent=d(text))


def fixed(text: str) -> Discount:
    return Discount(amount=d(text))


EURO = PerUnit(d(1))

# --- the order -------------------------------------------------------------------------------------------------------


def test_the_stages_run_in_the_order_that_the_list_says():
    """123.456 kWh rounded to 123.46, less 10 free is 113.46, at 1.00 is 113.46, less 10 % (11.35) is 102.11, capped to
    100.00, above the minimum of 5.00.
    """
    line = rated(
        EURO, "123.456", rounding=Rounding("half_up", 2), allowance="10", discount=percent("10"), maximum="100",
        minimum="5",
    )  # fmt: skip

    assert [(step.stage, step.quantity, step.amount) for step in line.steps] == [
        ("convert_units", d("123.456"), None),
        ("round_quantity", d("123.46"), None),
        ("deduct_allowance", d("113.46"), None),
        ("deduct_given", d("113.46"), None),
        ("price_quantity", d("113.46"), d("113.46")),
        ("apply_discounts", d("113.46"), d("102.11")),
        ("cap_amount", d("113.46"), d("100.00")),
        ("raise_to_minimum", d("113.46"), d("100.00")),
        ("waive_in_trial", d("113.46"), d("100.00")),
        ("settle_plan", d("113.46"), d("100.00")),
        ("lower_together", d("113.46"), d("100.00")),
    ]
    assert [stage.__name__ for stage in STAGES] == [step.stage for step in line.steps]
    assert line.amount == d("100.00")


def test_a_line_keeps_the_rounded_quantity_with_the_free_units():
    """120.4 rounded up is 121: that is what the line shows, though 21 are priced."""
    line = rated(EURO, "120.4", rounding=Rounding("up", 0), allowance="100")

    assert [line.quantity, line.components[0].quantity, line.amount] == [121, 21, 21]


# --- units, rounding and free units ----------------------------------------------------------------------------------


def test_the_quantity_is_converted_before_it_is_rounded_and_before_free_units_come_off():
    """5905580032 bytes are 5.5 GiB, up to 6; 2 are free, 4 at 1.00 are priced."""
    line = rated(
        EURO, "5905580032", conversion=Conversion("divide_by", d(2**30), "GiB"), rounding=Rounding("up", 0),
        allowance="2",
    )  # fmt: skip

    assert [(step.stage, step.quantity) for step in line.steps[:3]] == [
        ("convert_units", d("5.5")),
        ("round_quantity", d(6)),
        ("deduct_allowance", d(4)),
    ]
    assert [line.quantity, line.amount] == [6, d("4.00")]


@pytest.mark.parametrize(
    ("operation", "factor", "quantity", "converted"),
    [
        ("divide_by", "1000", "1234", "1.234"),
        ("divide_by", "3", "2", "0.666666666666666667"),
        ("divide_by", "3", "-2", "-0.666666666666666667"),
        ("divide_by", "1073741824", "1", "0.000000000931322575"),
        ("multiply_by", "8", "0.125", "1.000"),
        ("multiply_by", "0.000000000000000001", "0.5", "0.0000000000000000005"),
        ("divide_by", "60", "0", "0"),
    ],
)
def test_a_quotient_has_18_decimals_and_a_product_every_one(operation: Any, factor: str, quantity: str, converted: str):
    """2 / 3 is 0.666666666666666667, half up at the 18th decimal; 1 / 2^30 is 0.000000000931322574615..."""
    line = rated(EURO, quantity, conversion=Conversion(operation, d(factor), "x"))

    assert line.quantity == d(converted)


def test_the_quantity_is_rounded_before_the_free_units_come_off():
    """10.4 up is 11, less 10 free is 1 unit; the other way round 0.4 would be free of nothing."""
    assert rated(EURO, "10.4", rounding=Rounding("up", 0), allowance="10").amount == d("1.00")


def test_a_meter_without_a_rounding_prices_every_decimal():
    """0.123456 x 100.00 = 12.3456."""
    assert rated(PerUnit(d(100)), "0.123456").amount == d("12.35")


@pytest.mark.parametrize(("quantity", "left"), [("120", "20"), ("100", "0"), ("80", "0"), ("0", "0"), ("-5", "-5")])
def test_free_units_reduce_positive_use_to_no_less_than_nothing(quantity: str, left: str):
    """100 free: 120 leave 20, 80 leave 0, and -5 stay -5."""
    assert rated(EURO, quantity, allowance="100").components[0].quantity == d(left)


def test_tiers_begin_after_the_free_units():
    """15 units, 5 free: 10 are priced and fill the first tier exactly."""
    model = Graduated((Tier(d(10), d(1)), Tier(None, d(9))))

    assert rated(model, 15, allowance="5").amount == d("10.00")


# --- discounts -------------------------------------------------------------------------------------------------------


def test_a_percentage_is_an_allowance_on_the_line():
    """10 % of 35.00 is 3.50."""
    line = rated(EURO, 35, discount=percent("10"))

    assert line.allowances == (Allowance("discount 10 %", d("3.50")),)
    assert line.amount == d("31.50")


def test_a_percentage_is_rounded_half_up_and_written_plainly():
    """12.50 % of 0.20 is 2.5 cents, so 0.03 comes off."""
    line = rated(EURO, "0.20", discount=percent("12.50"))

    assert line.allowances == (Allowance("discount 12.5 %", d("0.03")),)


def test_a_fixed_discount_takes_no_more_than_was_priced():
    """5.00 off 3.00 takes 3.00; off 8.00 it takes 5.00."""
    assert rated(EURO, 3, discount=fixed("5.00")).amount == 0
    assert rated(EURO, 8, discount=fixed("5.00")).allowances == (Allowance("discount", d("5.00")),)


@pytest.mark.parametrize("quantity", [0, -3])
def test_a_fixed_discount_takes_nothing_off_nothing(quantity: int):
    """Priced 0.00 or -3.00: no allowance at all."""
    line = rated(EURO, quantity, discount=fixed("5.00"))

    assert line.allowances == ()
    assert line.amount == quantity


def test_units_returned_are_worth_their_discounted_price():
    """-10 units at 1.00 with 10 % off give back 9.00, what they cost."""
    assert rated(EURO, -10, discount=percent("10")).amount == d("-9.00")


def test_a_discount_acts_on_all_components_together():
    """0.05 and 0.05 with 50 % off: 0.05 off 0.10, not 0.03 twice."""
    model = Graduated((Tier(d(1), d("0.05")), Tier(None, d("0.05"))))

    assert rated(model, 2, discount=percent("50")).amount == d("0.05")


# --- maximum and minimum ---------------------------------------------------------------------------------------------


def test_a_maximum_is_a_component_that_takes_the_excess_back():
    """65.00 under a maximum of 50.00: -1 x 15.00, for a price is never negative."""
    line = rated(EURO, 65, maximum="50")

    assert pieces(line) == [("unit", 65, 1, 65), ("maximum", -1, 15, -15)]
    assert line.amount == d("50.00")


def test_a_maximum_is_whole_in_a_part_period():
    """40.00 in 3 of 30 days stay below 50.00."""
    assert rated(EURO, 40, maximum="50", used=3, full=30).amount == d("40.00")


def test_the_maximum_sees_what_discounts_left():
    """60.00 less 20 % is 48.00: under 50.00, so nothing is cut."""
    assert rated(EURO, 60, maximum="50", discount=percent("20")).amount == d("48.00")


def test_a_minimum_is_a_component_of_the_shortfall():
    """3.20 and a minimum of 5.00: 1 x 1.80."""
    line = rated(EURO, "3.20", minimum="5.00")

    assert pieces(line)[1:] == [("minimum", 1, d("1.80"), d("1.80"))]
    assert line.amount == d("5.00")


def test_a_minimum_is_due_at_no_use():
    assert rated(EURO, 0, minimum="5.00").amount == d("5.00")


def test_a_minimum_is_due_in_the_share_of_the_stretch():
    """10.00 for 10 of 31 days is 3.23 (3.2258...): 2.00 are raised by 1.23, and 4.00 are left alone."""
    assert rated(EURO, 2, minimum="10.00", used=10, full=31).components[1].amount == d("1.23")
    assert rated(EURO, 4, minimum="10.00", used=10, full=31).amount == d("4.00")


def test_negative_use_is_raised_to_the_minimum():
    """-3.00 and a minimum of 5.00: 1 x 8.00."""
    assert pieces(rated(EURO, -3, minimum="5.00"))[1:] == [("minimum", 1, 8, 8)]


def test_no_discount_undercuts_the_minimum():
    """6.00 less 50 % is 3.00, raised to 5.00."""
    assert rated(EURO, 6, minimum="5.00", discount=percent("50")).amount == d("5.00")


def test_an_amount_at_the_maximum_or_the_minimum_has_no_further_component():
    assert [c.kind for c in rated(EURO, 5, minimum="5.00", maximum="5.00").components] == ["unit"]


def test_a_flat_charge_is_due_in_its_share():
    """19.00 for 15 of 30 days: 9.50."""
    line = rated(Flat(d("19.00")), 1, used=15, full=30)

    assert line.quantity == 1
    assert line.amount == d("9.50")


def test_a_currency_without_cents_has_whole_amounts():
    """7 x 1.5 = 10.5, so 11 yen; 10 % is 1.1, so 1; at least a third of 100: 33."""
    line = rated(PerUnit(d("1.5")), 7, currency="JPY", discount=percent("10"), minimum="100", used=1, full=3)

    assert [line.components[0].amount, line.allowances[0].amount, line.amount] == [11, 1, 33]


# --- what holds for every line ---------------------------------------------------------------------------------------

quantities = st.decimals(min_value=-1_000, max_value=10_000, places=4)
amounts = st.decimals(min_value=0, max_value=5_000, places=2)
unit_prices = st.decimals(min_value=0, max_value=10, places=5)
discounts = st.one_of(
    st.builds(lambda number: Discount(percent=number), st.decimals(min_value=0, max_value=100, places=2)),
    st.builds(lambda number: Discount(amount=number), amounts),
)
two_tiers = st.builds(
    lambda bound, first, second, flat: (Tier(bound, first, flat), Tier(None, second)),
    st.decimals(min_value=1, max_value=5_000, places=2), unit_prices, unit_prices, st.none() | amounts,
)  # fmt: skip
models = st.one_of(
    st.builds(Flat, amounts),
    st.builds(PerUnit, unit_prices),
    st.builds(Graduated, two_tiers),
    st.builds(Volume, two_tiers),
    st.builds(Package, st.decimals(min_value=1, max_value=100, places=1), unit_prices, st.sampled_from(["up", "down"])),
)


@st.composite
def any_terms(draw: st.DrawFn) -> RatingTerms:
    full = draw(st.integers(1, 366))
    item = PlanCharge(
        "energy",
        draw(models),
        "energy",
        allowance=draw(st.none() | st.decimals(min_value=0, max_value=500, places=2)),
        minimum=draw(st.none() | amounts),
        maximum=draw(st.none() | amounts),
        discount=draw(st.none() | discounts),
    )
    rounding = st.builds(Rounding, st.sampled_from(["up", "down", "half_up"]), st.integers(0, 4))
    return RatingTerms(
        item, draw(st.sampled_from(["EUR", "JPY", "KWD"])), draw(st.integers(0, full)), full, draw(st.none() | rounding)
    )


@given(any_terms(), quantities)
def test_components_less_allowances_are_the_line(stated: RatingTerms, quantity: Decimal):
    """What is printed adds up; the last step is the line; a step is recorded for each stage."""
    line = rate(stated, MeasuredUsage(quantity))

    assert line.amount == sum(c.amount for c in line.components) - sum(a.amount for a in line.allowances)
    assert line.steps[-1].amount == line.amount
    assert len(line.steps) == len(STAGES)


@given(any_terms(), quantities)
def test_every_component_is_its_quantity_times_its_price(stated: RatingTerms, quantity: Decimal):
    """To within half of the currency's smallest unit; and what lowers an amount has a quantity below 0, not a price."""
    half = {"EUR": CENT, "JPY": d(1), "KWD": d("0.001")}[stated.currency] / 2

    for item in rate(stated, MeasuredUsage(quantity)).components:
        assert abs(item.quantity * item.unit_price - item.amount) <= half
        assert item.unit_price >= 0


@given(any_terms(), quantities)
def test_rating_is_a_function_of_terms_and_usage_alone(stated: RatingTerms, quantity: Decimal):
    """Twice the same, whatever was rated in between; an equal number written with more zeros makes no difference."""
    first = rate(stated, MeasuredUsage(quantity))
    rate(stated, MeasuredUsage(quantity + 1))

    assert rate(stated, MeasuredUsage(quantity)) == first
    assert rate(stated, MeasuredUsage(quantity + d("0.000000"))) == first


@given(any_terms(), quantities)
def test_no_line_is_below_its_minimum(stated: RatingTerms, quantity: Decimal):
    """Whatever came off by free units, discount and maximum."""
    minimum = stated.charge.minimum
    assume(minimum is not None)
    assert minimum is not None

    line = rate(stated, MeasuredUsage(quantity))

    assert line.amount >= prorate(minimum, currency=stated.currency, used=stated.used, full=stated.full)


@given(models, quantities, amounts, st.none() | discounts)
def test_no_line_is_above_its_maximum(model: ChargeModel, quantity: Decimal, maximum: Decimal, off: Discount | None):
    """Where no minimum says otherwise."""
    assert rated(model, quantity, maximum=str(maximum), discount=off).amount <= maximum


@given(models, st.decimals(min_value=0, max_value=10_000, places=4), discounts)
def test_a_discount_takes_between_nothing_and_everything(model: ChargeModel, quantity: Decimal, off: Discount):
    """On positive use the line stays between 0 and what it would be without the discount."""
    assert 0 <= rated(model, quantity, discount=off).amount <= rated(model, quantity).amount


@given(unit_prices, st.lists(st.decimals(min_value=0, max_value=1_000, places=4), min_size=1, max_size=8))
def test_a_quantity_rated_in_parts_differs_by_half_a_cent_a_part_at_most(unit_price: Decimal, parts: list[Decimal]):
    """Each part is rounded once, and so is the whole: n + 1 halves of a cent at most lie between them."""
    whole = rated(PerUnit(unit_price), sum(parts, d(0))).amount
    split = sum((rated(PerUnit(unit_price), part).amount for part in parts), d(0))

    assert abs(whole - split) <= CENT / 2 * (len(parts) + 1)


@given(two_tiers, quantities, st.decimals(min_value=0, max_value=1_000, places=2))
def test_free_units_never_make_graduated_use_dearer(prices: tuple[Tier, ...], quantity: Decimal, free: Decimal):
    assert rated(Graduated(prices), quantity, allowance=str(free)).amount <= rated(Graduated(prices), quantity).amount
