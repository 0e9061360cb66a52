"""The form in which terms are kept: with a plan version, a subscription's overrides, an invoice line.

It is the shape that the HTTP contract shows, so what is stored, shown and frozen is one text: per unit 0.30 after an
allowance of 10 is {"key": "energy", "meter": "energy", "model": {"type": "per_unit", "unit_price": "0.30"},
"allowance": "10"}. Reading it back trusts it; what comes from outside goes through `app/wire/`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from app.domain.charge_models import ChargeModel, Flat, Graduated, Package, PerUnit, Tier, Volume
from app.domain.plans import Discount, PlanCharge, PlanTerms
from app.domain.subscriptions import ChargeOverride, Overrides


def number_text(number: Decimal) -> str:
    """The number without exponent, with the decimals that it was sent with: 0.30 stays "0.30"."""
    return format(number if number else abs(number), "f")


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
        case Flat() | PerUnit() | Graduated() | Volume() | Package():
            return _keep_model(value)
        case _:
            return value


def _keep_model(model: ChargeModel) -> dict[str, Any]:
    match model:
        case Flat(amount):
            return {"type": "flat", "amount": number_text(amount)}
        case PerUnit(unit_price):
            return {"type": "per_unit", "unit_price": number_text(unit_price)}
        case Package(size, price, round_):
            return {"type": "package", "size": number_text(size), "price": number_text(price), "round": round_}
        case Graduated(tiers):
            return {"type": "graduated", "tiers": [_keep_tier(tier) for tier in tiers]}
        case Volume(tiers):
            return {"type": "volume", "tiers": [_keep_tier(tier) for tier in tiers]}


def _keep_tier(tier: Tier) -> dict[str, Any]:
    up_to = None if tier.up_to is None else number_text(tier.up_to)
    kept = {"up_to": up_to, "unit_price": number_text(tier.unit_price)}
    return kept if tier.flat is None else kept | {"flat": number_text(tier.flat)}


def _read_fields(kept: Mapping[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name in _NUMBERS:
        if name in kept:
            fields[name] = None if kept[name] is None else Decimal(kept[name])
    for name in _TEXTS:
        if name in kept:
            fields[name] = "" if name == "description" and kept[name] is None else kept[name]
    if "model" in kept:
        fields["model"] = _read_model(kept["model"])
    if "discount" in kept:
        discount = kept["discount"]
        fields["discount"] = discount and Discount(**{name: Decimal(value) for name, value in discount.items()})
    return fields


def _read_model(kept: Mapping[str, Any]) -> ChargeModel:
    match kept["type"]:
        case "flat":
            return Flat(Decimal(kept["amount"]))
        case "per_unit":
            return PerUnit(Decimal(kept["unit_price"]))
        case "package":
            return Package(Decimal(kept["size"]), Decimal(kept["price"]), kept["round"])
        case "graduated":
            return Graduated(tuple(map(_read_tier, kept["tiers"])))
        case "volume":
            return Volume(tuple(map(_read_tier, kept["tiers"])))
        case other:
            raise AssertionError(f"terms of an unknown model were kept: {other}")


def _read_tier(kept: Mapping[str, Any]) -> Tier:
    up_to, flat = kept["up_to"], kept.get("flat")
    return Tier(
        None if up_to is None else Decimal(up_to), Decimal(kept["unit_price"]), None if flat is None else Decimal(flat)
    )
