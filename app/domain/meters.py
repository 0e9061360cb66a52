"""Which events count for a meter, and what does one of them contribute?

A meter `energy` sums `$.kwh` of `charging.session.ended` by station. Of {"kwh": "7.25", "station": "12"} at 08:40 it
measures 7.25 into the bucket of 08:00 with the dimensions {"station": "12"}. One function, `measure`, decides this for
ingestion, catch-up, edges and audit alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_UP, ROUND_UP, Decimal
from functools import cached_property, lru_cache
from typing import Any, Literal
from uuid import UUID

import msgspec

from app.domain.events import AbsurdNumber, UsageEvent, json_equal
from app.domain.expressions import NoValue, parse_expression
from app.domain.money import divide, plain
from app.domain.paths import ABSENT, MAX_DECIMALS, read_number, read_path, reader

Aggregation = Literal["count", "sum", "min", "max", "avg", "last", "unique"]
AGGREGATIONS: tuple[Aggregation, ...] = ("count", "sum", "min", "max", "avg", "last", "unique")

MAX_DIMENSION_LENGTH = 255


@dataclass(frozen=True, slots=True)
class Rounding:
    """To `scale` decimals; `up` and `down` are away from and towards zero, `half_up` has ties away from zero."""

    mode: Literal["up", "down", "half_up"]
    scale: int


def apply_rounding(rounding: Rounding, quantity: Decimal) -> Decimal:
    """The quantity at the rounding's scale: 1.21 up at scale 0 is 2, -1.21 is -2."""
    mode = {"up": ROUND_UP, "down": ROUND_DOWN, "half_up": ROUND_HALF_UP}[rounding.mode]
    return quantity.quantize(Decimal(1).scaleb(-rounding.scale), mode)


@dataclass(frozen=True, slots=True)
class Conversion:
    """From the unit that is measured to the `unit` that is billed: the quantity times `factor`, or divided by it."""

    operation: Literal["multiply_by", "divide_by"]
    factor: Decimal
    unit: str


def convert(conversion: Conversion, quantity: Decimal) -> Decimal:
    """The quantity in the unit that is billed: 3221225472 divided by 1073741824 is 3. A quotient is rounded half away
    from zero to 18 decimals, a product is exact."""
    if conversion.operation == "multiply_by":
        return quantity * conversion.factor
    return divide(quantity, conversion.factor, scale=MAX_DECIMALS)


# --- filters ---------------------------------------------------------------------------------------------------------

FilterOperator = Literal["eq", "ne", "in", "not_in", "gt", "gte", "lt", "lte"]
FILTER_OPERATORS: tuple[FilterOperator, ...] = ("eq", "ne", "in", "not_in", "gt", "gte", "lt", "lte")


@dataclass(frozen=True, slots=True)
class Filter:
    """Keeps the events whose property compares so. An absent property passes only `ne` and `not_in`."""

    property: str
    operator: FilterOperator
    value: Any


def passes(item: Filter, data: Mapping[str, Any]) -> bool:
    value = read_path(data, item.property)
    match item.operator:
        case "eq":
            return _equal(value, item.value)
        case "ne":
            return not _equal(value, item.value)
        case "in":
            return any(_equal(value, candidate) for candidate in item.value)
        case "not_in":
            return not any(_equal(value, candidate) for candidate in item.value)
        case _:
            return _ordered(item.operator, value, item.value)


def _equal(value: Any, wanted: Any) -> bool:
    return value is not ABSENT and json_equal(value, wanted)


def _ordered(operator: str, value: Any, bound: Any) -> bool:
    left, right = read_number(value), read_number(bound)
    if left is None or right is None:
        return False
    return {"gt": left > right, "gte": left >= right, "lt": left < right, "lte": left <= right}[operator]


# --- the meter -------------------------------------------------------------------------------------------------------


Kept = Literal["count", "sum", "min", "max", "last"]

KEPT_AS: dict[Aggregation, Kept] = {
    "count": "count", "sum": "sum", "min": "min", "max": "max", "avg": "sum", "last": "last", "unique": "count",
}  # fmt: skip


@dataclass(frozen=True)
class Meter:
    """One revision of a meter's measuring part. `meter_id` names the revision: its buckets are its own.

    `state` is `building` until the events stored before it have been counted, `active` while it answers reads.
    The measured value is that of `property`, or of `expression` where there is one. `newest` revisions decide whether
    an event can be accepted; an older active one measures what it can.
    """

    key: str
    meter_id: UUID
    event_type: str
    aggregation: Aggregation
    property: str = ""
    dimensions: tuple[tuple[str, str], ...] = ()
    filters: tuple[Filter, ...] = ()
    rounding: Rounding | None = None
    unit: str = ""
    expression: str = ""
    conversion: Conversion | None = None
    state: Literal["building", "active"] = "active"
    newest: bool = True

    @cached_property
    def bucket_name(self) -> bytes:
        """The 16 bytes of `meter_id`."""
        return self.meter_id.bytes

    @cached_property
    def billed_unit(self) -> str:
        """The unit of the quantity that is priced."""
        return self.unit if self.conversion is None else self.conversion.unit

    @cached_property
    def kept_as(self) -> Kept:
        """What its buckets hold beside the number of events."""
        return KEPT_AS[self.aggregation]

    @cached_property
    def measuring(self) -> Measuring:
        """`measure` for this meter, made ready once."""
        return _measuring(self)


class Measured(msgspec.Struct, frozen=True, gc=False):
    """What one event contributes to one meter: a Decimal, canonical text for `unique`, None for `count`."""

    value: Decimal | str | None
    dimensions: str


class Unmeasurable(msgspec.Struct, frozen=True, gc=False):
    """Why a meter that names the event's type cannot measure it."""

    detail: str


Measuring = Callable[[Mapping[str, Any]], "Measured | Unmeasurable | None"]


def measure(meter: Meter, event: UsageEvent) -> Measured | Unmeasurable | None:
    """What the event contributes to the meter; None where a filter excludes it. The event's type is the meter's."""
    return meter.measuring(event.data)


def _measuring(meter: Meter) -> Measuring:
    filters = meter.filters
    dimensions_of, value_of = _dimensions_reader(meter.dimensions), _value_reader(meter)
    too_long = Unmeasurable(f"a dimension of meter {meter.key} is longer than {MAX_DIMENSION_LENGTH} characters")

    def measured(data: Mapping[str, Any]) -> Measured | Unmeasurable | None:
        for item in filters:
            if not passes(item, data):
                return None
        dimensions = dimensions_of(data)
        if dimensions is None:
            return too_long
        value = value_of(data)
        return value if isinstance(value, Unmeasurable) else Measured(value, dimensions)

    if meter.aggregation == "count" and not filters and not meter.dimensions:
        once = Measured(None, "{}")  # the same of every event
        return lambda _data: once
    return measured


def _value_reader(meter: Meter) -> Callable[[Mapping[str, Any]], Decimal | str | Unmeasurable | None]:
    if meter.aggregation == "count":
        return lambda _data: None
    if meter.expression:
        return _expression_reader(meter)
    read = reader(meter.property)
    if meter.aggregation == "unique":
        detail = f"{meter.property} is absent, null or no single value, and meter {meter.key} counts it"
        made_of: Callable[[Any], Decimal | str | None] = _unique_text
    else:
        detail = f"{meter.property} is absent or not a number within bounds, and meter {meter.key} needs it"
        made_of = read_number
    unmeasurable = Unmeasurable(detail)

    def value_of(data: Mapping[str, Any]) -> Decimal | str | Unmeasurable:
        value = made_of(read(data))
        return unmeasurable if value is None else value

    return value_of


def _expression_reader(meter: Meter) -> Callable[[Mapping[str, Any]], Decimal | str | Unmeasurable]:
    evaluate = parse_expression(meter.expression)

    def value_of(data: Mapping[str, Any]) -> Decimal | str | Unmeasurable:
        try:
            number = evaluate(data)
        except NoValue as error:
            return Unmeasurable(f"{error}: meter {meter.key} cannot compute {meter.expression}")
        return _unique_text(number) or "" if meter.aggregation == "unique" else number

    return value_of


def _unique_text(value: Any) -> str | None:
    """Text that is equal for JSON-equal scalars and differs otherwise; None for what is no scalar."""
    if isinstance(value, bool):
        return f"b:{value}"
    if isinstance(value, AbsurdNumber):
        return f"a:{value}"
    if isinstance(value, str):
        return f"s:{value}"
    if isinstance(value, int):
        return f"n:{value}"
    if isinstance(value, Decimal):
        sign, digits, exponent = value.as_tuple()
        if not value:
            return "n:0"
        assert isinstance(exponent, int)
        if value == value.to_integral_value() and value.adjusted() < 400:
            return f"n:{int(value)}"
        text = "".join(map(str, digits)).rstrip("0")
        return f"n:{'-' * sign}{text}e{exponent + len(digits) - len(text)}"
    return None


def _dimensions_reader(dimensions: tuple[tuple[str, str], ...]) -> Callable[[Mapping[str, Any]], str | None]:
    """Canonical JSON of the dimension values, None where one is too long. A missing value, null and what is no scalar
    are null."""
    if not dimensions:
        return lambda _data: "{}"
    names = tuple(name for name, _ in dimensions)
    readers = tuple(reader(path) for _, path in dimensions)

    @lru_cache(maxsize=4096)
    def canonical(*texts: str | None) -> str | None:
        if any(text is not None and len(text) > MAX_DIMENSION_LENGTH for text in texts):
            return None
        return msgspec.json.encode(dict(zip(names, texts, strict=True)), order="sorted").decode()

    if len(readers) == 1:
        (only,) = readers
        return lambda data: canonical(dimension_text(only(data)))
    return lambda data: canonical(*[dimension_text(read(data)) for read in readers])


def dimension_text(value: Any) -> str | None:
    """The group value of a JSON scalar: text as it is, true as "true", 12.50 as "12.5"."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if abs(value) < 10**300 else f"{Decimal(value):e}"
    if isinstance(value, Decimal):
        return plain(value) if abs(value.adjusted()) < 200 else str(value)
    return None
