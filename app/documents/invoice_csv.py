"""What does an invoice look like as a table?

One row for each component and each allowance of a line, and for the credit that lowers the net, so that the column
`amount` adds up to the lines and to the document's net: 30.00 and 5.00 for two tiers and -3.50 for a discount make a
line of 31.50. Facts of the line, of its VAT group and of the document are repeated on its rows. Numbers are plain
decimals, instants RFC 3339 in UTC, periods half-open, whatever the language of the document; what is taken off is
negative here.

A line without components has one row of type `line`, a document without lines one of type `document`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

from app.documents.csv_cells import safe_text as _text
from app.domain.invoices import Invoice, InvoiceLine
from app.domain.money import amount_text, plain, round_amount
from app.domain.parties import Party
from app.domain.periods import local_date, parse_zone
from app.domain.tax import TaxRate

COLUMNS = (
    "document_number", "document_type", "document_status", "document_id", "issue_date", "issued_at", "due_date",
    "seller", "seller_name", "seller_registration", "seller_vat_number", "seller_address",
    "buyer", "buyer_name", "buyer_registration", "buyer_vat_number", "buyer_address",
    "currency", "document_period_start", "document_period_end", "time_zone", "references",
    "line", "line_kind", "reopens_usage", "subscription", "charge", "line_description", "period_start", "period_end",
    "line_quantity", "unit", "line_amount",
    "row_type", "row_kind", "tier", "description", "quantity", "unit_price", "amount",
    "tax_category", "tax_rate", "tax_base", "tax_amount",
    "document_net", "document_tax", "document_total", "hash", "previous_hash",
)  # fmt: skip


def render_csv(invoice: Invoice) -> bytes:
    """The document as RFC 4180 CSV with a header row, in UTF-8. Texts that look like a formula begin with `'`."""
    output = io.StringIO(newline="")
    writer = csv.DictWriter(output, COLUMNS, restval="", lineterminator="\r\n")
    writer.writeheader()
    document = _document(invoice)
    for row in _rows(invoice):
        writer.writerow(document | row)
    # A text that is no valid Unicode is shown with `?`, not refused.
    return output.getvalue().encode("utf-8", errors="replace")


def _rows(invoice: Invoice) -> Iterator[dict[str, str]]:
    if not invoice.lines:
        yield {"row_type": "document"}
    for line in invoice.lines:
        facts = _line(line, invoice)
        for row in _parts(line, invoice.currency):
            yield facts | row
    for use in invoice.allowances:
        yield _group(use.tax, invoice) | {
            "row_type": "credit",
            "description": _text(use.description),
            "amount": amount_text(-use.amount, invoice.currency),
        }


def _parts(line: InvoiceLine, currency: str) -> Iterator[dict[str, str]]:
    if not line.components and not line.allowances:
        yield {"row_type": "line", "quantity": plain(line.quantity), "amount": amount_text(line.amount, currency)}
    for component in line.components:
        yield {
            "row_type": "component",
            "row_kind": component.kind,
            "tier": "" if component.tier is None else str(component.tier),
            "description": _text(component.description),
            "quantity": plain(component.quantity),
            "unit_price": plain(component.unit_price),
            "amount": amount_text(component.amount, currency),
        }
    for allowance in line.allowances:
        yield {
            "row_type": "allowance",
            "description": _text(allowance.description),
            "amount": amount_text(-allowance.amount, currency),
        }


def _line(line: InvoiceLine, invoice: Invoice) -> dict[str, str]:
    return {
        "line": _text(line.id),
        "line_kind": line.kind,
        "reopens_usage": "true" if line.reopens_usage else "false",
        "subscription": _text(line.subscription),
        "charge": _text(line.charge),
        "line_description": _text(line.description),
        "period_start": _instant(line.period.start),
        "period_end": _instant(line.period.end),
        "line_quantity": plain(line.quantity),
        "unit": _text(line.unit),
        "line_amount": amount_text(line.amount, invoice.currency),
        **_group(line.tax, invoice),
    }


def _group(tax: TaxRate, invoice: Invoice) -> dict[str, str]:
    group = next((g for g in invoice.tax if (g.category, g.rate) == (tax.category, tax.rate)), None)
    return {
        "tax_category": tax.category,
        "tax_rate": plain(tax.rate),
        "tax_base": _amount(group.base if group else None, invoice),
        "tax_amount": _amount(group.amount if group else None, invoice),
    }


def _document(invoice: Invoice) -> dict[str, str]:
    zone = parse_zone(invoice.time_zone)
    references = (f"{item.number} {local_date(item.issued_at, zone).isoformat()}" for item in invoice.references)
    return {
        "document_number": _text(invoice.number),
        "document_type": invoice.type,
        "document_status": invoice.status,
        "document_id": _text(invoice.id),
        "issue_date": local_date(invoice.issued_at, zone).isoformat() if invoice.issued_at else "",
        "issued_at": _instant(invoice.issued_at) if invoice.issued_at else "",
        "due_date": invoice.due_date.isoformat() if invoice.due_date else "",
        **_party("seller", invoice.seller),
        **_party("buyer", invoice.buyer),
        "currency": invoice.currency,
        "document_period_start": _instant(invoice.period.start),
        "document_period_end": _instant(invoice.period.end),
        "time_zone": _text(invoice.time_zone),
        "references": _text("; ".join(references)),
        "document_net": _amount(invoice.net, invoice),
        "document_tax": _amount(round_amount(invoice.total - invoice.net, invoice.currency), invoice),
        "document_total": _amount(invoice.total, invoice),
        "hash": invoice.hash,
        "previous_hash": invoice.previous_hash,
    }


def _party(side: str, party: Party) -> dict[str, str]:
    place = party.address
    parts = (place.line1, place.line2, f"{place.postcode} {place.city}".strip(), place.country) if place else ()
    return {
        side: _text(party.key),
        f"{side}_name": _text(party.name),
        f"{side}_registration": _text(party.registration),
        f"{side}_vat_number": _text(party.vat_number),
        f"{side}_address": _text(", ".join(part for part in parts if part)),
    }


def _amount(number: Decimal | None, invoice: Invoice) -> str:
    return "" if number is None else amount_text(number, invoice.currency)


def _instant(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
