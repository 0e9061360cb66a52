"""What would a plan have brought, over use that was?

Acme paid 35.00 for 130 kWh and would pay 39.00 by the draft: its change is 4.00, and that of all tenants is the sum.
Amounts are net of tax, after the allowances, discounts, minimums and maximums of each charge; what a subscription
pays is what closing would compute over the same stretches.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from heapq import nsmallest
from typing import Literal

from app.domain.money import ZERO
from app.domain.plans import PlanTerms

LARGEST = 10
"""How many of the largest changes a simulation names."""


@dataclass(frozen=True, slots=True)
class SimulatedPlan:
    """Terms that take the place of what is in force. `key` is '' for a plan that is in no catalog."""

    key: str
    name: str
    terms: PlanTerms


@dataclass(frozen=True, slots=True)
class SimulationRequest:
    """`plan` over what was used in [start, end), a date being its midnight in each tenant's zone; beside what the
    tenants' subscriptions cost by the terms in force, or beside a second plan (`against`).

    It takes the place of all subscriptions of a tenant, or of those to the plans in `replaces`, where some are named.
    `tenants` are keys; None is every tenant with such a subscription then.
    """

    plan: SimulatedPlan
    start: date | datetime
    end: date | datetime
    tenants: tuple[str, ...] | None = None
    against: SimulatedPlan | None = None
    replaces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ChargeAmount:
    """What one charge comes to over the whole range, all its stretches together."""

    charge: str
    description: str
    unit: str
    quantity: Decimal
    amount: Decimal


@dataclass(frozen=True, slots=True)
class ChargeChange:
    """A charge of either plan, by its key; None where the one has no such charge."""

    charge: str
    old: ChargeAmount | None
    new: ChargeAmount | None

    @property
    def difference(self) -> Decimal:
        return _amount(self.new) - _amount(self.old)


@dataclass(frozen=True, slots=True)
class TenantChange:
    tenant: str
    old: Decimal
    new: Decimal
    charges: tuple[ChargeChange, ...] = ()

    @property
    def difference(self) -> Decimal:
        return self.new - self.old


@dataclass(frozen=True, slots=True)
class Skipped:
    """A tenant that could not be simulated, and why."""

    tenant: str
    detail: str


@dataclass(frozen=True, slots=True)
class Totals:
    """All tenants so far: sums, by charge too; the largest changes, the largest first; and who was left out."""

    tenants: int = 0
    old: Decimal = ZERO
    new: Decimal = ZERO
    charges: tuple[ChargeChange, ...] = ()
    largest: tuple[TenantChange, ...] = ()
    skipped: tuple[Skipped, ...] = ()

    @property
    def difference(self) -> Decimal:
        return self.new - self.old


@dataclass(frozen=True, slots=True)
class Simulation:
    """A simulation and how far it is: `done` of `due` tenants."""

    request: SimulationRequest
    status: Literal["running", "done", "failed"]
    created_at: datetime
    due: int
    done: int
    totals: Totals


def summed(items: Iterable[ChargeAmount]) -> tuple[ChargeAmount, ...]:
    """One amount a charge, in order of their first stretch."""
    found: dict[str, ChargeAmount] = {}
    for item in items:
        known = found.get(item.charge)
        if known is not None:
            item = replace(item, quantity=known.quantity + item.quantity, amount=known.amount + item.amount)
        found[item.charge] = item
    return tuple(found.values())


def change_of(tenant: str, old: Iterable[ChargeAmount], new: Iterable[ChargeAmount]) -> TenantChange:
    """The tenant's amounts side by side, by charge: those of the old plan first, then what only the new one has."""
    before, after = ({item.charge: item for item in summed(items)} for items in (old, new))
    charges = tuple(ChargeChange(key, before.get(key), after.get(key)) for key in before | after)
    return TenantChange(tenant, _sum(before.values()), _sum(after.values()), charges)


def with_changes(totals: Totals, changes: Sequence[TenantChange], skipped: Sequence[Skipped] = ()) -> Totals:
    """The totals with further tenants."""
    charges = [item for found in (totals.charges, *(change.charges for change in changes)) for item in found]
    whole = change_of(
        "",
        (item.old for item in charges if item.old is not None),
        (item.new for item in charges if item.new is not None),
    )
    largest = nsmallest(
        LARGEST, (*totals.largest, *(replace(item, charges=()) for item in changes if item.difference)), key=_by_size
    )
    return Totals(
        totals.tenants + len(changes), whole.old, whole.new, whole.charges, tuple(largest),
        (*totals.skipped, *skipped),
    )  # fmt: skip


def _by_size(item: TenantChange) -> tuple[Decimal, str]:
    return -abs(item.difference), item.tenant


def _amount(item: ChargeAmount | None) -> Decimal:
    return ZERO if item is None else item.amount


def _sum(items: Iterable[ChargeAmount]) -> Decimal:
    return sum((item.amount for item in items), ZERO)
