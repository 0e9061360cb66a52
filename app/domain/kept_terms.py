"""The form in which terms are kept: with a plan version, a subscription's overrides, an invoice line.

It is the shape that the HTTP contract shows, so what is stored, shown and frozen is one text: per unit 0.30 after an
allowance of 10 is {"key": "energy", "meter": "energy", "model": {"type": "per_unit", "unit_price": "0.30"},
"allowance": "10"}. Reading it back trusts it; what comes from outside goes through `app/wire/`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from app.domain.charge_models import ChargeModel
from app.domain.kept_models import keep_model, number_text, read_model
from app.domain.plans import Discount, PlanCharge, PlanTerms
from app.domain.subscriptions import ChargeOverride, Overrides

_NUMBERS = ("allowance", "minimum", "maximum", "limit")
_TEXTS = ("meter", "tax", "timing", "description")


def keep_terms(terms: PlanTerms) -> dict[str, Any]:
    count = {} if terms.interval_count == 1 else {"interval_count": terms.interval_count}
    trial = {"trial": {"days": terms.trial_days}} if terms.trial_days else {}
    return {
        "currency": terms.currency, "interval": terms.interval, **count, "anchor": terms.anchor,
        "charges": [keep_charge(charge) for charge in terms.charges], "proration": terms.proration, **trial,
    }  # fmt: skip


def read_terms(kept: Mapping[str, Any]) -> PlanTerms:
    return PlanTerms(
        kept["currency"], kept["interval"], kept["anchor"], tuple(read_charge(charge) for charge in kept["charges"]),
        kept["proration"], kept.get("interval_count", 1), kept.get("trial", {}).get("days", 0),
    )  # fmt: skip


def keep_charge(charge: PlanCharge) -> dict[str, Any]:
    """The charge without the fields that it leaves open."""
    names = ("meter", "model", "allowance", "minimum", "maximum", "limit", "discount", "tax", "timing", "description")
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
            fields[name] = "" if name == "description" and kept[name] is None else kept[name]
    if "model" in kept:
        fields["model"] = read_model(kept["model"])
    if "discount" in kept:
        discount = kept["discount"]
        fields["discount"] = discount and Discount(**{name: Decimal(value) for name, value in discount.items()})
    return fields
