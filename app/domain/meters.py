"""Which events count for a meter, and what does one of them contribute?

A meter `energy` sums `$.kwh` of `charging.session.ended` by station. Of {"kwh": "7.25", "station": "12"} at 08:40 it
measures 7.25 into the bucket of 08:00 with the dimensions {"station": "12"}. One function, `measure`, decides this for
ingestion, catch-up, edges and audit alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_DOWN, ROUND_HALF_UP, ROUND_UP, Decimal
from functools import cached_property, lru_cache
from typing import Any, Literal, get_args
from uuid import UUID

import msgspec

from app.domain.events import AbsurdNumber, UsageEvent, json_equal
from app.domain.expressions import NoValue, parse_expression
from app.domain.money import divide, plain
from app.domain.paths import ABSENT, MAX_DECIMALS, read_number, read_path, reader

Aggregation = Literal[
    "count", "sum", "min", "max", "avg", "last", "unique", "percentile", "time_weighted", "duration", "counter"
]
AGGREGATIONS: tuple[Aggregation, ...] = get_args(Aggregation)
WITHIN_INTERVALS: tuple[Aggregation, ...] = ("count", "sum", "min", "max", "avg", "last", "unique")
"""What may be aggregated in each interval ..."""
OVER_INTERVALS: tuple[Aggregation, ...] = ("sum", "min", "max", "avg", "percentile")
"""... and then over the intervals."""
Per = Literal["second", "minute", "hour", "day"]

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
    "percentile": "sum", "time_weighted": "last", "duration": "count", "counter": "last",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Intervals:
    """What is aggregated first, in each interval apart: `max` per `hour`, `sum` per `5m`."""

    aggregation: Aggregation
    per: str


@dataclass(frozen=True, slots=True)
class Sessions:
    """How start and end events find each other: by what stands at the path `session`. The meter's property is
    `start_value` in one and `end_value` in the other. A session without an end is taken to last `longest`."""

    session: str
    start_value: Any
    end_value: Any
    longest: timedelta


@dataclass(frozen=True)
class Meter:
    """One revision of a meter's measuring part. `meter_id` names the revision: its buckets are its own.

    `intervals`, where it has any, say what is aggregated before `aggregation` is. `per` is the unit of time of what
    holds on: 3 seats for 2 hours are 6 per hour. `operation` is the path at which an event says that a value is added
    or removed. The measured value is that of `property`, or of `expression` where there is one.

    `state` is `building` until the events stored before it have been counted, `active` while it answers reads. `newest`
    revisions decide whether an event can be accepted; an older active one measures what it can.
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
    unit_code: str = ""
    expression: str = ""
    conversion: Conversion | None = None
    intervals: Intervals | None = None
    percentile: Decimal | None = None
    per: Per = "hour"
    sessions: Sessions | None = None
    operation: str = ""
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
    def billed_unit_code(self) -> str:
        """The code of that unit (UN/ECE Recommendation 20); '' where none is stated, as of a unit converted to."""
        return self.unit_code if self.conversion is None else ""

    @cached_property
    def kept_as(self) -> Kept:
        """What its buckets hold beside the number of events."""
        return KEPT_AS[self.reads]

    @cached_property
    def reads(self) -> Aggregation:
        """The aggregation that the value of an event goes into."""
        return self.aggregation if self.intervals is None else self.intervals.aggregation

    @cached_property
    def looks_back(self) -> bool:
        """True where events before a stretch have a part in its quantity."""
        return self.aggregation in ("time_weighted", "duration", "counter") or bool(self.operation)

    @cached_property
    def measuring(self) -> Measuring:
        """`measure` for this meter, made ready once."""
        return _measuring(self)


class Change(msgspec.Struct, frozen=True, gc=False):
    """That a value or a session (canonical text) is there from now on, or is there no more."""

    text: str
    is_there: bool


class Measured(msgspec.Struct, frozen=True, gc=False):
    """What one event contributes to one meter: a Decimal, canonical text for `unique`, a Change where a value or a
    session comes and goes, None for `count`.

    `dimensions` is canonical JSON. Under the name '', which no dimension has, stands to what a reading belongs: the
    subject of a level, the subject and the source of a running total.
    """

    value: Decimal | str | Change | None
    dimensions: str


class Unmeasurable(msgspec.Struct, frozen=True, gc=False):
    """Why a meter that names the event's type cannot measure it."""

    detail: str


Measuring = Callable[[UsageEvent], "Measured | Unmeasurable | None"]


def measure(meter: Meter, event: UsageEvent) -> Measured | Unmeasurable | None:
    """What the event contributes to the meter; None where a filter excludes it. The event's type is the meter's."""
    return meter.measuring(event)


def _measuring(meter: Meter) -> Measuring:
    filters = meter.filters
    dimensions_of, value_of = _dimensions_reader(meter), _value_reader(meter)
    too_long = Unmeasurable(f"a dimension of meter {meter.key} is longer than {MAX_DIMENSION_LENGTH} characters")

    def measured(event: UsageEvent) -> Measured | Unmeasurable | None:
        data = event.data
        for item in filters:
            if not passes(item, data):
                return None
        dimensions = dimensions_of(event)
        if dimensions is None:
            return too_long
        value = value_of(data)
        return value if isinstance(value, Unmeasurable) else Measured(value, dimensions)

    if meter.aggregation == "count" and not filters and not meter.dimensions:
        once = Measured(None, "{}")  # the same of every event
        return lambda _event: once
    return measured


ReadValue = Callable[[Mapping[str, Any]], "Decimal | str | Change | Unmeasurable | None"]


def _value_reader(meter: Meter) -> ReadValue:
    if meter.reads == "count":
        return lambda _data: None
    if meter.sessions is not None:
        return _session_reader(meter, meter.sessions)
    read = _one_value_reader(meter)
    if meter.operation:
        return _operation_reader(meter, read)
    if meter.aggregation == "counter":
        return _not_negative(meter, read)
    return read


def _one_value_reader(meter: Meter) -> ReadValue:
    if meter.expression:
        return _expression_reader(meter)
    read = reader(meter.property)
    if meter.reads == "unique":
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


def _not_negative(meter: Meter, read: ReadValue) -> ReadValue:
    below = Unmeasurable(f"a running total is 0 or more, and meter {meter.key} reads one")

    def value_of(data: Mapping[str, Any]) -> Decimal | str | Change | Unmeasurable | None:
        value = read(data)
        return below if isinstance(value, Decimal) and value < 0 else value

    return value_of


def _operation_reader(meter: Meter, read: ReadValue) -> ReadValue:
    """The value as a change; without an operation it is added."""
    operation_of = reader(meter.operation)
    unknown = Unmeasurable(f"{meter.operation} is neither add nor remove, and meter {meter.key} needs it")

    def value_of(data: Mapping[str, Any]) -> Change | Unmeasurable:
        text, operation = read(data), operation_of(data)
        if isinstance(text, Unmeasurable):
            return text
        if operation is not ABSENT and operation not in (None, "add", "remove"):
            return unknown
        assert isinstance(text, str)
        return Change(text, operation != "remove")

    return value_of


def _session_reader(meter: Meter, sessions: Sessions) -> ReadValue:
    session_of, marker_of = reader(sessions.session), reader(meter.property)
    unnamed = Unmeasurable(f"{sessions.session} is absent, null or no single value, and meter {meter.key} pairs by it")
    unknown = Unmeasurable(f"{meter.property} is neither the start nor the end that meter {meter.key} knows")

    def value_of(data: Mapping[str, Any]) -> Change | Unmeasurable:
        text, marker = _unique_text(session_of(data)), marker_of(data)
        if text is None:
            return unnamed
        if _equal(marker, sessions.start_value):
            return Change(text, True)
        return Change(text, False) if _equal(marker, sessions.end_value) else unknown

    return value_of


def _expression_reader(meter: Meter) -> ReadValue:
    evaluate = parse_expression(meter.expression)

    def value_of(data: Mapping[str, Any]) -> Decimal | str | Unmeasurable:
        try:
            number = evaluate(data)
        except NoValue as error:
            return Unmeasurable(f"{error}: meter {meter.key} cannot compute {meter.expression}")
        return _unique_text(number) or "" if meter.reads == "unique" else number

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


def _dimensions_reader(meter: Meter) -> Callable[[UsageEvent], str | None]:
    """Canonical JSON of the dimension values, None where one is too long. A missing value, null and what is no scalar
    are null."""
    series = _series_reader(meter.aggregation)
    if not meter.dimensions and series is None:
        return lambda _event: "{}"
    names = tuple(name for name, _ in meter.dimensions)
    readers = tuple(reader(path) for _, path in meter.dimensions)

    @lru_cache(maxsize=4096)
    def canonical(series: tuple[str, ...], *texts: str | None) -> str | None:
        if any(text is not None and len(text) > MAX_DIMENSION_LENGTH for text in texts):
            return None
        values: dict[str, Any] = dict(zip(names, texts, strict=True))
        return msgspec.json.encode(values | ({"": series} if series else {}), order="sorted").decode()

    if series is not None:
        of = series
        return lambda event: canonical(of(event), *[dimension_text(read(event.data)) for read in readers])
    if len(readers) == 1:
        (only,) = readers
        return lambda event: canonical((), dimension_text(only(event.data)))
    return lambda event: canonical((), *[dimension_text(read(event.data)) for read in readers])


def _series_reader(aggregation: Aggregation) -> Callable[[UsageEvent], tuple[str, ...]] | None:
    """To what a reading belongs, apart from its resource and dimensions."""
    if aggregation == "time_weighted":
        return lambda event: (event.subject,)
    if aggregation == "counter":
        return lambda event: (event.subject, event.source)
    return None


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
