"""Payments and the ledger of what they pay. Rows are added and never change, but for what is left of a payment: the
ledger says that too.

Whoever moves money of a payer holds its account's row until the transaction ends (`credit_store.lock_account`): the
same row as for its credit, for both pay the same invoices.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from app.domain.money import ZERO, plain
from app.domain.payments import EntryKind, PaidTax, Payment, PaymentEntry
from app.storage import credit_store
from app.storage.tables import credit_accounts, payment_entries, payments

_CHUNK = 500
Key = tuple[UUID, UUID]
"""(tenant, payment) or (tenant, invoice)."""


def add(connection: Connection, payment: Payment) -> None:
    """Keeps a new payment, with all of it left. The account is locked."""
    connection.execute(
        payments.insert().values(
            tenant_id=payment.tenant_id, payment_id=payment.payment_id, seller_id=payment.seller_id,
            amount=payment.amount, left=payment.amount, open=True, currency=payment.currency, paid_on=payment.paid_on,
            method=payment.method, reference=payment.reference, external_reference=payment.external_id,
            note=payment.note, source=payment.source, digest=payment.digest, created_at=payment.created_at,
        )
    )  # fmt: skip


def find(connection: Connection, tenant_id: UUID, payment_id: UUID) -> Payment | None:
    query = sa.select(payments).where(payments.c.tenant_id == tenant_id, payments.c.payment_id == payment_id)
    row = connection.execute(query).mappings().first()
    return None if row is None else _payment(row)


def find_external(connection: Connection, tenant_id: UUID, external_id: str) -> Payment | None:
    """The tenant's payment that another system knows by this id."""
    query = sa.select(payments).where(payments.c.tenant_id == tenant_id, payments.c.external_reference == external_id)
    row = connection.execute(query).mappings().first()
    return None if row is None else _payment(row)


def named(connection: Connection, seller_id: UUID, names: Collection[str]) -> list[Payment]:
    """The seller's payments whose reference or external id is one of the names."""
    wanted = sorted(names)
    query = sa.select(payments).where(
        payments.c.seller_id == seller_id,
        sa.or_(payments.c.external_reference.in_(wanted), payments.c.reference.in_(wanted)),
    )
    return [_payment(row) for row in connection.execute(query.order_by(payments.c.payment_id)).mappings()]


def open_payments(
    connection: Connection, tenant_id: UUID, *, seller_id: UUID | None = None, currency: str | None = None
) -> list[Payment]:
    """Payments of which something is left, the one paid first first; to the seller and in the currency, where named."""
    query = sa.select(payments).where(payments.c.tenant_id == tenant_id, payments.c.open.is_(True))
    if seller_id is not None:
        query = query.where(payments.c.seller_id == seller_id)
    if currency is not None:
        query = query.where(payments.c.currency == currency)
    query = query.order_by(payments.c.paid_on, payments.c.created_at, payments.c.payment_id)
    return [_payment(row) for row in connection.execute(query).mappings()]


def has_open(connection: Connection, tenant_id: UUID) -> bool:
    query = sa.select(payments.c.payment_id).where(payments.c.tenant_id == tenant_id, payments.c.open.is_(True))
    return connection.execute(query.limit(1)).first() is not None


def tenants_with_open(connection: Connection, tenant_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the tenants that have money on account."""
    query = sa.select(payments.c.tenant_id).where(payments.c.tenant_id.in_(tenant_ids), payments.c.open.is_(True))
    return set(connection.execute(query.distinct()).scalars())


def of_tenants(connection: Connection, tenant_ids: Sequence[UUID], *, paid_by: date | None = None) -> list[Payment]:
    """All payments of these tenants; those made by the day, where one is named."""
    query = sa.select(payments).where(payments.c.tenant_id.in_(sorted(tenant_ids)))
    if paid_by is not None:
        query = query.where(payments.c.paid_on <= paid_by)
    return [_payment(row) for row in connection.execute(query.order_by(payments.c.payment_id)).mappings()]


def payments_by(connection: Connection, query: sa.Select[Any]) -> list[Payment]:
    """The payments that a query of all columns of `payments` finds, in its order."""
    return [_payment(row) for row in connection.execute(query).mappings()]


def entries_by(connection: Connection, query: sa.Select[Any]) -> list[tuple[UUID, PaymentEntry]]:
    """The entries that a query of all columns of `payment_entries` finds, in its order, each with its tenant."""
    return [(row["tenant_id"], _entry(row)) for row in connection.execute(query).mappings()]


def payers(connection: Connection) -> list[UUID]:
    """Every tenant that ever paid, in order."""
    query = sa.select(payments.c.tenant_id).distinct().order_by(payments.c.tenant_id)
    return list(connection.execute(query).scalars())


@dataclass(frozen=True, slots=True)
class PaymentFilter:
    tenant_id: UUID | None = None
    invoice: Key | None = None
    unallocated: bool | None = None
    visible_to: UUID | None = None


def listing(
    connection: Connection, wanted: PaymentFilter, *, after: tuple[datetime, UUID, UUID] | None, limit: int
) -> list[Payment]:
    """A page of payments by (recording, payment, tenant): a tenant sees those that it made or got."""
    query = sa.select(payments)
    if wanted.tenant_id is not None:
        query = query.where(payments.c.tenant_id == wanted.tenant_id)
    if wanted.invoice is not None:
        tenant_id, invoice_id = wanted.invoice
        paying = sa.select(payment_entries.c.payment_id).where(
            payment_entries.c.tenant_id == tenant_id, payment_entries.c.invoice_id == invoice_id
        )
        query = query.where(payments.c.tenant_id == tenant_id, payments.c.payment_id.in_(paying))
    if wanted.unallocated is not None:
        query = query.where(payments.c.open.is_(wanted.unallocated))
    if wanted.visible_to is not None:
        mine = sa.or_(payments.c.tenant_id == wanted.visible_to, payments.c.seller_id == wanted.visible_to)
        query = query.where(mine)
    place = (payments.c.created_at, payments.c.payment_id, payments.c.tenant_id)
    if after is not None:
        at, payment_id, of_tenant = after
        query = query.where(
            sa.or_(
                place[0] > at,
                sa.and_(place[0] == at, place[1] > payment_id),
                sa.and_(place[0] == at, place[1] == payment_id, place[2] > of_tenant),
            )
        )
    return [_payment(row) for row in connection.execute(query.order_by(*place).limit(limit)).mappings()]


# --- the ledger -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PaymentMove:
    """An entry that is to be made: see `PaymentEntry`."""

    payment_id: UUID
    kind: EntryKind
    amount: Decimal
    booked_on: date
    invoice_id: UUID | None = None
    document_id: UUID | None = None
    cause_id: UUID | None = None
    tax: tuple[PaidTax, ...] = ()
    reason: str = ""
    note: str = ""


def book(connection: Connection, tenant_id: UUID, moves: Sequence[PaymentMove], now: datetime) -> None:
    """Adds the entries, and moves what is left of each payment along. The account is locked."""
    if not moves:
        return
    account = credit_accounts.c.tenant_id == tenant_id
    first: int = connection.execute(sa.select(credit_accounts.c.payment_entries).where(account)).scalar_one()
    rows = [
        {
            "tenant_id": tenant_id, "sequence": sequence, "payment_id": move.payment_id, "kind": move.kind,
            "amount": move.amount, "booked_on": move.booked_on, "invoice_id": move.invoice_id,
            "document_id": move.document_id, "cause_id": move.cause_id, "tax": _tax_text(move.tax),
            "reason": move.reason, "note": move.note, "created_at": now,
        }
        for sequence, move in enumerate(moves, first + 1)
    ]  # fmt: skip
    connection.execute(payment_entries.insert(), rows)
    connection.execute(credit_accounts.update().where(account).values(payment_entries=first + len(rows)))
    taken: dict[UUID, Decimal] = {}
    for move in moves:
        taken[move.payment_id] = taken.get(move.payment_id, ZERO) + move.amount
    for payment_id, amount in taken.items():
        payment = find(connection, tenant_id, payment_id)
        assert payment is not None, "an entry is about a payment of its tenant"
        left = payment.left - amount
        assert ZERO <= left <= payment.amount, "no more is taken of a payment than it has"
        connection.execute(
            payments.update()
            .where(payments.c.tenant_id == tenant_id, payments.c.payment_id == payment_id)
            .values(left=left, open=left > 0)
        )


def entries(
    connection: Connection, tenant_id: UUID, *, payment_id: UUID | None = None, invoice_id: UUID | None = None,
    cause_id: UUID | None = None,
) -> list[PaymentEntry]:  # fmt: skip
    """Entries of the tenant's ledger in order; of one payment, invoice, reversal or refund where it is named."""
    query = sa.select(payment_entries).where(payment_entries.c.tenant_id == tenant_id)
    equal = (
        (payment_entries.c.payment_id, payment_id), (payment_entries.c.invoice_id, invoice_id),
        (payment_entries.c.cause_id, cause_id),
    )  # fmt: skip
    for column, value in equal:
        if value is not None:
            query = query.where(column == value)
    return [_entry(row) for row in connection.execute(query.order_by(payment_entries.c.sequence)).mappings()]


def entries_of(connection: Connection, keys: Sequence[Key]) -> dict[Key, list[PaymentEntry]]:
    """The entries of each payment (tenant, payment), in order."""
    found: dict[Key, list[PaymentEntry]] = {key: [] for key in keys}
    for start in range(0, len(keys), _CHUNK):
        chunk = keys[start : start + _CHUNK]
        query = sa.select(payment_entries).where(
            payment_entries.c.tenant_id.in_(sorted({key[0] for key in chunk})),
            payment_entries.c.payment_id.in_(sorted({key[1] for key in chunk})),
        )
        for row in connection.execute(query.order_by(payment_entries.c.sequence)).mappings():
            own = found.get((row["tenant_id"], row["payment_id"]))
            if own is not None:
                own.append(_entry(row))
    return found


def all_accounts(connection: Connection) -> list[tuple[UUID, int]]:
    """(tenant, how many entries its ledger of payments must have), of every tenant with an account."""
    query = sa.select(credit_accounts.c.tenant_id, credit_accounts.c.payment_entries)
    return [(row.tenant_id, row.payment_entries) for row in connection.execute(query.order_by("tenant_id"))]


# --- what is paid of an invoice ---------------------------------------------------------------------------------------


def paid_totals(connection: Connection, keys: Sequence[Key]) -> dict[Key, Decimal]:
    """What is paid of each invoice (tenant, invoice): by prepaid balance and by payments together, less what went
    back."""
    paid = credit_store.paid_totals(connection, keys)
    for key, amount in allocated_totals(connection, keys).items():
        paid[key] = paid.get(key, ZERO) + amount
    return paid


def allocated_totals(connection: Connection, keys: Sequence[Key]) -> dict[Key, Decimal]:
    """What payments pay of each invoice."""
    paid: dict[Key, Decimal] = {}
    for start in range(0, len(keys), _CHUNK):
        chunk = keys[start : start + _CHUNK]
        query = sa.select(
            payment_entries.c.tenant_id, payment_entries.c.invoice_id, payment_entries.c.amount
        ).where(
            payment_entries.c.tenant_id.in_(sorted({key[0] for key in chunk})),
            payment_entries.c.invoice_id.in_(sorted({key[1] for key in chunk})),
        )  # fmt: skip
        for row in connection.execute(query):
            key = (row.tenant_id, row.invoice_id)
            paid[key] = paid.get(key, ZERO) + row.amount
    return paid


def _tax_text(parts: Iterable[PaidTax]) -> str:
    rows = [[part.category, plain(part.rate), plain(part.base), plain(part.amount)] for part in parts]
    return json.dumps(rows) if rows else ""


def _tax(text: str) -> tuple[PaidTax, ...]:
    return tuple(
        PaidTax(category, Decimal(rate), Decimal(base), Decimal(amount))
        for category, rate, base, amount in (json.loads(text) if text else ())
    )


def _payment(row: RowMapping) -> Payment:
    return Payment(
        row["tenant_id"], row["payment_id"], row["seller_id"], row["amount"], row["left"], row["currency"],
        row["paid_on"], row["created_at"], row["method"], row["reference"], row["external_reference"], row["note"],
        row["source"], row["digest"],
    )  # fmt: skip


def _entry(row: RowMapping | dict[str, Any]) -> PaymentEntry:
    return PaymentEntry(
        row["sequence"], row["payment_id"], row["kind"], row["amount"], row["booked_on"], row["created_at"],
        row["invoice_id"], row["document_id"], row["cause_id"], _tax(row["tax"]), row["reason"], row["note"],
    )  # fmt: skip
