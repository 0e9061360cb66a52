"""What does a mapping file say?

    source: /garages/pasadena
    type: charging.session.ended
    id: session_id                                    # a column, or a list of columns
    time: {column: arrival}                           # ISO 8601 unless `format` says otherwise
    subject: {lookup: {column: station_id, file: stations.csv, key: station_id, value: tenant}}
    data:
      kwh: {column: "delivered_energy (kWh)"}
      connected_hours: {elapsed: [arrival, departure], unit: hours}

`docs/how-to/importing.md` has the whole grammar. Every fault is an InvalidInput that names the file, the line, the path
inside it and what to write instead; a key that is not known is a fault. The YAML is read as a tree of texts: `0.10`
stays "0.10", and `True`, `no` or a date stay the text they are.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Never, TypeVar, cast

import yaml

from app.domain.errors import FieldProblem, InvalidInput
from app.domain.paths import path_steps
from app.domain.periods import parse_zone
from app.importing.mapping import (
    Column,
    Condition,
    Constant,
    Elapsed,
    EventMapping,
    FileMapping,
    Form,
    Joined,
    Lookup,
    TimeSource,
    Value,
)
from app.importing.rows import FORMATS, JSON_NUMBER, JsonNumber, Layout
from app.importing.times import ISO_8601, TimeRules, Unit

_FILE_KEYS = ("format", "delimiter", "columns", "events")
_EVENT_KEYS = ("id", "source", "type", "time", "subject", "resource", "data", "when")
_VALUE_KINDS = ("column", "columns", "text", "lookup", "elapsed")
_RULE_KEYS = ("format", "zone", "repeated", "skipped")

Choice = TypeVar("Choice", bound=str)


def load_mapping(path: Path) -> FileMapping:
    """The mapping in a YAML file, its look-up tables read. Raises InvalidInput."""
    content = _read_bytes(path, f"The mapping {path}")
    try:
        tree = yaml.compose(content, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} is not YAML: {error}", file=str(path)) from error
    reader = _Reader(path)
    events = reader.file(_Node(path, "", tree))
    digest = sha256(content)
    for table in sorted(reader.tables):
        digest.update(sha256(reader.tables[table]).digest())
    return FileMapping(reader.layout, events, reader.columns_needed, digest.hexdigest())


def _read_bytes(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{what} cannot be opened: {error.strerror}.", file=str(path)) from error


# --- the tree of a YAML file -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Node:
    """One place in a YAML file."""

    file: Path
    path: str
    yaml: Any

    def fail(self, what: str) -> Never:
        place = self.path or "the top level"
        line = self.yaml.start_mark.line + 1 if self.yaml is not None else 1
        pointer = "#/" + self.path.replace("[", "/").replace("]", "").replace(".", "/") if self.path else "#"
        raise InvalidInput(
            f"{self.file}, line {line}, {place}: {what}",
            problems=(FieldProblem(pointer, what),), file=str(self.file), line=line,
        )  # fmt: skip

    @property
    def is_map(self) -> bool:
        return isinstance(self.yaml, yaml.MappingNode)

    @property
    def is_list(self) -> bool:
        return isinstance(self.yaml, yaml.SequenceNode)

    def entries(self, known: Sequence[str] | None = None) -> dict[str, _Node]:
        """The entries of a map, in order; with `known`, no other keys."""
        if not self.is_map:
            self.fail(f"must be a map{f' of {_list(known)}' if known else ''}")
        entries: dict[str, _Node] = {}
        for key_node, value_node in self.yaml.value:
            key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else ""
            entry = _Node(self.file, f"{self.path}.{key}" if self.path else key, value_node)
            if not key:
                self.fail("has a key that is not a text")
            if key in entries:
                entry.fail("stands here twice")
            if known is not None and key not in known:
                entry.fail(f"is not a known key; known here: {_list(known)}")
            entries[key] = entry
        return entries

    def items(self) -> list[_Node]:
        """The items of a list that is not empty."""
        if not self.is_list or not self.yaml.value:
            self.fail("must be a list with at least one item")
        return [_Node(self.file, f"{self.path}[{index}]", item) for index, item in enumerate(self.yaml.value)]

    def items_or_one(self) -> list[_Node]:
        return self.items() if self.is_list else [self]

    def text(self) -> str:
        """A text, however it is written; never empty."""
        if not isinstance(self.yaml, yaml.ScalarNode) or not self.yaml.value or self._is_null():
            self.fail("must be a text")
        return str(self.yaml.value)

    def constant(self) -> str | bool:
        """A text, a number as its digits (JsonNumber), or true and false. Quoted is always a text."""
        if not isinstance(self.yaml, yaml.ScalarNode) or self._is_null():
            self.fail("must be a text, a number, true or false")
        value = str(self.yaml.value)
        if self.yaml.style is not None:
            return value
        if value in ("true", "false"):
            return value == "true"
        return JsonNumber(value) if JSON_NUMBER.fullmatch(value) else value

    def yes_or_no(self) -> bool:
        value = self.constant()
        if not isinstance(value, bool):
            self.fail("must be true or false")
        return value

    def one_of(self, choices: Sequence[Choice]) -> Choice:
        value = self.text()
        if value not in choices:
            self.fail(f"must be {_list(choices, 'or')}, not {value!r}")
        return cast(Choice, value)

    def _is_null(self) -> bool:
        return bool(self.yaml.style is None and self.yaml.value in ("", "~", "null"))


def _list(words: Sequence[str], last: str = "and") -> str:
    *first, final = [f"`{word}`" for word in words]
    return f"{', '.join(first)} {last} {final}" if first else final


# --- the grammar -----------------------------------------------------------------------------------------------------


class _Reader:
    """Reads one mapping file; collects the columns it names and the bytes of the tables it refers to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.layout = Layout()
        self.columns_needed: dict[str, str] = {}
        self.tables: dict[str, bytes] = {}

    def file(self, node: _Node) -> tuple[EventMapping, ...]:
        entries = node.entries((*_FILE_KEYS, *_EVENT_KEYS))
        self.layout = self._layout(entries)
        shared = {name: entry for name, entry in entries.items() if name in _EVENT_KEYS}
        if "events" not in entries:
            return (self._event(node, shared, ()),)
        when = self._when(shared.pop("when")) if "when" in shared else ()
        events = []
        for item in entries["events"].items():
            # What an event says itself stands in the place of what the file says for all of them; conditions add up.
            own = item.entries(_EVENT_KEYS)
            events.append(self._event(item, {**shared, **own}, when))
        return tuple(events)

    def _layout(self, entries: Mapping[str, _Node]) -> Layout:
        layout = Layout()
        if "format" in entries:
            layout = replace(layout, format=entries["format"].one_of(FORMATS))
        if "delimiter" in entries:
            node = entries["delimiter"]
            text = node.text()
            if len(text) != 1 or text in '"\r\n':
                node.fail('must be one character, such as ";" or "\\t"')
            layout = replace(layout, delimiter=text)
        if "columns" in entries:
            names = tuple(item.text() for item in entries["columns"].items())
            layout = replace(layout, columns=names)
        return layout

    def _event(self, node: _Node, entries: Mapping[str, _Node], when: tuple[Condition, ...]) -> EventMapping:
        for name in ("id", "source", "type", "time"):
            if name not in entries:
                node.fail(f"`{name}` is missing")
        time = self._time(entries["time"], None)
        return EventMapping(
            id=tuple(self._part(part) for part in entries["id"].items_or_one()),
            source=self._value(entries["source"], time),
            type=self._value(entries["type"], time),
            time=time,
            subject=self._value(entries["subject"], time) if "subject" in entries else None,
            resource=self._value(entries["resource"], time) if "resource" in entries else None,
            data=self._data(entries["data"], time) if "data" in entries else (),
            when=when + (self._when(entries["when"]) if "when" in entries else ()),
        )

    def _data(self, node: _Node, time: TimeSource) -> tuple[tuple[str, Value], ...]:
        return tuple((name, self._value(entry, time)) for name, entry in node.entries().items())

    def _when(self, node: _Node) -> tuple[Condition, ...]:
        return tuple(self._condition(item) for item in node.items_or_one())

    def _condition(self, node: _Node) -> Condition:
        entries = node.entries(("column", "equals", "not_equals"))
        if "column" not in entries or ("equals" in entries) is ("not_equals" in entries):
            node.fail("must have `column`, and either `equals` or `not_equals`")
        negated = "not_equals" in entries
        wanted = entries["not_equals" if negated else "equals"].items_or_one()
        values = frozenset(_as_text(item.constant()) for item in wanted)
        return Condition(self._column(entries["column"]), values, negated)

    def _value(self, node: _Node, time: TimeSource) -> Value:
        """A text, number or truth value is a constant; a map says where the value comes from."""
        if not node.is_map:
            return Constant(node.constant())
        entries = node.entries((*_VALUE_KINDS, "as", "join", "unit", "wraps_midnight", *_RULE_KEYS))
        match self._kind(node, entries):
            case "elapsed":
                return self._elapsed(entries, time)
            case "columns":
                self._only(entries, "columns", "join")
                parts = tuple(self._part(part) for part in entries["columns"].items())
                return Joined(parts, entries["join"].text() if "join" in entries else "-")
            case _:
                return self._part(node)

    def _kind(self, node: _Node, entries: Mapping[str, _Node]) -> str:
        kinds = [kind for kind in _VALUE_KINDS if kind in entries]
        if len(kinds) != 1:
            node.fail(f"must have exactly one of {_list(_VALUE_KINDS)}")
        return kinds[0]

    def _only(self, entries: Mapping[str, _Node], kind: str, *options: str) -> None:
        for name, entry in entries.items():
            if name not in (kind, *options):
                entry.fail(f"has no place beside `{kind}`")

    def _part(self, node: _Node) -> Constant | Column | Lookup:
        """A column by its name, or a map with `column`, `text` or `lookup`."""
        if not node.is_map:
            return Column(self._column(node))
        entries = node.entries(("column", "text", "lookup", "as"))
        match self._kind(node, entries):
            case "column":
                form = entries["as"].one_of(("text", "number")) if "as" in entries else "found"
                return Column(self._column(entries["column"]), cast(Form, form))
            case "text":
                self._only(entries, "text")
                return Constant(entries["text"].text())
            case _:
                self._only(entries, "lookup")
                return self._lookup(entries["lookup"])

    def _column(self, node: _Node) -> str:
        name = node.text()
        if name.startswith("$."):
            try:
                path_steps(name)
            except ValueError as error:
                node.fail(str(error))
        self.columns_needed.setdefault(name, node.path)
        return name

    def _lookup(self, node: _Node) -> Lookup:
        entries = node.entries(("column", "file", "key", "value", "default"))
        for name in ("column", "file", "key", "value"):
            if name not in entries:
                node.fail(f"`{name}` is missing")
        name = entries["file"].text()
        table = self._table(entries)
        default = entries["default"].text() if "default" in entries else None
        return Lookup(self._column(entries["column"]), table, name, default)

    def _table(self, entries: Mapping[str, _Node]) -> dict[str, str]:
        node = entries["file"]
        name = node.text()
        path = self.path.parent / name
        if name not in self.tables:
            try:
                self.tables[name] = path.read_bytes()
            except OSError as error:
                node.fail(f"the table {path} cannot be opened: {error.strerror}")
        try:
            text = io.StringIO(self.tables[name].decode("utf-8-sig"), newline="")
            rows = list(csv.reader(text, strict=True))
        except (UnicodeDecodeError, csv.Error) as error:
            node.fail(f"the table {path} cannot be read as CSV: {error}")
        return _two_columns(path, rows, entries["key"], entries["value"])

    def _time(self, node: _Node, inherited: TimeSource | None) -> TimeSource:
        """A column, a list of parts joined by spaces, or a map that also says how the time is written."""
        rules = inherited.rules if inherited else TimeRules()
        if not node.is_map:
            return TimeSource(self._time_text(node), rules)
        entries = node.entries(("column", *_RULE_KEYS))
        if "column" not in entries:
            node.fail("`column` is missing")
        return TimeSource(self._time_text(entries["column"]), self._rules(entries, rules))

    def _time_text(self, node: _Node) -> Column | Joined:
        if node.is_list:
            return Joined(tuple(self._part(part) for part in node.items()), " ")
        return Column(self._column(node))

    def _rules(self, entries: Mapping[str, _Node], rules: TimeRules) -> TimeRules:
        if "format" in entries:
            rules = replace(rules, formats=tuple(_pattern(item) for item in entries["format"].items_or_one()))
        if "zone" in entries:
            node = entries["zone"]
            try:
                rules = replace(rules, zone=parse_zone(node.text()))
            except ValueError as error:
                node.fail(f"{error}; write an IANA name such as Europe/Paris")
        if "repeated" in entries:
            rules = replace(rules, repeated=entries["repeated"].one_of(("first", "second", "error")))
        if "skipped" in entries:
            rules = replace(rules, skipped=entries["skipped"].one_of(("error", "forward")))
        return rules

    def _elapsed(self, entries: Mapping[str, _Node], time: TimeSource) -> Elapsed:
        self._only(entries, "elapsed", "unit", "wraps_midnight", "as", *_RULE_KEYS)
        node = entries["elapsed"]
        ends = node.items()
        if len(ends) != 2:
            node.fail("must be a list of two: [start, end]")
        if "unit" not in entries:
            node.fail("`unit` is missing beside it: hours or seconds")
        # Times are written alike in most files: what is said for the event's time holds unless said otherwise.
        both = replace(time, rules=self._rules(entries, time.rules))
        return Elapsed(
            start=self._time(ends[0], both),
            end=self._time(ends[1], both),
            unit=cast(Unit, entries["unit"].one_of(("hours", "seconds"))),
            wraps_midnight="wraps_midnight" in entries and entries["wraps_midnight"].yes_or_no(),
            form=cast(Form, entries["as"].one_of(("text", "number")) if "as" in entries else "text"),
        )


def _two_columns(path: Path, rows: list[list[str]], key: _Node, value: _Node) -> dict[str, str]:
    header = rows[0] if rows else []
    for node in (key, value):
        if header.count(node.text()) != 1:
            node.fail(f"the table {path} has no such column; it has {', '.join(header) or 'none'}")
    key_at, value_at = header.index(key.text()), header.index(value.text())
    table: dict[str, str] = {}
    for number, row in enumerate(rows[1:], start=1):
        if not row:
            continue
        if len(row) != len(header):
            key.fail(f"row {number} of the table {path} has {len(row)} fields where the header has {len(header)}")
        if table.setdefault(row[key_at], row[value_at]) != row[value_at]:
            key.fail(f"the table {path} gives two values for {row[key_at]!r}")
    return table


def _pattern(node: _Node) -> str:
    pattern = node.text()
    if pattern == ISO_8601:
        return pattern
    if "%" not in pattern:
        node.fail("must be iso8601 or a strptime pattern such as %d/%m/%Y %H:%M")
    if "%Z" in pattern:
        # strptime reads the name of a zone and then forgets it.
        node.fail("%Z cannot be read reliably; write the name into the pattern as it stands and give the `zone`")
    try:
        datetime.strptime("", pattern)  # noqa: DTZ007 (only to learn whether the pattern is one)
    except ValueError as error:
        if "bad directive" in str(error) or "stray %" in str(error):
            node.fail(f"is not a strptime pattern: {error}")
    return pattern


def _as_text(constant: str | bool) -> str:
    return ("true" if constant else "false") if isinstance(constant, bool) else str(constant)
