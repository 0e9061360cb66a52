"""What a person does with a draft: issue it, or discard it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.engine import Connection

from app.domain.errors import InvoiceAlreadyIssued, NotFound
from app.operations.close_period import close_period, correct_only
from app.storage import billing_store, invoice_store
from app.storage.catalog_snapshot import hold_version
from app.storage.database import Database
from app.storage.invoice_store import StoredInvoice


def issue_one(database: Database, stored: StoredInvoice, *, now: datetime, terms_days: int) -> StoredInvoice:
    """The draft, computed once more and issued. Raises InvoiceAlreadyIssued, or EarlierPeriodOpen."""
    place = stored.place
    if stored.invoice.status == "issued":
        raise InvoiceAlreadyIssued("This document is issued already.", invoice_id=stored.invoice.id)

    def work(connection: Connection) -> StoredInvoice | None:
        key = (place.tenant_id, place.subscription_id)
        hold_version(connection)
        billing_store.lock_subscription(connection, *key)
        again = invoice_store.find(connection, place.tenant_id, place.invoice_id)
        if again is None or again.invoice.status == "issued":
            return again
        if place.slot:
            made = correct_only(connection, *key, through=place.billing_at, issue=True, now=now, terms_days=terms_days)
        else:
            made = close_period(connection, *key, place.billing_at, issue=True, now=now, terms_days=terms_days)
        wanted = (bool(place.slot), place.credits_id)
        same = [item for item in made.documents if (bool(item.place.slot), item.place.credits_id) == wanted]
        return same[0] if same else None

    issued = database.write(work)
    if issued is None:
        raise NotFound("Nothing is left to be issued: the draft has become void.", invoice_id=stored.invoice.id)
    return issued


def discard_draft(database: Database, stored: StoredInvoice) -> None:
    """Deletes a draft; its billing instant stays open. Raises InvoiceAlreadyIssued."""
    place = stored.place

    def work(connection: Connection) -> None:
        billing_store.lock_subscription(connection, place.tenant_id, place.subscription_id)
        if not invoice_store.delete_draft(connection, place.tenant_id, place.invoice_id):
            again = invoice_store.find(connection, place.tenant_id, place.invoice_id)
            if again is not None:
                raise InvoiceAlreadyIssued(
                    "This document is issued: it can only be credited.", invoice_id=again.invoice.id
                )

    database.write(work)
