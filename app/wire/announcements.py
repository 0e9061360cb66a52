"""What messages say of things: thin, so that whoever hears of one asks for the rest as it is then.

{"type": "invoice.issued", "timestamp": "2026-11-01T00:10:00Z", "data": {"id": "inv_..", "number": "2026-000042", ..}}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from app.domain.events import instant_text
from app.domain.ids import public_id
from app.domain.invoices import Invoice
from app.domain.money import ZERO, amount_text
from app.domain.payments import Payment, Standing
from app.domain.receivables import Claim
from app.storage.billing_store import BillingRun
from app.wire.invoices import period_to_wire

_MOST_INVOICES = 50


def document_facts(invoice: Invoice) -> dict[str, Any]:
    """An issued document by its numbers and totals; `references` are the documents that it lowers."""
    assert invoice.issued_at is not None
    path = f"/v1/invoices/{invoice.id}"

    def money(amount: Any) -> str:
        return amount_text(amount, invoice.currency)

    return {
        "id": invoice.id, "type": invoice.type, "number": invoice.number, "seller": invoice.seller.key,
        "buyer": invoice.buyer.key, "currency": invoice.currency, "period": period_to_wire(invoice.period),
        "issued_at": instant_text(invoice.issued_at),
        "due_date": invoice.due_date.isoformat() if invoice.due_date else None, "net": money(invoice.net),
        "tax": money(sum((group.amount for group in invoice.tax), ZERO)), "total": money(invoice.total),
        "hash": invoice.hash,
        "references": [{"id": item.invoice_id, "number": item.number} for item in invoice.references],
        "links": {"self": path, "pdf": f"{path}.pdf", "csv": f"{path}.csv"},
    }  # fmt: skip


def run_facts(run: BillingRun) -> dict[str, Any]:
    """A billing run that is done, in figures: what it lists is asked for."""
    return {
        "id": str(run.run_id), "status": run.status, "through": instant_text(run.through), "issue": run.issue,
        "periods_due": run.periods_due, "closed": run.closed, "failed": run.failed, "unpriced": len(run.unpriced),
        "links": {"self": f"/v1/billing-runs/{run.run_id}"},
    }  # fmt: skip


def payment_facts(payment: Payment, where: Standing, keys: Mapping[UUID, str]) -> dict[str, Any]:
    """A payment as it stands, by its amounts and the first of the invoices that it pays. `keys` are those of
    tenants."""
    own_id = public_id("pay", payment.tenant_id, payment.payment_id)

    def money(amount: Any) -> str:
        return amount_text(amount, payment.currency)

    return {
        "id": own_id, "tenant": keys[payment.tenant_id], "seller": keys[payment.seller_id],
        "amount": money(payment.amount), "currency": payment.currency, "paid_on": payment.paid_on.isoformat(),
        "allocated": money(where.allocated), "unallocated": money(where.unallocated),
        "refunded": money(where.refunded), "reversed": money(where.reversed),
        "invoices": [
            public_id("inv", payment.tenant_id, one.invoice_id) for one in where.allocations[:_MOST_INVOICES]
        ],
        "links": {"self": f"/v1/payments/{own_id}"},
    }  # fmt: skip


def paid_facts(claim: Claim, keys: Mapping[UUID, str]) -> dict[str, Any]:
    """What a webhook tells of an invoice of which nothing is due any more."""
    amounts = {"total": claim.total, "paid": claim.paid, "credited": claim.credited}
    return {
        "id": claim.id, "number": claim.number, "seller": keys[claim.seller_id], "buyer": keys[claim.tenant_id],
        "currency": claim.currency, **{name: amount_text(item, claim.currency) for name, item in amounts.items()},
        "links": {"self": f"/v1/invoices/{claim.id}", "payments": f"/v1/invoices/{claim.id}/payments"},
    }  # fmt: skip
