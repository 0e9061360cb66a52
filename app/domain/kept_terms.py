"""The form in which terms are kept: with a plan version, a subscription's overrides, an invoice line.

It is the shape that the HTTP contract shows, so what is stored, shown and frozen is one text: per unit 0.30 after an
allowance of 10 is {"key": "energy", "meter": "energy", "model": {"type": "per_unit", "unit_price": "0.30"},
"allowance": "10"}. Reading it back trusts it; what comes from outside goes through `app/wire/`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from app.domain.allowances import Rollover, SharedAllowance
from app.domain.charge_models import ChargeModel
from app.domain.kept_models import keep_model, number_text, read_model
from app.domain.plan_totals import Commitment
from app.domain.plans import Discount, PlanCharge, PlanTerms
from app.domain.subscriptions import ChargeOverride, Overrides

_NUMBERS = ("allowance", "minimum", "maximum", "limit")
_TEXTS = ("meter", "tax", "timing", "description", "supply", "place")


def keep_terms(terms: PlanTerms) -> dict[str, Any]:
    count = {} if terms.interval_count == 1 else {"interval_count": terms.interval_count}
    trial = {"trial": {"days": terms.trial_days}} if terms.trial_days else {}
    return {
        "currency": terms.currency, "interval": terms.interval, **count, "anchor": terms.anchor,
        "charges": [keep_charge(charge) for charge in terms.charges], "proration": terms.proration, **trial,
    } | _keep_shared(terms)  # fmt: skip


def read_terms(kept: Mapping[str, Any]) -> PlanTerms:
    return PlanTerms(
        kept["currency"], kept["interval"], kept["anchor"], tuple(read_charge(charge) for charge in kept["charges"]),
        kept["proration"], kept.get("interval_count", 1), kept.get("trial", {}).get("days", 0), **_read_shared(kept),
    )  # fmt: skip


def keep_charge(charge: PlanCharge) -> dict[str, Any]:
    """The charge without the fields that it leaves open."""
    names = ("meter", "model", "allowance", "minimum", "maximum", "limit", "discount", "tax", "timing", "description",
             "rollover", "supply", "place")  # fmt: skip
    values = {name: getattr(charge, name) for name in names}
    return {"key": charge.key} | {
        name: _keep(value) for name, value in values.items() if value is not None and value != ""
    }


def read_charge(kept: Mapping[str, Any]) -> PlanCharge:
    return PlanCharge(key=kept["key"], **_read_fields(kept))


def keep_overrides(overrides: Overrides) -> dict[str, Any]:
    """{"charges": {"energy": {"allowance": "20"}}}, or {} where there are none; null takes a field away."""
    if not overrides:
        return {}
    return {
        "charges": {
            item.charge: {name: None if value == "" else _keep(value) for name, value in item.fields}
            for item in overrides
        }
    }


def read_overrides(kept: Mapping[str, Any]) -> Overrides:
    return overrides_of((charge, _read_fields(fields)) for charge, fields in kept.get("charges", {}).items())


def overrides_of(by_charge: Iterable[tuple[str, Mapping[str, Any]]]) -> Overrides:
    """Overrides in one order, whatever the order they came in."""
    return tuple(
        ChargeOverride(charge, tuple(sorted(fields.items())))
        for charge, fields in sorted(by_charge, key=lambda item: item[0])
        if fields
    )


def _keep(value: Any) -> Any:
    match value:
        case Decimal():
            return number_text(value)
        case Discount(percent, amount):
            return {"percent": number_text(percent)} if percent is not None else {"amount": _keep(amount)}
        case Rollover(periods, cap):
            return {"periods": periods} | ({} if cap is None else {"cap": number_text(cap)})
        case _ if isinstance(value, ChargeModel):
            return keep_model(value)
        case _:
            return value


def _read_fields(kept: Mapping[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name in _NUMBERS:
        if name in kept:
            fields[name] = None if kept[name] is None else Decimal(kept[name])
    for name in _TEXTS:
        if name in kept:
            fields[name] = "" if name in ("description", "place") and kept[name] is None else kept[name]
    if "model" in kept:
        fields["model"] = read_model(kept["model"])
    if "rollover" in kept:
        fields["rollover"] = _read_rollover(kept["rollover"])
    if "discount" in kept:
        discount = kept["discount"]
        fields["discount"] = discount and Discount(**{name: Decimal(value) for name, value in discount.items()})
    return fields


# --- what a plan says of all its charges -----------------------------------------------------------------------------


def _keep_shared(terms: PlanTerms) -> dict[str, Any]:
    """Nothing where the terms say nothing of it."""
    kept: dict[str, Any] = {}
    if terms.allowances:
        kept["allowances"] = [
            {"key": item.key, "quantity": number_text(item.quantity), "charges": list(item.charges)}
            | ({} if item.rollover is None else {"rollover": _keep(item.rollover)})
            for item in terms.allowances
        ]
    for name, amount in (("minimum", terms.minimum), ("maximum", terms.maximum)):
        if amount is not None:
            kept[name] = number_text(amount)
    if terms.commitment is not None:
        kept["commitment"] = _keep_commitment(terms.commitment)
    return kept


def _keep_commitment(commitment: Commitment) -> dict[str, Any]:
    kept: dict[str, Any] = {"amount": number_text(commitment.amount)}
    if commitment.periods is not None:
        kept["periods"] = commitment.periods
    if commitment.overage_factor != 1:
        kept["overage_factor"] = number_text(commitment.overage_factor)
    return kept


def _read_shared(kept: Mapping[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {
        name: Decimal(kept[name]) for name in ("minimum", "maximum") if kept.get(name) is not None
    }
    if "allowances" in kept:
        fields["allowances"] = tuple(
            SharedAllowance(
                item["key"], Decimal(item["quantity"]), tuple(item["charges"]), _read_rollover(item.get("rollover"))
            )
            for item in kept["allowances"]
        )
    if "commitment" in kept:
        said = kept["commitment"]
        fields["commitment"] = Commitment(
            Decimal(said["amount"]), said.get("periods"), Decimal(said.get("overage_factor", "1"))
        )
    return fields


def _read_rollover(kept: Mapping[str, Any] | None) -> Rollover | None:
    if kept is None:
        return None
    return Rollover(kept["periods"], Decimal(kept["cap"]) if "cap" in kept else None)
