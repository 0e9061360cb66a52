"""Charge models: the shape of the HTTP contract -> domain values. The other way is `app/domain/kept_models.py`.

    {"type": "time_of_use", "rates": [{"weekdays": ["mon", "tue"], "hours": ["08:00", "20:00"], "months": [6, 7],
     "unit_price": "0.54"}], "holidays": ["2026-07-04"], "default_unit_price": "0.22"}

A day of the week may be sent as its ISO number, 1 for Monday to 7 for Sunday, and is shown by its name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Literal, TypeVar, get_args

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
from app.domain.charge_models.models import DAY_NAMES, MINUTES_A_DAY, WEEKDAYS, Weekday
from app.domain.meters import MAX_DIMENSION_LENGTH, dimension_text
from app.domain.money import ZERO
from app.wire.parsing import Fields, NumberText, escaped, read_day

_ROUNDS: tuple[Literal["up", "down"], ...] = ("up", "down")

ModelType = Literal[
    "flat", "per_unit", "graduated", "volume", "package", "percentage", "graduated_percentage", "matrix", "time_of_use",
    "capacity", "dynamic", "reservation",
]  # fmt: skip
MODELS: tuple[ModelType, ...] = get_args(ModelType)

MAX_TIERS = 1000
MAX_CELLS = 1000
MAX_RATES = 100
MAX_HOLIDAYS = 1000

T = TypeVar("T")


def model_from_wire(fields: Fields) -> ChargeModel:
    """Notes every fault of form; the rules of the numbers are `model_problems`'."""
    kind = fields.choice("type", MODELS)
    if fields.raw("type") != kind:
        # Of another model no field is known: one fault is enough.
        fields.ignore(*fields.names())
        return Flat(ZERO)
    match kind:
        case "flat":
            return Flat(fields.decimal("amount"))
        case "per_unit":
            return PerUnit(fields.decimal("unit_price"))
        case "package":
            return Package(
                fields.decimal("size"), fields.decimal("price"), fields.choice("round", _ROUNDS, default="up")
            )
        case "graduated":
            return Graduated(_tiers(fields))
        case "volume":
            return Volume(_tiers(fields))
        case "capacity":
            return Capacity(_some(fields, "tiers", "tier", MAX_TIERS, _capacity_tier))
        case "percentage":
            return _percentage(fields)
        case "graduated_percentage":
            return GraduatedPercentage(_some(fields, "tiers", "tier", MAX_TIERS, _percentage_tier))
        case "matrix":
            cells = _some(fields, "cells", "cell", MAX_CELLS, _cell)
            return Matrix(cells, fields.optional_decimal("default_unit_price"))
        case "time_of_use":
            rates = _some(fields, "rates", "rate", MAX_RATES, _rate)
            return TimeOfUse(rates, fields.decimal("default_unit_price"), _holidays(fields))
        case "dynamic":
            return Dynamic(fields.decimal("multiplier", default=Decimal(1)))
        case "reservation":
            return Reservation(
                fields.decimal("reserved"), fields.decimal("unit_price"), fields.decimal("overage_unit_price")
            )


def _some(fields: Fields, name: str, noun: str, most: int, read: Callable[[Fields], T]) -> tuple[T, ...]:
    """What is read of each object of a list that has at least one and at most so many."""
    found = fields.objects(name, required=True)
    if fields.has(name) and not fields.raw(name):
        fields.problem(name, f"there is at least one {noun}")
    if len(found) > most:
        fields.problem(name, f"there are at most {most} {noun}s")
    return tuple(read(item) for item in found[:most])


# --- tiers ------------------------------------------------------------------------------------------------------------


def _tiers(fields: Fields) -> tuple[Tier, ...]:
    return _some(fields, "tiers", "tier", MAX_TIERS, _tier)


def _tier(tier: Fields) -> Tier:
    return Tier(_bound(tier), tier.decimal("unit_price"), tier.optional_decimal("flat"))


def _percentage_tier(tier: Fields) -> PercentageTier:
    return PercentageTier(_bound(tier), tier.decimal("rate"), tier.optional_decimal("flat"))


def _capacity_tier(tier: Fields) -> Tier:
    """Its price is stated as `flat` or as `unit_price`."""
    bound, flat = _bound(tier), tier.optional_decimal("flat")
    return Tier(bound, tier.decimal("unit_price", default=None if flat is None else ZERO), flat)


def _bound(tier: Fields) -> Decimal | None:
    if tier.names() and "up_to" not in tier.names():
        tier.problem("up_to", "is missing: the last tier's is null")
    return tier.optional_decimal("up_to")


# --- percentage and matrix --------------------------------------------------------------------------------------------


def _percentage(fields: Fields) -> Percentage:
    return Percentage(
        fields.decimal("rate"), fields.optional_decimal("fixed"),
        fields.optional_integer("free_events", least=0, most=10**12), fields.optional_decimal("free_units"),
        fields.optional_decimal("event_minimum"), fields.optional_decimal("event_maximum"),
    )  # fmt: skip


def _cell(fields: Fields) -> MatrixCell:
    when = fields.required_object("when")
    values = [(name, _dimension(when, name)) for name in when.names()]
    return MatrixCell(tuple(sorted(values)), fields.decimal("unit_price"))


def _dimension(when: Fields, name: str) -> str:
    """The value as usage is grouped by it: true is "true", 12.50 is "12.5"."""
    value = when.raw(name)
    found = str(value) if isinstance(value, NumberText) else dimension_text(value)
    if found is None:
        when.problem(escaped(name), "must be a text, a number, true or false")
    elif len(found) > MAX_DIMENSION_LENGTH:
        when.problem(escaped(name), f"is longer than {MAX_DIMENSION_LENGTH} characters")
    return found or ""


# --- time of use ------------------------------------------------------------------------------------------------------

_CLOCK = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00", re.ASCII)


def _rate(fields: Fields) -> TimeRate:
    start, end = _hours(fields)
    return TimeRate(
        start, end, fields.decimal("unit_price"), _weekdays(fields), tuple(sorted(set(_months(fields)))),
    )  # fmt: skip


def _hours(fields: Fields) -> tuple[int, int]:
    clocks = fields.items("hours", required=True)
    if not fields.has("hours"):
        return 0, 0
    if len(clocks) != 2 or not all(isinstance(clock, str) and _CLOCK.fullmatch(clock) for clock in clocks):
        fields.problem("hours", 'must be two times of day, such as ["08:00", "20:00"]')
        return 0, 0
    start, end = (int(clock[:2]) * 60 + int(clock[3:]) for clock in clocks)
    return start % MINUTES_A_DAY, end


def _weekdays(fields: Fields) -> tuple[Weekday, ...]:
    """The days in order of the week, each once."""
    found: set[Weekday] = set()
    for index, item in enumerate(_listed(fields, "weekdays")):
        number = _whole(item)
        if number is not None and 1 <= number <= 7:
            found.add(WEEKDAYS[number - 1])
        elif isinstance(item, str) and item in DAY_NAMES:
            found.add(item)
        else:
            fields.problem(f"weekdays/{index}", f"must be one of {', '.join(DAY_NAMES)}, or a number from 1 (Monday)")
    return tuple(day for day in DAY_NAMES if day in found)


def _months(fields: Fields) -> list[int]:
    found: list[int] = []
    for index, item in enumerate(_listed(fields, "months")):
        number = _whole(item)
        if number is not None and 1 <= number <= 12:
            found.append(number)
        else:
            fields.problem(f"months/{index}", "must be a whole number from 1 to 12")
    return found


def _listed(fields: Fields, name: str) -> Sequence[Any]:
    """The items of an optional list that is not empty."""
    items = fields.items(name)
    if fields.has(name) and not fields.raw(name):
        fields.problem(name, "names at least one; leave it out for all")
    return items


def _whole(value: Any) -> int | None:
    if isinstance(value, NumberText):
        return int(value) if re.fullmatch("[0-9]{1,2}", value, re.ASCII) else None
    if isinstance(value, Decimal) and abs(value) < 100 and value == value.to_integral_value():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _holidays(fields: Fields) -> tuple[date, ...]:
    """The days in order, each once."""
    items = fields.items("holidays")
    if len(items) > MAX_HOLIDAYS:
        fields.problem("holidays", f"there are at most {MAX_HOLIDAYS} holidays")
    found: set[date] = set()
    for index, item in enumerate(items[:MAX_HOLIDAYS]):
        try:
            found.add(read_day(item))
        except ValueError as error:
            fields.problem(f"holidays/{index}", str(error))
    return tuple(sorted(found))
