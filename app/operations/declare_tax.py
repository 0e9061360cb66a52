"""What is the VAT of a document in the currency in which its seller declares it?"""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from sqlalchemy.engine import Connection

from app.domain.invoices import AccountingTax, Invoice, accounting_tax
from app.domain.money import ZERO
from app.domain.tax import ExchangeRate
from app.domain.tenants import Tenant
from app.storage import catalog_store, invoice_store
from app.storage.invoice_store import Place


def with_accounting_tax(connection: Connection, invoice: Invoice, place: Place, seller: Tenant, day: date) -> Invoice:
    """The document with its VAT in the seller's currency, where that is another one and a rate of the day or before it
    is stored. A credit note has the rate of its invoice, so that all notes together take back what that declared."""
    if place.credits_id is not None:
        return replace(invoice, accounting_tax=_of_note(connection, invoice, place))
    found = None
    if seller.currency != invoice.currency:
        rate = _rate(connection, invoice.currency, seller.currency, day)
        found = None if rate is None else accounting_tax(invoice, rate)
    return replace(invoice, accounting_tax=found)


def _rate(connection: Connection, from_currency: str, to_currency: str, day: date) -> ExchangeRate | None:
    """The newest rate between the two, whichever way round it is stored."""
    direct = catalog_store.exchange_rate_of(connection, from_currency, to_currency, day)
    other = catalog_store.exchange_rate_of(connection, to_currency, from_currency, day)
    if direct is None or (other is not None and other.date > direct.date):
        return None if other is None else other.turned
    return direct


def _of_note(connection: Connection, note: Invoice, place: Place) -> AccountingTax | None:
    assert place.credits_id is not None
    original = invoice_store.find(connection, place.tenant_id, place.credits_id)
    assert original is not None
    declared = original.invoice.accounting_tax
    if declared is None:
        return None
    rate = ExchangeRate("", note.currency, declared.currency, declared.date, declared.rate, declared.source)
    earlier = [
        stored.invoice
        for stored in invoice_store.notes_on(connection, place.tenant_id, place.credits_id)
        if stored.invoice.id != note.id
    ]
    before = sum((item.accounting_tax.amount for item in earlier if item.accounting_tax is not None), ZERO)
    return accounting_tax(note, rate, earlier=earlier, declared_before=before)
