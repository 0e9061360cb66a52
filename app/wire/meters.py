"""Meters: the shape of the HTTP contract <-> domain values.

    {"event_type": "charging.session.ended", "aggregation": "sum", "property": "$.kwh", "unit": "kWh",
     "unit_code": "KWH", "dimensions": {"station": "$.station"},
     "filter": [{"property": "$.status", "operator": "eq", "value": "ok"}], "rounding": {"mode": "up", "scale": 0}}

The measured value is that of `property` or of an `expression` such as "$.input + 4 * $.output". `convert` says in which
unit it is billed: {"divide_by": "1073741824", "unit": "GiB"}. What only some aggregations have is in `aggregations.py`.

Answers add what nobody can set: `revision` (raised when what is measured changes) and `state`: `building` until the
events that were there before are counted, then `active`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

from app.domain.catalog import MeterEntry
from app.domain.expressions import MAX_LENGTH, parse_expression
from app.domain.ids import NOBODY
from app.domain.kept_meters import keep_conversion, keep_rounding
from app.domain.meters import AGGREGATIONS, FILTER_OPERATORS, Aggregation, Conversion, Filter, Meter, Rounding
from app.domain.paths import fits, read_number
from app.wire.aggregations import path_field, special_from_wire, special_to_wire
from app.wire.parsing import Fields, NumberText, escaped, text_problem

_MODES: tuple[Literal["up", "down", "half_up"], ...] = ("up", "down", "half_up")
_OPERATIONS: tuple[Literal["divide_by", "multiply_by"], ...] = ("divide_by", "multiply_by")
MAX_DIMENSIONS = 20
MAX_FILTERS = 50


def meter_from_wire(key: str, body: Any, path: str = "#") -> MeterEntry:
    """The meter as wanted, its revision not numbered yet. Raises InvalidInput with every fault."""
    fields = Fields(body, path)
    fields.ignore("revision", "state")
    own_key, event_type = fields.own_key(key), fields.text("event_type")
    aggregation = fields.choice("aggregation", AGGREGATIONS)
    special = special_from_wire(fields, aggregation)
    reads = aggregation if special.intervals is None else special.intervals.aggregation
    meter = Meter(
        key=own_key, meter_id=NOBODY, event_type=event_type, aggregation=aggregation, property=_property(fields, reads),
        expression=_expression(fields, reads), dimensions=_dimensions(fields), filters=_filters(fields),
        conversion=_conversion(fields), rounding=_rounding(fields), unit=fields.text("unit"), state="building",
        intervals=special.intervals, percentile=special.percentile, per=special.per, sessions=special.sessions,
        operation=special.operation,
    )  # fmt: skip
    entry = MeterEntry(meter, fields.text("name", default=""), fields.text("unit_code", default="", max_length=3), 0)
    fields.finish()
    return entry


def _property(fields: Fields, reads: Aggregation) -> str:
    if not fields.has("property") and (reads == "count" or (fields.has("expression") and reads != "duration")):
        fields.ignore("property")
        return ""  # a count reads none; one that is named is kept for whoever sent it
    return path_field(fields, "property")


def _expression(fields: Fields, reads: Aggregation) -> str:
    if not fields.has("expression"):
        fields.ignore("expression")
        return ""
    text = fields.text("expression", max_length=MAX_LENGTH)
    if reads in ("count", "duration"):
        fields.problem("expression", f"{reads} reads no number")
    elif fields.has("property"):
        fields.problem("expression", "stands in place of `property`: send one of them")
    if text:
        try:
            parse_expression(text)
        except ValueError as error:
            fields.problem("expression", f"is no expression: {error}")
    return text


def _dimensions(fields: Fields) -> tuple[tuple[str, str], ...]:
    inner = fields.object("dimensions")
    if inner is None:
        return ()
    if len(inner.names()) > MAX_DIMENSIONS:
        fields.problem("dimensions", f"there are at most {MAX_DIMENSIONS} dimensions")
        inner.ignore(*inner.names())
        return ()
    for name in inner.names():
        detail = text_problem(name, 100)
        if detail is not None:
            inner.problem(escaped(name), f"the name {detail}")
    return tuple((name, path_field(inner, name)) for name in sorted(inner.names()))


def _filters(fields: Fields) -> tuple[Filter, ...]:
    filters = fields.objects("filter")
    if len(filters) > MAX_FILTERS:
        fields.problem("filter", f"there are at most {MAX_FILTERS} filters")
    return tuple(_filter(item) for item in filters[:MAX_FILTERS])


def _filter(fields: Fields) -> Filter:
    operator = fields.choice("operator", FILTER_OPERATORS)
    value = _plain_value(fields.raw("value"))
    if "value" not in fields.names():
        fields.problem("value", "is missing")
    elif operator in ("in", "not_in"):
        if not isinstance(value, list) or not value or not all(map(_is_scalar, value)):
            fields.problem("value", f"of {operator} must be a list of texts, numbers, true or false")
    elif operator in ("eq", "ne"):
        if not _is_scalar(value):
            fields.problem("value", f"of {operator} must be a text, a number, true or false")
    elif read_number(value) is None:
        fields.problem("value", f"of {operator} must be a number within bounds")
    return Filter(path_field(fields, "property"), operator, value)


def _is_scalar(value: Any) -> bool:
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return read_number(value) is not None
    return isinstance(value, bool) or (isinstance(value, str) and len(value) <= 1000)


def _plain_value(value: Any) -> Any:
    """The JSON value: a number that came as the text of another format is a number again."""
    if isinstance(value, NumberText):
        return int(value) if value.lstrip("-").isdigit() else Decimal(value)
    return [_plain_value(item) for item in value] if isinstance(value, list) else value


def _rounding(fields: Fields) -> Rounding | None:
    inner = fields.object("rounding")
    return None if inner is None else Rounding(inner.choice("mode", _MODES), inner.integer("scale", least=0, most=12))


def _conversion(fields: Fields) -> Conversion | None:
    inner = fields.object("convert")
    if inner is None:
        return None
    operations = [name for name in _OPERATIONS if inner.has(name)]
    if len(operations) != 1:
        inner.problem("", f"holds one of {' and '.join(_OPERATIONS)}")
    inner.ignore(*_OPERATIONS)
    operation = operations[0] if operations else "divide_by"
    factor = inner.decimal(operation, default=Decimal(1))
    if not fits(factor) or factor <= 0:
        inner.problem(operation, "is above 0 and below 10^20, with at most 18 decimals")
    return Conversion(operation, factor, inner.text("unit"))


def meter_to_wire(entry: MeterEntry) -> dict[str, Any]:
    meter = entry.meter
    shown: dict[str, Any] = {"key": meter.key, "event_type": meter.event_type, "aggregation": meter.aggregation}
    if entry.name:
        shown["name"] = entry.name
    if meter.property:
        shown["property"] = meter.property
    if meter.expression:
        shown["expression"] = meter.expression
    shown["unit"] = meter.unit
    if entry.unit_code:
        shown["unit_code"] = entry.unit_code
    shown["dimensions"] = dict(meter.dimensions)
    shown["filter"] = [{"property": f.property, "operator": f.operator, "value": f.value} for f in meter.filters]
    shown |= special_to_wire(meter)
    if meter.conversion is not None:
        shown["convert"] = keep_conversion(meter.conversion)
    shown["rounding"] = keep_rounding(meter.rounding)
    return shown | {"revision": entry.revision, "state": meter.state}
