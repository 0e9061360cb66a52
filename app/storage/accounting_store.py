"""The chart of accounts, and what prepaid balance paid, in the order of the books."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.domain.payments import Payment, PaymentEntry
from app.storage import payment_store
from app.storage.tables import (
    charts_of_accounts,
    credit_entries,
    credit_grants,
    invoices,
    payment_entries,
    payments,
)
from app.storage.types import Id, Instant

_CHART = "main"

MovePlace = tuple[datetime, UUID, int]
"""Where an entry of a ledger stands: when it was booked, whose it is, its number."""


def find_chart(connection: Connection, *, lock: bool = False) -> dict[str, Any] | None:
    """The chart as it was put; None where none was."""
    query = sa.select(charts_of_accounts.c.definition).where(charts_of_accounts.c.name == _CHART)
    text = connection.execute(query.with_for_update() if lock else query).scalar()
    return None if text is None else json.loads(text)


def save_chart(connection: Connection, definition: dict[str, Any], *, is_new: bool) -> None:
    text = json.dumps(definition, ensure_ascii=False)
    if is_new:
        connection.execute(charts_of_accounts.insert().values(name=_CHART, definition=text))
    else:
        connection.execute(
            charts_of_accounts.update().where(charts_of_accounts.c.name == _CHART).values(definition=text)
        )


@dataclass(frozen=True, slots=True)
class BalanceMove:
    """What prepaid balance paid of an invoice (below 0: what went back to it), and the document that it came with."""

    place: MovePlace
    tenant_id: UUID
    invoice_id: UUID
    document_id: UUID
    amount: Decimal


def balance_moves(
    connection: Connection, seller_id: UUID, *, start: datetime | None, end: datetime | None, after: MovePlace | None,
    limit: int,
) -> list[BalanceMove]:  # fmt: skip
    """The next moves for invoices of the seller in [start, end), in order."""
    order = (credit_entries.c.created_at, credit_entries.c.tenant_id, credit_entries.c.sequence)
    kinds: list[Any] = [Instant(), Id(), sa.BigInteger()]
    query = (
        sa.select(*order, credit_entries.c.invoice_id, credit_entries.c.document_id, credit_entries.c.amount)
        .join(
            credit_grants,
            sa.and_(
                credit_grants.c.tenant_id == credit_entries.c.tenant_id,
                credit_grants.c.grant_id == credit_entries.c.grant_id,
            ),
        )
        .join(
            invoices,
            sa.and_(
                invoices.c.tenant_id == credit_entries.c.tenant_id,
                invoices.c.invoice_id == credit_entries.c.invoice_id,
            ),
        )
        .where(credit_grants.c.kind == "prepaid", invoices.c.seller_id == seller_id)
    )
    if start is not None:
        query = query.where(order[0] >= start)
    if end is not None:
        query = query.where(order[0] < end)
    if after is not None:
        query = query.where(sa.tuple_(*order, types=kinds) > sa.tuple_(*after, types=kinds))
    return [
        BalanceMove(
            (row.created_at, row.tenant_id, row.sequence), row.tenant_id, row.invoice_id,
            row.document_id or row.invoice_id, row.amount,
        )
        for row in connection.execute(query.order_by(*order).limit(limit))
    ]  # fmt: skip


PaymentPlace = tuple[date, UUID, UUID]
"""Where a payment stands: its day, whose it is, its id."""


def payments_page(
    connection: Connection, seller_id: UUID, currency: str, *, start: date | None, end: date | None,
    after: PaymentPlace | None, limit: int,
) -> list[Payment]:  # fmt: skip
    """The next payments to the seller in the currency, made in [start, end), by day."""
    order = (payments.c.paid_on, payments.c.tenant_id, payments.c.payment_id)
    query = sa.select(payments).where(payments.c.seller_id == seller_id, payments.c.currency == currency)
    query = _between(query, order, [sa.Date(), Id(), Id()], start=start, end=end, after=after)
    return payment_store.payments_by(connection, query.order_by(*order).limit(limit))


LedgerPlace = tuple[date, UUID, int]
"""Where an entry of a payer's ledger stands: its day, whose it is, its number."""


def ledger_page(
    connection: Connection, seller_id: UUID, currency: str, *, start: date | None, end: date | None,
    after: LedgerPlace | None, limit: int,
) -> list[tuple[UUID, PaymentEntry]]:  # fmt: skip
    """The next entries (payer, entry) about payments to the seller in the currency, booked in [start, end), by day;
    without what a payment paid on its own day."""
    order = (payment_entries.c.booked_on, payment_entries.c.tenant_id, payment_entries.c.sequence)
    on_its_day = sa.and_(payment_entries.c.kind == "allocation", payment_entries.c.booked_on == payments.c.paid_on)
    # As one value for each entry, so that entries are walked in their order whatever the database thinks of joins.
    is_wanted = (
        sa.select(sa.func.count())
        .select_from(payments)
        .where(
            payments.c.tenant_id == payment_entries.c.tenant_id, payments.c.payment_id == payment_entries.c.payment_id,
            payments.c.seller_id == seller_id, payments.c.currency == currency, sa.not_(on_its_day),
        )
        .correlate(payment_entries)
        .scalar_subquery()
    )  # fmt: skip
    query = sa.select(payment_entries).where(is_wanted == 1)
    query = _between(query, order, [sa.Date(), Id(), sa.BigInteger()], start=start, end=end, after=after)
    return payment_store.entries_by(connection, query.order_by(*order).limit(limit))


def _between(
    query: sa.Select[Any], order: tuple[Any, ...], kinds: list[Any], *, start: date | None, end: date | None,
    after: tuple[Any, ...] | None,
) -> sa.Select[Any]:  # fmt: skip
    query = query.where(order[0] >= (start or date.min))
    if end is not None:
        query = query.where(order[0] < end)
    if after is not None:
        query = query.where(sa.tuple_(*order, types=kinds) > sa.tuple_(*after, types=kinds))
    return query


def currencies_without_rate(
    connection: Connection, seller_id: UUID, currency: str, *, start: datetime | None, end: datetime | None
) -> list[str]:
    """The currencies, other than this, of documents that the seller issued in [start, end) and that say no rate."""
    query = sa.select(invoices.c.currency).distinct().where(
        invoices.c.seller_id == seller_id, invoices.c.issued_at.is_not(None), invoices.c.currency != currency,
        invoices.c.details.not_like('%"accounting_tax"%'),
    )  # fmt: skip
    if start is not None:
        query = query.where(invoices.c.issued_at >= start)
    if end is not None:
        query = query.where(invoices.c.issued_at < end)
    return sorted(connection.execute(query).scalars())
