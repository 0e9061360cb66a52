"""Meters: the shape of the HTTP contract <-> domain values.

    {"event_type": "charging.session.ended", "aggregation": "sum", "property": "$.kwh", "unit": "kWh",
     "unit_code": "KWH", "dimensions": {"station": "$.station"},
     "filter": [{"property": "$.status", "operator": "eq", "value": "ok"}], "rounding": {"mode": "up", "scale": 0}}

The measured value is that of `property` or of an `expression` such as "$.input + 4 * $.output". `convert` says in which
unit it is billed: {"divide_by": "1073741824", "unit": "GiB"}.

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
from app.domain.meters import AGGREGATIONS, FILTER_OPERATORS, Conversion, Filter, Meter, Rounding
from app.domain.paths import fits, path_steps, read_number
from app.wire.parsing import Fields, NumberText, escaped, text_problem

_LATER_AGGREGATIONS = ("percentile", "time_weighted", "duration", "counter")
_LATER_FIELDS = ("percentile", "interval", "per", "session", "start_value", "end_value")
_MODES: tuple[Literal["up", "down", "half_up"], ...] = ("up", "down", "half_up")
_OPERATIONS: tuple[Literal["divide_by", "multiply_by"], ...] = ("divide_by", "multiply_by")
MAX_DIMENSIONS = 20
MAX_FILTERS = 50


def meter_from_wire(key: str, body: Any, path: str = "#") -> MeterEntry:
    """The meter as wanted, its revision not numbered yet. Raises InvalidInput with every fault."""
    fields = Fields(body, path)
    fields.ignore("revision", "state")
    for name in _LATER_FIELDS:
        if fields.raw(name) is not None:
            fields.problem(name, f"{name} is not supported yet")
    meter = Meter(
        key=fields.own_key(key), meter_id=NOBODY, event_type=fields.text("event_type"),
        aggregation=fields.choice("aggregation", AGGREGATIONS, later=_LATER_AGGREGATIONS), property=_property(fields),
        expression=_expression(fields), dimensions=_dimensions(fields), filters=_filters(fields),
        conversion=_conversion(fields), rounding=_rounding(fields), unit=fields.text("unit"), state="building",
    )  # fmt: skip
    entry = MeterEntry(meter, fields.text("name", default=""), fields.text("unit_code", default="", max_length=3), 0)
    fields.finish()
    return entry


def _property(fields: Fields) -> str:
    if not fields.has("property") and (fields.raw("aggregation") == "count" or fields.has("expression")):
        fields.ignore("property")
        return ""  # a count reads none; one that is named is kept for whoever sent it
    return _path(fields, "property")


def _expression(fields: Fields) -> str:
    if not fields.has("expression"):
        fields.ignore("expression")
        return ""
    text = fields.text("expression", max_length=MAX_LENGTH)
    if fields.has("property"):
        fields.problem("expression", "stands in place of `property`: send one of them")
    if fields.raw("aggregation") == "count":
        fields.problem("expression", "a count reads no value")
    if text:
        try:
            parse_expression(text)
        except ValueError as error:
            fields.problem("expression", f"is no expression: {error}")
    return text


def _path(fields: Fields, name: str) -> str:
    path = fields.text(name, max_length=500)
    if path:
        try:
            path_steps(path)
        except ValueError as error:
            fields.problem(escaped(name), f"is {error}")
    return path


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
    return tuple((name, _path(inner, name)) for name in sorted(inner.names()))


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
    return Filter(_path(fields, "property"), operator, value)


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
    if meter.conversion is not None:
        shown["convert"] = keep_conversion(meter.conversion)
    shown["rounding"] = keep_rounding(meter.rounding)
    return shown | {"revision": entry.revision, "state": meter.state}
