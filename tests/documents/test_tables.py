"""Long tables as files: nothing rounded, no text taken for a formula, memory that does not grow with the rows."""

from __future__ import annotations

import csv
import gzip
import io
import time
import tracemalloc
import zipfile
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import openpyxl  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.documents import tables
from app.documents.tables import Number, Row, Sheet, csv_chunks, gzip_chunks, is_exact_in_a_double, write_xlsx
from app.domain.money import plain

NUMBERS = st.decimals(min_value=-(10**17), max_value=10**17, places=12, allow_nan=False, allow_infinity=False)


def workbook(*sheets: Sheet) -> Any:
    file = io.BytesIO()
    write_xlsx(file, sheets)
    return openpyxl.load_workbook(file)


def test_a_table_is_read_back_from_csv_as_it_was() -> None:
    rows: list[Row] = [('Énergie, "heures"', Number("-1234.50"), date(2026, 11, 1), None)]
    content = b"".join(csv_chunks(("text", "number", "day", "nothing"), rows)).decode()
    assert list(csv.reader(io.StringIO(content))) == [
        ["text", "number", "day", "nothing"],
        ['Énergie, "heures"', "-1234.50", "2026-11-01", ""],
    ]
    assert content.endswith("\r\n")


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "@SUM(A1)", "-2", "\t=1", "＝1"])
def test_a_text_is_a_formula_in_no_file(text: str) -> None:
    """Names and descriptions are chosen by others; a number is none of them: -2.00 stays a number."""
    rows: list[Row] = [(text, Number("-2.00"))]
    (_, cells) = csv.reader(io.StringIO(b"".join(csv_chunks(("a", "b"), rows)).decode(), newline=""))
    assert cells == [f"'{text}", "-2.00"]
    text_cell, number_cell = workbook(Sheet("Rows", ("a", "b"), rows)).active[2]
    assert (text_cell.data_type, text_cell.value) == ("s", f"'{text}")
    assert (number_cell.data_type, number_cell.value) == ("n", -2)


@given(st.lists(NUMBERS, min_size=1, max_size=20))
def test_a_number_in_a_workbook_has_the_digits_that_it_had(numbers: list[Decimal]) -> None:
    """0.1 + 0.2 is no 0.30000000000000004: what a double cannot show again stands there as text."""
    cells = [Number(plain(number)) for number in numbers]
    found = workbook(Sheet("Numbers", ("number",), [(cell,) for cell in cells])).active
    for number, (cell,) in zip(numbers, found.iter_rows(min_row=2), strict=True):
        assert Decimal(repr(cell.value) if cell.data_type == "n" else cell.value) == number
        assert (cell.data_type == "n") == is_exact_in_a_double(number)


def test_an_amount_is_a_number_with_the_decimals_of_its_currency() -> None:
    sheet = workbook(Sheet("A", ("a", "b", "c", "d"), [
        (Number("1234.50"), Number("980"), Number("0.000000041667"), Number("12345678901234.56"))
    ])).active  # fmt: skip
    assert [(cell.data_type, cell.value, cell.number_format) for cell in sheet[2]] == [
        ("n", 1234.5, "0.00"), ("n", 980, "0"), ("n", 4.1667e-08, "0.000000000000"),
        ("s", "12345678901234.56", "General"),
    ]  # fmt: skip


def test_a_date_is_a_date_and_nothing_is_an_empty_cell() -> None:
    sheet = workbook(Sheet("A", ("day", "nothing", "empty"), [(date(2026, 2, 28), None, "")])).active
    day, nothing, empty = sheet[2]
    assert (day.value.date(), day.number_format) == (date(2026, 2, 28), "yyyy-mm-dd")
    assert (nothing.value, empty.value) == (None, None)


def test_what_does_not_fit_one_sheet_goes_on_in_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven rows in sheets of three and a heading: 3, 3 and 1."""
    monkeypatch.setattr(tables, "_MOST_ROWS", 4)
    book = workbook(Sheet("Rows", ("n",), [(Number(str(n)),) for n in range(7)]))
    assert book.sheetnames == ["Rows", "Rows 2", "Rows 3"]
    values = [[row[0].value for row in book[name].iter_rows()] for name in book.sheetnames]
    assert values == [["n", 0, 1, 2], ["n", 3, 4, 5], ["n", 6]]


def test_a_compressed_file_is_the_same_each_time() -> None:
    rows: list[Row] = [(str(n),) for n in range(2000)]
    first, second = (b"".join(gzip_chunks(csv_chunks(("n",), rows))) for _ in range(2))
    assert first == second
    assert gzip.decompress(first) == b"".join(csv_chunks(("n",), rows))


def test_a_hundred_thousand_rows_need_little_memory() -> None:
    """20 MB of CSV and a workbook of them are made in less than 8 MB."""

    def rows() -> Iterator[Row]:
        return ((f"row {n}", "x" * 180, Number(f"{n}.25")) for n in range(100_000))

    tracemalloc.start()
    try:
        size = sum(len(chunk) for chunk in csv_chunks(("a", "b", "c"), rows()))
        _, of_csv = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size > 19_000_000
    assert of_csv < 8_000_000


def test_a_workbook_is_the_same_each_time() -> None:
    files = [io.BytesIO(), io.BytesIO()]
    for file in files:
        write_xlsx(file, [Sheet("Rows", ("a",), [("once", Number("1.50"))])])
        time.sleep(1.1)  # a file that says when it was made says so to the second
    assert files[0].getvalue() == files[1].getvalue()


def test_a_workbook_has_nothing_of_another_file() -> None:
    """No shared strings: each row is written and forgotten."""
    file = io.BytesIO()
    write_xlsx(file, [Sheet("Rows", ("a",), [("once",), ("once",)])])
    with zipfile.ZipFile(file) as packed:
        assert packed.read("xl/worksheets/sheet1.xml").count(b"<t>once</t>") == 2
