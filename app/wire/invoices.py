"""Invoices as the HTTP contract shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from app.domain.drafts import content_of
from app.domain.events import instant_text
from app.domain.ids import public_id, tenant_of
from app.domain.invoices import AccountingTax, Invoice, InvoiceLine, LineGroup, Remarks, due, is_overdue, line_groups
from app.domain.kept_parties import keep_set
from app.domain.money import amount_text, divide, plain
from app.domain.parties import REFERENCE_NAMES, Party
from app.domain.periods import Period
from app.domain.projections import LineProjection
from app.domain.tax import TaxRate
from app.wire.parties import address_to_wire, references_to_wire


def invoice_to_wire(invoice: Invoice, *, today: date) -> dict[str, Any]:
    """The document; `number`, `issued_at`, `due_date` and hashes are null in a draft."""
    currency = invoice.currency
    tenant_id = tenant_of(invoice.id)

    def money(amount: Any) -> str:
        return amount_text(amount, currency)

    return {
        "id": invoice.id, "type": invoice.type, "status": invoice.status, "number": invoice.number or None,
        "seller": invoice.seller.key, "buyer": invoice.buyer.key,
        "parties": {"seller": party_to_wire(invoice.seller), "buyer": party_to_wire(invoice.buyer)},
        "currency": currency, "language": invoice.language, "time_zone": invoice.time_zone,
        "period": period_to_wire(invoice.period),
        "issued_at": instant_text(invoice.issued_at) if invoice.issued_at else None,
        "due_date": invoice.due_date.isoformat() if invoice.due_date else None,
        "lines": [line_to_wire(line, currency) for line in invoice.lines],
        "allowances": [
            {
                "description": use.description, "amount": money(use.amount), "tax": tax_to_wire(use.tax),
                "credit_grant": public_id("cg", tenant_id, use.grant_id),
            }
            for use in invoice.allowances
        ],
        "net": money(invoice.net),
        "tax": [
            tax_to_wire(TaxRate(group.category, group.rate, group.exemption))
            | {"base": money(group.base), "amount": money(group.amount)}
            for group in invoice.tax
        ],
        "total": money(invoice.total), "paid": money(invoice.paid), "credited": money(invoice.credited),
        "due": money(due(invoice)), "overdue": is_overdue(invoice, today), "hash": invoice.hash or None,
        "previous_hash": invoice.previous_hash or None,
        "references": [
            {"id": item.invoice_id, "number": item.number, "issued_at": instant_text(item.issued_at)}
            for item in invoice.references
        ],
        **remarks_to_wire(invoice.remarks), "purchase_order": invoice.purchase_order or None, **_draft_to_wire(invoice),
    } | _details_to_wire(invoice)  # fmt: skip


def _details_to_wire(invoice: Invoice) -> dict[str, Any]:
    """What few documents have, where it is set."""
    found: dict[str, Any] = {name: value for name in REFERENCE_NAMES[1:] if (value := getattr(invoice, name))}
    groups = line_groups(invoice)
    if groups:
        found["groups"] = [_group_to_wire(group, invoice) for group in groups]
    if invoice.delivery_address is not None:
        found["delivery_address"] = address_to_wire(invoice.delivery_address)
    if invoice.accounting_tax is not None:
        found["accounting_tax"] = accounting_tax_to_wire(invoice.accounting_tax)
    return found


def _group_to_wire(group: LineGroup, invoice: Invoice) -> dict[str, Any]:
    """Whose use the lines are; `subscription` is null for what a person wrote beside them."""
    return {
        "subscription": group.subscription or None, "tenant": invoice.buyer.key,
        "lines": [line.id for line in group.lines], "net": amount_text(group.net, invoice.currency),
    }  # fmt: skip


def accounting_tax_to_wire(tax: AccountingTax) -> dict[str, str]:
    return {
        "currency": tax.currency, "amount": amount_text(tax.amount, tax.currency), "rate": plain(tax.rate),
        "source": tax.source, "date": tax.date.isoformat(),
    }  # fmt: skip


def projection_to_wire(lines: Sequence[LineProjection], now: datetime) -> dict[str, Any]:
    """How each line of a projected preview was taken; `elapsed` is the share of its stretch that has passed."""
    return {
        "method": "linear", "as_of": instant_text(now),
        "lines": [
            {
                "line": item.line, "basis": item.basis, "measured": plain(item.measured),
                "projected": plain(item.quantity),
                "elapsed": plain(divide(Decimal(item.elapsed), Decimal(item.whole), scale=6)) if item.whole else None,
            }
            for item in lines
        ],
    }  # fmt: skip


def line_to_wire(line: InvoiceLine, currency: str) -> dict[str, Any]:
    return {
        "id": line.id, "kind": line.kind, "subscription": line.subscription, "charge": line.charge,
        "description": line.description, "period": period_to_wire(line.period), "quantity": plain(line.quantity),
        "unit": line.unit, "amount": amount_text(line.amount, currency), "tax": tax_to_wire(line.tax),
        "components": [
            {
                "description": item.description, "kind": item.kind, "quantity": plain(item.quantity),
                "unit_price": price_text(item.unit_price), "amount": amount_text(item.amount, currency),
            }
            for item in line.components
        ],
        "allowances": [
            {"description": item.description, "amount": amount_text(item.amount, currency)} for item in line.allowances
        ],
        "reopens_usage": line.reopens_usage,
        "waived": line.trace["waived"]["reason"] if "waived" in line.trace else None,
        "credits": line.trace["credits"]["line"] if "credits" in line.trace else None,
    } | ({"supply": line.supply} if line.supply else {}) | references_to_wire(line.references)  # fmt: skip


def remarks_to_wire(remarks: Remarks) -> dict[str, str | None]:
    """What a person wrote on the document; null where nobody did."""
    return {name: text or None for name, text in asdict(remarks).items()}


def _draft_to_wire(invoice: Invoice) -> dict[str, Any]:
    """Where a draft stands; `digest` names what it says now, null where it says nothing any more that may change."""
    digest = content_of(invoice) if invoice.status == "draft" else None
    return {
        "hold": invoice.hold, "hold_reason": invoice.hold_reason or None, "approved": invoice.approved,
        "digest": digest,
    }  # fmt: skip


def price_text(price: Any) -> str:
    """A unit price with at least two decimals and never fewer than it has: "0.30", "0.00000005"."""
    text = plain(price)
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals:0<2}"


def period_to_wire(period: Period) -> dict[str, str]:
    return {"start": instant_text(period.start), "end": instant_text(period.end)}


def tax_to_wire(tax: TaxRate) -> dict[str, Any]:
    """With `exemption`, why there is none, where that is said."""
    shown: dict[str, Any] = {"category": tax.category, "rate": plain(tax.rate)}
    return shown if tax.exemption is None else shown | {"exemption": keep_set(tax.exemption)}


def party_to_wire(party: Party) -> dict[str, Any]:
    """Legal data as of issue; what the tenant did not give is left out."""
    found: dict[str, Any] = keep_set(party)
    for name in ("address", "billing_address"):
        if name in found:
            found[name] = address_to_wire(getattr(party, name))
    return found
