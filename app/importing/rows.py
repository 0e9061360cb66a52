"""Which rows does a file of usage hold?

CSV with a header line, or JSON Lines; plain or gzipped (seen from the first bytes, not from the name). Row 1 is the
first after the header. A row that cannot be read is yielded as such, with its reason, and its neighbours are read on:
of `a,b` / `1,2` / `3` / `4,5` the second row is unreadable ("1 field where the header has 2"), the third is row 3.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, Self

from app.domain.errors import InvalidInput

Format = Literal["csv", "jsonl"]
FORMATS: tuple[Format, ...] = ("csv", "jsonl")

_SUFFIXES: Mapping[str, Format] = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_GZIP_START = b"\x1f\x8b"
_UTF16_STARTS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_OTHER_DELIMITERS = {";": ";", "\t": "\\t", "|": "|"}
"""As they stand in a file, and as YAML writes them."""
_FOREIGN_BYTE = re.compile("[\udc80-\udcff]")
NOT_UTF8 = "is not UTF-8 ({0}?): `iconv -f {0} -t UTF-8`"


class JsonNumber(str):
    """A number as the text it was written in, so that no digit is lost; JSON writes it without quotes."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Layout:
    """How to read a file. No `format`: by the file's name. No `columns`: the first row of a CSV names them."""

    format: Format | None = None
    delimiter: str = ","
    columns: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One row: text by column (CSV), or JSON values by name with numbers as JsonNumber (JSON Lines)."""

    number: int
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class UnreadableRow:
    number: int
    reason: str


class UsageFile:
    """An open file of usage; iterate it once. `bytes_read` of `bytes_total` tells how far that has come.

    Bytes that are not UTF-8 become lone surrogates, so that one bad cell does not cost the file.
    Raises InvalidInput where the file, its format or its columns cannot be used.
    """

    def __init__(self, path: Path, layout: Layout, *, columns_needed: Mapping[str, str]) -> None:
        self._path = path
        self._layout = layout
        self._columns_needed = columns_needed
        self._format: Format = layout.format or format_by_name(path)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._raw = self._stack.enter_context(self._path.open("rb"))
        except OSError as error:
            raise InvalidInput(f"{self._path} cannot be opened: {error.strerror}.", file=str(self._path)) from error
        self.bytes_total = self._path.stat().st_size
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def bytes_read(self) -> int:
        return self._raw.tell()

    def __iter__(self) -> Iterator[Row | UnreadableRow]:
        number = 0
        try:
            for row in self._rows():
                number = row.number
                yield row
        except (OSError, EOFError, zlib.error) as error:
            # A download that broke off. What came before is good and has been handed out.
            raise InvalidInput(
                f"{self._path} cannot be read past row {number}: {error}. Is the file whole?", file=str(self._path)
            ) from error

    def _rows(self) -> Iterator[Row | UnreadableRow]:
        content = _unzipped(self._raw)
        if content.read(2) in _UTF16_STARTS:
            raise InvalidInput(f"{self._path} {NOT_UTF8.format('UTF-16')}.", file=str(self._path))
        content.seek(0)
        text = self._stack.enter_context(
            io.TextIOWrapper(content, encoding="utf-8-sig", errors="surrogateescape", newline="")
        )
        return self._csv_rows(text) if self._format == "csv" else _json_rows(text)

    def _csv_rows(self, text: io.TextIOWrapper) -> Iterator[Row | UnreadableRow]:
        # Strict, so that a quote that is never closed is an error and not one long cell that swallows the rows after.
        reader = csv.reader(text, delimiter=self._layout.delimiter, strict=True)
        columns = self._layout.columns or self._header(reader)
        self._check_columns(columns)
        number = 0
        while True:
            first_line = reader.line_num + 1
            try:
                cells = next(reader, None)
            except csv.Error as error:
                number += 1
                yield UnreadableRow(number, f"{_lines(first_line, reader.line_num)} cannot be read as CSV: {error}")
                continue
            if cells is None:
                return
            if not cells:
                continue  # An empty line is no row.
            number += 1
            if len(cells) == len(columns):
                yield Row(number, dict(zip(columns, cells, strict=True)))
            else:
                lines = _lines(first_line, reader.line_num)
                yield UnreadableRow(number, f"{lines}: {len(cells)} fields where the header has {len(columns)}")

    def _header(self, reader: Any) -> tuple[str, ...]:
        try:
            return tuple(next(reader, ()))
        except csv.Error as error:
            raise InvalidInput(f"{self._path}: the header cannot be read as CSV: {error}.") from error

    def _check_columns(self, columns: tuple[str, ...]) -> None:
        for name, where in self._columns_needed.items():
            found = columns.count(name)
            if found == 1:
                continue
            fault = f"has no column {name!r}" if not found else f"has {found} columns {name!r}"
            known = ", ".join(map(repr, columns)) or "none"
            raise InvalidInput(
                f"{self._path} {fault}, which the mapping names at {where}. Its columns: {known}.{_remedy(columns)}",
                file=str(self._path), column=name,
            )  # fmt: skip


def format_by_name(path: Path) -> Format:
    """The format that the file's name tells, `.gz` left aside. Raises InvalidInput."""
    name = Path(path.name.removesuffix(".gz"))
    try:
        return _SUFFIXES[name.suffix.lower()]
    except KeyError:
        raise InvalidInput(
            f"The name of {path} does not tell its format. Write `format: csv` or `format: jsonl` in the mapping."
        ) from None


def parse_json_row(text: str) -> dict[str, Any]:
    """The JSON object with every number as its text. Raises ValueError for anything else."""
    try:
        value = json.loads(text, parse_int=JsonNumber, parse_float=JsonNumber, parse_constant=_no_constant)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if isinstance(value, dict):
        return value
    raise ValueError("not a JSON object")


def foreign_columns(values: Mapping[str, Any]) -> list[str]:
    """The columns whose text came from bytes that are not UTF-8."""
    return [name for name, value in values.items() if isinstance(value, str) and _FOREIGN_BYTE.search(value)]


def _remedy(columns: tuple[str, ...]) -> str:
    """What to do about a file whose columns are not those that the mapping names, where that can be told."""
    if any(map(_FOREIGN_BYTE.search, columns)):
        return f" The header {NOT_UTF8.format('LATIN1')}."
    for delimiter, written in _OTHER_DELIMITERS.items():
        if len(columns) == 1 and delimiter in columns[0]:
            return f" It looks separated by '{written}': write `delimiter: \"{written}\"` in the mapping."
    return ""


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


def _json_rows(text: io.TextIOWrapper) -> Iterator[Row | UnreadableRow]:
    number = 0
    for line_number, line in enumerate(text, start=1):
        if not line.strip():
            continue
        number += 1
        try:
            yield Row(number, parse_json_row(line))
        except ValueError as error:
            yield UnreadableRow(number, f"line {line_number} cannot be read as JSON: {error}")


def _unzipped(raw: BinaryIO) -> BinaryIO:
    zipped = raw.read(2) == _GZIP_START
    raw.seek(0)
    return gzip.GzipFile(fileobj=raw) if zipped else raw  # type: ignore[return-value]


def _lines(first: int, last: int) -> str:
    return f"line {last}" if last <= first else f"lines {first} to {last}"
