"""The open period so far, as the invoice that it would make today; nothing is saved."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.engine import Connection

from app.domain.errors import CannotBill, NotFound
from app.domain.ids import NOBODY, public_id
from app.domain.invoices import Invoice, InvoiceLine, numbered_lines, totals
from app.domain.periods import Period
from app.operations.billing_books import Books, billables, books_of, charge_lines, party, period_at
from app.operations.use_credit import promotional_uses
from app.storage import subscription_store
from app.storage.database import Database


def preview_charges(database: Database, tenant_id: UUID, *, now: datetime) -> Invoice:
    """All open periods of the tenant's subscriptions as one draft: what was used so far, by today's terms.

    Raises NotFound where the tenant has no subscription that is running now.
    """
    return database.read(lambda connection: _preview(connection, tenant_id, now))


def _preview(connection: Connection, tenant_id: UUID, now: datetime) -> Invoice:
    lines: list[InvoiceLine] = []
    books: Books | None = None
    periods: list[Period] = []
    for subscription in subscription_store.of_tenants(connection, [tenant_id]):
        if subscription.start <= now and (subscription.end is None or subscription.end > now):
            books = books_of(connection, subscription)
            period = period_at(connection, subscription, books.versions, zone=books.zone, at=now)
            periods.append(period.period)
            lines += charge_lines(connection, books, billables(books, period))
    if books is None:
        raise NotFound("This tenant has no subscription that is running now.")
    if not lines:
        raise CannotBill("Nothing is charged in the open period.")
    numbered = numbered_lines(lines)
    whole = Period(min(item.start for item in periods), max(item.end for item in periods))
    currency = books.currency
    credit = promotional_uses(connection, tenant_id, numbered, currency=currency, at=whole.end)
    net, groups, total = totals(numbered, currency, allowances=credit)
    return Invoice(
        id=public_id("inv", tenant_id, NOBODY), type="invoice", status="draft", seller=party(books.seller),
        buyer=party(books.buyer), currency=currency, language=books.buyer.language,
        time_zone=books.buyer.time_zone, period=whole, lines=numbered, net=net, tax=groups, total=total,
        allowances=credit,
    )  # fmt: skip
