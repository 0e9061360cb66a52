"""The explained pieces of a line, and the form in which traces, documents and their hashes keep them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from app.domain.money import plain, round_amount

Kind = Literal[
    "unit", "tier", "tier_flat", "package", "flat", "percentage", "percentage_tier", "per_event", "event_minimum",
    "event_maximum", "cell", "time_rate", "other", "unpriced", "capacity", "dynamic", "reserved", "reserved_share",
    "overage", "maximum", "minimum", "commitment", "commitment_overage", "plan_minimum",
    "credited",
]  # fmt: skip

OF_MEASURED_USE: frozenset[Kind] = frozenset(
    {"unit", "tier", "percentage", "percentage_tier", "cell", "time_rate", "other", "unpriced", "dynamic"}
)
"""Components whose quantity is a part of what was measured, in the meter's unit."""

IN_THE_UNIT: frozenset[Kind] = OF_MEASURED_USE | {"overage", "reserved"}
"""Components whose quantity is in the meter's unit."""

IN_PERCENT: frozenset[Kind] = frozenset({"percentage", "percentage_tier"})
"""Components whose unit price is a percentage of the quantity: 0.0125 is 1.25 %."""

_TEXTS: dict[Kind, str] = {
    "unit": "unit price", "tier": "tier {tier}", "tier_flat": "tier {tier}, entry", "package": "package",
    "flat": "flat amount", "percentage": "percentage", "percentage_tier": "tier {tier}, percentage",
    "per_event": "per event", "event_minimum": "event at the minimum", "event_maximum": "event at the maximum",
    "cell": "{label}", "time_rate": "rate {tier}, {label}", "other": "other use", "unpriced": "no price",
    "capacity": "tier {tier}, capacity", "dynamic": "amount passed on", "reserved": "reserved",
    "reserved_share": "reserved, share of the period", "overage": "overage",
    "maximum": "maximum", "minimum": "minimum", "commitment": "commitment",
    "commitment_overage": "beyond the commitment", "plan_minimum": "minimum of the plan",
    "credited": "credited",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Component:
    """One explained piece of a line: amount = quantity x unit price, rounded to the currency.

    `tier` counts tiers, cells and rates from 1 and is None where `kind` has none; `label` says which cell or rate it
    is. `unit_price` is 0 or more: what lowers an amount has a negative quantity (EN 16931, BR-27).
    """

    kind: Kind
    quantity: Decimal
    unit_price: Decimal
    amount: Decimal
    tier: int | None = None
    label: str = ""

    @property
    def description(self) -> str:
        """The kind in plain English: "tier 1", "unit price", "minimum", "rate 2, 08:00-20:00"."""
        return _TEXTS[self.kind].format(tier=self.tier, label=self.label)


def component(
    kind: Kind, quantity: Decimal, unit_price: Decimal, currency: str, tier: int | None = None, label: str = ""
) -> Component:
    return Component(kind, quantity, unit_price, round_amount(quantity * unit_price, currency), tier, label)


def prorate(amount: Decimal, *, currency: str, used: int, full: int) -> Decimal:
    """The share `used` / `full` of the amount, rounded to the currency: 31.00 for 10 of 31 days is 10.00."""
    assert 0 <= used <= full and full > 0, "a stretch covers a part of its billing period"
    return round_amount(amount * used / full, currency)


def keep_component(item: Component) -> list[Any]:
    """The component as JSON: [kind, tier, quantity, unit price, amount], and the label where there is one."""
    kept = [item.kind, item.tier, plain(item.quantity), plain(item.unit_price), plain(item.amount)]
    return [*kept, item.label] if item.label else kept


def read_component(kept: Sequence[Any]) -> Component:
    kind, tier, quantity, unit_price, amount, *label = kept
    return Component(kind, Decimal(quantity), Decimal(unit_price), Decimal(amount), tier, label[0] if label else "")
