"""Read a bank statement: keep what is new, record the payments that it tells of, take back what was returned.

First all entries are kept, in one transaction; then each is settled in one of its own, with its row held. So the same
file sent twice, twice at once, or again after a process died, pays once: what is settled is left alone, what is not is
looked at again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from uuid import UUID

from sqlalchemy.engine import Connection

from app.domain.bank import BankEntry, BankStatement, identified
from app.domain.errors import CannotBill, InvalidInput
from app.domain.tenants import Tenant
from app.operations.match_entries import Index, index_of, match_credit, match_debit
from app.storage import bank_store, tenant_store
from app.storage.bank_store import KeptEntry, KeptStatement
from app.storage.database import Database

OUTCOMES = ("matched", "reversed", "unmatched", "ignored")


@dataclass(frozen=True, slots=True)
class Imported:
    """How many entries of a file were `new`, and what became now of those that were not settled before."""

    statement: KeptStatement
    is_new: bool
    new: int
    outcomes: Counter[str] = field(default_factory=Counter)


def find_seller(database: Database, key: str | None) -> Tenant:
    """The seller whose bank it is: the one that is named, or the operator. Raises InvalidInput, or CannotBill."""

    def work(connection: Connection) -> Tenant:
        if key is None:
            operator = tenant_store.operator(connection)
            if operator is None:
                raise CannotBill("There is no operator yet: name the seller whose bank it is.")
            return operator
        found = tenant_store.find(connection, key)
        if found is None:
            raise InvalidInput.at("seller", f"there is no tenant {key!r}")
        return found

    return database.read(work)


def owner_of(database: Database, statements: Sequence[BankStatement], *, otherwise: Tenant) -> Tenant:
    """The one tenant whose legal profile names the account that all the statements are of; `otherwise` where there is
    none."""
    accounts = {statement.account for statement in statements}
    named = [
        tenant
        for tenant in database.read(tenant_store.all_tenants)
        if tenant.legal is not None and tenant.legal.iban and accounts == {tenant.legal.iban.replace(" ", "")}
    ]
    return named[0] if len(named) == 1 else otherwise


def import_statement(
    database: Database, seller: Tenant, statements: Sequence[BankStatement], content: bytes, *, format: str,
    now: datetime,
) -> Imported:  # fmt: skip
    """The file and what became of each of its entries."""
    entries = dict(pair for statement in statements for pair in identified(statement))
    told = sum(len(statement.entries) for statement in statements)
    accounts = sorted({statement.account for statement in statements})
    kept = KeptStatement(
        seller.tenant_id, UUID(bytes=blake2b(content, digest_size=16, person=b"bank statement").digest()), format,
        accounts[0] if len(accounts) == 1 else "", tuple(one.id for one in statements if one.id), told,
        sum(statement.pending for statement in statements), now,
    )  # fmt: skip
    is_new, new = database.write(lambda connection: _keep(connection, kept, entries, now))
    outcomes: Counter[str] = Counter()
    found, index = database.read(lambda connection: _open(connection, seller, entries))
    for one in found:
        outcomes[_settled(database, one, index, seller, now)] += 1
    return Imported(kept, is_new, new, outcomes)


def _keep(
    connection: Connection, kept: KeptStatement, entries: dict[UUID, BankEntry], now: datetime
) -> tuple[bool, int]:  # fmt: skip
    is_new = bank_store.keep_statement(connection, kept)
    return is_new, bank_store.keep_entries(connection, kept.seller_id, kept.statement_id, entries.items(), now)


def _open(
    connection: Connection, seller: Tenant, entries: dict[UUID, BankEntry]
) -> tuple[list[KeptEntry], Index]:  # fmt: skip
    """Those of the entries that nobody has settled, and all that they may name."""
    kept = bank_store.find_many(connection, seller.tenant_id, sorted(entries))
    found = [one for one in kept if one.status == "unmatched"]
    tenants = tenant_store.all_tenants(connection) if found else []
    return found, index_of(connection, seller.tenant_id, [one.entry for one in found], tenants)


def _settled(database: Database, one: KeptEntry, index: Index, seller: Tenant, now: datetime) -> str:
    def work(connection: Connection) -> str:
        kept = bank_store.find(connection, one.seller_id, one.entry_id, lock=True)
        assert kept is not None, "an entry is never taken away"
        if kept.status != "unmatched":
            return "settled elsewhere"
        entry = kept.entry
        if entry.direction == "credit":
            # What comes back of money that was sent is not a payment.
            paid = None if entry.is_returned else match_credit(connection, kept, index, seller, now)
            return "unmatched" if paid is None else "matched"
        returned = match_debit(connection, kept, index, seller, now)
        if returned is None and not entry.is_returned:
            bank_store.settle(connection, kept, "ignored", now, reason="a debit that returns nothing")
            return "ignored"
        return {None: "unmatched", "reversed": "reversed", "unpaid": "ignored"}[returned]

    return database.write(work)
