"""Bank statements and their entries: each kept once, whichever files tell of it. What an entry says never changes; what
became of it is settled once, by whoever holds its row."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from app.domain.bank import BankEntry, BankEntryStatus, MatchedBy
from app.storage.tables import bank_entries, bank_statements
from app.storage.upserts import insert_missing, insert_new

_CHUNK = 500


@dataclass(frozen=True, slots=True)
class KeptStatement:
    seller_id: UUID
    statement_id: UUID
    format: str
    account: str
    names: tuple[str, ...]
    entries: int
    pending: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class KeptEntry:
    """An entry and what became of it: the payment that it made, was linked to, or took back by the reversal
    `cause_id`."""

    seller_id: UUID
    entry_id: UUID
    statement_id: UUID
    entry: BankEntry
    status: BankEntryStatus
    matched_by: MatchedBy | None
    payer_id: UUID | None
    payment_id: UUID | None
    cause_id: UUID | None
    reason: str
    created_at: datetime
    settled_at: datetime | None


def keep_statement(connection: Connection, statement: KeptStatement) -> bool:
    """True where this file was not there."""
    row = {
        "tenant_id": statement.seller_id, "statement_id": statement.statement_id, "format": statement.format,
        "account": statement.account, "names": json.dumps(statement.names, ensure_ascii=False),
        "entries": statement.entries, "pending": statement.pending, "created_at": statement.created_at,
    }  # fmt: skip
    return insert_new(connection, bank_statements, row)


def keep_entries(
    connection: Connection, seller_id: UUID, statement_id: UUID, entries: Iterable[tuple[UUID, BankEntry]],
    now: datetime,
) -> int:  # fmt: skip
    """Keeps the entries that are not there; how many those are."""
    rows = {
        entry_id: {
            "tenant_id": seller_id, "entry_id": entry_id, "statement_id": statement_id, "account": entry.account,
            "booked_on": entry.booked_on, "value_on": entry.value_on, "amount": entry.amount,
            "currency": entry.currency, "direction": entry.direction, "entry_reference": entry.entry_reference,
            "transaction_reference": entry.transaction_reference, "end_to_end": entry.end_to_end_id,
            "name": entry.name, "counterparty_account": entry.counterparty_account,
            "references": json.dumps(entry.references, ensure_ascii=False), "text": entry.text,
            "is_returned": entry.is_returned, "return_reason": entry.return_reason, "status": "unmatched",
            "matched_by": "", "payer_id": None, "payment_id": None, "cause_id": None, "reason": "",
            "created_at": now, "settled_at": None,
        }
        for entry_id, entry in entries
    }  # fmt: skip
    before = _known(connection, seller_id, list(rows))
    new = [rows[entry_id] for entry_id in sorted(rows) if entry_id not in before]
    insert_missing(connection, bank_entries, new)
    return len(new)


def _known(connection: Connection, seller_id: UUID, ids: Sequence[UUID]) -> set[UUID]:
    found: set[UUID] = set()
    for start in range(0, len(ids), _CHUNK):
        query = sa.select(bank_entries.c.entry_id).where(
            bank_entries.c.tenant_id == seller_id, bank_entries.c.entry_id.in_(ids[start : start + _CHUNK])
        )
        found |= set(connection.execute(query).scalars())
    return found


def find_statement(connection: Connection, seller_id: UUID, statement_id: UUID) -> KeptStatement | None:
    query = sa.select(bank_statements).where(
        bank_statements.c.tenant_id == seller_id, bank_statements.c.statement_id == statement_id
    )
    row = connection.execute(query).mappings().first()
    return None if row is None else _statement(row)


def find(connection: Connection, seller_id: UUID, entry_id: UUID, *, lock: bool = False) -> KeptEntry | None:
    """The entry; with its row held until the transaction ends, where `lock` says so."""
    query = sa.select(bank_entries).where(bank_entries.c.tenant_id == seller_id, bank_entries.c.entry_id == entry_id)
    row = connection.execute(query.with_for_update() if lock else query).mappings().first()
    return None if row is None else _entry(row)


def find_many(connection: Connection, seller_id: UUID, ids: Sequence[UUID]) -> list[KeptEntry]:
    """These entries in the order in which they are to be settled: by day, what came in before what went out."""
    found: list[KeptEntry] = []
    for start in range(0, len(ids), _CHUNK):
        query = sa.select(bank_entries).where(
            bank_entries.c.tenant_id == seller_id, bank_entries.c.entry_id.in_(ids[start : start + _CHUNK])
        )
        found += [_entry(row) for row in connection.execute(query).mappings()]
    return sorted(found, key=lambda one: (one.entry.booked_on, one.entry.direction, one.entry_id.int))


def settle(
    connection: Connection, kept: KeptEntry, status: BankEntryStatus, now: datetime, *,
    matched_by: MatchedBy | None = None, payer_id: UUID | None = None, payment_id: UUID | None = None,
    cause_id: UUID | None = None, reason: str = "",
) -> None:  # fmt: skip
    """Says what became of the entry. Its row is held."""
    connection.execute(
        bank_entries.update()
        .where(bank_entries.c.tenant_id == kept.seller_id, bank_entries.c.entry_id == kept.entry_id)
        .values(
            status=status, matched_by=matched_by or "", payer_id=payer_id, payment_id=payment_id, cause_id=cause_id,
            reason=reason, settled_at=now,
        )
    )  # fmt: skip


def same_movement(connection: Connection, kept: KeptEntry) -> list[KeptEntry]:
    """Credits on the same account that an entry which comes back may refer to: of the same end-to-end id, or of the
    same reference of the movement or the booking."""
    entry = kept.entry
    named = [
        column == value
        for column, value in (
            (bank_entries.c.end_to_end, entry.end_to_end_id),
            (bank_entries.c.transaction_reference, entry.transaction_reference),
            (bank_entries.c.entry_reference, entry.entry_reference),
        )
        if value
    ]
    if not named:
        return []
    query = sa.select(bank_entries).where(
        bank_entries.c.tenant_id == kept.seller_id, bank_entries.c.account == entry.account,
        bank_entries.c.direction == "credit", bank_entries.c.currency == entry.currency,
        bank_entries.c.booked_on <= entry.booked_on, sa.or_(*named),
    )  # fmt: skip
    return [_entry(row) for row in connection.execute(query.order_by(bank_entries.c.entry_id)).mappings()]


def linked(connection: Connection, seller_id: UUID, payment_ids: Collection[UUID]) -> set[UUID]:
    """Those of the payments that an entry which came in made, or was linked to."""
    query = sa.select(bank_entries.c.payment_id).where(
        bank_entries.c.tenant_id == seller_id, bank_entries.c.direction == "credit",
        bank_entries.c.payment_id.in_(sorted(payment_ids)),
    )  # fmt: skip
    return set(connection.execute(query).scalars())


@dataclass(frozen=True, slots=True)
class BankFilter:
    status: str | None = None
    direction: str | None = None
    account: str | None = None
    seller_id: UUID | None = None
    statement: tuple[UUID, UUID] | None = None


def listing(
    connection: Connection, wanted: BankFilter, *, after: tuple[date, UUID, UUID] | None, limit: int
) -> list[KeptEntry]:
    """A page of entries by (day of booking, entry, seller)."""
    query = sa.select(bank_entries)
    equal: tuple[tuple[Any, Any], ...] = (
        (bank_entries.c.status, wanted.status), (bank_entries.c.direction, wanted.direction),
        (bank_entries.c.account, wanted.account), (bank_entries.c.tenant_id, wanted.seller_id),
    )  # fmt: skip
    for column, value in equal:
        if value is not None:
            query = query.where(column == value)
    if wanted.statement is not None:
        seller_id, statement_id = wanted.statement
        query = query.where(bank_entries.c.tenant_id == seller_id, bank_entries.c.statement_id == statement_id)
    place = (bank_entries.c.booked_on, bank_entries.c.entry_id, bank_entries.c.tenant_id)
    if after is not None:
        query = query.where(
            sa.or_(
                place[0] > after[0],
                sa.and_(place[0] == after[0], place[1] > after[1]),
                sa.and_(place[0] == after[0], place[1] == after[1], place[2] > after[2]),
            )
        )
    return [_entry(row) for row in connection.execute(query.order_by(*place).limit(limit)).mappings()]


def statements(connection: Connection, *, after: tuple[datetime, UUID] | None, limit: int) -> list[KeptStatement]:
    """A page of files by (upload, statement)."""
    query = sa.select(bank_statements)
    place = (bank_statements.c.created_at, bank_statements.c.statement_id)
    if after is not None:
        at, statement_id = after
        query = query.where(sa.or_(place[0] > at, sa.and_(place[0] == at, place[1] > statement_id)))
    return [_statement(row) for row in connection.execute(query.order_by(*place).limit(limit)).mappings()]


def count_unmatched(connection: Connection) -> int:
    query = sa.select(sa.func.count()).select_from(bank_entries).where(bank_entries.c.status == "unmatched")
    found: int = connection.execute(query).scalar_one()
    return found


def matched(connection: Connection) -> list[KeptEntry]:
    """Every entry that is matched."""
    query = sa.select(bank_entries).where(bank_entries.c.status == "matched")
    return [_entry(row) for row in connection.execute(query).mappings()]


def _statement(row: RowMapping) -> KeptStatement:
    return KeptStatement(
        row["tenant_id"], row["statement_id"], row["format"], row["account"], tuple(json.loads(row["names"])),
        row["entries"], row["pending"], row["created_at"],
    )  # fmt: skip


def _entry(row: RowMapping) -> KeptEntry:
    entry = BankEntry(
        row["account"], row["booked_on"], row["amount"], row["currency"], row["direction"], row["value_on"],
        row["entry_reference"], row["transaction_reference"], row["end_to_end"], row["name"],
        row["counterparty_account"], tuple(json.loads(row["references"])), row["text"], row["is_returned"],
        row["return_reason"],
    )  # fmt: skip
    return KeptEntry(
        row["tenant_id"], row["entry_id"], row["statement_id"], entry, row["status"], row["matched_by"] or None,
        row["payer_id"], row["payment_id"], row["cause_id"], row["reason"], row["created_at"], row["settled_at"],
    )  # fmt: skip
