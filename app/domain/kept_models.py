"""The form in which charge models are kept: that of the HTTP contract, so that what is stored, shown and frozen is one.

Per unit 0.30 is {"type": "per_unit", "unit_price": "0.30"}. Reading it back trusts it; what comes from outside goes
through `app/wire/charge_models.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, assert_never

from app.domain.charge_models import (
    Capacity,
    ChargeModel,
    Dynamic,
    Flat,
    Graduated,
    GraduatedPercentage,
    Matrix,
    MatrixCell,
    Package,
    Percentage,
    PercentageTier,
    PerUnit,
    Reservation,
    Tier,
    TimeOfUse,
    TimeRate,
    Volume,
)
from app.domain.charge_models.time_of_use import clock_text


def number_text(number: Decimal) -> str:
    """The number without exponent, with the decimals that it was sent with: 0.30 stays "0.30"."""
    return format(number if number else abs(number), "f")


def keep_model(model: ChargeModel) -> dict[str, Any]:
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
        case Capacity(tiers):
            return {"type": "capacity", "tiers": [_keep_tier(tier) for tier in tiers]}
        case GraduatedPercentage(shares):
            return {"type": "graduated_percentage", "tiers": [_keep_tier(tier) for tier in shares]}
        case Percentage():
            return {"type": "percentage"} | _stated(
                rate=model.rate, fixed=model.fixed, free_events=model.free_events, free_units=model.free_units,
                event_minimum=model.event_minimum, event_maximum=model.event_maximum,
            )  # fmt: skip
        case Matrix(cells, default):
            kept = [{"when": dict(cell.when), "unit_price": number_text(cell.unit_price)} for cell in cells]
            return {"type": "matrix", "cells": kept} | _stated(default_unit_price=default)
        case TimeOfUse(rates, default_price, holidays):
            return {
                "type": "time_of_use", "rates": [_keep_rate(rate) for rate in rates],
                "default_unit_price": number_text(default_price),
            } | ({"holidays": [day.isoformat() for day in holidays]} if holidays else {})  # fmt: skip
        case Dynamic(multiplier):
            return {"type": "dynamic", "multiplier": number_text(multiplier)}
        case Reservation(reserved, unit_price, overage):
            return {
                "type": "reservation", "reserved": number_text(reserved), "unit_price": number_text(unit_price),
                "overage_unit_price": number_text(overage),
            }  # fmt: skip
        case _:
            assert_never(model)


def _stated(**fields: Decimal | int | None) -> dict[str, Any]:
    """The fields that are stated; whole numbers stay numbers."""
    return {
        name: number_text(value) if isinstance(value, Decimal) else value
        for name, value in fields.items()
        if value is not None
    }


def _keep_tier(tier: Tier | PercentageTier) -> dict[str, Any]:
    kept = {"up_to": None if tier.up_to is None else number_text(tier.up_to)}
    if isinstance(tier, PercentageTier):
        kept["rate"] = number_text(tier.rate)
    else:
        kept["unit_price"] = number_text(tier.unit_price)
    if tier.flat is not None:
        kept["flat"] = number_text(tier.flat)
    return kept


def _keep_rate(rate: TimeRate) -> dict[str, Any]:
    kept: dict[str, Any] = {"hours": [clock_text(rate.start), clock_text(rate.end)]}
    if rate.weekdays:
        kept["weekdays"] = list(rate.weekdays)
    if rate.months:
        kept["months"] = list(rate.months)
    return kept | {"unit_price": number_text(rate.unit_price)}


# --- reading back -----------------------------------------------------------------------------------------------------


def read_model(kept: Mapping[str, Any]) -> ChargeModel:
    read = _READERS.get(kept["type"])
    assert read is not None, f"terms of an unknown model were kept: {kept['type']}"
    return read(kept)


def _read_tier(kept: Mapping[str, Any]) -> Tier:
    return Tier(_number(kept, "up_to"), Decimal(kept["unit_price"]), _number(kept, "flat"))


def _read_tiers(kept: Mapping[str, Any]) -> tuple[Tier, ...]:
    return tuple(map(_read_tier, kept["tiers"]))


def _read_percentage_tier(kept: Mapping[str, Any]) -> PercentageTier:
    return PercentageTier(_number(kept, "up_to"), Decimal(kept["rate"]), _number(kept, "flat"))


def _read_percentage(kept: Mapping[str, Any]) -> Percentage:
    return Percentage(
        Decimal(kept["rate"]), _number(kept, "fixed"), kept.get("free_events"), _number(kept, "free_units"),
        _number(kept, "event_minimum"), _number(kept, "event_maximum"),
    )  # fmt: skip


def _read_matrix(kept: Mapping[str, Any]) -> Matrix:
    cells = (MatrixCell(tuple(sorted(cell["when"].items())), Decimal(cell["unit_price"])) for cell in kept["cells"])
    return Matrix(tuple(cells), _number(kept, "default_unit_price"))


def _read_time_of_use(kept: Mapping[str, Any]) -> TimeOfUse:
    holidays = tuple(date.fromisoformat(day) for day in kept.get("holidays", ()))
    return TimeOfUse(tuple(map(_read_rate, kept["rates"])), Decimal(kept["default_unit_price"]), holidays)


def _read_rate(kept: Mapping[str, Any]) -> TimeRate:
    start, end = (int(clock[:2]) * 60 + int(clock[3:]) for clock in kept["hours"])
    return TimeRate(
        start, end, Decimal(kept["unit_price"]), tuple(kept.get("weekdays", ())), tuple(kept.get("months", ()))
    )


def _number(kept: Mapping[str, Any], name: str) -> Decimal | None:
    value = kept.get(name)
    return None if value is None else Decimal(value)


_READERS: dict[str, Callable[[Mapping[str, Any]], ChargeModel]] = {
    "flat": lambda kept: Flat(Decimal(kept["amount"])),
    "per_unit": lambda kept: PerUnit(Decimal(kept["unit_price"])),
    "graduated": lambda kept: Graduated(_read_tiers(kept)),
    "volume": lambda kept: Volume(_read_tiers(kept)),
    "package": lambda kept: Package(Decimal(kept["size"]), Decimal(kept["price"]), kept["round"]),
    "percentage": _read_percentage,
    "graduated_percentage": lambda kept: GraduatedPercentage(tuple(map(_read_percentage_tier, kept["tiers"]))),
    "matrix": _read_matrix,
    "time_of_use": _read_time_of_use,
    "capacity": lambda kept: Capacity(_read_tiers(kept)),
    "dynamic": lambda kept: Dynamic(Decimal(kept["multiplier"])),
    "reservation": lambda kept: Reservation(
        Decimal(kept["reserved"]), Decimal(kept["unit_price"]), Decimal(kept["overage_unit_price"])
    ),
}
