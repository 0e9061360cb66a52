"""Amounts of two plans side by side, and their totals."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from app.domain.simulations import LARGEST, ChargeAmount, Skipped, TenantChange, Totals, change_of, with_changes


def of(charge: str, quantity: str, amount: str) -> ChargeAmount:
    return ChargeAmount(charge, charge.title(), "kWh", Decimal(quantity), Decimal(amount))


def test_the_stretches_of_a_charge_are_one_amount() -> None:
    """10 kWh for 3.00 and 20 kWh for 6.00 are 30 kWh for 9.00; the new plan asks 12.00."""
    change = change_of("acme", [of("energy", "10", "3.00"), of("energy", "20", "6.00")], [of("energy", "30", "12.00")])
    assert (change.old, change.new, change.difference) == (Decimal("9.00"), Decimal("12.00"), Decimal("3.00"))
    (energy,) = change.charges
    assert (energy.old, energy.new) == (of("energy", "30", "9.00"), of("energy", "30", "12.00"))


def test_a_charge_that_one_plan_lacks_has_no_amount_there() -> None:
    change = change_of("acme", [of("access", "1", "19.00")], [of("energy", "30", "12.00")])
    assert [(item.charge, item.old is None, item.new is None, item.difference) for item in change.charges] == [
        ("access", False, True, Decimal("-19.00")), ("energy", True, False, Decimal("12.00")),
    ]  # fmt: skip


def change(tenant: str, old: int, new: int) -> TenantChange:
    return change_of(tenant, [of("energy", "1", str(old))], [of("energy", "1", str(new))])


def test_the_largest_changes_are_named_up_or_down_and_none_that_is_no_change() -> None:
    changes = [change(f"t-{number:02}", 100, 100 + number * (-1) ** number) for number in range(15)]
    totals = with_changes(Totals(), changes, [Skipped("zeta", "another currency")])
    assert [item.tenant for item in totals.largest] == [f"t-{number:02}" for number in range(14, 4, -1)]
    assert [item.tenant for item in with_changes(Totals(), changes[:2]).largest] == ["t-01"]
    assert totals.skipped == (Skipped("zeta", "another currency"),)


@given(st.lists(st.tuples(st.integers(-500, 500), st.integers(-500, 500)), max_size=30), st.integers(0, 30))
def test_totals_do_not_depend_on_how_tenants_are_batched(amounts: list[tuple[int, int]], cut: int) -> None:
    changes = [change(f"t-{number:02}", old, new) for number, (old, new) in enumerate(amounts)]
    at_once = with_changes(Totals(), changes)
    assert with_changes(with_changes(Totals(), changes[:cut]), changes[cut:]) == at_once
    assert at_once.difference == sum(new - old for old, new in amounts)
    assert len(at_once.largest) == min(LARGEST, sum(old != new for old, new in amounts))
