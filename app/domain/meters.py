"""Which events count for a meter, and what does one of them contribute?

A meter `energy` sums `$.kwh` of `charging.session.ended` by station. Of {"kwh": "7.25", "station": "12"} at 08:40 it
measures 7.25 into the bucket of 08:00 with the dimensions {"station": "12"}. One function, `measure`, decides this for
ingestion, catch-up, edges and audit alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_UP, ROUND_UP, Decimal
from functools import cached_property, lru_cache
from typing import Any, Literal
from uuid import UUID

import msgspec

from app.domain.events import AbsurdNumber, UsageEvent, json_equal
from app.domain.money import plain

Aggregation = Literal["count", "sum", "min", "max", "last", "unique"]
AGGREGATIONS: tuple[Aggregation, ...] = ("count", "sum", "min", "max", "last", "unique")

MAX_DIMENSION_LENGTH = 255
_MAX_DIGITS = 38
_MAX_DECIMALS = 18
_MAX_INTEGER_DIGITS = 20
_INTEGER_BOUND = 10**_MAX_INTEGER_DIGITS


@dataclass(frozen=True, slots=True)
class Rounding:
    """To `scale` decimals; `up` and `down` are away from and towards zero, `half_up` has ties away from zero."""

    mode: Literal["up", "down", "half_up"]
    scale: int


def apply_rounding(rounding: Rounding, quantity: Decimal) -> Decimal:
    """The quantity at the rounding's scale: 1.21 up at scale 0 is 2, -1.21 is -2."""
    mode = {"up": ROUND_UP, "down": ROUND_DOWN, "half_up": ROUND_HALF_UP}[rounding.mode]
    return quantity.quantize(Decimal(1).scaleb(-rounding.scale), mode)


# --- paths into an event's data --------------------------------------------------------------------------------------


class _Absent:
    __slots__ = ()


ABSENT = _Absent()
_PATH = re.compile(r"\$(?:\.[A-Za-z_][A-Za-z0-9_-]*|\['[^'\x00-\x1f]+'\]|\[\d{1,4}\])+", re.ASCII)
_STEP = re.compile(r"\.([A-Za-z_][A-Za-z0-9_-]*)|\['([^']+)'\]|\[(\d+)\]", re.ASCII)


@lru_cache(maxsize=4096)
def path_steps(path: str) -> tuple[str | int, ...]:
    """The steps of a path such as `$.usage.kwh`, `$['odd name'][0]`. Raises ValueError for any other text."""
    if len(path) > 500 or not _PATH.fullmatch(path):
        raise ValueError("not a path such as $.kwh, $.usage.kwh or $['odd name']")
    return tuple(
        int(index) if index else (name or quoted) for name, quoted, index in (m.groups() for m in _STEP.finditer(path))
    )


def read_path(data: Any, path: str) -> Any:
    """The value at the path, or ABSENT."""
    value = data
    for step in path_steps(path):
        if isinstance(step, str):
            if not isinstance(value, dict) or step not in value:
                return ABSENT
        elif not isinstance(value, list) or step >= len(value):
            return ABSENT
        value = value[step]
    return value


Reader = Callable[[Mapping[str, Any]], Any]


def _reader(path: str) -> Reader:
    """`read_path` of this one path, made ready: most paths are a single name."""
    steps = path_steps(path)
    name = steps[0]
    if len(steps) > 1 or not isinstance(name, str):
        return lambda data: read_path(data, path)
    return lambda data: data.get(name, ABSENT)


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


@dataclass(frozen=True)
class Meter:
    """One revision of a meter's measuring part. `meter_id` names the revision: its buckets are its own.

    `state` is `building` until the events stored before it have been counted, `active` while it answers reads.
    `newest` revisions decide whether an event can be accepted; an older active one measures what it can.
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
    state: Literal["building", "active"] = "active"
    newest: bool = True

    @cached_property
    def bucket_name(self) -> bytes:
        """The 16 bytes of `meter_id`."""
        return self.meter_id.bytes

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
    read = _reader(meter.property)
    if meter.aggregation == "unique":
        detail = f"{meter.property} is absent, null or no single value, and meter {meter.key} counts it"
        convert: Callable[[Any], Decimal | str | None] = _unique_text
    else:
        detail = f"{meter.property} is absent or not a number within bounds, and meter {meter.key} needs it"
        convert = read_number
    unmeasurable = Unmeasurable(detail)

    def value_of(data: Mapping[str, Any]) -> Decimal | str | Unmeasurable:
        value = convert(read(data))
        return unmeasurable if value is None else value

    return value_of


_NUMBER_TEXT = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,4})?", re.ASCII)


def read_number(value: Any) -> Decimal | None:
    """The exact number of a JSON number or a string that holds one; None for anything else or out of bounds.

    Bounds: at most 38 significant digits and 18 decimals, and an absolute value under 10^20.
    """
    kind = type(value)
    if kind is int:
        return Decimal(value) if -_INTEGER_BOUND < value < _INTEGER_BOUND else None
    if kind is str:
        if len(value) > 100 or not _NUMBER_TEXT.fullmatch(value):
            return None
        value = Decimal(value)
    return _within_bounds(value) if isinstance(value, Decimal) else None  # neither bool nor AbsurdNumber


def _within_bounds(number: Decimal) -> Decimal | None:
    if not number:
        return Decimal(0)
    if number.adjusted() >= _MAX_INTEGER_DIGITS:
        return None
    _, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)  # JSON has neither NaN nor infinity
    significant = len(digits)
    while significant > 1 and digits[significant - 1] == 0:
        significant -= 1
    decimals = -(exponent + len(digits) - significant)
    if significant > _MAX_DIGITS or decimals > _MAX_DECIMALS:
        return None
    return Decimal(plain(number)) if exponent > 0 else number


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
    readers = tuple(_reader(path) for _, path in dimensions)

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
