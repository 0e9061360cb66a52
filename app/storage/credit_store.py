"""Credit grants and the ledger of what was used of them. Entries are added and never change.

Whoever moves credit of a tenant holds its account's row until the transaction ends, so what is left is read by one at a
time: two closes of one tenant never draw on the same cent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from app.domain.credit import CreditKind, Entry, EntryKind, Grant
from app.domain.money import ZERO
from app.storage.tables import credit_accounts, credit_entries, credit_grants
from app.storage.upserts import insert_missing


def lock_account(connection: Connection, tenant_id: UUID) -> None:
    """Holds the tenant's credit and payments until the transaction ends."""
    lock_accounts(connection, {tenant_id})


def lock_accounts(connection: Connection, tenant_ids: Collection[UUID]) -> None:
    """The same for several tenants, in one order."""
    wanted = sorted(tenant_ids)
    query = sa.select(credit_accounts.c.tenant_id).where(credit_accounts.c.tenant_id.in_(wanted))
    query = query.order_by(credit_accounts.c.tenant_id).with_for_update()
    missing = set(wanted) - set(connection.execute(query).scalars())
    if missing:
        rows = [{"tenant_id": tenant_id, "entries": 0, "payment_entries": 0} for tenant_id in sorted(missing)]
        insert_missing(connection, credit_accounts, rows)
        connection.execute(query).all()


def add_grant(connection: Connection, grant: Grant) -> bool:
    """Keeps the grant; False where one of its id was there before. Then that one stays as it is."""
    lock_account(connection, grant.tenant_id)
    if find(connection, grant.tenant_id, grant.grant_id) is not None:
        return False
    row = {
        "tenant_id": grant.tenant_id, "grant_id": grant.grant_id, "kind": grant.kind, "currency": grant.currency,
        "meter": grant.meter, "charge": grant.charge, "amount": grant.amount, "left": grant.left, "open": True,
        "priority": grant.priority, "effective_at": grant.effective_at, "expires_at": grant.expires_at,
        "description": grant.description, "created_at": grant.created_at, "voided_at": None, "void_reason": "",
    }  # fmt: skip
    connection.execute(credit_grants.insert(), row)
    return True


def find(connection: Connection, tenant_id: UUID, grant_id: UUID) -> Grant | None:
    found = find_many(connection, tenant_id, [grant_id])
    return found[0] if found else None


def find_many(connection: Connection, tenant_id: UUID, grant_ids: Iterable[UUID]) -> list[Grant]:
    query = sa.select(credit_grants).where(
        credit_grants.c.tenant_id == tenant_id, credit_grants.c.grant_id.in_(sorted(set(grant_ids)))
    )
    return [_grant(row) for row in connection.execute(query.order_by(credit_grants.c.grant_id)).mappings()]


def open_grants(connection: Connection, tenant_id: UUID, kind: CreditKind, *, meter: str = "") -> list[Grant]:
    """What has something left and is not voided, expired or not yet in force included; of one meter where it is
    named."""
    query = sa.select(credit_grants).where(
        credit_grants.c.tenant_id == tenant_id, credit_grants.c.open.is_(True), credit_grants.c.kind == kind
    )
    if meter:
        query = query.where(credit_grants.c.meter == meter)
    return [_grant(row) for row in connection.execute(query.order_by(credit_grants.c.grant_id)).mappings()]


def tenants_with_open(connection: Connection, tenant_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the tenants that have something left of a grant, of whatever kind."""
    query = sa.select(credit_grants.c.tenant_id).where(
        credit_grants.c.tenant_id.in_(tenant_ids), credit_grants.c.open.is_(True)
    )
    return set(connection.execute(query.distinct()).scalars())


def tenants_with_units(connection: Connection, tenant_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the tenants that have something left of a grant of units."""
    query = sa.select(credit_grants.c.tenant_id).where(
        credit_grants.c.tenant_id.in_(tenant_ids), credit_grants.c.open.is_(True), credit_grants.c.kind == "units"
    )
    return set(connection.execute(query.distinct()).scalars())


def prepaid_grants(connection: Connection, tenant_ids: Sequence[UUID]) -> dict[UUID, list[Grant]]:
    """Prepaid money and units of these tenants, spent and expired ones included and voided ones not, by tenant."""
    query = sa.select(credit_grants).where(
        credit_grants.c.tenant_id.in_(tenant_ids), credit_grants.c.kind.in_(("prepaid", "units")),
        credit_grants.c.voided_at.is_(None),
    )  # fmt: skip
    found: dict[UUID, list[Grant]] = {}
    for row in connection.execute(query).mappings():
        found.setdefault(row["tenant_id"], []).append(_grant(row))
    return found


def listing(
    connection: Connection, *, tenant_id: UUID | None, kind: str | None, after: tuple[UUID, UUID] | None, limit: int
) -> list[Grant]:
    """A page of grants by (making, tenant); of one tenant or kind where they are named."""
    query = sa.select(credit_grants)
    if tenant_id is not None:
        query = query.where(credit_grants.c.tenant_id == tenant_id)
    if kind is not None:
        query = query.where(credit_grants.c.kind == kind)
    if after is not None:
        grant_id, of_tenant = after
        same = sa.and_(credit_grants.c.grant_id == grant_id, credit_grants.c.tenant_id > of_tenant)
        query = query.where(sa.or_(credit_grants.c.grant_id > grant_id, same))
    query = query.order_by(credit_grants.c.grant_id, credit_grants.c.tenant_id).limit(limit)
    return [_grant(row) for row in connection.execute(query).mappings()]


def all_accounts(connection: Connection) -> list[tuple[UUID, int]]:
    """(tenant, how many entries its ledger must have), of every tenant that was ever granted credit."""
    query = sa.select(credit_accounts).order_by(credit_accounts.c.tenant_id)
    return [(row.tenant_id, row.entries) for row in connection.execute(query)]


def grants_of(connection: Connection, tenant_id: UUID) -> list[Grant]:
    query = sa.select(credit_grants).where(credit_grants.c.tenant_id == tenant_id)
    return [_grant(row) for row in connection.execute(query.order_by(credit_grants.c.grant_id)).mappings()]


# --- the ledger -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Move:
    """An entry that is to be made: see `Entry`."""

    grant_id: UUID
    kind: EntryKind
    amount: Decimal
    document_id: UUID | None = None
    invoice_id: UUID | None = None
    line: str = ""


def book(connection: Connection, tenant_id: UUID, moves: Sequence[Move], now: datetime) -> None:
    """Adds the entries, and moves what each grant has left along. The account is locked.

    What comes back to a voided grant is voided there and then.
    """
    if not moves:
        return
    grants = {grant.grant_id: grant for grant in find_many(connection, tenant_id, [move.grant_id for move in moves])}
    account = credit_accounts.c.tenant_id == tenant_id
    sequence: int = connection.execute(sa.select(credit_accounts.c.entries).where(account)).scalar_one()
    rows: list[dict[str, Any]] = []
    for move in (again for one in moves for again in _with_voided(one, grants[one.grant_id])):
        grant = grants[move.grant_id]
        grants[move.grant_id] = replace(grant, left=grant.left - move.amount)
        sequence += 1
        rows.append(
            {
                "tenant_id": tenant_id, "sequence": sequence, "grant_id": move.grant_id, "kind": move.kind,
                "amount": move.amount, "document_id": move.document_id, "invoice_id": move.invoice_id,
                "line": move.line, "created_at": now,
            }
        )  # fmt: skip
    assert all(ZERO <= grant.left <= grant.amount for grant in grants.values()), "a grant is never overdrawn"
    connection.execute(credit_entries.insert(), rows)
    connection.execute(credit_accounts.update().where(account).values(entries=sequence))
    for grant in grants.values():
        connection.execute(
            credit_grants.update()
            .where(credit_grants.c.tenant_id == tenant_id, credit_grants.c.grant_id == grant.grant_id)
            .values(left=grant.left, open=grant.left > 0 and grant.voided_at is None)
        )


def _with_voided(move: Move, grant: Grant) -> Iterable[Move]:
    yield move
    if move.amount < 0 and grant.voided_at is not None:
        yield Move(move.grant_id, "void", -move.amount)


def mark_voided(connection: Connection, grant: Grant, *, reason: str, now: datetime) -> None:
    """The grant as voided; its rest is taken by an entry of the same transaction."""
    connection.execute(
        credit_grants.update()
        .where(credit_grants.c.tenant_id == grant.tenant_id, credit_grants.c.grant_id == grant.grant_id)
        .values(voided_at=now, void_reason=reason, open=False)
    )


def entries(
    connection: Connection, tenant_id: UUID, *, grant_id: UUID | None = None, after: int = 0, limit: int | None = None,
    newest_first: bool = False,
) -> list[Entry]:  # fmt: skip
    """Entries of the tenant's ledger past the sequence number, oldest first; of one grant where it is named."""
    query = sa.select(credit_entries).where(credit_entries.c.tenant_id == tenant_id, credit_entries.c.sequence > after)
    if grant_id is not None:
        query = query.where(credit_entries.c.grant_id == grant_id)
    order = credit_entries.c.sequence.desc() if newest_first else credit_entries.c.sequence
    query = query.order_by(order)
    return [_entry(row) for row in connection.execute(query.limit(limit) if limit else query).mappings()]


def of_invoice(connection: Connection, tenant_id: UUID, invoice_id: UUID, *, kind: CreditKind) -> list[Entry]:
    """What credit of this kind did for the invoice, in order: uses, and what notes on it gave back."""
    query = (
        sa.select(credit_entries)
        .join(credit_grants, _same_grant())
        .where(
            credit_entries.c.tenant_id == tenant_id, credit_entries.c.invoice_id == invoice_id,
            credit_grants.c.kind == kind,
        )
        .order_by(credit_entries.c.sequence)
    )  # fmt: skip
    return [_entry(row) for row in connection.execute(query).mappings()]


def paid_totals(connection: Connection, keys: Sequence[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], Decimal]:
    """What prepaid balance paid of each invoice, less what went back to it."""
    paid: dict[tuple[UUID, UUID], Decimal] = {}
    for start in range(0, len(keys), 500):
        chunk = keys[start : start + 500]
        query = (
            sa.select(credit_entries.c.tenant_id, credit_entries.c.invoice_id, credit_entries.c.amount)
            .join(credit_grants, _same_grant())
            .where(
                credit_entries.c.tenant_id.in_(sorted({key[0] for key in chunk})),
                credit_entries.c.invoice_id.in_(sorted({key[1] for key in chunk})), credit_grants.c.kind == "prepaid",
            )
        )  # fmt: skip
        for row in connection.execute(query):
            key = (row.tenant_id, row.invoice_id)
            paid[key] = paid.get(key, ZERO) + row.amount
    return paid


def voided_totals(connection: Connection, keys: Sequence[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], Decimal]:
    """What the ledger took out of each grant (tenant, grant) without a document."""
    voided: dict[tuple[UUID, UUID], Decimal] = {}
    for start in range(0, len(keys), 500):
        chunk = keys[start : start + 500]
        query = sa.select(credit_entries.c.tenant_id, credit_entries.c.grant_id, credit_entries.c.amount).where(
            credit_entries.c.tenant_id.in_(sorted({key[0] for key in chunk})),
            credit_entries.c.grant_id.in_(sorted({key[1] for key in chunk})), credit_entries.c.kind == "void",
        )  # fmt: skip
        for row in connection.execute(query):
            key = (row.tenant_id, row.grant_id)
            voided[key] = voided.get(key, ZERO) + row.amount
    return voided


def _same_grant() -> sa.ColumnElement[bool]:
    return sa.and_(
        credit_grants.c.tenant_id == credit_entries.c.tenant_id, credit_grants.c.grant_id == credit_entries.c.grant_id
    )


def _grant(row: RowMapping) -> Grant:
    return Grant(
        row["tenant_id"], row["grant_id"], row["kind"], row["amount"], row["left"], row["created_at"], row["currency"],
        row["meter"], row["charge"], row["priority"], row["effective_at"], row["expires_at"], row["description"],
        row["voided_at"], row["void_reason"],
    )  # fmt: skip


def _entry(row: RowMapping) -> Entry:
    return Entry(
        row["sequence"], row["grant_id"], row["kind"], row["amount"], row["created_at"], row["document_id"],
        row["invoice_id"], row["line"],
    )  # fmt: skip
