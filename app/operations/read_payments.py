"""Payments as a caller may see them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.engine import Connection

from app.domain.callers import Caller
from app.domain.errors import NotFound
from app.domain.ids import parse_public_id
from app.domain.money import ZERO
from app.domain.payments import Payment
from app.storage import invoice_store, payment_store, tenant_store
from app.storage.database import Database
from app.storage.invoice_store import Place
from app.storage.payment_store import PaymentFilter
from app.wire.payments import entry_to_wire, paid_to_wire, payment_to_wire

Shown = dict[str, Any]


def find_payment(database: Database, public: str, caller: Caller) -> Payment:
    """Raises NotFound for an unknown id, and just so for a payment between other parties than a bound key's tenant."""
    key = parse_public_id("pay", public)
    found = None if key is None else database.read(lambda connection: payment_store.find(connection, *key))
    bound = caller.tenant_key is not None
    if found is None or (bound and caller.tenant_id not in (found.tenant_id, found.seller_id)):
        raise NotFound("There is no such payment.", payment_id=public)
    return found


def show_payments(database: Database, payments: Sequence[Payment]) -> list[Shown]:
    """The payments with what became of each."""
    return database.read(lambda connection: _shown(connection, payments))


def show_with_entries(database: Database, payment: Payment) -> Shown:
    """The payment with its whole ledger, oldest first."""

    def work(connection: Connection) -> Shown:
        entries = payment_store.entries(connection, payment.tenant_id, payment_id=payment.payment_id)
        ids = {own for entry in entries for own in (entry.invoice_id, entry.document_id) if own is not None}
        numbers = invoice_store.numbers_of(connection, payment.tenant_id, ids)
        (shown,) = _shown(connection, [payment])
        return shown | {"entries": [entry_to_wire(entry, payment, numbers) for entry in entries]}

    return database.read(work)


def list_payments(
    database: Database, wanted: PaymentFilter, *, after: tuple[datetime, UUID, UUID] | None, limit: int
) -> tuple[list[Payment], list[Shown]]:
    """A page of payments, and the same as they are shown."""

    def work(connection: Connection) -> tuple[list[Payment], list[Shown]]:
        found = payment_store.listing(connection, wanted, after=after, limit=limit)
        return found, _shown(connection, found)

    return database.read(work)


def _shown(connection: Connection, payments: Sequence[Payment]) -> list[Shown]:
    keys = tenant_store.keys_of(connection, {id for one in payments for id in (one.tenant_id, one.seller_id)})
    entries = payment_store.entries_of(connection, [(one.tenant_id, one.payment_id) for one in payments])
    numbers: dict[UUID, str] = {}
    for tenant_id in {one.tenant_id for one in payments}:
        invoices = {
            entry.invoice_id
            for (of_tenant, _), rows in entries.items()
            for entry in rows
            if of_tenant == tenant_id and entry.invoice_id is not None
        }
        numbers |= invoice_store.numbers_of(connection, tenant_id, invoices)
    return [
        payment_to_wire(one, entries[one.tenant_id, one.payment_id], keys=keys, numbers=numbers) for one in payments
    ]


def show_paid(database: Database, place: Place) -> Shown:
    """Of what the document's `paid` is made."""
    key = (place.tenant_id, place.invoice_id)

    def work(connection: Connection) -> Shown:
        stored = invoice_store.find(connection, *key)
        if stored is None:
            raise NotFound("There is no such invoice.")
        paid = payment_store.allocated_totals(connection, [key]).get(key, ZERO)
        return paid_to_wire(stored.invoice, paid)

    return database.read(work)
