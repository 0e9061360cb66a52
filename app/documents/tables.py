"""How does a long table become a file: as CSV in chunks, as a workbook of XLSX?

A row is written and forgotten, so that a file of any length needs little memory. 1 234.50 is `1234.50` in CSV. In a
workbook it is a number as long as it has no more digits than the doubles of a spreadsheet keep (15), and text beyond
that: 0.000000041667 is a number, 12345678901234.56 is text. Nothing in between is ever rounded, and no text is a
formula. Why so: docs/decisions/0030-numbers-in-workbooks.md
"""

from __future__ import annotations

import csv
import io
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, BinaryIO

import xlsxwriter  # type: ignore[import-untyped]

from app.documents.csv_cells import safe_text

_CHUNK_ROWS = 500
_MOST_ROWS = 1_048_576  # of one sheet, by the file format
_MOST_CHARACTERS = 32_767  # of one cell
_EXACT_DIGITS = 15
_NO_TIME = datetime(1980, 1, 1, tzinfo=UTC)  # the first that a packed file can say


@dataclass(frozen=True, slots=True)
class Number:
    """A plain decimal number, with the decimals that it is to be shown with."""

    text: str


Cell = str | Number | date | None
Row = Sequence[Cell]


def csv_chunks(columns: Sequence[str], rows: Iterable[Row], *, delimiter: str = ",") -> Iterator[bytes]:
    """RFC 4180 with a header row, in UTF-8. Texts that look like a formula begin with `'`; nothing is an empty cell."""
    output = io.StringIO(newline="")
    writer = csv.writer(output, delimiter=delimiter, lineterminator="\r\n")
    writer.writerow(columns)
    for position, row in enumerate(rows, 1):
        writer.writerow([_csv_text(cell) for cell in row])
        if position % _CHUNK_ROWS == 0:
            yield _taken(output)
    yield _taken(output)


def _csv_text(cell: Cell) -> str:
    match cell:
        case None:
            return ""
        case Number(text):
            return text
        case date():
            return cell.isoformat()
        case _:
            return safe_text(cell)


def _taken(output: io.StringIO) -> bytes:
    """What was written since the last time. A text that is no valid Unicode is shown with `?`, not refused."""
    text = output.getvalue()
    output.seek(0)
    output.truncate()
    return text.encode("utf-8", errors="replace")


def gzip_chunks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks as one gzip file, which holds no time: the same content is the same file."""
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    for chunk in chunks:
        packed = packer.compress(chunk)
        if packed:
            yield packed
    yield packer.flush()


# --- workbooks -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sheet:
    name: str
    columns: Sequence[str]
    rows: Iterable[Row]


def write_xlsx(file: BinaryIO, sheets: Iterable[Sheet]) -> None:
    """Writes a workbook. What does not fit one sheet goes on in a sheet named like it, with a number. The file says no
    time: the same content is the same file."""
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    book = xlsxwriter.Workbook(file, options)
    try:
        book.set_properties({"created": _NO_TIME})
        formats = _Formats(book)
        for sheet in sheets:
            _write_sheet(book, sheet, formats)
    finally:
        book.close()


class _Formats:
    """The formats of a workbook, each made once."""

    def __init__(self, book: Any) -> None:
        self._book = book
        self._numbers: dict[int, Any] = {}
        self.heading = book.add_format({"bold": True})
        self.day = book.add_format({"num_format": "yyyy-mm-dd"})

    def number(self, decimals: int) -> Any:
        if decimals not in self._numbers:
            shown = f"0.{'0' * decimals}" if decimals else "0"
            self._numbers[decimals] = self._book.add_format({"num_format": shown})
        return self._numbers[decimals]


def _write_sheet(book: Any, sheet: Sheet, formats: _Formats) -> None:
    part, line, place = 1, 1, _started(book, sheet, 1, formats)
    for row in sheet.rows:
        if line == _MOST_ROWS:
            part, line = part + 1, 1
            place = _started(book, sheet, part, formats)
        for column, cell in enumerate(row):
            _write_cell(place, line, column, cell, formats)
        line += 1


def _started(book: Any, sheet: Sheet, part: int, formats: _Formats) -> Any:
    place = book.add_worksheet(sheet.name if part == 1 else f"{sheet.name} {part}")
    place.freeze_panes(1, 0)
    for column, name in enumerate(sheet.columns):
        place.set_column(column, column, max(10, min(len(name) + 2, 30)))
        place.write_string(0, column, name, formats.heading)
    return place


def _write_cell(place: Any, line: int, column: int, cell: Cell, formats: _Formats) -> None:
    match cell:
        case None | "":
            return
        case Number(text):
            number = Decimal(text)
            if is_exact_in_a_double(number):
                decimals = len(text.partition(".")[2])
                place.write_number(line, column, number, formats.number(decimals))
            else:
                place.write_string(line, column, text)
        case date():
            place.write_datetime(line, column, cell, formats.day)
        case _:
            plain = safe_text(cell).encode("utf-8", errors="replace").decode()
            place.write_string(line, column, plain[:_MOST_CHARACTERS])


def is_exact_in_a_double(number: Decimal) -> bool:
    """True where every program that keeps the number as a double shows the same digits again."""
    kept = number.normalize()
    return len(kept.as_tuple().digits) <= _EXACT_DIGITS and abs(kept.adjusted()) <= _EXACT_DIGITS if number else True
