"""Who owes what since when?

A claim is an issued invoice as of a day: due = total - paid - credited. By the days since its due date it falls into a
bucket: one due on 1 March is not due on that day, in `0-30` from 2 March to 31 March, in `31-60` from 1 April.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Literal
from uuid import UUID

from app.domain.ids import NOBODY, public_id
from app.domain.money import ZERO
from app.domain.payments import OpenAmount, PaidTax, owed_tax
from app.domain.tax import TaxGroup

OnAccount = dict[tuple[UUID, str], Decimal]
"""Money on account by (payer, currency)."""
Bucket = Literal["not_due", "0-30", "31-60", "61-90", "90+"]
BUCKETS: tuple[Bucket, ...] = ("not_due", "0-30", "31-60", "61-90", "90+")


@dataclass(frozen=True, slots=True)
class Claim:
    """An issued invoice and what became of its total. `sequence` is its place in its seller's series."""

    tenant_id: UUID
    invoice_id: UUID
    seller_id: UUID
    number: str
    sequence: int
    currency: str
    total: Decimal
    tax: tuple[TaxGroup, ...]
    issued_on: date
    due_date: date | None
    credited: Decimal = ZERO
    credited_tax: tuple[TaxGroup, ...] = ()
    from_balance: Decimal = ZERO
    from_payments: Decimal = ZERO

    @property
    def id(self) -> str:
        return public_id("inv", self.tenant_id, self.invoice_id)

    @property
    def paid(self) -> Decimal:
        return self.from_balance + self.from_payments

    @property
    def due(self) -> Decimal:
        return self.total - self.paid - self.credited

    @property
    def owed_tax(self) -> tuple[PaidTax, ...]:
        return owed_tax(self.tax, self.credited_tax)

    @property
    def open_amount(self) -> OpenAmount:
        return OpenAmount(self.invoice_id, self.due, (self.due_date or date.max, self.sequence))


def bucket_of(claim: Claim, as_of: date) -> Bucket:
    """The bucket of what is due, by the days since the due date; a due date is not over on its own day."""
    days = days_overdue(claim, as_of)
    if days <= 0:
        return "not_due"
    if days <= 30:
        return "0-30"
    if days <= 60:
        return "31-60"
    return "61-90" if days <= 90 else "90+"


def days_overdue(claim: Claim, as_of: date) -> int:
    """Days since the due date; 0 or less where that is not over."""
    return 0 if claim.due_date is None else (as_of - claim.due_date).days


@dataclass(frozen=True, slots=True)
class Aged:
    """What a payer owes in one currency, by bucket, and the money of it that is on account."""

    tenant_id: UUID
    currency: str
    buckets: dict[Bucket, Decimal]
    invoices: int
    unallocated: Decimal = ZERO

    @property
    def due(self) -> Decimal:
        return sum(self.buckets.values(), ZERO)

    @property
    def overdue(self) -> Decimal:
        return self.due - self.buckets["not_due"]

    @property
    def balance(self) -> Decimal:
        """What is owed in all; negative where the payer has more on account than it owes."""
        return self.due - self.unallocated


def aged(claims: Iterable[Claim], unallocated: OnAccount, as_of: date) -> dict[tuple[UUID, str], Aged]:
    """By (payer, currency): what is due of the claims, and the money on account; payers with neither are left out."""
    buckets: dict[tuple[UUID, str], dict[Bucket, Decimal]] = {}
    counts: dict[tuple[UUID, str], int] = {}
    for claim in claims:
        if claim.due:
            key = (claim.tenant_id, claim.currency)
            own = buckets.setdefault(key, dict.fromkeys(BUCKETS, ZERO))
            own[bucket_of(claim, as_of)] += claim.due
            counts[key] = counts.get(key, 0) + 1
    keys = [*buckets, *(key for key, amount in unallocated.items() if amount and key not in buckets)]
    return {
        key: Aged(
            *key, buckets.get(key) or dict.fromkeys(BUCKETS, ZERO), counts.get(key, 0), unallocated.get(key, ZERO)
        )
        for key in keys
    }


def total_of(rows: Iterable[Aged]) -> list[Aged]:
    """All payers together, by currency."""
    sums: dict[str, Aged] = {}
    for row in rows:
        before = sums.get(row.currency)
        if before is None:
            sums[row.currency] = replace(row, tenant_id=NOBODY)
        else:
            buckets = {name: before.buckets[name] + row.buckets[name] for name in BUCKETS}
            sums[row.currency] = Aged(
                NOBODY, row.currency, buckets, before.invoices + row.invoices, before.unallocated + row.unallocated
            )
    return [sums[currency] for currency in sorted(sums)]
