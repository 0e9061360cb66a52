"""Prices on quantities: boundaries, zero, negative use, and what holds for every price."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.charge_models import (
    Capacity,
    ChargeModel,
    Component,
    Dynamic,
    Flat,
    Graduated,
    GraduatedPercentage,
    Matrix,
    MatrixCell,
    MeasuredUsage,
    Package,
    Percentage,
    PercentageTier,
    PerUnit,
    Reservation,
    Tier,
    TimeOfUse,
    TimeRate,
    Volume,
    charge,
    model_problems,
    parts_of,
    prorate,
)

CENT = Decimal("0.01")


def d(text: str | int) -> Decimal:
    return Decimal(text)


def tier(up_to: str | None, unit_price: str, flat: str | None = None) -> Tier:
    return Tier(None if up_to is None else d(up_to), d(unit_price), None if flat is None else d(flat))


def graduated(*tiers: Tier) -> Graduated:
    return Graduated(tiers)


def volume(*tiers: Tier) -> Volume:
    return Volume(tiers)


def priced(
    model: ChargeModel, quantity: Decimal | str | int, *, currency: str = "EUR", used: int = 1, full: int = 1
) -> tuple[Component, ...]:
    parts = parts_of(model, MeasuredUsage(Decimal(quantity)))
    return charge(model, parts, events=1, currency=currency, used=used, full=full)


def amount(model: ChargeModel, quantity: Decimal | str | int, **share: Any) -> Decimal:
    return sum((item.amount for item in priced(model, quantity, **share)), d(0))


def pieces(model: ChargeModel, quantity: str | int, **share: Any) -> list[tuple[Any, ...]]:
    """(description, quantity, unit price, amount) of each component."""
    return [(c.description, c.quantity, c.unit_price, c.amount) for c in priced(model, quantity, **share)]


# --- flat and per unit -----------------------------------------------------------------------------------------------


def test_a_flat_amount_is_due_whatever_was_used():
    """19.00 at no use and at 1,000 units."""
    assert amount(Flat(d("19.00")), 0) == amount(Flat(d("19.00")), 1_000) == d("19.00")


def test_a_flat_amount_of_a_part_period_is_its_share_rounded_once():
    """10.00 for 10 of 31 days: 3.2258..., so 1 x 3.23: the component's own product is what is charged."""
    assert pieces(Flat(d("10.00")), 1, used=10, full=31) == [("flat amount", d(1), d("3.23"), d("3.23"))]


def test_a_share_of_an_amount_rounds_half_up():
    """0.01 for 1 of 2 days is half a cent, so one cent; 31.00 for 10 of 31 days is exact; no day owes nothing."""
    assert prorate(CENT, currency="EUR", used=1, full=2) == CENT
    assert prorate(d("31.00"), currency="EUR", used=10, full=31) == d("10.00")
    assert prorate(d("31.00"), currency="EUR", used=0, full=31) == 0


def test_usage_is_priced_in_full_in_a_part_period():
    """3 units at 2.00 are 6.00 in one day as in thirty."""
    assert amount(PerUnit(d(2)), 3, used=1, full=30) == d("6.00")


def test_a_product_is_rounded_half_up_to_the_currency():
    """1.5 x 0.01 is 1.5 cents: 0.02 EUR; 0.015 KWD has three decimals and stays; 1.5 yen are 2."""
    assert amount(PerUnit(CENT), "1.5") == d("0.02")
    assert amount(PerUnit(CENT), "1.5", currency="KWD") == d("0.015")
    assert amount(PerUnit(d(1)), "1.5", currency="JPY") == d(2)


def test_a_very_small_price_on_a_very_large_quantity_is_exact():
    """123,456,789,012,345,678,901,234 x 0.000000000001 = 123,456,789,012.345678901234."""
    assert amount(PerUnit(d("0.000000000001")), "123456789012345678901234") == d("123456789012.35")


def test_negative_use_makes_a_negative_amount_at_a_positive_price():
    """-1.5 x 0.01 is -0.02: half away from zero, as for positive use."""
    assert pieces(PerUnit(CENT), "-1.5") == [("unit price", d("-1.5"), CENT, d("-0.02"))]


@pytest.mark.parametrize(
    "model",
    [
        Flat(d(0)),
        PerUnit(d("0.30")),
        graduated(tier("10", "1"), tier(None, "2")),
        volume(tier("10", "1"), tier(None, "2")),
        Package(d(10), d(5)),
    ],
)
def test_no_use_still_makes_one_component_of_zero(model: ChargeModel):
    (only,) = priced(model, 0)

    assert str(only.amount) == "0.00"


# --- graduated -------------------------------------------------------------------------------------------------------

CALLS = graduated(tier("1000", "0.01"), tier(None, "0.005"))


def test_graduated_usage_pays_each_tier_its_own_price():
    """1,500 calls: the first 1,000 at one cent, the other 500 at half a cent."""
    assert pieces(CALLS, 1_500) == [
        ("tier 1", d(1_000), d("0.01"), d("10.00")),
        ("tier 2", d(500), d("0.005"), d("2.50")),
    ]


def test_a_graduated_bound_belongs_to_the_tier_that_it_ends():
    """1,000 calls fill tier 1 and leave tier 2 out; 1,001 put one call into it."""
    assert [c.tier for c in priced(CALLS, 1_000)] == [1]
    assert [(c.tier, c.quantity) for c in priced(CALLS, 1_001)] == [(1, d(1_000)), (2, d(1))]


def test_a_graduated_flat_is_charged_when_its_tier_is_entered():
    """Entry 2.00 and 3.00: at 10 units only the first is due, at 10.5 both."""
    model = graduated(tier("10", "1", "2"), tier(None, "1", "3"))

    assert pieces(model, 10) == [("tier 1", 10, 1, 10), ("tier 1, entry", 1, 2, 2)]
    assert pieces(model, "10.5") == [
        ("tier 1", 10, 1, 10),
        ("tier 1, entry", 1, 2, 2),
        ("tier 2", d("0.5"), 1, d("0.50")),
        ("tier 2, entry", 1, 3, 3),
    ]


@pytest.mark.parametrize("make", [graduated, volume])
def test_the_first_tier_is_entered_at_no_use(make: Any):
    """0 x 1.00 and the entry of 2.00."""
    model = make(tier("10", "1", "2"), tier(None, "1", "3"))

    assert pieces(model, 0) == [("tier 1", 0, 1, 0), ("tier 1, entry", 1, 2, 2)]


@pytest.mark.parametrize("make", [graduated, volume])
def test_negative_use_is_priced_by_the_first_tier(make: Any):
    """-30 units at 1.00 are -30.00, far beyond the size of the tier; no other tier takes part."""
    model = make(tier("10", "1"), tier(None, "5", "3"))

    assert pieces(model, -30) == [("tier 1", -30, 1, -30)]


def test_each_tier_is_rounded_on_its_own():
    """1 x 0.005 and 1 x 0.005 round to 0.01 each: 0.02, not the 0.01 of their sum."""
    model = graduated(tier("1", "0.005"), tier(None, "0.005"))

    assert amount(model, 2) == d("0.02")


# --- volume ----------------------------------------------------------------------------------------------------------

SHIPPED = volume(tier("100", "1.00"), tier("200", "0.80", "5"), tier(None, "0.50"))


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [("100", "100.00"), ("100.01", "85.01"), ("200", "165.00"), ("201", "100.50"), ("100000", "50000.00")],
)
def test_the_tier_that_the_volume_reaches_prices_all_of_it(quantity: str, expected: str):
    """100 x 1.00; 100.01 x 0.80 + 5; 200 x 0.80 + 5; 201 x 0.50: one unit more can cost less."""
    assert amount(SHIPPED, quantity) == d(expected)


def test_only_the_reached_tiers_flat_is_charged():
    """201 units are in tier 3, which has none; tier 2's 5.00 is not due."""
    assert [c.kind for c in priced(SHIPPED, 201)] == ["tier"]


# --- package ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quantity", "up", "down"),
    [("0", 0, 0), ("0.001", 1, 0), ("9", 1, 0), ("10", 1, 1), ("10.001", 2, 1), ("20", 2, 2)],
)
def test_a_begun_package_counts_or_not_as_the_price_says(quantity: str, up: int, down: int):
    """Size 10: 10.001 units are two packages rounded up, one rounded down."""
    assert priced(Package(d(10), d(7)), quantity)[0].quantity == up
    assert priced(Package(d(10), d(7), "down"), quantity)[0].quantity == down


def test_a_package_may_have_a_broken_size():
    """0.3 fits three times into 0.9, exactly: no fourth package from a rounding error."""
    assert pieces(Package(d("0.3"), d(7)), "0.9") == [("package", 3, 7, 21)]


# --- what holds for every price --------------------------------------------------------------------------------------

unit_prices = st.decimals(min_value=0, max_value=1_000, places=6)
quantities = st.decimals(min_value=0, max_value=10_000, places=3)
signed_quantities = st.decimals(min_value=-10_000, max_value=10_000, places=3)


@st.composite
def tiers(draw: st.DrawFn, *, flats: bool = True) -> tuple[Tier, ...]:
    steps = draw(st.lists(st.decimals(min_value=d("0.001"), max_value=3_000, places=3), max_size=5))
    bounds: list[Decimal | None] = [sum(steps[: count + 1], d(0)) for count in range(len(steps))]
    flat = st.none() | st.decimals(min_value=0, max_value=100, places=2) if flats else st.none()
    return tuple(Tier(bound, draw(unit_prices), draw(flat)) for bound in [*bounds, None])


def in_percent(stated: tuple[Tier, ...]) -> tuple[PercentageTier, ...]:
    """The same tiers at a rate of a hundred times their price: what they amount to is the same."""
    return tuple(PercentageTier(tier.up_to, tier.unit_price * 100, tier.flat) for tier in stated)


models = st.one_of(
    st.builds(Flat, unit_prices),
    st.builds(PerUnit, unit_prices),
    st.builds(Graduated, tiers()),
    st.builds(Volume, tiers()),
    st.builds(
        Package,
        st.decimals(min_value=d("0.001"), max_value=500, places=3),
        unit_prices,
        st.sampled_from(["up", "down"]),
    ),
    st.builds(Percentage, unit_prices, st.none() | unit_prices, st.none(), st.none() | quantities),
    st.builds(GraduatedPercentage, tiers().map(in_percent)),
    st.builds(Capacity, tiers(flats=False)),
    st.builds(Dynamic, unit_prices),
    st.builds(Reservation, st.decimals(min_value=d("0.001"), max_value=500, places=3), unit_prices, unit_prices),
)


@given(models, signed_quantities)
def test_every_component_is_quantity_times_price_rounded(model: ChargeModel, quantity: Decimal):
    """The rule that every line of a document can be checked by; and a price is never negative."""
    assert not list(model_problems(model))
    components = priced(model, quantity, used=7, full=30)

    assert components
    for item in components:
        assert abs(item.quantity * item.unit_price - item.amount) <= CENT / 2
        assert item.amount == item.amount.quantize(CENT)
        assert item.unit_price >= 0


@given(tiers(), signed_quantities)
def test_graduated_slices_sum_to_the_quantity(prices: tuple[Tier, ...], quantity: Decimal):
    """Nothing is priced twice and nothing is left out; only the first slice may be empty."""
    slices = [c.quantity for c in priced(Graduated(prices), quantity) if c.kind == "tier"]

    assert sum(slices) == quantity
    assert all(item > 0 for item in slices[1:])


@given(tiers(), signed_quantities, quantities)
def test_graduated_amounts_never_fall_when_more_is_used(prices: tuple[Tier, ...], first: Decimal, more: Decimal):
    """Each slice grows with use, so its rounded amount does, and so does the sum; an entry is never given back."""
    assert amount(Graduated(prices), first) <= amount(Graduated(prices), first + more)


@given(tiers(), signed_quantities)
def test_graduated_percentages_are_graduated_prices_in_hundredths(prices: tuple[Tier, ...], quantity: Decimal):
    """So they are as continuous and as monotone."""
    assert amount(GraduatedPercentage(in_percent(prices)), quantity) == amount(Graduated(prices), quantity)


@given(tiers(flats=False), signed_quantities)
def test_a_capacity_costs_the_price_of_the_tier_that_volume_reaches(prices: tuple[Tier, ...], quantity: Decimal):
    """Once, and not for each unit; nothing where nothing was used."""
    number, reached = next((n, t) for n, t in enumerate(prices, 1) if t.up_to is None or quantity <= t.up_to)

    (only,) = priced(Capacity(prices), quantity)

    assert (only.tier, only.unit_price) == (number, reached.unit_price)
    assert only.quantity == (1 if quantity > 0 else 0)


@given(quantities, unit_prices, unit_prices, st.integers(1, 500))
def test_a_reservation_is_a_flat_amount_and_a_price_beyond_an_allowance(
    quantity: Decimal, unit_price: Decimal, overage: Decimal, reserved: int
):
    """Half of a period owes half of the reserved part, and all of what goes beyond."""
    model = Reservation(d(reserved), unit_price, overage)
    for used in (1, 2):
        flat = amount(Flat(reserved * unit_price), 1, used=used, full=2)
        beyond = amount(PerUnit(overage), max(quantity - reserved, d(0)))
        assert amount(model, quantity, used=used, full=2) == flat + beyond


@given(tiers(flats=False), st.data())
def test_a_graduated_amount_does_not_jump_at_a_bound(prices: tuple[Tier, ...], picked: st.DataObject):
    """A little more use, which the next tier prices at one cent at most, makes the amount grow by at most one cent."""
    index = picked.draw(st.integers(0, len(prices) - 1))
    entered, bound = prices[index], (prices[index - 1].up_to if index else None) or d(0)
    little = min(CENT / max(entered.unit_price, d(1)), (entered.up_to or d(10_000_000)) - bound)

    jump = amount(Graduated(prices), bound + little) - amount(Graduated(prices), bound)

    assert 0 <= jump <= CENT


@given(tiers(), signed_quantities)
def test_volume_prices_everything_at_the_reached_tier(prices: tuple[Tier, ...], quantity: Decimal):
    """One tier component with the whole quantity, of the first tier whose bound is not exceeded."""
    number, reached = next((n, t) for n, t in enumerate(prices, 1) if t.up_to is None or quantity <= t.up_to)

    components = priced(Volume(prices), quantity)

    assert {c.tier for c in components} == {number}
    assert [(c.quantity, c.unit_price) for c in components if c.kind == "tier"] == [(quantity, reached.unit_price)]
    assert [c.amount for c in components if c.kind == "tier_flat"] == ([reached.flat] if reached.flat else [])


@given(unit_prices, quantities)
def test_one_tier_is_a_unit_price(unit_price: Decimal, quantity: Decimal):
    """Graduated and volume with a single tier charge what per unit does."""
    single = (Tier(None, unit_price),)

    assert (
        amount(Graduated(single), quantity) == amount(Volume(single), quantity) == amount(PerUnit(unit_price), quantity)
    )


@given(
    st.decimals(min_value=d("0.001"), max_value=500, places=3), unit_prices, st.sampled_from(["up", "down"]), quantities
)
def test_packages_returned_mirror_packages_used(size: Decimal, price: Decimal, way: Any, quantity: Decimal):
    """-11 of size 10 are -2 packages where 11 are 2: returning a quantity gives back what it was charged at."""
    assert amount(Package(size, price, way), -quantity) == -amount(Package(size, price, way), quantity)


@given(quantities, st.integers(1, 500), unit_prices)
def test_packages_up_hold_the_quantity_and_packages_down_fit_into_it(quantity: Decimal, size: int, price: Decimal):
    """The number rounded up is the least that holds it all; the one rounded down is the same or one less."""
    (up,), (down,) = priced(Package(d(size), price), quantity), priced(Package(d(size), price, "down"), quantity)

    assert up.quantity * size >= quantity > (up.quantity - 1) * size
    assert down.quantity * size <= quantity < (down.quantity + 1) * size


# --- what a model must be --------------------------------------------------------------------------------------------

MANY = "1" + "0" * 20


@pytest.mark.parametrize(
    ("model", "pointers"),
    [
        (Flat(d("-1")), ["/amount"]),
        (PerUnit(d("-0.01")), ["/unit_price"]),
        (PerUnit(d("0.0000000000001")), ["/unit_price"]),
        (PerUnit(d("1000000000000000")), ["/unit_price"]),
        (graduated(), ["/tiers"]),
        (volume(), ["/tiers"]),
        (graduated(tier("10", "1")), ["/tiers/0/up_to"]),
        (graduated(tier(None, "1"), tier(None, "1")), ["/tiers/0/up_to"]),
        (graduated(tier("10", "1"), tier("10", "1"), tier(None, "1")), ["/tiers/1/up_to"]),
        (volume(tier("10", "1"), tier("5", "1"), tier(None, "1")), ["/tiers/1/up_to"]),
        (
            volume(tier("10", "1"), tier("5", "1"), tier("7", "1"), tier(None, "1")),
            ["/tiers/1/up_to", "/tiers/2/up_to"],
        ),
        (volume(tier("0", "1"), tier(None, "1")), ["/tiers/0/up_to"]),
        (volume(tier("-5", "1"), tier(None, "1")), ["/tiers/0/up_to"]),
        (volume(tier(MANY, "1"), tier(None, "1")), ["/tiers/0/up_to"]),
        (graduated(tier("1", "-1"), tier(None, "1", "-2")), ["/tiers/0/unit_price", "/tiers/1/flat"]),
        (Package(d(0), d(1)), ["/size"]),
        (Package(d("0.0000000000000000001"), d("-1")), ["/size", "/price"]),
        (Percentage(d("-1"), fixed=d("-1"), free_events=-1), ["/rate", "/fixed", "/free_events"]),
        (Percentage(d("0.00000000001"), event_minimum=d(2), event_maximum=d(1)), ["/rate", "/event_minimum"]),
        (Percentage(d(1), free_units=d(MANY)), ["/free_units"]),
        (GraduatedPercentage((PercentageTier(d(5), d("-1")),)), ["/tiers/0/rate", "/tiers/0/up_to"]),
        (Matrix(()), ["/cells"]),
        (Matrix((MatrixCell((), d("-1")),), d("-1")), ["/default_unit_price", "/cells/0/unit_price", "/cells/0/when"]),
        (Matrix((MatrixCell((("a", "1"),), d(1)), MatrixCell((("a", "1"),), d(2)))), ["/cells/1/when"]),
        (TimeOfUse((), d("-1")), ["/rates", "/default_unit_price"]),
        (TimeOfUse((TimeRate(480, 480, d("-1")),), d(1)), ["/rates/0/unit_price"]),
        (Capacity((tier(None, "1", "2"),)), ["/tiers/0/flat"]),
        (Dynamic(d("-1")), ["/multiplier"]),
        (Reservation(d(0), d("-1"), d("-1")), ["/reserved", "/unit_price", "/overage_unit_price"]),
    ],
)
def test_every_fault_of_a_price_is_named_with_its_place(model: ChargeModel, pointers: list[str]):
    assert [problem.pointer for problem in model_problems(model)] == pointers


@pytest.mark.parametrize(
    "model",
    [
        Flat(d(0)),
        PerUnit(d("0.000000000001")),
        PerUnit(d("0.5000000000000000")),
        PerUnit(d("999999999999999.999999999999")),
        graduated(tier(None, "0")),
        volume(tier("0.1", "10"), tier("1", "10"), tier(None, "2", "0")),
        Package(d("0.5"), d(0), "down"),
    ],
)
def test_a_sound_price_is_let_through(model: ChargeModel):
    assert not list(model_problems(model))


def test_the_largest_price_on_the_largest_sum_is_still_exact():
    """10^12 events of just under 10^20 units, at just under 10^15 each: 77 digits, and every one of them is right."""
    quantity = d("99999999999999999999.999999999999999999") * 10**12
    unit_price = d("999999999999999.999999999999")

    exact = int(quantity.scaleb(18)) * int(unit_price.scaleb(12))

    assert amount(PerUnit(unit_price), quantity) == d((exact + 5 * 10**27) // 10**28).scaleb(-2)
