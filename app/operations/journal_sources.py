"""What the books of a seller are made of, in the order of its days: documents, prepaid balance, payments. Shared by the
journal and the month-end.

Each source is read in pages, each page in a transaction of its own, and forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.engine import Connection

from app.domain.accounting import ChartOfAccounts
from app.domain.callers import Caller
from app.domain.errors import InvalidInput, NotFound
from app.domain.exports import Bound, ExportFilter
from app.domain.invoices import Invoice
from app.domain.journal import awaiting_payment
from app.domain.money import ZERO, round_amount
from app.domain.payments import PaidTax, Payment, PaymentEntry, less, owed_tax, split_paid
from app.domain.periods import local_date, start_of_day
from app.domain.tenants import Tenant
from app.operations.resolve_tenant import tenant_seen_by
from app.storage import accounting_store, credit_store, export_store, invoice_store, payment_store, tenant_store
from app.storage.accounting_store import BalanceMove, LedgerPlace, MovePlace, PaymentPlace
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

    @property
    def days(self) -> tuple[date | None, date | None]:
        """The seller's days of what is asked for, the last exclusive; an instant within a day is all of that day."""
        start, end = self.filter.issued_from, self.filter.issued_to
        last = None if end is None else local_date(end - timedelta(microseconds=1), self.zone) + timedelta(days=1)
        return None if start is None else local_date(start, self.zone), last


def open_journal(database: Database, wish: JournalWish, caller: Caller, chart: ChartOfAccounts) -> Books:
    """Raises NotFound where there is no such seller (for a bound key: but its own tenant), and InvalidInput where the
    end is not after the start, or the seller issued documents in another currency that say no rate."""
    return database.read(lambda connection: _books(connection, wish, caller, chart))


def _books(connection: Connection, wish: JournalWish, caller: Caller, chart: ChartOfAccounts) -> Books:
    seller = seller_of(connection, wish.seller, caller)
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


def seller_of(connection: Connection, named: str, caller: Caller) -> Tenant:
    """The tenant of that key; without one the tenant that the caller is bound to, else the operator. Raises
    NotFound."""
    key = named or caller.tenant_key
    if key:
        return tenant_seen_by(connection, caller, key)
    seller = tenant_store.operator(connection)
    if seller is None:
        raise NotFound("No tenant is the operator, so there is no seller.")
    return seller


def _instant(bound: Bound | None, zone: ZoneInfo) -> datetime | None:
    return bound if bound is None or isinstance(bound, datetime) else start_of_day(bound, zone)


def in_books(amount: Decimal, invoice: Invoice, books: Books) -> Decimal:
    """An amount in the document's currency as the books have it: by the rate that the document says."""
    if invoice.currency == books.currency:
        return amount
    assert invoice.accounting_tax is not None, "what has no rate is not asked for"
    return round_amount(amount * invoice.accounting_tax.rate, books.currency)


# --- documents --------------------------------------------------------------------------------------------------------


def documents_issued(
    database: Database, wanted: ExportFilter, progress: Progress = lambda _documents: None
) -> Iterator[StoredInvoice]:
    """The documents in order of issue."""
    after: Place | None = None
    while True:
        place = after

        def read(connection: Connection, place: Place | None = place) -> list[StoredInvoice]:
            return export_store.issued_page(connection, wanted, after=place, limit=_PAGE)

        page = database.read(read)
        yield from page
        progress(len(page))
        if len(page) < _PAGE:
            return
        after = export_store.place_of(page[-1])


# --- prepaid balance --------------------------------------------------------------------------------------------------


def paid_by_balance(connection: Connection, stored: StoredInvoice) -> dict[datetime, tuple[PaidTax, ...]]:
    """By the instant: what of the invoice's VAT groups prepaid balance paid from then on (below 0: no more). A credit
    note changes it too, as it lowers what is owed of each group."""
    place = stored.place
    if not awaiting_payment(stored.invoice):
        return {}
    uses = credit_store.of_invoice(connection, place.tenant_id, place.invoice_id, kind="prepaid")
    if not uses:
        return {}
    notes = invoice_store.notes_on(connection, place.tenant_id, place.invoice_id)
    instants = {use.created_at for use in uses} | {note.invoice.issued_at for note in notes if note.invoice.issued_at}
    held: tuple[PaidTax, ...] = ()
    found: dict[datetime, tuple[PaidTax, ...]] = {}
    for at in sorted(instants):
        credited = [group for note in notes if (note.invoice.issued_at or at) <= at for group in note.invoice.tax]
        used = sum((use.amount for use in uses if use.created_at <= at), ZERO)
        target = split_paid(owed_tax(stored.invoice.tax, credited), used, stored.invoice.currency)
        found[at], held = less(target, held), target
    return {at: tax for at, tax in found.items() if tax}


def balance_moves(database: Database, books: Books) -> Iterator[BalanceMove]:
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


# --- payments ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PaidMove:
    """An entry of a payer's ledger with the invoice that it is about."""

    entry: PaymentEntry
    invoice: Invoice | None


def payments_made(database: Database, books: Books) -> Iterator[tuple[Tenant, Payment, list[PaidMove]]]:
    """Each payment of the days asked for, by day, with its payer and what it paid on that day."""
    start, end = books.days
    after: PaymentPlace | None = None
    while True:
        place = after

        def read(connection: Connection, place: PaymentPlace | None = place) -> list[Any]:
            page = accounting_store.payments_page(
                connection, books.seller.tenant_id, books.currency, start=start, end=end, after=place, limit=_PAGE
            )
            entries = payment_store.entries_of(connection, [(one.tenant_id, one.payment_id) for one in page])
            own = {
                (one.tenant_id, one.payment_id): [
                    entry
                    for entry in entries[one.tenant_id, one.payment_id]
                    if entry.kind == "allocation" and entry.booked_on == one.paid_on
                ]
                for one in page
            }
            return [
                (payer, one, moves)
                for one in page
                for payer, moves in [_with_invoices(connection, one, own[one.tenant_id, one.payment_id])]
            ]

        page = database.read(read)
        yield from page
        if len(page) < _PAGE:
            return
        last = page[-1][1]
        after = (last.paid_on, last.tenant_id, last.payment_id)


def ledger_moves(database: Database, books: Books) -> Iterator[tuple[Tenant, Payment, list[PaidMove]]]:
    """What became of payments on other days than their own, by day: entries of one cause together."""
    for _, found in groupby(_ledger(database, books), key=lambda pair: _together(*pair)):
        pairs = list(found)
        tenant_id, entries = pairs[0][0], [entry for _, entry in pairs]

        def read(
            connection: Connection, tenant_id: UUID = tenant_id, entries: list[PaymentEntry] = entries
        ) -> tuple[Tenant, Payment, list[PaidMove]]:
            payment = payment_store.find(connection, tenant_id, entries[0].payment_id)
            assert payment is not None, "an entry is about a payment of its tenant"
            payer, moves = _with_invoices(connection, payment, entries)
            return payer, payment, moves

        yield database.read(read)


def _together(tenant_id: UUID, entry: PaymentEntry) -> tuple[Any, ...]:
    cause = entry.cause_id or entry.document_id or entry.sequence
    return entry.booked_on, tenant_id, entry.payment_id, cause


def _ledger(database: Database, books: Books) -> Iterator[tuple[UUID, PaymentEntry]]:
    start, end = books.days
    after: LedgerPlace | None = None
    while True:
        place = after

        def read(connection: Connection, place: LedgerPlace | None = place) -> list[tuple[UUID, PaymentEntry]]:
            return accounting_store.ledger_page(
                connection, books.seller.tenant_id, books.currency, start=start, end=end, after=place, limit=_PAGE
            )

        page = database.read(read)
        yield from page
        if len(page) < _PAGE:
            return
        tenant_id, last = page[-1]
        after = (last.booked_on, tenant_id, last.sequence)


def _with_invoices(
    connection: Connection, payment: Payment, entries: Sequence[PaymentEntry]
) -> tuple[Tenant, list[PaidMove]]:
    payer = tenant_store.find_by_id(connection, payment.tenant_id)
    assert payer is not None, "a payment is of a tenant"
    ids = {entry.invoice_id for entry in entries if entry.invoice_id is not None}
    found = {id: invoice_store.find(connection, payment.tenant_id, id) for id in ids}
    invoices = {id: stored.invoice for id, stored in found.items() if stored is not None}
    return payer, [PaidMove(entry, invoices.get(entry.invoice_id) if entry.invoice_id else None) for entry in entries]
