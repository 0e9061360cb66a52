"""What does a journal look like as an accounting file (FEC, article A47 A-1 of the LPF)?

18 columns, one row for each posting; days are written 20261130, amounts 1234,50. An entry has the next number, so that
numbers have no gap and follow the days. The text form is separated by tabs (or by `|`) and holds no separator in a
text; the CSV form is an ordinary table of the same cells.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal

from app.documents.csv_cells import safe_text
from app.documents.tables import Row
from app.domain.accounting import ChartOfAccounts
from app.domain.journal import JournalEntry
from app.domain.money import amount_text

COLUMNS = (
    "JournalCode", "JournalLib", "EcritureNum", "EcritureDate", "CompteNum", "CompteLib", "CompAuxNum", "CompAuxLib",
    "PieceRef", "PieceDate", "EcritureLib", "Debit", "Credit", "EcritureLet", "DateLet", "ValidDate", "Montantdevise",
    "Idevise",
)  # fmt: skip
_SEPARATING = re.compile(r"[\t|\r\n\x00-\x1f]+")
_CHUNK_ROWS = 500


def journal_rows(entries: Iterable[JournalEntry], chart: ChartOfAccounts, *, first: int = 1) -> Iterator[Row]:
    """The rows of COLUMNS, entries numbered from `first`."""
    for number, entry in enumerate(entries, first):
        named, day = chart.journals[entry.journal], _day(entry.day)
        for posting in entry.postings:
            foreign = "" if posting.foreign is None else _amount(posting.foreign, entry.foreign_currency)
            yield (
                named.code, _one_line(named.name), str(number), day, posting.account,
                _one_line(chart.name(posting.account)), posting.auxiliary, _one_line(posting.auxiliary_name),
                entry.piece, _day(entry.piece_day), _one_line(entry.label),
                _amount(posting.debit, entry.currency), _amount(posting.credit, entry.currency), "", "", day, foreign,
                entry.foreign_currency if foreign else "",
            )  # fmt: skip


def text_chunks(rows: Iterable[Row], *, separator: str) -> Iterator[bytes]:
    """The file that tax offices and accounting programs read, in UTF-8."""
    lines = [separator.join(COLUMNS)]
    for row in rows:
        lines.append(separator.join(safe_text(str(cell)) for cell in row))
        if len(lines) >= _CHUNK_ROWS:
            yield _joined(lines)
            lines = []
    yield _joined(lines)


def journal_file_name(siren: str, last_day: date) -> str:
    """<SIREN>FEC<the last day>, without its ending; a seller without SIREN has none in it."""
    digits = re.sub(r"\s", "", siren)
    return f"{digits if re.fullmatch(r'[0-9]{9}', digits) else ''}FEC{_day(last_day)}"


def _joined(lines: list[str]) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode("utf-8", errors="replace")


def _one_line(text: str) -> str:
    """Without what separates rows and columns."""
    return _SEPARATING.sub(" ", text)


def _day(day: date) -> str:
    return day.strftime("%Y%m%d")


def _amount(amount: Decimal, currency: str) -> str:
    return amount_text(amount, currency).replace(".", ",")
