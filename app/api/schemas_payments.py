"""The shapes of payments, for the published OpenAPI document."""

from __future__ import annotations

from app.api.schemas import (
    AMOUNT,
    CURRENCY,
    DAY,
    DECIMAL,
    INSTANT,
    INVOICE_ID,
    KEY,
    Schema,
    nullable,
    one_of,
    page_of,
    ref,
    sent,
    shown,
    text,
)
from app.domain.payments import PAYMENT_SOURCES
from app.domain.tax import CATEGORIES
from app.wire.payments import ALLOCATE, MAX_ALLOCATIONS, MAX_METHOD, MAX_NOTE, PAYMENT_STATES

PAYMENT_ID: Schema = {"type": "string", "pattern": "^pay_[0-9a-v]{52}$"}
_REVERSAL_ID: Schema = {"type": "string", "pattern": "^prv_[0-9a-v]{52}$"}
_REFUND_ID: Schema = {"type": "string", "pattern": "^prf_[0-9a-v]{52}$"}
PAID_AMOUNT: Schema = AMOUNT
_PAID = {
    "currency": CURRENCY, "paid_on": DAY | {"description": "The day it was paid; today where it is absent."},
    "date": DAY | {"description": "Another name of paid_on."}, "method": text(MAX_METHOD), "reference": text(),
    "external_id": text() | {"description": "What another system calls it: a payment of a tenant with it is recorded "
                             "once."},
    "note": text(MAX_NOTE),
}  # fmt: skip
_ALLOCATIONS: Schema = {
    "type": "array", "maxItems": MAX_ALLOCATIONS,
    "items": sent({"invoice": text()}, {"amount": PAID_AMOUNT}),
    "description": "Invoices that it pays; without an amount as much as there is and is due.",
}  # fmt: skip
INVOICE_PAYMENT_SENT = sent(
    {"amount": PAID_AMOUNT}, _PAID,
    examples=[{"amount": "42.00", "paid_on": "2026-11-05", "method": "transfer", "reference": "2026-000042"}],
)  # fmt: skip
PAYMENT_SENT = sent(
    {"tenant": KEY, "amount": PAID_AMOUNT},
    _PAID | {
        "seller": KEY | {"description": "Who was paid; the operator where it is absent."},
        "invoice": text(), "allocations": _ALLOCATIONS,
        "allocate": one_of(ALLOCATE) | {"description": "What it pays where no invoice is named: all that is open, the "
                                        "one due first first, or nothing yet."},
    },
    examples=[{"tenant": "acme", "amount": "100.00"}],
)  # fmt: skip
ALLOCATION_SENT = sent(
    {}, {"invoice": text(), "amount": PAID_AMOUNT, "allocations": _ALLOCATIONS},
    description="Without invoices, all that is open, the one due first first.", examples=[{}],
)  # fmt: skip
RELEASE_SENT = sent({"invoice": text()}, {"amount": PAID_AMOUNT})
REVERSAL_SENT = sent(
    {"reason": text()}, {"amount": PAID_AMOUNT, "reversed_on": DAY, "date": DAY, "note": text(MAX_NOTE)},
    description="`reason` is a word such as chargeback, returned or mistake; without an amount all of it.",
    examples=[{"reason": "chargeback"}],
)  # fmt: skip
REFUND_SENT = sent(
    {}, {"amount": PAID_AMOUNT, "refunded_on": DAY, "date": DAY, "reason": text(), "note": text(MAX_NOTE)},
    description="Without an amount all that is on account.", examples=[{}],
)  # fmt: skip
PAID_TAX: Schema = {"type": "array", "items": shown(
    {"category": one_of(CATEGORIES), "rate": DECIMAL, "base": DECIMAL, "amount": DECIMAL})}  # fmt: skip
_TEXT: Schema = {"type": ["string", "null"]}


def _movement(id: Schema, day: str) -> Schema:
    return {"type": "array", "items": shown(
        {"id": id, "amount": DECIMAL, "reason": _TEXT, "note": _TEXT, day: DAY, "created_at": INSTANT})}  # fmt: skip


PAYMENT = shown(
    {
        "id": PAYMENT_ID, "tenant": KEY, "seller": KEY, "amount": DECIMAL, "currency": CURRENCY, "paid_on": DAY,
        "method": _TEXT, "reference": _TEXT, "external_id": _TEXT, "note": _TEXT, "source": one_of(PAYMENT_SOURCES),
        "status": one_of(PAYMENT_STATES), "allocated": DECIMAL, "unallocated": DECIMAL, "refunded": DECIMAL,
        "reversed": DECIMAL,
        "invoice": nullable(INVOICE_ID) | {"description": "The invoice that it pays, where it is one."},
        "allocations": {"type": "array", "items": shown(
            {"invoice": INVOICE_ID, "number": {"type": "string"}, "amount": DECIMAL, "tax": PAID_TAX})},
        "tax": PAID_TAX | {"description": "What of the allocations is for each VAT group of the invoices; all that "
                           "pays an invoice in full is its VAT to the cent."},
        "reversals": _movement(_REVERSAL_ID, "reversed_on"), "refunds": _movement(_REFUND_ID, "refunded_on"),
        "created_at": INSTANT,
    },
    description="`amount` is the sum of `allocated`, `unallocated` (on account), `refunded` and `reversed`.",
)  # fmt: skip
_DOCUMENT = nullable(shown({"id": INVOICE_ID, "number": {"type": "string"}}))
PAYMENT_WITH_ENTRIES = shown(
    PAYMENT["properties"] | {"entries": {"type": "array", "items": shown({
        "sequence": {"type": "integer", "minimum": 1},
        "kind": one_of(("allocation", "release", "adjustment", "reversal", "refund")), "amount": DECIMAL,
        "booked_on": DAY, "invoice": _DOCUMENT, "document": _DOCUMENT, "tax": PAID_TAX, "reason": _TEXT,
        "created_at": INSTANT})}},
    description="With its ledger, oldest first: what goes back to the payment is negative; `document` is the credit "
    "note that made it.",
)  # fmt: skip
INVOICE_PAYMENTS = page_of(ref("Payment"))
INVOICE_PAYMENTS["properties"] |= {
    "currency": CURRENCY, "total": DECIMAL, "paid": DECIMAL,
    "from_balance": DECIMAL | {"description": "What of `paid` prepaid balance paid."},
    "from_payments": DECIMAL | {"description": "What of `paid` these payments pay."}, "credited": DECIMAL,
    "due": DECIMAL,
}  # fmt: skip
INVOICE_PAYMENTS["required"] += ["currency", "total", "paid", "from_balance", "from_payments", "credited", "due"]

PAYMENT_SCHEMAS: dict[str, Schema] = {
    "InvoicePaymentSent": INVOICE_PAYMENT_SENT, "PaymentSent": PAYMENT_SENT, "Payment": PAYMENT,
    "PaymentWithEntries": PAYMENT_WITH_ENTRIES, "Payments": page_of(ref("Payment")),
    "InvoicePayments": INVOICE_PAYMENTS, "PaymentAllocationSent": ALLOCATION_SENT,
    "PaymentReleaseSent": RELEASE_SENT, "PaymentReversalSent": REVERSAL_SENT, "PaymentRefundSent": REFUND_SENT,
}  # fmt: skip
