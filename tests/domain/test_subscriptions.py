"""Which terms are in force when, and when two subscriptions price the same use."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from app.domain.charge_models import ChargeModel, Flat, Graduated, Package, PerUnit, Tier, Volume
from app.domain.kept_terms import keep_overrides, keep_terms, read_overrides, read_terms
from app.domain.periods import Period, start_of_day
from app.domain.plans import Discount, PlanCharge, PlanTerms, PlanVersion
from app.domain.subscriptions import (
    ChargeOverride,
    Subscription,
    find_overlap,
    may_be_midnight_of,
    override_problems,
    terms_in_force,
)  # fmt: skip

TENANT = UUID(int=1)


def day(month: int, number: int) -> datetime:
    return datetime(2026, month, number, tzinfo=UTC)


def energy(price: str, meter: str = "energy") -> PlanCharge:
    return PlanCharge("energy", PerUnit(Decimal(price)), meter)


def version(number: int, effective_at: datetime, *charges: PlanCharge, plan: str = "standard") -> PlanVersion:
    return PlanVersion(plan, number, effective_at, PlanTerms("EUR", "month", "calendar", charges))


def subscription(number: int, start: datetime, end: datetime | None = None, **fields: Any) -> Subscription:
    made = Subscription(TENANT, UUID(int=number), f"s{number}", "acme", "standard", start, end, start.date())
    return replace(made, **fields)


V1, V2 = version(1, day(1, 1), energy("1.50")), version(2, day(5, 8), energy("2.50"))
MAY = Period(day(5, 1), day(6, 1))


def test_a_period_with_two_versions_has_two_stretches() -> None:
    found = terms_in_force(MAY, [V2, V1], None, ())
    assert [(stretch.start, stretch.end, item.version) for stretch, item, _ in found] == [
        (day(5, 1), day(5, 8), 1), (day(5, 8), day(6, 1), 2),
    ]  # fmt: skip


def test_a_version_that_begins_at_a_boundary_makes_no_empty_stretch() -> None:
    assert [item.version for _, item, _ in terms_in_force(Period(day(4, 1), day(5, 8)), [V1, V2], None, ())] == [1]
    assert [item.version for _, item, _ in terms_in_force(Period(day(5, 8), day(6, 1)), [V1, V2], None, ())] == [2]


def test_a_pinned_version_holds_throughout() -> None:
    assert [(stretch, item.version) for stretch, item, _ in terms_in_force(MAY, [V1, V2], 2, ())] == [(MAY, 2)]


def test_an_override_replaces_single_fields_in_every_version() -> None:
    overrides = (ChargeOverride("energy", (("allowance", Decimal(20)),)),)
    found = [terms.charges[0] for _, _, terms in terms_in_force(MAY, [V1, V2], None, overrides)]
    assert [charge.allowance for charge in found] == [20, 20]
    assert [charge.model for charge in found] == [PerUnit(Decimal("1.50")), PerUnit(Decimal("2.50"))]


def test_an_override_must_fit_every_version() -> None:
    capped = version(3, day(7, 1), replace(energy("1"), maximum=Decimal(5)))
    overrides = (ChargeOverride("energy", (("minimum", Decimal(10)),)), ChargeOverride("a/b", (("tax", None),)))
    found = [(item.pointer, item.detail) for item in override_problems(overrides, [V1, V2, capped])]
    assert found == [
        ("/overrides/charges/energy/minimum", "the minimum is above the maximum"),
        ("/overrides/charges/a~1b", "the plan has no charge 'a/b'"),
    ]


def test_subscriptions_overlap_where_both_price_a_meter_at_one_time() -> None:
    first = subscription(1, day(1, 1), day(6, 1))
    found = find_overlap([subscription(2, day(5, 31))], [first], {"standard": [V1, V2]})
    assert found is not None
    assert (found.meter, found.other, found.start) == ("energy", "s1", day(5, 31))
    assert find_overlap([subscription(2, day(6, 1))], [first], {"standard": [V1, V2]}) is None
    assert find_overlap([subscription(2, day(5, 1), tenant_id=UUID(int=2))], [first], {"standard": [V1, V2]}) is None


def test_subscriptions_overlap_only_while_the_versions_price_the_meter() -> None:
    """Version 2 prices sessions instead of energy from 8 May: another may price energy from then on."""
    moved = version(2, day(5, 8), energy("1", "sessions"))
    versions = {"standard": [V1, moved], "other": [version(1, day(1, 1), energy("1"), plan="other")]}
    first = subscription(1, day(1, 1))
    assert find_overlap([subscription(2, day(5, 8), plan="other")], [first], versions) is None
    assert find_overlap([subscription(2, day(5, 7), plan="other")], [first], versions) is not None
    assert find_overlap([subscription(2, day(5, 8), plan="other")], [replace(first, pinned_version=1)], versions)


def test_a_date_may_name_a_midnight_of_a_zone_that_was_left() -> None:
    paris, york = ZoneInfo("Europe/Paris"), ZoneInfo("America/New_York")
    first, second = date(2026, 11, 1), date(2026, 11, 2)
    assert may_be_midnight_of(first, start_of_day(first, paris), york)
    assert not may_be_midnight_of(second, start_of_day(first, paris), york)
    assert not may_be_midnight_of(second, start_of_day(first, york), york), "it is a midnight here, of another day"


def test_kept_terms_are_read_back_as_they_were() -> None:
    tiers = (Tier(Decimal("0.5"), Decimal("0.30"), Decimal("1.00")), Tier(None, Decimal("0.000000000001")))
    package = Package(Decimal(10), Decimal("2.5"), "down")
    models: tuple[ChargeModel, ...] = (PerUnit(Decimal("0.30")), Graduated(tiers), Volume(tiers), package)
    charges = tuple(
        PlanCharge(
            f"c{number}", model, "energy", Decimal("1E+1"), Decimal("-0"), Decimal("9.90"), Discount(amount=Decimal(1)),
            "standard", "arrears", "Energy",
        )
        for number, model in enumerate(models)
    )  # fmt: skip
    flat = PlanCharge("flat", Flat(Decimal("19.00")), timing="advance")
    terms = PlanTerms("EUR", "year", "anniversary", (*charges, flat), "second")
    kept = keep_terms(terms)
    assert read_terms(kept) == terms
    assert keep_terms(read_terms(kept)) == kept
    assert kept["charges"][0]["allowance"] == "10"
    assert kept["charges"][-1] == {
        "key": "flat", "model": {"type": "flat", "amount": "19.00"}, "timing": "advance",
    }  # fmt: skip


def test_kept_overrides_say_what_they_take_away() -> None:
    overrides = (
        ChargeOverride("energy", (("allowance", None), ("description", ""), ("discount", None), ("tax", None))),
    )
    kept = keep_overrides(overrides)
    assert kept == {
        "charges": {"energy": {"allowance": None, "description": None, "discount": None, "tax": None}},
    }  # fmt: skip
    assert read_overrides(kept) == overrides
    assert read_overrides({}) == ()
