"""The books of a seller as entries in the order of their days: what it issued, and what was paid of it.

Each source is read in pages in the order of its own, and they are merged by day: an entry has the next number, so that
numbers have no gap and follow the days.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.engine import Connection

from app.documents import sales_journal
from app.documents.document_tables import issue_date
from app.documents.tables import csv_chunks
from app.domain.accounting import ChartOfAccounts
from app.domain.callers import Caller
from app.domain.errors import InvalidInput, NotFound
from app.domain.exports import Bound, ExportFilter
from app.domain.invoices import Invoice
from app.domain.journal import JournalEntry, MoneyMove, document_entry, money_entry
from app.domain.money import ZERO, round_amount
from app.domain.periods import local_date, start_of_day
from app.domain.tenants import Tenant
from app.operations.resolve_tenant import tenant_seen_by
from app.storage import accounting_store, export_store, invoice_store, tenant_store
from app.storage.accounting_store import BalanceMove, MovePlace
from app.storage.database import Database
from app.storage.export_store import Place
from app.storage.invoice_store import StoredInvoice

_PAGE = 200
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class JournalWish:
    """The books of a seller ('' for the operator), of the days in [start, end), in one currency ('' for the seller's:
    then documents in others are in them by the rate that they say)."""

    start: Bound | None = None
    end: Bound | None = None
    seller: str = ""
    currency: str = ""
    first_number: int = 1


@dataclass(frozen=True, slots=True)
class Books:
    """Whose entries are asked for, and what of them."""

    seller: Tenant
    chart: ChartOfAccounts
    currency: str
    filter: ExportFilter
    first_number: int

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.seller.time_zone)


def open_journal(database: Database, wish: JournalWish, caller: Caller, chart: ChartOfAccounts) -> Books:
    """Raises NotFound where there is no such seller (for a bound key: but its own tenant), and InvalidInput where the
    end is not after the start, or the seller issued documents in another currency that say no rate."""
    return database.read(lambda connection: _books(connection, wish, caller, chart))


def _books(connection: Connection, wish: JournalWish, caller: Caller, chart: ChartOfAccounts) -> Books:
    seller = _seller(connection, wish, caller)
    zone = ZoneInfo(seller.time_zone)
    start, end = _instant(wish.start, zone), _instant(wish.end, zone)
    if start is not None and end is not None and end <= start:
        raise InvalidInput.at("to", "to must lie after from")
    currency = wish.currency or seller.currency
    if not wish.currency:
        others = accounting_store.currencies_without_rate(connection, seller.tenant_id, currency, start=start, end=end)
        if others:
            raise InvalidInput.at(
                "currency", f"there are documents in {', '.join(others)} without a rate: name one currency"
            )
    wanted = ExportFilter(start, end, currency=wish.currency or None, seller_id=seller.tenant_id)
    return Books(seller, chart, currency, wanted, wish.first_number)


def _seller(connection: Connection, wish: JournalWish, caller: Caller) -> Tenant:
    key = wish.seller or caller.tenant_key
    if key:
        return tenant_seen_by(connection, caller, key)
    seller = tenant_store.operator(connection)
    if seller is None:
        raise NotFound("No tenant is the operator, so there is no seller.")
    return seller


def _instant(bound: Bound | None, zone: ZoneInfo) -> datetime | None:
    return bound if bound is None or isinstance(bound, datetime) else start_of_day(bound, zone)


def journal_name(books: Books, *, today: date) -> str:
    """The file's name without its ending: the seller's SIREN, FEC, the last day that is asked for."""
    end = books.filter.issued_to
    last = today if end is None else min(today, local_date(end, books.zone) - timedelta(days=1))
    return sales_journal.journal_file_name("" if books.seller.legal is None else books.seller.legal.registration, last)


def journal_chunks(
    database: Database, books: Books, format: str, *, separator: str = "\t",
    progress: Progress = lambda _documents: None,
) -> Iterator[bytes]:  # fmt: skip
    """The chunks of the file: `txt` in the layout that the tax office reads, or `csv`."""
    entries = journal_entries(database, books, progress=progress)
    rows = sales_journal.journal_rows(entries, books.chart, first=books.first_number)
    if format == "csv":
        return csv_chunks(sales_journal.COLUMNS, rows)
    return sales_journal.text_chunks(rows, separator=separator)


def journal_entries(
    database: Database, books: Books, *, progress: Progress = lambda _documents: None
) -> Iterator[JournalEntry]:
    """Every entry, by day; of one day documents first, in order of issue."""
    sources = (_of_documents(database, books, progress), _of_balance(database, books))
    yield from heapq.merge(*sources, key=lambda entry: entry.day)


# --- documents --------------------------------------------------------------------------------------------------------


def _of_documents(database: Database, books: Books, progress: Progress) -> Iterator[JournalEntry]:
    after: Place | None = None
    while True:
        place = after

        def read(connection: Connection, place: Place | None = place) -> list[StoredInvoice]:
            return export_store.issued_page(connection, books.filter, after=place, limit=_PAGE)

        page = database.read(read)
        for stored in page:
            invoice = stored.invoice
            piece_day = issue_date(invoice)
            assert invoice.issued_at is not None and piece_day is not None, "it is issued"
            entry = document_entry(
                invoice, books.chart, day=local_date(invoice.issued_at, books.zone), piece_day=piece_day,
                currency=books.currency,
            )  # fmt: skip
            if entry is not None:
                yield entry
        progress(len(page))
        if len(page) < _PAGE:
            return
        after = export_store.place_of(page[-1])


# --- prepaid balance --------------------------------------------------------------------------------------------------


def _of_balance(database: Database, books: Books) -> Iterator[JournalEntry]:
    """What prepaid balance paid: an advance of the buyer's becomes the payment of its invoice."""
    for _, found in groupby(_balance_moves(database, books), key=lambda move: (move.place[:2], move.document_id)):
        moves = list(found)
        read = _reader(moves)
        document, invoices = database.read(read)
        if document is None or (books.filter.currency or document.invoice.currency) != document.invoice.currency:
            continue
        amounts = dict.fromkeys(invoices, ZERO)
        for move in moves:
            amounts[move.invoice_id] += in_books(move.amount, invoices[move.invoice_id].invoice, books)
        piece_day = issue_date(document.invoice)
        assert piece_day is not None, "it is issued"
        entry = money_entry(
            "miscellaneous", books.chart, day=local_date(moves[0].place[0], books.zone), piece=document.invoice.number,
            piece_day=piece_day, label=f"Avance imputée {document.invoice.number} {document.invoice.buyer.name}",
            currency=books.currency, received=ZERO,
            moves=[MoneyMove(invoices[key].invoice, amount, ()) for key, amount in amounts.items()],
            tenant=document.invoice.buyer.key, name=document.invoice.buyer.name,
        )  # fmt: skip
        if entry is not None:
            yield entry


def in_books(amount: Decimal, invoice: Invoice, books: Books) -> Decimal:
    """An amount in the document's currency as the books have it: by the rate that the document says."""
    if invoice.currency == books.currency:
        return amount
    assert invoice.accounting_tax is not None, "what has no rate is not asked for"
    return round_amount(amount * invoice.accounting_tax.rate, books.currency)


def _reader(moves: list[BalanceMove]) -> Callable[[Connection], tuple[StoredInvoice | None, dict[Any, StoredInvoice]]]:
    tenant_id = moves[0].tenant_id

    def read(connection: Connection) -> tuple[StoredInvoice | None, dict[Any, StoredInvoice]]:
        found = {id: invoice_store.find(connection, tenant_id, id) for id in {move.invoice_id for move in moves}}
        document = invoice_store.find(connection, tenant_id, moves[0].document_id)
        return document, {id: stored for id, stored in found.items() if stored is not None}

    return read


def _balance_moves(database: Database, books: Books) -> Iterator[BalanceMove]:
    after: MovePlace | None = None
    while True:
        place = after

        def read(connection: Connection, place: MovePlace | None = place) -> list[BalanceMove]:
            return accounting_store.balance_moves(
                connection, books.seller.tenant_id, start=books.filter.issued_from, end=books.filter.issued_to,
                after=place, limit=_PAGE,
            )  # fmt: skip

        page = database.read(read)
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1].place
