"""What is owed of issued invoices, read without their lines: for one, for those of some payers, as of any day."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from app.domain.money import ZERO
from app.domain.periods import local_date
from app.domain.receivables import Claim
from app.domain.tax import TaxGroup, summed_groups
from app.storage.tables import credit_entries, credit_grants, invoices, payment_entries

Key = tuple[UUID, UUID]
"""(tenant, invoice)"""

_COLUMNS = (
    invoices.c.tenant_id, invoices.c.invoice_id, invoices.c.seller_id, invoices.c.type, invoices.c.number,
    invoices.c.sequence, invoices.c.currency, invoices.c.total, invoices.c.tax, invoices.c.issued_at,
    invoices.c.time_zone, invoices.c.due_date, invoices.c.credits_id,
)  # fmt: skip


@dataclass
class _Sums:
    """What became of one invoice's total, as it is added up."""

    credited: Decimal = ZERO
    credited_tax: list[TaxGroup] = field(default_factory=list)
    from_balance: Decimal = ZERO
    from_payments: Decimal = ZERO


def find(connection: Connection, tenant_id: UUID, invoice_id: UUID) -> Claim | None:
    """The claim of one issued invoice; None where it is no invoice that was issued."""
    own = sa.or_(invoices.c.invoice_id == invoice_id, invoices.c.credits_id == invoice_id)
    found = _claims(connection, [tenant_id], own, invoice_id=invoice_id)
    return next((claim for claim in found if claim.invoice_id == invoice_id), None)


def of_payers(
    connection: Connection, tenant_ids: Sequence[UUID], *, as_of: date | None = None, seller_id: UUID | None = None
) -> list[Claim]:
    """Every invoice issued to these tenants, by their order of issue; by the seller and as of the day's end, where
    they are named."""
    narrowed = sa.true() if seller_id is None else invoices.c.seller_id == seller_id
    return _claims(connection, tenant_ids, narrowed, as_of=as_of)


def buyers(connection: Connection) -> list[UUID]:
    """Every tenant to which something was issued, in order."""
    query = sa.select(invoices.c.tenant_id).where(invoices.c.status == "issued").distinct()
    return list(connection.execute(query.order_by(invoices.c.tenant_id)).scalars())


def _claims(
    connection: Connection, tenant_ids: Sequence[UUID], narrowed: sa.ColumnElement[bool], *, as_of: date | None = None,
    invoice_id: UUID | None = None,
) -> list[Claim]:  # fmt: skip
    query = sa.select(*_COLUMNS).where(
        invoices.c.tenant_id.in_(sorted(tenant_ids)), invoices.c.status == "issued", narrowed
    )
    rows = [
        row
        for row in connection.execute(query.order_by(invoices.c.issued_at, invoices.c.sequence)).mappings()
        if as_of is None or _issued_on(row) <= as_of
    ]
    sums = {(row["tenant_id"], row["invoice_id"]): _Sums() for row in rows if row["type"] == "invoice"}
    zones = {(row["tenant_id"], row["invoice_id"]): ZoneInfo(row["time_zone"]) for row in rows}
    for row in rows:
        own = sums.get((row["tenant_id"], row["credits_id"]))
        if own is not None:
            own.credited += row["total"]
            own.credited_tax += _groups(row["tax"])
    for paid in _allocations(connection, tenant_ids, invoice_id):
        own = sums.get((paid.tenant_id, paid.invoice_id))
        if own is not None and (as_of is None or paid.booked_on <= as_of):
            own.from_payments += paid.amount
    for used in _balance_used(connection, tenant_ids, invoice_id):
        key = (used.tenant_id, used.invoice_id)
        if key in sums and (as_of is None or local_date(used.created_at, zones[key]) <= as_of):
            sums[key].from_balance += used.amount
    return [_claim(row, sums[row["tenant_id"], row["invoice_id"]]) for row in rows if row["type"] == "invoice"]


def _allocations(connection: Connection, tenant_ids: Sequence[UUID], invoice_id: UUID | None) -> Sequence[Any]:
    query = sa.select(
        payment_entries.c.tenant_id, payment_entries.c.invoice_id, payment_entries.c.amount, payment_entries.c.booked_on
    ).where(payment_entries.c.tenant_id.in_(sorted(tenant_ids)), payment_entries.c.invoice_id.is_not(None))
    if invoice_id is not None:
        query = query.where(payment_entries.c.invoice_id == invoice_id)
    return connection.execute(query).all()


def _balance_used(connection: Connection, tenant_ids: Sequence[UUID], invoice_id: UUID | None) -> Sequence[Any]:
    query = (
        sa.select(
            credit_entries.c.tenant_id, credit_entries.c.invoice_id, credit_entries.c.amount,
            credit_entries.c.created_at,
        )
        .join(
            credit_grants,
            sa.and_(
                credit_grants.c.tenant_id == credit_entries.c.tenant_id,
                credit_grants.c.grant_id == credit_entries.c.grant_id,
            ),
        )
        .where(
            credit_entries.c.tenant_id.in_(sorted(tenant_ids)), credit_entries.c.invoice_id.is_not(None),
            credit_grants.c.kind == "prepaid",
        )
    )  # fmt: skip
    if invoice_id is not None:
        query = query.where(credit_entries.c.invoice_id == invoice_id)
    return connection.execute(query).all()


def _claim(row: RowMapping, sums: _Sums) -> Claim:
    return Claim(
        row["tenant_id"], row["invoice_id"], row["seller_id"], row["number"], row["sequence"], row["currency"],
        row["total"], tuple(_groups(row["tax"])), _issued_on(row), row["due_date"], sums.credited,
        summed_groups(sums.credited_tax), sums.from_balance, sums.from_payments,
    )  # fmt: skip


def _issued_on(row: RowMapping) -> date:
    issued_at: datetime = row["issued_at"]
    return local_date(issued_at, ZoneInfo(row["time_zone"]))


def _groups(text: str) -> list[TaxGroup]:
    """The groups of a document; why one carries no VAT is left out."""
    return [
        TaxGroup(c, Decimal(rate), Decimal(base), Decimal(amount)) for c, rate, base, amount, *_ in json.loads(text)
    ]


def numbers_to(connection: Connection, seller_id: UUID, is_wanted: Callable[[str], bool]) -> list[tuple[str, Key]]:
    """(number, (tenant, invoice)) of every invoice that the seller issued whose number is wanted."""
    query = sa.select(invoices.c.number, invoices.c.tenant_id, invoices.c.invoice_id).where(
        invoices.c.seller_id == seller_id, invoices.c.status == "issued", invoices.c.type == "invoice"
    )
    rows = connection.execution_options(yield_per=2000).execute(query)
    return [(row.number, (row.tenant_id, row.invoice_id)) for row in rows if is_wanted(row.number)]


@dataclass(frozen=True, slots=True)
class FreeCredit:
    """An issued credit note that lowers no invoice: what its total says is owed to the buyer."""

    tenant_id: UUID
    invoice_id: UUID
    number: str
    currency: str
    total: Decimal
    issued_on: date


def free_credits(
    connection: Connection, tenant_ids: Sequence[UUID], *, as_of: date | None = None, seller_id: UUID | None = None
) -> list[FreeCredit]:
    query = sa.select(*_COLUMNS).where(
        invoices.c.tenant_id.in_(sorted(tenant_ids)), invoices.c.status == "issued",
        invoices.c.type == "credit_note", invoices.c.credits_id.is_(None),
    )  # fmt: skip
    if seller_id is not None:
        query = query.where(invoices.c.seller_id == seller_id)
    return [
        FreeCredit(
            row["tenant_id"], row["invoice_id"], row["number"], row["currency"], row["total"], _issued_on(row)
        )
        for row in connection.execute(query.order_by(invoices.c.issued_at, invoices.c.sequence)).mappings()
        if as_of is None or _issued_on(row) <= as_of
    ]  # fmt: skip
