"""What is owed -> the shape of the HTTP contract.

{"as_of": "2026-12-31", "data": [{"tenant": "acme", "name": "Acme SAS", "currency": "EUR", "due": "42.00",
 "overdue": "42.00", "buckets": {"not_due": "0.00", "0-30": "42.00", "31-60": "0.00", "61-90": "0.00", "90+": "0.00"},
 "unallocated": "8.00", "balance": "34.00", "invoices": 1}], "totals": [..], "next_cursor": null}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from app.domain.ids import public_id
from app.domain.money import ZERO, amount_text
from app.domain.payments import Payment
from app.domain.receivables import Aged, Claim, bucket_of, days_overdue
from app.domain.tenants import Tenant
from app.storage.claim_store import FreeCredit


def receivables_to_wire(
    rows: Sequence[tuple[Tenant, Aged]], as_of: date, totals: Iterable[Aged], next_cursor: str | None
) -> dict[str, Any]:
    return {
        "as_of": as_of.isoformat(),
        "data": [{"tenant": tenant.key, "name": tenant.name} | aged_to_wire(row) for tenant, row in rows],
        "totals": [aged_to_wire(row) for row in totals], "next_cursor": next_cursor,
    }  # fmt: skip


def aged_to_wire(row: Aged) -> dict[str, Any]:
    def money(amount: Decimal) -> str:
        return amount_text(amount, row.currency)

    return {
        "currency": row.currency, "due": money(row.due), "overdue": money(row.overdue),
        "buckets": {name: money(amount) for name, amount in row.buckets.items()},
        "unallocated": money(row.unallocated), "balance": money(row.balance), "invoices": row.invoices,
    }  # fmt: skip


def account_to_wire(
    tenant: Tenant, as_of: date, balances: Iterable[Aged], *, claims: Sequence[Claim],
    payments: Iterable[tuple[Payment, Decimal]], credit_notes: Sequence[FreeCredit], prepaid: Mapping[str, Decimal],
    keys: Mapping[UUID, str],
) -> dict[str, Any]:  # fmt: skip
    """The account of a tenant; a currency of which there is only prepaid balance or a credit note has no balance."""
    noted: dict[str, Decimal] = {}
    for note in credit_notes:
        noted[note.currency] = noted.get(note.currency, ZERO) + note.total
    return {
        "tenant": tenant.key, "name": tenant.name, "as_of": as_of.isoformat(),
        "balances": [
            aged_to_wire(row) | {
                "credit_notes": amount_text(noted.get(row.currency, ZERO), row.currency),
                "prepaid": amount_text(prepaid.get(row.currency, ZERO), row.currency),
            }
            for row in balances
        ],
        "invoices": [_claim(claim, as_of, keys) for claim in claims],
        "payments": [
            {
                "id": public_id("pay", payment.tenant_id, payment.payment_id), "seller": keys[payment.seller_id],
                "paid_on": payment.paid_on.isoformat(), "currency": payment.currency,
                "amount": amount_text(payment.amount, payment.currency),
                "unallocated": amount_text(left, payment.currency), "reference": payment.reference or None,
            }
            for payment, left in payments
        ],
        "credit_notes": [
            {
                "id": public_id("inv", note.tenant_id, note.invoice_id), "number": note.number,
                "issued_on": note.issued_on.isoformat(), "currency": note.currency,
                "total": amount_text(note.total, note.currency),
            }
            for note in credit_notes
        ],
    }  # fmt: skip


def _claim(claim: Claim, as_of: date, keys: Mapping[UUID, str]) -> dict[str, Any]:
    days = max(days_overdue(claim, as_of), 0)
    amounts = {"total": claim.total, "paid": claim.paid, "credited": claim.credited, "due": claim.due}
    return {
        "id": claim.id, "number": claim.number, "seller": keys[claim.seller_id],
        "issued_on": claim.issued_on.isoformat(),
        "due_date": claim.due_date.isoformat() if claim.due_date else None, "currency": claim.currency,
        **{name: amount_text(amount, claim.currency) for name, amount in amounts.items()},
        "overdue": days > 0, "days_overdue": days, "bucket": bucket_of(claim, as_of),
    }  # fmt: skip
