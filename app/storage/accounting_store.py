"""The chart of accounts, and what prepaid balance paid, in the order of the books."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.storage.tables import charts_of_accounts, credit_entries, credit_grants, invoices
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
