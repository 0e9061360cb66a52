"""What a charge was given in common with others of its plan, as a line's trace keeps it: JSON-ready, absent where none.

50 units of the shared allowance "hours" and 12.00 off by the plan's maximum are {"given": [["allowance", "hours",
"50"]], "taken_off": [["maximum of the plan", "12.00"]]}.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from app.domain.money import plain
from app.domain.plan_totals import PlanTotals
from app.domain.rating.lines import Allowance, Given

NAMES = ("given", "taken_off", "plan_totals")


def inputs_to_trace(
    given: Sequence[Given] = (), taken_off: Sequence[Allowance] = (), plan_totals: PlanTotals | None = None
) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    if given:
        kept["given"] = [[item.kind, item.name, plain(item.quantity)] for item in given]
    if taken_off:
        kept["taken_off"] = [[item.description, plain(item.amount)] for item in taken_off]
    if plan_totals is not None:
        kept["plan_totals"] = _totals_to_trace(plan_totals)
    return kept


def inputs_of(trace: Mapping[str, Any]) -> dict[str, Any]:
    """The same as fields of `RatingTerms`."""
    fields: dict[str, Any] = {
        "given": given_of(trace),
        "taken_off": tuple(Allowance(text, Decimal(amount)) for text, amount in trace.get("taken_off", ())),
    }
    if "plan_totals" in trace:
        fields["plan_totals"] = _totals_of(trace["plan_totals"])
    return fields


def given_of(trace: Mapping[str, Any]) -> tuple[Given, ...]:
    return tuple(Given(kind, name, Decimal(quantity)) for kind, name, quantity in trace.get("given", ()))


def without_inputs(trace: Mapping[str, Any]) -> dict[str, Any]:
    """The trace of the charge alone."""
    return {name: value for name, value in trace.items() if name not in NAMES}


def _totals_to_trace(totals: PlanTotals) -> dict[str, Any]:
    amounts = {
        name: plain(amount)
        for name in ("rated", "taken_off", "before", "minimum", "committed", "overage_factor")
        if (amount := getattr(totals, name)) is not None
    }
    return amounts | {"settles": totals.settles}


def _totals_of(kept: Mapping[str, Any]) -> PlanTotals:
    amounts = {name: Decimal(value) for name, value in kept.items() if name != "settles"}
    return PlanTotals(**amounts, settles=kept["settles"])
