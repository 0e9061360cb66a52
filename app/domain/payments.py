"""What did somebody pay, what does the money pay for, and how much of it is VAT?

A payment never changes. What it pays is a ledger that only grows: an `allocation` takes of the payment for an invoice,
a `release` gives back what the invoice needs no more, a `reversal` takes money away that was never really paid (a
returned debit, a mistake), a `refund` is money sent back. At any moment, and for each payment,

    amount = allocated + unallocated + refunded + reversed

What is unallocated is the payer's money on account. Of 50.00 paid for an invoice over 42.00, 42.00 are allocated and
8.00 are on account.

Services owe VAT when they are paid, so each allocation is split by VAT rate. The split is cumulative: what all payments
of an invoice hold of a rate is worked out anew from all that is paid, so that the last of them brings it to the
invoice's VAT exactly. 35.00 at 20 % and 10.00 at 5.5 % are 52.55; a first payment of 26.27 is 17.50 and 3.50 of VAT at
20 %, 5.00 and 0.27 at 5.5 %; the rest of 26.28 is 17.50 and 3.50, 5.00 and 0.28.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

from app.domain.money import CURRENCY_DECIMALS, ZERO, divide, round_amount
from app.domain.tax import TaxGroup

PaymentSource = Literal["api", "bank"]
PAYMENT_SOURCES: tuple[PaymentSource, ...] = ("api", "bank")
EntryKind = Literal["allocation", "release", "adjustment", "reversal", "refund"]


@dataclass(frozen=True, slots=True)
class Payment:
    """Money that a tenant (the payer) paid to a seller on a day. Absent texts are ''. `left` is what no entry of the
    ledger has taken."""

    tenant_id: UUID
    payment_id: UUID
    seller_id: UUID
    amount: Decimal
    left: Decimal
    currency: str
    paid_on: date
    created_at: datetime
    method: str = ""
    reference: str = ""
    external_id: str = ""
    note: str = ""
    source: PaymentSource = "api"
    digest: bytes = b""


@dataclass(frozen=True, slots=True)
class PaidTax:
    """What of some money is for one VAT group: net `base` and VAT `amount`."""

    category: str
    rate: Decimal
    base: Decimal
    amount: Decimal


@dataclass(frozen=True, slots=True)
class PaymentEntry:
    """One line of a payer's ledger: `amount` is taken from the payment, or given back to it where it is negative.

    `invoice_id` is the invoice that an allocation, a release or an adjustment (of the split alone) is about;
    `document_id` the credit note that made it, `cause_id` the reversal or refund that it belongs to: both None where
    there is none. `booked_on` is the day from which it counts.
    """

    sequence: int
    payment_id: UUID
    kind: EntryKind
    amount: Decimal
    booked_on: date
    created_at: datetime
    invoice_id: UUID | None = None
    document_id: UUID | None = None
    cause_id: UUID | None = None
    tax: tuple[PaidTax, ...] = ()
    reason: str = ""
    note: str = ""


# --- what a payment stands for ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Allocation:
    """What of a payment pays one invoice, all its entries together."""

    invoice_id: UUID
    amount: Decimal
    tax: tuple[PaidTax, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a payment stands: its amount is allocated + unallocated + refunded + reversed."""

    allocations: tuple[Allocation, ...]
    allocated: Decimal
    unallocated: Decimal
    refunded: Decimal
    reversed: Decimal
    tax: tuple[PaidTax, ...]


def standing(payment: Payment, entries: Sequence[PaymentEntry]) -> Standing:
    """`entries` are all those of the payment, in order. Invoices that it pays no more are left out."""
    amounts: dict[UUID, Decimal] = {}
    taxes: dict[UUID, list[PaidTax]] = {}
    sums: dict[str, Decimal] = {"refund": ZERO, "reversal": ZERO}
    for entry in entries:
        if entry.invoice_id is None:
            sums[entry.kind] += entry.amount
        else:
            amounts[entry.invoice_id] = amounts.get(entry.invoice_id, ZERO) + entry.amount
            taxes.setdefault(entry.invoice_id, []).extend(entry.tax)
    allocations = tuple(
        Allocation(invoice_id, amount, summed_tax(taxes[invoice_id]))
        for invoice_id, amount in amounts.items()
        if amount
    )
    allocated = sum(amounts.values(), ZERO)
    unallocated = payment.amount - allocated - sums["refund"] - sums["reversal"]
    whole = summed_tax(part for parts in taxes.values() for part in parts)
    return Standing(allocations, allocated, unallocated, sums["refund"], sums["reversal"], whole)


def latest_first(allocations: Sequence[Allocation], amount: Decimal) -> list[tuple[UUID, Decimal]]:
    """How `amount` is taken back from what a payment pays: from the last invoice first."""
    taken: list[tuple[UUID, Decimal]] = []
    for one in reversed(allocations):
        part = min(one.amount, amount)
        if part > 0:
            taken.append((one.invoice_id, part))
            amount -= part
    return taken


# --- the split by VAT rate --------------------------------------------------------------------------------------------


def summed_tax(parts: Iterable[PaidTax]) -> tuple[PaidTax, ...]:
    """The parts together by (category, rate); groups of nothing are left out."""
    sums: dict[tuple[str, Decimal], tuple[Decimal, Decimal]] = {}
    for part in parts:
        base, amount = sums.get((part.category, part.rate), (ZERO, ZERO))
        sums[part.category, part.rate] = (base + part.base, amount + part.amount)
    return tuple(PaidTax(*key, *pair) for key, pair in sorted(sums.items()) if pair != (ZERO, ZERO))


def less(whole: Iterable[PaidTax], part: Iterable[PaidTax]) -> tuple[PaidTax, ...]:
    return summed_tax([*whole, *(PaidTax(item.category, item.rate, -item.base, -item.amount) for item in part)])


def owed_tax(groups: Iterable[TaxGroup], credited: Iterable[TaxGroup]) -> tuple[PaidTax, ...]:
    """The VAT groups of an invoice less those of the credit notes on it."""
    whole = [PaidTax(group.category, group.rate, group.base, group.amount) for group in groups]
    return less(whole, [PaidTax(group.category, group.rate, group.base, group.amount) for group in credited])


def split_paid(owed: Sequence[PaidTax], paid: Decimal, currency: str) -> tuple[PaidTax, ...]:
    """What `paid` of an invoice with these groups holds of each, pro rata; the parts sum to `paid` to the cent.

    It depends on `paid` alone, not on how many payments it came in, and is the groups themselves where all is paid.
    The gross amounts are rounded along their running sum; within a group the VAT is in proportion to its gross amount.
    """
    total = sum((group.base + group.amount for group in owed), ZERO)
    if not total:
        return ()
    parts: list[PaidTax] = []
    before = through = ZERO
    for group in owed:
        gross = group.base + group.amount
        through += gross
        upto = _share(paid, through, total, currency)
        part, before = upto - before, upto
        vat = _share(group.amount, part, gross, currency) if gross else ZERO
        parts.append(PaidTax(group.category, group.rate, part - vat, vat))
    return summed_tax(parts)


def _share(amount: Decimal, part: Decimal, whole: Decimal, currency: str) -> Decimal:
    return divide(amount * part, whole, scale=CURRENCY_DECIMALS[currency])


# --- what money on account pays ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OpenAmount:
    """An invoice of which something is due; `order` is its place among those of its payer."""

    invoice_id: UUID
    due: Decimal
    order: tuple[date, int]


def oldest_first(open_amounts: Iterable[OpenAmount], amount: Decimal) -> list[tuple[UUID, Decimal]]:
    """How `amount` pays several invoices: the one due first is paid first, and none more than is due of it."""
    paid: list[tuple[UUID, Decimal]] = []
    for one in sorted(open_amounts, key=lambda item: item.order):
        part = min(one.due, amount)
        if part > 0:
            paid.append((one.invoice_id, part))
            amount -= part
    return paid


def amount_problem(amount: Decimal, currency: str) -> str | None:
    """What is wrong with an amount that is paid; None where nothing is."""
    if not 0 < amount < Decimal(10) ** 15:
        return "an amount that is paid is above 0 and under 10^15"
    return None if round_amount(amount, currency) == amount else f"has more decimals than {currency}"
