"""What is owed, by whom, since when: as of any day, worked out from the documents and the ledgers alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.engine import Connection

from app.domain.money import ZERO
from app.domain.payments import Payment
from app.domain.periods import local_date
from app.domain.receivables import Aged, Bucket, Claim, OnAccount, aged
from app.domain.tenants import Tenant
from app.storage import claim_store, credit_store, payment_store, tenant_store
from app.storage.claim_store import FreeCredit
from app.storage.database import Database

_TENANTS_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Account:
    """What a tenant owes and has on account as of a day. `prepaid` is what is left of its balance now, by currency;
    `keys` are those of the sellers."""

    tenant: Tenant
    as_of: date
    balances: tuple[Aged, ...]
    claims: tuple[Claim, ...]
    payments: tuple[tuple[Payment, Decimal], ...]
    credit_notes: tuple[FreeCredit, ...]
    prepaid: dict[str, Decimal]
    keys: dict[UUID, str]


@dataclass(frozen=True, slots=True)
class Receivables:
    as_of: date
    rows: tuple[tuple[Tenant, Aged], ...]


def read_account(database: Database, tenant: Tenant, *, as_of: date | None, now: datetime) -> Account:
    """The account as of the day's end; as of now where no day is named."""
    day = as_of or local_date(now, ZoneInfo(tenant.time_zone))

    def work(connection: Connection) -> Account:
        ids = [tenant.tenant_id]
        claims = [claim for claim in claim_store.of_payers(connection, ids, as_of=day) if claim.due]
        payments = _unallocated(connection, ids, day)
        notes = claim_store.free_credits(connection, ids, as_of=day)
        rows = aged(claims, _on_account(payments), day)
        sellers = {claim.seller_id for claim in claims} | {payment.seller_id for payment, _ in payments}
        return Account(
            tenant, day, tuple(rows[key] for key in sorted(rows)), tuple(claims), tuple(payments), tuple(notes),
            _prepaid(connection, tenant.tenant_id, now), tenant_store.keys_of(connection, sellers),
        )  # fmt: skip

    return database.read(work)


def read_receivables(
    database: Database, *, as_of: date | None, bucket: Bucket | None, tenant_id: UUID | None, seller_id: UUID | None,
    currency: str | None, now: datetime,
) -> Receivables:  # fmt: skip
    """Every payer that owes something or has money on account, by key; those with something in the bucket, where one is
    named. Without a day as of now: in each payer's zone the day's end has not come."""
    day = as_of or local_date(now, ZoneInfo("UTC"))

    def work(connection: Connection) -> Receivables:
        if tenant_id is not None:
            payers = [tenant_id]
        else:
            payers = sorted({*claim_store.buyers(connection), *payment_store.payers(connection)})
        found: list[Aged] = []
        for start in range(0, len(payers), _TENANTS_AT_ONCE):
            found += _aged(connection, payers[start : start + _TENANTS_AT_ONCE], day, seller_id)
        wanted = [
            row for row in found
            if currency in (None, row.currency) and (bucket is None or row.buckets[bucket])
        ]  # fmt: skip
        tenants = {one.tenant_id: one for one in tenant_store.find_many(connection, [row.tenant_id for row in wanted])}
        rows = [(tenants[row.tenant_id], row) for row in wanted]
        return Receivables(day, tuple(sorted(rows, key=lambda pair: (pair[0].key, pair[1].currency))))

    return database.read(work)


def _aged(connection: Connection, payers: Sequence[UUID], day: date, seller_id: UUID | None) -> Iterable[Aged]:
    claims = claim_store.of_payers(connection, payers, as_of=day, seller_id=seller_id)
    payments = _unallocated(connection, payers, day, seller_id)
    return aged(claims, _on_account(payments), day).values()


def _unallocated(
    connection: Connection, payers: Sequence[UUID], day: date, seller_id: UUID | None = None
) -> list[tuple[Payment, Decimal]]:
    """Payments of which something was on account at the day's end, and how much."""
    payments = [
        payment
        for payment in payment_store.of_tenants(connection, payers, paid_by=day)
        if seller_id in (None, payment.seller_id)
    ]
    entries = payment_store.entries_of(connection, [(one.tenant_id, one.payment_id) for one in payments])
    left = [
        (
            payment,
            payment.amount
            - sum(
                (
                    entry.amount
                    for entry in entries[payment.tenant_id, payment.payment_id]
                    if entry.booked_on <= day
                ),
                ZERO,
            ),
        )
        for payment in payments
    ]  # fmt: skip
    return [(payment, amount) for payment, amount in left if amount]


def _on_account(payments: Iterable[tuple[Payment, Decimal]]) -> OnAccount:
    sums: OnAccount = {}
    for payment, amount in payments:
        key = (payment.tenant_id, payment.currency)
        sums[key] = sums.get(key, ZERO) + amount
    return sums


def _prepaid(connection: Connection, tenant_id: UUID, now: datetime) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for grant in credit_store.open_grants(connection, tenant_id, "prepaid"):
        if not grant.expired_by(now):
            sums[grant.currency] = sums.get(grant.currency, ZERO) + grant.left
    return sums
