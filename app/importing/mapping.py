"""Which usage events does one row of a file stand for?

A mapping says, for each attribute of the event, where in the row its value is: in a column, in a look-up table, between
two times; or that it is constant. It moves and names values and does no arithmetic but elapsed time. The row
`arrival=2019-09-01 09:56:18-07:00, kwh=0.747, station=CA-311` becomes
`{"id": "..", "time": "2019-09-01T16:56:18Z", "data": {"kwh": "0.747", "connected_hours": "0.655555555556"}, ..}`:
digits are copied, never computed. `mapping_file.py` reads a mapping from YAML.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any, Literal, TypeVar

from app.domain.events import MAX_TEXT_LENGTH, instant_text
from app.domain.paths import ABSENT, read_path
from app.importing.rows import JSON_NUMBER, NOT_UTF8, JsonNumber, Layout, Row, foreign_columns
from app.importing.times import TimeRules, Unit, elapsed, read_instant, read_stretch

_KEY_SEPARATOR = "|"
_KEY_PREFIX_LENGTH = 200


Found = TypeVar("Found")


class UnmappableRow(ValueError):
    """Why no event can be made from a row, for the person who sent the file."""


# --- where a value comes from ----------------------------------------------------------------------------------------

Form = Literal["found", "text", "number"]


@dataclass(frozen=True, slots=True)
class Constant:
    """The same for every row."""

    value: str | bool


@dataclass(frozen=True, slots=True)
class Column:
    """What the row has there: "found" is text in a CSV and any JSON value in JSON Lines. A name that starts with `$.`
    is a path into a JSON row."""

    name: str
    form: Form = "found"


@dataclass(frozen=True, slots=True)
class Lookup:
    """What a table gives for the column's text; a text that is not in it is `default`, or an error of the row."""

    column: str
    table: Mapping[str, str]
    table_name: str
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Joined:
    """Several texts with a separator between them."""

    parts: tuple[Constant | Column | Lookup, ...]
    separator: str


@dataclass(frozen=True, slots=True)
class TimeSource:
    """A time in the row and how it is written."""

    text: Column | Joined
    rules: TimeRules


@dataclass(frozen=True, slots=True)
class Elapsed:
    """The time from start to end, as a plain decimal in the unit."""

    start: TimeSource
    end: TimeSource
    unit: Unit
    wraps_midnight: bool = False
    form: Form = "text"


Value = Constant | Column | Lookup | Joined | Elapsed


@dataclass(frozen=True, slots=True)
class Condition:
    """The column's text is one of `values`; `negated`: is none of them."""

    column: str
    values: frozenset[str]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class EventMapping:
    """One event that a row may give: made where every condition of `when` holds."""

    id: tuple[Constant | Column | Lookup, ...]
    source: Value
    type: Value
    time: TimeSource
    subject: Value | None = None
    resource: Value | None = None
    data: tuple[tuple[str, Value], ...] = ()
    when: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class FileMapping:
    """`columns_needed`: each column that is named, and where. `digest` covers the mapping and its look-up tables."""

    layout: Layout
    events: tuple[EventMapping, ...]
    columns_needed: Mapping[str, str]
    digest: str


# --- a row into events -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MappedEvent:
    """An event ready to be sent: the body is its JSON in UTF-8."""

    id: str
    body: bytes


def map_row(mapping: FileMapping, row: Row) -> tuple[MappedEvent, ...]:
    """The events of a row, in the mapping's order; none where no `when` holds. Raises UnmappableRow.

    All or nothing: a row of which one event cannot be made gives none, and is reported once.
    """
    wanted = [event for event in mapping.events if all(holds(condition, row) for condition in event.when)]
    documents = [_document(event, row) for event in wanted]
    if len({(document["source"], document["id"]) for document in documents}) < len(documents):
        raise UnmappableRow('two events of this row have the same id; add a {text: ".."} to the `id` of one')
    return tuple(MappedEvent(document["id"], _encoded(document, row)) for document in documents)


def holds(condition: Condition, row: Row) -> bool:
    """True when the row is one of those the condition asks for."""
    found = _at("when", lambda: _text(_cell(condition.column, row), condition.column))
    return (found in condition.values) is not condition.negated


def _document(event: EventMapping, row: Row) -> dict[str, Any]:
    document: dict[str, Any] = {
        "specversion": "1.0",
        "id": _at("id", partial(_key, event.id, row)),
        "source": _at("source", partial(_attribute, event.source, row)),
        "type": _at("type", partial(_attribute, event.type, row)),
    }
    for name, value in (("subject", event.subject), ("resource", event.resource)):
        if value is not None:
            document[name] = _at(name, partial(_attribute, value, row))
    document["time"] = _at("time", partial(_time, event.time, row))
    document["data"] = {name: _at(f"data.{name}", partial(read_value, value, row)) for name, value in event.data}
    return document


def _at(place: str, read: Callable[[], Found]) -> Found:
    """What `read` finds; what it complains of is said of `place`."""
    try:
        return read()
    except ValueError as error:
        raise UnmappableRow(f"{place}: {error}") from error


def _time(source: TimeSource, row: Row) -> str:
    return instant_text(read_instant(_time_text(source, row), source.rules))


def read_value(value: Value, row: Row) -> Any:
    """The JSON value for this row; a number is a JsonNumber with the digits of the file. Raises ValueError."""
    match value:
        case Constant():
            return value.value
        case Column():
            return _in_form(_cell(value.name, row), value.form, value.name)
        case Lookup():
            return _look_up(value, row)
        case Joined():
            return value.separator.join(_part_text(part, row) for part in value.parts)
        case Elapsed():
            return _elapsed(value, row)


def _elapsed(value: Elapsed, row: Row) -> str:
    start, end = read_stretch(
        _time_text(value.start, row),
        _time_text(value.end, row),
        (value.start.rules, value.end.rules),
        wraps=value.wraps_midnight,
    )
    text = elapsed(start, end, value.unit)
    return JsonNumber(text) if value.form == "number" else text


def _cell(name: str, row: Row) -> Any:
    found = read_path(row.values, name) if name.startswith("$.") else row.values.get(name, ABSENT)
    if found is ABSENT:
        raise UnmappableRow(f"the row has no {name!r}")
    return found


def _in_form(found: Any, form: Form, name: str) -> Any:
    if form == "found":
        return found
    text = _text(found, name)
    if form == "text":
        return text
    if not JSON_NUMBER.fullmatch(text.strip()):
        raise UnmappableRow(f"{name!r} is {text!r}, which is not a number")
    return JsonNumber(text.strip())


def _text(found: Any, name: str) -> str:
    match found:
        case bool():
            return "true" if found else "false"
        case str():
            return str(found)
        case _:
            kind = "null" if found is None else "not a single value"
            raise UnmappableRow(f"{name!r} is {kind}")


def _look_up(value: Lookup, row: Row) -> str:
    text = _text(_cell(value.column, row), value.column)
    found = value.table.get(text, value.default)
    if found is None:
        raise UnmappableRow(f"{value.table_name} has no row for {value.column!r} = {text!r}")
    return found


def _part_text(part: Value, row: Row) -> str:
    return _text(read_value(part, row), part.name if isinstance(part, Column) else "a part")


def _attribute(value: Value, row: Row) -> str:
    text = _text(read_value(value, row), value.name if isinstance(value, Column) else "the value")
    if not text:
        raise UnmappableRow("is empty")
    return text


def _time_text(source: TimeSource, row: Row) -> str:
    text = _part_text(source.text, row)
    if not text.strip():
        raise UnmappableRow("is empty")
    return text


def _key(parts: tuple[Constant | Column | Lookup, ...], row: Row) -> str:
    """One part as it is; several joined by `|`, which is escaped inside them, so that ("a", "b|c") is not ("a|b", "c").

    A key over the limit of an event id keeps its first 200 characters, followed by a digest of the whole.
    """
    texts = [_part_text(part, row) for part in parts]
    key = texts[0] if len(texts) == 1 else _KEY_SEPARATOR.join(map(_escaped, texts))
    if not key.strip(_KEY_SEPARATOR):
        raise UnmappableRow("is empty")
    if len(key) <= MAX_TEXT_LENGTH["id"]:
        return key
    digest = sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:40]
    return f"{key[:_KEY_PREFIX_LENGTH]}~{digest}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace(_KEY_SEPARATOR, "%7C")


# --- writing JSON ----------------------------------------------------------------------------------------------------


def json_text(value: Any) -> str:
    """JSON without spaces; a JsonNumber is written as its digits."""
    match value:
        case JsonNumber():
            return str(value)
        case dict():
            pairs = (f"{json.dumps(name, ensure_ascii=False)}:{json_text(item)}" for name, item in value.items())
            return "{" + ",".join(pairs) + "}"
        case list():
            return "[" + ",".join(map(json_text, value)) + "]"
        case _:
            return json.dumps(value, ensure_ascii=False)


def _encoded(document: dict[str, Any], row: Row) -> bytes:
    try:
        return json_text(document).encode()
    except UnicodeEncodeError as error:
        foreign = ", ".join(map(repr, foreign_columns(row.values)))
        reason = f"{foreign} {NOT_UTF8.format('LATIN1')}" if foreign else "a value holds bytes that are not UTF-8"
        raise UnmappableRow(reason) from error
