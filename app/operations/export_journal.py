"""The books of a seller as entries in the order of their days: what it issued, and what was paid of it.

Each source is read in pages in the order of its own, and they are merged by day: an entry has the next number, so that
numbers have no gap and follow the days.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import groupby
from uuid import UUID

from sqlalchemy.engine import Connection

from app.documents import sales_journal
from app.documents.document_tables import issue_date
from app.documents.tables import csv_chunks
from app.domain.accounting import Journal
from app.domain.ids import public_id
from app.domain.journal import JournalEntry, MoneyMove, document_entry, money_entry
from app.domain.money import ZERO
from app.domain.payments import PaidTax, Payment
from app.domain.periods import local_date
from app.domain.tenants import Tenant
from app.operations.journal_sources import (
    Books,
    PaidMove,
    Progress,
    balance_moves,
    documents_issued,
    in_books,
    ledger_moves,
    paid_by_balance,
    payments_made,
)
from app.storage import credit_store, invoice_store
from app.storage.accounting_store import BalanceMove
from app.storage.database import Database
from app.storage.invoice_store import StoredInvoice


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
    sources = (
        _of_documents(database, books, progress), _of_balance(database, books), _of_payments(database, books),
        _of_ledger(database, books),
    )  # fmt: skip
    yield from heapq.merge(*sources, key=lambda entry: entry.day)


# --- documents --------------------------------------------------------------------------------------------------------


def _of_documents(database: Database, books: Books, progress: Progress) -> Iterator[JournalEntry]:
    for stored in documents_issued(database, books.filter, progress):
        invoice = stored.invoice
        piece_day = issue_date(invoice)
        assert invoice.issued_at is not None and piece_day is not None, "it is issued"
        entry = document_entry(
            invoice, books.chart, day=local_date(invoice.issued_at, books.zone), piece_day=piece_day,
            currency=books.currency,
        )  # fmt: skip
        if entry is not None:
            yield entry
        yield from _balance_split_anew(database, books, stored)


# --- prepaid balance --------------------------------------------------------------------------------------------------


def _of_balance(database: Database, books: Books) -> Iterator[JournalEntry]:
    """What prepaid balance paid: an advance of the buyer's becomes the payment of its invoice."""
    for _, found in groupby(balance_moves(database, books), key=lambda move: (move.place[:2], move.document_id)):
        moves = list(found)
        document, invoices, taxes = database.read(_reader(moves))
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
            moves=[MoneyMove(invoices[key].invoice, amount, taxes[key]) for key, amount in amounts.items()],
            tenant=document.invoice.buyer.key, name=document.invoice.buyer.name,
        )  # fmt: skip
        if entry is not None:
            yield entry


_Read = tuple[StoredInvoice | None, dict[UUID, StoredInvoice], dict[UUID, tuple[PaidTax, ...]]]


def _reader(moves: list[BalanceMove]) -> Callable[[Connection], _Read]:
    """Reads the document, the invoices that the moves pay, and what of their VAT is paid with it."""
    at, tenant_id = moves[0].place[0], moves[0].tenant_id

    def read(connection: Connection) -> _Read:
        found = {id: invoice_store.find(connection, tenant_id, id) for id in {move.invoice_id for move in moves}}
        invoices = {id: stored for id, stored in found.items() if stored is not None}
        taxes = {id: paid_by_balance(connection, stored).get(at, ()) for id, stored in invoices.items()}
        return invoice_store.find(connection, tenant_id, moves[0].document_id), invoices, taxes

    return read


def _balance_split_anew(database: Database, books: Books, note: StoredInvoice) -> Iterator[JournalEntry]:
    """What a credit note changes of the VAT that balance has paid of its invoice, where no balance goes back."""
    tenant_id, invoice_id, at = note.place.tenant_id, note.place.credits_id, note.invoice.issued_at
    if invoice_id is None or at is None or note.invoice.seller.vat_regime != "on_payment":
        return

    def read(connection: Connection) -> tuple[StoredInvoice | None, tuple[PaidTax, ...]]:
        stored = invoice_store.find(connection, tenant_id, invoice_id)
        if stored is None:
            return None, ()
        uses = credit_store.of_invoice(connection, tenant_id, invoice_id, kind="prepaid")
        if any(use.created_at == at for use in uses):
            return None, ()  # the entry of what goes back says it
        return stored, paid_by_balance(connection, stored).get(at, ())

    stored, tax = database.read(read)
    piece_day = issue_date(note.invoice)
    if stored is None or not tax or piece_day is None:
        return
    entry = money_entry(
        "miscellaneous", books.chart, day=local_date(at, books.zone), piece=note.invoice.number, piece_day=piece_day,
        label=f"TVA sur encaissement {note.invoice.number}", currency=books.currency, received=ZERO,
        moves=[MoneyMove(stored.invoice, ZERO, tax)], tenant=note.invoice.buyer.key, name=note.invoice.buyer.name,
    )  # fmt: skip
    if entry is not None:
        yield entry


# --- payments ---------------------------------------------------------------------------------------------------------


def _of_payments(database: Database, books: Books) -> Iterator[JournalEntry]:
    """Money that came in, and what it paid on that day."""
    for payer, payment, moves in payments_made(database, books):
        entry = _payment_entry(books, "bank", payer, payment, payment.paid_on, payment.amount, moves)
        if entry is not None:
            yield entry


def _of_ledger(database: Database, books: Books) -> Iterator[JournalEntry]:
    """What money on account paid later, what came back to it, and what went back to the payer."""
    for payer, payment, moves in ledger_moves(database, books):
        sent = sum((move.entry.amount for move in moves if move.entry.kind in ("reversal", "refund")), ZERO)
        journal: Journal = "bank" if sent else "miscellaneous"
        entry = _payment_entry(books, journal, payer, payment, moves[0].entry.booked_on, -sent, moves)
        if entry is not None:
            yield entry


def _payment_entry(
    books: Books, journal: Journal, payer: Tenant, payment: Payment, day: date, received: Decimal,
    moves: Sequence[PaidMove],
) -> JournalEntry | None:  # fmt: skip
    piece = payment.reference or payment.external_id or public_id("pay", payment.tenant_id, payment.payment_id)
    titles = {"reversal": "Rejet", "refund": "Remboursement", "release": "Annulation d'imputation"}
    title = next((titles[move.entry.kind] for move in reversed(moves) if move.entry.kind in titles), "Règlement")
    return money_entry(
        journal, books.chart, day=day, piece=piece, piece_day=payment.paid_on, label=f"{title} {payer.name}",
        currency=books.currency, received=received, tenant=payer.key, name=payer.name,
        moves=[
            MoneyMove(move.invoice, move.entry.amount, move.entry.tax) for move in moves if move.invoice is not None
        ],
    )  # fmt: skip
