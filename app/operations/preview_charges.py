"""The open period so far, as the invoice that it would make today; nothing is saved.

It has the lines that the document at the end of the period will have: use of the period, charges in advance of the next
one, differences of earlier periods. Credit notes on what is issued are documents of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.engine import Connection

from app.domain.credit import CreditUse
from app.domain.errors import CannotBill, NotFound
from app.domain.ids import NOBODY, public_id
from app.domain.invoices import Invoice, InvoiceLine, numbered_lines, totals, turned
from app.domain.money import ZERO
from app.domain.parties import NO_REFERENCES
from app.domain.periods import Period
from app.domain.projections import LineProjection
from app.operations.billing_books import Books, books_of, buyer_of, said_to_buyer, seller_of
from app.operations.next_document import next_document
from app.operations.rate_period import projected_line
from app.operations.use_credit import promotional_uses
from app.storage import subscription_store
from app.storage.database import Database


def preview_charges(database: Database, tenant_id: UUID, *, now: datetime) -> Invoice:
    """All open periods of the tenant's subscriptions as one draft: what was used so far, by today's terms.

    Raises NotFound where the tenant has no subscription that is running now.
    """
    return database.read(lambda connection: _preview(connection, tenant_id, now))


def project_charges(
    database: Database, tenant_id: UUID, *, now: datetime
) -> tuple[Invoice, tuple[LineProjection, ...]]:
    """The same at the end of the open periods, if use goes on as it has so far, and of each line how that was taken.
    Raises NotFound."""
    projections: list[LineProjection] = []

    def project(line: InvoiceLine, books: Books) -> InvoiceLine:
        made, projection = projected_line(line, books.meters, now=now)
        projections.append(projection)
        return made

    def work(connection: Connection) -> Invoice:
        projections.clear()
        return _preview(connection, tenant_id, now, project)

    invoice = database.read(work)
    numbered = zip(invoice.lines, projections, strict=True)
    return invoice, tuple(replace(projection, line=line.id) for line, projection in numbered)


def _preview(
    connection: Connection, tenant_id: UUID, now: datetime,
    change: Callable[[InvoiceLine, Books], InvoiceLine] = lambda line, _books: line,
) -> Invoice:  # fmt: skip
    lines: list[InvoiceLine] = []
    books: Books | None = None
    periods: list[Period] = []
    for subscription in subscription_store.of_tenants(connection, [tenant_id]):
        if subscription.start <= now and (subscription.end is None or subscription.end > now):
            books = replace(books_of(connection, subscription), until=now)
            period, due = next_document(connection, books, now)
            periods.append(period)
            lines += [change(line, books) for line in due.all_lines]
    if books is None:
        raise NotFound("This tenant has no subscription that is running now.")
    if not lines:
        raise CannotBill("Nothing is charged in the open period.")
    is_owed_to_buyer = sum((line.amount for line in lines), ZERO) < 0
    numbered = numbered_lines([turned(line) for line in lines] if is_owed_to_buyer else lines)
    whole = Period(min(item.start for item in periods), max(item.end for item in periods))
    currency = books.currency
    credit: tuple[CreditUse, ...] = ()
    if not is_owed_to_buyer:
        credit = promotional_uses(connection, tenant_id, numbered, currency=currency, at=whole.end)
    net, groups, total = totals(numbered, currency, allowances=credit)
    return Invoice(
        id=public_id("inv", tenant_id, NOBODY), type="credit_note" if is_owed_to_buyer else "invoice", status="draft",
        seller=seller_of(books.seller), buyer=buyer_of(books.buyer), currency=currency, language=books.buyer.language,
        time_zone=books.buyer.time_zone, period=whole, lines=numbered, net=net, tax=groups, total=total,
        allowances=credit, **said_to_buyer(books.buyer, NO_REFERENCES),
    )  # fmt: skip
