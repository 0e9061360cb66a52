"""Bank statements as CSV -> domain values, by a mapping from what is needed to the columns of the file.

    {"date": "Date opération", "amount": "Montant", "text": ["Libellé", "Détail"], "name": "Tiers", "currency": "EUR",
     "decimal": ",", "date_format": "%d/%m/%Y"}

`currency` and `account` may be a column or the value itself. Instead of `amount` there may be `credit` and `debit`.
What the mapping leaves out is found by the usual names of columns. The delimiter, the decimal sign and the form of
dates are seen from the file where they can be; where a file can be read in two ways, it is refused and the mapping has
to say.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from app.domain.bank import BankEntry, BankStatement, Direction
from app.domain.errors import FieldProblem, InvalidInput
from app.domain.money import CURRENCY_DECIMALS, ZERO, plain
from app.wire.parsing import Fields

COLUMNS: dict[str, tuple[str, ...]] = {
    "date": (
        "date", "booked_on", "booking date", "book date", "transaction date", "operation date", "date opération",
        "date operation", "date de l'opération", "date comptable", "buchungstag", "buchungsdatum",
    ),
    "value_date": ("value_date", "value date", "date valeur", "date de valeur", "valuta", "wertstellung"),
    "amount": ("amount", "montant", "betrag", "umsatz"),
    "credit": ("credit", "crédit", "haben", "paid in", "money in"),
    "debit": ("debit", "débit", "soll", "paid out", "money out"),
    "currency": ("currency", "ccy", "devise", "währung", "waehrung"),
    "name": (
        "name", "counterparty", "counterparty name", "payer", "debtor", "partner", "nom", "tiers", "donneur d'ordre",
        "auftraggeber", "auftraggeber/empfänger", "zahlungspflichtiger",
    ),
    "text": (
        "text", "description", "remittance", "remittance information", "details", "memo", "purpose", "label", "libellé",
        "libelle", "communication", "verwendungszweck",
    ),
    "reference": ("reference", "ref", "référence", "structured reference", "creditor reference", "referenz"),
    "bank_reference": ("bank_reference", "bank reference", "transaction id", "entry reference", "id"),
    "end_to_end_id": ("end_to_end_id", "end-to-end id", "end to end id", "endtoendid", "e2e"),
    "counterparty_account": ("counterparty_account", "counterparty account", "counterparty iban", "payer iban"),
    "account": ("account", "own account", "compte", "konto"),
}  # fmt: skip
"""What may be taken from a column, and the names by which a column is found that the mapping does not name."""
DELIMITERS = (",", ";", "\t", "|")
DECIMALS = (".", ",")
MAX_SKIPPED = 100
MAX_ROWS = 100_000
MAX_TEXT = 1000

_SPACES = re.compile(r"[\s\u00a0\u202f']")
_FORMATS = ("%Y-%m-%d", "%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y", "%Y%m%d", "%Y/%m/%d", "%d/%m/%y", "%d.%m.%y")


@dataclass(frozen=True, slots=True)
class CsvMapping:
    """How to read a file; `columns` are names of columns, or for currency and account the value itself."""

    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    delimiter: str = ""
    decimal: str = ""
    date_format: str = ""
    skip_lines: int = 0


def mapping_from_wire(body: Any, pointer: str = "#") -> CsvMapping:
    """Raises InvalidInput with every fault."""
    fields = Fields(body, pointer)
    mapping = read_mapping(fields)
    fields.finish()
    return mapping


def read_mapping(fields: Fields) -> CsvMapping:
    """The mapping of an object that is being read; its faults are noted there."""
    columns: dict[str, tuple[str, ...]] = {}
    for name in COLUMNS:
        if isinstance(fields.raw(name), list):
            given = [item for item in fields.items(name) if isinstance(item, str) and item.strip()]
            if len(given) < len(fields.items(name)):
                fields.problem(name, "must be names of columns")
            columns[name] = tuple(given)
        elif fields.has(name):
            columns[name] = (fields.text(name),)
    mapping = CsvMapping(
        columns, str(fields.raw("delimiter") or ""), fields.choice("decimal", ("", *DECIMALS), default=""),
        fields.optional_text("date_format", max_length=40) or "",
        fields.optional_integer("skip_lines", least=0, most=MAX_SKIPPED) or 0,
    )  # fmt: skip
    if mapping.delimiter and mapping.delimiter not in DELIMITERS:
        fields.problem("delimiter", "must be a comma, a semicolon, a tab or a bar")
    return mapping


def statement_from_csv(content: bytes, mapping: CsvMapping, *, currency: str) -> BankStatement:
    """The entries of a file; `currency` where it says none. Raises InvalidInput with every row that is at fault."""
    header, rows = _table(content, mapping)
    reader = _Reader(header, mapping, currency)
    reader.learn(rows)
    problems: list[FieldProblem] = []
    entries: list[BankEntry] = []
    for number, row in enumerate(rows, 1):
        try:
            entry = reader.entry(row)
        except ValueError as error:
            problems.append(FieldProblem(f"#/rows/{number}", str(error)))
            continue
        if entry is not None:
            entries.append(entry)
    if problems:
        raise InvalidInput(f"Row {problems[0].pointer[7:]}: {problems[0].detail}", problems=tuple(problems))
    accounts = {entry.account for entry in entries}
    return BankStatement("", accounts.pop() if len(accounts) == 1 else "", tuple(entries))


def _table(content: bytes, mapping: CsvMapping) -> tuple[list[str], list[list[str]]]:
    text = _text(content)
    lines = text.splitlines(keepends=True)[mapping.skip_lines :]
    delimiter = mapping.delimiter or _delimiter(lines[0] if lines else "")
    try:
        table = [row for row in csv.reader(io.StringIO("".join(lines), newline=""), delimiter=delimiter) if any(row)]
    except csv.Error as error:
        raise InvalidInput.at("#", f"is no CSV: {error}") from error
    if not table:
        raise InvalidInput.at("#", "has no line with the names of its columns")
    if len(table) > MAX_ROWS:
        raise InvalidInput.at("#", f"has more than {MAX_ROWS} rows")
    return [name.strip() for name in table[0]], table[1:]


def _text(content: bytes) -> str:
    """UTF-8, or what banks of Western Europe write where it is not."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def _delimiter(line: str) -> str:
    return max(DELIMITERS, key=line.count)


class _Reader:
    """Reads rows by a mapping that is completed from the header."""

    def __init__(self, header: Sequence[str], mapping: CsvMapping, currency: str) -> None:
        self._mapping = mapping
        self._at = {name.casefold(): index for index, name in enumerate(header)}
        self._fixed = {"currency": currency, "account": ""}
        self._columns: dict[str, list[int]] = {}
        self._decimal = mapping.decimal
        self._format = mapping.date_format
        for name, usual in COLUMNS.items():
            self._columns[name] = self._found(name, usual)
        self._check()

    def _found(self, name: str, usual: Sequence[str]) -> list[int]:
        wanted = self._mapping.columns.get(name)
        if wanted is None:
            return [self._at[other] for other in usual if other in self._at][:1]
        missing = [other for other in wanted if other.casefold() not in self._at]
        if name in self._fixed and len(wanted) == 1 and missing:
            self._fixed[name] = wanted[0].replace(" ", "").upper()
            return []
        if missing:
            raise InvalidInput.at(f"#/mapping/{name}", f"the file has no column {missing[0]!r}")
        return [self._at[other.casefold()] for other in wanted]

    def _check(self) -> None:
        if not self._columns["date"]:
            raise InvalidInput.at("#/mapping/date", "say which column has the date")
        if self._columns["amount"]:
            return
        if not (self._columns["credit"] or self._columns["debit"]):
            raise InvalidInput.at("#/mapping/amount", "say which column has the amount, or which the credit and debit")

    def learn(self, rows: Sequence[Sequence[str]]) -> None:
        """Sees from the whole file what the decimal sign and the form of its dates are."""
        if not self._decimal:
            texts = [self._cell(row, name) for row in rows for name in ("amount", "credit", "debit")]
            self._decimal = decimal_sign(texts)
        if not self._format:
            self._format = date_form([self._cell(row, "date") for row in rows])

    def _cell(self, row: Sequence[str], name: str) -> str:
        cells = (row[index].strip() for index in self._columns[name] if index < len(row))
        return " ".join(" ".join(cell.split()) for cell in cells if cell)[:MAX_TEXT]

    def entry(self, row: Sequence[str]) -> BankEntry | None:
        """None for a row without an amount, or of nothing. Raises ValueError with a sentence."""
        amount = self._amount(row)
        if not amount:
            return None
        currency = (self._cell(row, "currency") or self._fixed["currency"]).upper()
        if currency not in CURRENCY_DECIMALS:
            raise ValueError(f"{currency!r} is not the code of a currency")
        if amount != round(amount, CURRENCY_DECIMALS[currency]):
            raise ValueError(f"{plain(amount)} has more decimals than {currency}")
        direction: Direction = "credit" if amount > 0 else "debit"
        value = self._cell(row, "value_date")
        reference = self._cell(row, "reference")
        return BankEntry(
            (self._cell(row, "account") or self._fixed["account"]).replace(" ", "").upper(),
            self._day(self._cell(row, "date")), abs(amount), currency, direction, self._day(value) if value else None,
            self._cell(row, "bank_reference"), end_to_end_id=self._cell(row, "end_to_end_id"),
            name=self._cell(row, "name"),
            counterparty_account=self._cell(row, "counterparty_account").replace(" ", "").upper(),
            references=(reference,) if reference else (), text=self._cell(row, "text"),
        )  # fmt: skip

    def _amount(self, row: Sequence[str]) -> Decimal:
        if self._columns["amount"]:
            return read_amount(self._cell(row, "amount"), self._decimal)
        credit, debit = (read_amount(self._cell(row, name), self._decimal) for name in ("credit", "debit"))
        if credit and debit:
            raise ValueError("has a credit and a debit")
        return abs(credit) - abs(debit)

    def _day(self, text: str) -> date:
        try:
            return datetime.strptime(text[:10] if self._format == "%Y-%m-%d" else text, self._format).date()  # noqa: DTZ007
        except ValueError:
            raise ValueError(f"{text!r} is not a date of the form {self._format}") from None


def read_amount(text: str, decimal: str) -> Decimal:
    """The amount of a text: "1 234,56 €" and "-1.234,56" with a decimal comma, "1'234.56" with a point, "(5.00)" and
    "5.00-" below zero; 0 where there is none. Raises ValueError."""
    bare = _SPACES.sub("", text)
    bare = re.sub(r"^[A-Z]{3}|[A-Z]{3}$|[€$£]", "", bare).replace("\u2212", "-")
    if not bare:
        return ZERO
    negative = bare.startswith("-") or bare.endswith("-") or (bare.startswith("(") and bare.endswith(")"))
    digits = bare.strip("-+()")
    other = "." if decimal == "," else ","
    digits = digits.replace(other, "").replace(decimal, ".") if decimal else digits
    if not re.fullmatch(r"[0-9]{1,18}(\.[0-9]{1,6})?", digits, re.ASCII):
        raise ValueError(f"{text[:60]!r} is not an amount")
    amount = Decimal(digits)
    return -amount if negative else amount


def decimal_sign(texts: Sequence[str]) -> str:
    """The decimal sign of a file's amounts; '' where none has any. Raises InvalidInput where it might be either.

    The last of two different signs is the decimal one, and so is one that is followed by other than three digits.
    """
    open_: set[str] = set()
    for text in texts:
        bare = re.sub(r"[^0-9.,]", "", text)
        signs = [sign for sign in bare if sign in DECIMALS]
        if not signs:
            continue
        if len(set(signs)) == 2 or (len(signs) == 1 and len(bare.rpartition(signs[-1])[2]) != 3):
            return signs[-1]
        if len(signs) > 1:
            return "." if signs[-1] == "," else ","
        open_.add(signs[0])
    if open_:
        detail = f"say whether the decimal sign is a point or a comma: {min(open_)!r} may be either"
        raise InvalidInput.at("#/mapping/decimal", detail)
    return ""


def date_form(texts: Sequence[str]) -> str:
    """The first usual form, days before months, in which all dates of a file can be read."""
    told = [text for text in texts if text]
    for form in _FORMATS:
        if all(_fits(text[:10] if form == "%Y-%m-%d" else text, form) for text in told):
            return form
    raise InvalidInput.at("#/mapping/date_format", f"say the form of dates such as {told[0][:30]!r}: %d/%m/%Y")


def _fits(text: str, form: str) -> bool:
    try:
        datetime.strptime(text, form)  # noqa: DTZ007 - a local day
    except ValueError:
        return False
    return True
