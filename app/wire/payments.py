"""Payments: the shape of the HTTP contract <-> domain values.

    {"amount": "42.00", "paid_on": "2026-11-05", "method": "transfer", "reference": "2026-000042",
     "external_id": "bank-17"}                                                         of one invoice, by its address
    {"tenant": "acme", "amount": "100.00", "currency": "EUR"}                          pays what is open, oldest first
    {"tenant": "acme", "amount": "100.00", "allocate": "none"}                         stays on account for now
    {"tenant": "acme", "amount": "60.00", "allocations": [{"invoice": "inv_..", "amount": "42.00"}]}

`paid_on` may be called `date`; absent, it is today. What pays no invoice is on account, `unallocated`; the next
invoices of the seller take it as they are issued. Answers say what became of the amount: it is the sum of `allocated`,
`unallocated`, `refunded` and `reversed`; `tax` is the part of the invoices that it pays, by VAT group.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from app.domain.events import instant_text
from app.domain.ids import public_id
from app.domain.invoices import Invoice, due
from app.domain.money import amount_text, plain
from app.domain.payments import PaidTax, Payment, PaymentEntry, standing
from app.wire.parsing import Fields

AllocateWish = Literal["oldest_first", "none"]
ALLOCATE: tuple[AllocateWish, ...] = ("oldest_first", "none")
MAX_ALLOCATIONS = 1000
MAX_METHOD = 64
MAX_NOTE = 1000
PAYMENT_STATES = ("unallocated", "partly_allocated", "allocated", "refunded", "reversed")


@dataclass(frozen=True, slots=True)
class AllocationWish:
    """An invoice, by its public id, and how much of it is to be paid; None: as much as there is and is due."""

    invoice: str
    amount: Decimal | None


@dataclass(frozen=True, slots=True)
class PaymentWish:
    """A payment as somebody tells it. `currency` and `paid_on` are None where they were not said."""

    amount: Decimal
    currency: str | None
    paid_on: date | None
    method: str
    reference: str
    external_id: str
    note: str


@dataclass(frozen=True, slots=True)
class AccountPaymentWish:
    """A payment of a tenant; `allocations` is None where it is not said which invoices it pays."""

    tenant: str
    seller: str | None
    payment: PaymentWish
    allocations: tuple[AllocationWish, ...] | None
    allocate: AllocateWish


@dataclass(frozen=True, slots=True)
class ReversalWish:
    """`amount` is None for all that can be taken back, `on` for today."""

    amount: Decimal | None
    on: date | None
    reason: str
    note: str


# --- what is sent -----------------------------------------------------------------------------------------------------


def invoice_payment_from_wire(body: Any) -> PaymentWish:
    """Raises InvalidInput with every fault."""
    fields = Fields(body)
    wish = _payment(fields)
    fields.finish()
    return wish


def account_payment_from_wire(body: Any) -> AccountPaymentWish:
    """Raises InvalidInput with every fault."""
    fields = Fields(body)
    payment = _payment(fields)
    tenant, seller = fields.key("tenant"), fields.optional_key("seller")
    allocations = _allocations(fields, "allocations")
    if fields.has("invoice"):
        if allocations is not None:
            fields.problem("invoice", "a payment has either an invoice or allocations")
        allocations = (AllocationWish(fields.text("invoice"), None),)
    fields.ignore("invoice")
    allocate = fields.choice("allocate", ALLOCATE, default="oldest_first")
    if allocations and fields.has("allocate"):
        fields.problem("allocate", "the allocations say what is paid")
    fields.finish()
    return AccountPaymentWish(tenant, seller, payment, allocations, allocate)


def _payment(fields: Fields) -> PaymentWish:
    amount = fields.decimal("amount")
    currency = fields.currency("currency") if fields.has("currency") else None
    fields.ignore("currency")
    return PaymentWish(
        amount, currency, _day(fields, "paid_on"), fields.optional_text("method", max_length=MAX_METHOD) or "",
        fields.optional_text("reference") or "", fields.optional_text("external_id") or "",
        fields.optional_text("note", max_length=MAX_NOTE) or "",
    )  # fmt: skip


def _day(fields: Fields, name: str) -> date | None:
    """A day that may be called `date` too; None where neither is there."""
    chosen = name if fields.has(name) or not fields.has("date") else "date"
    if fields.has(name) and fields.has("date"):
        fields.problem("date", f"is another name of {name}: send one of them")
    fields.ignore(name, "date")
    return fields.day(chosen) if fields.has(chosen) else None


def _allocations(fields: Fields, name: str) -> tuple[AllocationWish, ...] | None:
    if not fields.has(name):
        fields.ignore(name)
        return None
    items = fields.objects(name)
    if len(items) > MAX_ALLOCATIONS:
        fields.problem(name, f"has more than {MAX_ALLOCATIONS} items")
    return tuple(AllocationWish(item.text("invoice"), item.optional_decimal("amount")) for item in items)


def allocation_from_wire(body: Any) -> tuple[AllocationWish, ...] | None:
    """The invoices that money on account is to pay; None where it is to pay what is open, oldest first."""
    fields = Fields(body)
    allocations = _allocations(fields, "allocations")
    if fields.has("invoice"):
        if allocations is not None:
            fields.problem("invoice", "send either an invoice or allocations")
        allocations = (AllocationWish(fields.text("invoice"), fields.optional_decimal("amount")),)
    elif fields.has("amount"):
        fields.problem("amount", "name the invoice that it pays")
    fields.ignore("invoice", "amount")
    fields.finish()
    return allocations


def release_from_wire(body: Any) -> AllocationWish:
    """The invoice that a payment is to pay no more, or less of."""
    fields = Fields(body)
    wish = AllocationWish(fields.text("invoice"), fields.optional_decimal("amount"))
    fields.finish()
    return wish


def reversal_from_wire(body: Any) -> ReversalWish:
    fields = Fields(body)
    wish = ReversalWish(
        fields.optional_decimal("amount"), _day(fields, "reversed_on"), fields.text("reason"),
        fields.optional_text("note", max_length=MAX_NOTE) or "",
    )  # fmt: skip
    fields.finish()
    return wish


def refund_from_wire(body: Any) -> ReversalWish:
    fields = Fields(body)
    wish = ReversalWish(
        fields.optional_decimal("amount"), _day(fields, "refunded_on"), fields.optional_text("reason") or "",
        fields.optional_text("note", max_length=MAX_NOTE) or "",
    )  # fmt: skip
    fields.finish()
    return wish


# --- what is answered -------------------------------------------------------------------------------------------------


def payment_to_wire(
    payment: Payment, entries: Sequence[PaymentEntry], *, keys: Mapping[UUID, str], numbers: Mapping[UUID, str]
) -> dict[str, Any]:
    """The payment and what became of it. `keys` are those of tenants, `numbers` those of the invoices that it pays."""
    where = standing(payment, entries)

    def money(amount: Decimal) -> str:
        return amount_text(amount, payment.currency)

    invoices = [public_id("inv", payment.tenant_id, one.invoice_id) for one in where.allocations]
    return {
        "id": public_id("pay", payment.tenant_id, payment.payment_id), "tenant": keys[payment.tenant_id],
        "seller": keys[payment.seller_id], "amount": money(payment.amount), "currency": payment.currency,
        "paid_on": payment.paid_on.isoformat(), "method": payment.method or None,
        "reference": payment.reference or None, "external_id": payment.external_id or None,
        "note": payment.note or None, "source": payment.source, "status": _status(payment, entries),
        "allocated": money(where.allocated), "unallocated": money(where.unallocated),
        "refunded": money(where.refunded), "reversed": money(where.reversed),
        "invoice": invoices[0] if len(invoices) == 1 else None,
        "allocations": [
            {
                "invoice": invoice, "number": numbers.get(one.invoice_id, ""), "amount": money(one.amount),
                "tax": tax_to_wire(one.tax, payment.currency),
            }
            for invoice, one in zip(invoices, where.allocations, strict=True)
        ],
        "tax": tax_to_wire(where.tax, payment.currency),
        "reversals": [_movement(entry, payment) for entry in entries if entry.kind == "reversal"],
        "refunds": [_movement(entry, payment) for entry in entries if entry.kind == "refund"],
        "created_at": instant_text(payment.created_at),
    }  # fmt: skip


def _status(payment: Payment, entries: Sequence[PaymentEntry]) -> str:
    where = standing(payment, entries)
    if where.allocated:
        return "partly_allocated" if where.unallocated else "allocated"
    if where.unallocated:
        return "unallocated"
    return "reversed" if where.reversed else "refunded"


def _movement(entry: PaymentEntry, payment: Payment) -> dict[str, Any]:
    assert entry.cause_id is not None, "a reversal and a refund have ids of their own"
    prefix, day = ("prv", "reversed_on") if entry.kind == "reversal" else ("prf", "refunded_on")
    return {
        "id": public_id(prefix, payment.tenant_id, entry.cause_id),
        "amount": amount_text(entry.amount, payment.currency), "reason": entry.reason or None,
        "note": entry.note or None, day: entry.booked_on.isoformat(), "created_at": instant_text(entry.created_at),
    }  # fmt: skip


def tax_to_wire(parts: Sequence[PaidTax], currency: str) -> list[dict[str, str]]:
    return [
        {
            "category": part.category, "rate": plain(part.rate), "base": amount_text(part.base, currency),
            "amount": amount_text(part.amount, currency),
        }
        for part in parts
    ]  # fmt: skip


def entry_to_wire(entry: PaymentEntry, payment: Payment, numbers: Mapping[UUID, str]) -> dict[str, Any]:
    """One entry of the ledger; what goes back to the payment is negative."""

    def document(own_id: UUID | None) -> dict[str, str] | None:
        if own_id is None:
            return None
        return {"id": public_id("inv", payment.tenant_id, own_id), "number": numbers.get(own_id, "")}

    return {
        "sequence": entry.sequence, "kind": entry.kind, "amount": amount_text(entry.amount, payment.currency),
        "booked_on": entry.booked_on.isoformat(), "invoice": document(entry.invoice_id),
        "document": document(entry.document_id), "tax": tax_to_wire(entry.tax, payment.currency),
        "reason": entry.reason or None, "created_at": instant_text(entry.created_at),
    }  # fmt: skip


def paid_to_wire(invoice: Invoice, from_payments: Decimal) -> dict[str, Any]:
    """Of what an invoice's `paid` is made: prepaid balance and payments."""
    amounts = {
        "total": invoice.total, "paid": invoice.paid, "from_balance": invoice.paid - from_payments,
        "from_payments": from_payments, "credited": invoice.credited, "due": due(invoice),
    }  # fmt: skip
    shown = {name: amount_text(amount, invoice.currency) for name, amount in amounts.items()}
    return {"currency": invoice.currency} | shown
