"""Issued documents in order of issue, a page at a time, from an index whatever they are filtered by."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.domain.exports import ExportFilter, earliest, latest
from app.domain.periods import Period
from app.domain.tax import TaxRate
from app.storage.invoice_store import StoredInvoice, stored_by
from app.storage.tables import invoice_lines, invoices, tenants
from app.storage.types import Id, Instant

Place = tuple[datetime, int, UUID]
"""Where a document stands: the instant of issue, its number in the seller's series, its id."""

_ORDER = (invoices.c.issued_at, invoices.c.sequence, invoices.c.invoice_id)
_KINDS: list[Any] = [Instant(), sa.BigInteger(), Id()]


def place_of(stored: StoredInvoice) -> Place:
    assert stored.invoice.issued_at is not None and stored.sequence is not None, "it is issued"
    return stored.invoice.issued_at, stored.sequence, stored.place.invoice_id


def issued_page(
    connection: Connection, wanted: ExportFilter, *, after: Place | None, limit: int
) -> list[StoredInvoice]:
    """The next issued documents after the place, in order; periods given as dates are only narrowed down to."""
    found: dict[Place, StoredInvoice] = {}
    for conditions in _sides(wanted):
        query = sa.select(invoices).where(*conditions, *_conditions(wanted))
        if after is not None:
            query = query.where(sa.tuple_(*_ORDER, types=_KINDS) > sa.tuple_(*after, types=_KINDS))
        found |= {place_of(item): item for item in stored_by(connection, query.order_by(*_ORDER).limit(limit))}
    return [found[place] for place in sorted(found)][:limit]


def count_issued(connection: Connection, wanted: ExportFilter) -> int:
    """How many documents that is, about: a document between two parties of one filter counts twice, periods given as
    dates are only narrowed down to."""
    total = 0
    for conditions in _sides(wanted):
        query = sa.select(sa.func.count()).select_from(invoices).where(*conditions, *_conditions(wanted))
        total += connection.execute(query).scalar_one()
    return total


def _sides(wanted: ExportFilter) -> Iterator[list[sa.ColumnElement[bool]]]:
    """What is equal in what is wanted, so that an index begins with it: twice where a tenant may be on either side."""
    buyer, seller = invoices.c.tenant_id, invoices.c.seller_id
    equal = [column == id for column, id in ((buyer, wanted.buyer_id), (seller, wanted.seller_id)) if id is not None]
    parties = [id for id in (wanted.party_id, wanted.visible_to) if id is not None]
    if not parties:
        yield equal
        return
    first, *others = parties
    for column in (buyer, seller):
        yield [*equal, column == first, *(sa.or_(buyer == id, seller == id) for id in others)]


def _conditions(wanted: ExportFilter) -> list[sa.ColumnElement[bool]]:
    issued_at = invoices.c.issued_at
    conditions = [invoices.c.status == "issued", issued_at.is_not(None)]
    if wanted.issued_from is not None:
        conditions.append(issued_at >= wanted.issued_from)
    if wanted.issued_to is not None:
        conditions.append(issued_at < wanted.issued_to)
    if wanted.period_start is not None:
        conditions.append(invoices.c.period_start >= earliest(wanted.period_start))
    if wanted.period_end is not None:
        conditions.append(invoices.c.period_end <= latest(wanted.period_end))
    if wanted.type is not None:
        conditions.append(invoices.c.type == wanted.type)
    if wanted.currency is not None:
        conditions.append(invoices.c.currency == wanted.currency)
    return conditions


# --- what runs beyond a day -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LineBeyond:
    """A line of an issued document whose period ends after a day; `is_use` where it was measured."""

    place: tuple[datetime, UUID, UUID, int]
    number: str
    type: str
    buyer: str
    currency: str
    time_zone: str
    subscription: str
    charge: str
    plan: str
    description: str
    period: Period
    amount: Decimal
    tax: TaxRate
    is_use: bool


def lines_beyond(
    connection: Connection, seller_id: UUID, *, ends_after: datetime, issued_before: datetime,
    after: tuple[datetime, UUID, UUID, int] | None, limit: int,
) -> list[LineBeyond]:  # fmt: skip
    """The next lines, by the end of their period, of documents that the seller issued before an instant."""
    order = (
        invoice_lines.c.period_end, invoice_lines.c.tenant_id, invoice_lines.c.invoice_id, invoice_lines.c.position,
    )  # fmt: skip
    kinds: list[Any] = [Instant(), Id(), Id(), sa.Integer()]
    query = (
        sa.select(
            *order, invoices.c.number, invoices.c.type, tenants.c.key, invoices.c.currency, invoices.c.time_zone,
            invoice_lines.c.subscription, invoice_lines.c.charge, invoice_lines.c.description,
            invoice_lines.c.period_start, invoice_lines.c.amount, invoice_lines.c.tax_category,
            invoice_lines.c.tax_rate, invoice_lines.c.trace,
        )
        .join(
            invoices,
            sa.and_(
                invoices.c.tenant_id == invoice_lines.c.tenant_id, invoices.c.invoice_id == invoice_lines.c.invoice_id
            ),
        )
        .join(tenants, tenants.c.tenant_id == invoice_lines.c.tenant_id)
        .where(
            invoice_lines.c.period_end > ends_after, invoices.c.seller_id == seller_id,
            invoices.c.status == "issued", invoices.c.issued_at < issued_before,
        )
    )  # fmt: skip
    if after is not None:
        query = query.where(sa.tuple_(*order, types=kinds) > sa.tuple_(*after, types=kinds))
    return [_line_beyond(row) for row in connection.execute(query.order_by(*order).limit(limit))]


def _line_beyond(row: Any) -> LineBeyond:
    trace = json.loads(row.trace)
    return LineBeyond(
        (row.period_end, row.tenant_id, row.invoice_id, row.position), row.number, row.type, row.key, row.currency,
        row.time_zone, row.subscription, row.charge, trace.get("plan", ""), row.description,
        Period(row.period_start, row.period_end), row.amount, TaxRate(row.tax_category, row.tax_rate),
        trace.get("meter") is not None,
    )  # fmt: skip
