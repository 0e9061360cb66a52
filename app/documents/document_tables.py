"""What do many documents look like as a table, and what do their lines?

Amounts stand as on the documents, with the decimals of their currency. Where documents of different types are added up,
the columns that begin with `signed_` are for that: an invoice of 44.40 and a credit note of 12.00 come to 32.40.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal

from app.documents.tables import Cell, Number, Row
from app.domain.events import instant_text
from app.domain.exports import signed
from app.domain.invoices import Invoice, InvoiceLine, due
from app.domain.money import amount_text, plain
from app.domain.parties import REFERENCE_NAMES, BuyerReferences, Party
from app.domain.periods import local_date, parse_zone

DOCUMENT_COLUMNS = (
    "number", "type", "id", "issue_date", "issued_at", "due_date",
    "seller", "seller_name", "seller_registration", "seller_vat_number", "seller_country",
    "buyer", "buyer_name", "buyer_registration", "buyer_vat_number", "buyer_country",
    "currency", "period_start", "period_end", "time_zone", "references",
    "net", "tax", "total", "paid", "credited", "due", "signed_net", "signed_tax", "signed_total",
    "hash", *REFERENCE_NAMES,
)  # fmt: skip
LINE_COLUMNS = (
    "number", "type", "id", "issue_date", "seller", "buyer", "buyer_name", "currency",
    "line", "row_type", "kind", "subscription", "plan", "charge", "meter", "description", "period_start", "period_end",
    "quantity", "unit", "amount", "signed_amount", "tax_category", "tax_rate", "supply", *REFERENCE_NAMES,
)  # fmt: skip


def document_row(invoice: Invoice) -> Row:
    """The row of DOCUMENT_COLUMNS for an issued document."""
    tax = invoice.total - invoice.net
    references = "; ".join(item.number for item in invoice.references)
    of_document = _references_of(invoice)
    return (
        *_heading(invoice), _instant(invoice.issued_at), invoice.due_date,
        *_party(invoice.seller), *_party(invoice.buyer),
        invoice.currency, _instant(invoice.period.start), _instant(invoice.period.end), invoice.time_zone, references,
        *(
            _amount(amount, invoice)
            for amount in (
                invoice.net, tax, invoice.total, invoice.paid, invoice.credited, due(invoice),
                signed(invoice.net, invoice), signed(tax, invoice), signed(invoice.total, invoice),
            )
        ),
        invoice.hash, *_references(of_document),
    )  # fmt: skip


def line_rows(invoice: Invoice) -> Iterator[Row]:
    """The rows of LINE_COLUMNS: one for each line, and one for each credit that lowers the net, so that the amounts of
    a document's rows add up to its net."""
    document = (
        *_heading(invoice), invoice.seller.key, invoice.buyer.key, invoice.buyer.name, invoice.currency,
    )  # fmt: skip
    for line in invoice.lines:
        yield (
            *document, line.id, "line", line.kind, line.subscription, *_source(line), line.description,
            _instant(line.period.start), _instant(line.period.end), Number(plain(line.quantity)), line.unit,
            *_amounts(line.amount, invoice), line.tax.category, Number(plain(line.tax.rate)), line.supply or "service",
            *_references(line.references.over(_references_of(invoice))),
        )  # fmt: skip
    for use in invoice.allowances:
        yield (
            *document, "", "credit", "credit", "", "", "", "", use.description, _instant(invoice.period.start),
            _instant(invoice.period.end), None, "", *_amounts(-use.amount, invoice), use.tax.category,
            Number(plain(use.tax.rate)), "", *_references(_references_of(invoice)),
        )  # fmt: skip


def issue_date(invoice: Invoice) -> date | None:
    """The date of issue that the document shows."""
    return invoice.issued_at and local_date(invoice.issued_at, parse_zone(invoice.time_zone))


def _heading(invoice: Invoice) -> tuple[Cell, Cell, Cell, Cell]:
    return invoice.number, invoice.type, invoice.id, issue_date(invoice)


def _party(party: Party) -> tuple[str, str, str, str, str]:
    country = "" if party.address is None else party.address.country
    return party.key, party.name, party.registration, party.vat_number, country


def _source(line: InvoiceLine) -> tuple[str, str, str]:
    """Plan, charge and meter; '' where there is none."""
    meter = line.trace.get("meter")
    return line.trace.get("plan", ""), line.charge, "" if meter is None else meter["key"]


def _amounts(amount: Decimal, invoice: Invoice) -> tuple[Number, Number]:
    return _amount(amount, invoice), _amount(signed(amount, invoice), invoice)


def _amount(amount: Decimal, invoice: Invoice) -> Number:
    return Number(amount_text(amount, invoice.currency))


def _references_of(invoice: Invoice) -> BuyerReferences:
    return BuyerReferences(*(getattr(invoice, name) for name in REFERENCE_NAMES))


def _references(found: BuyerReferences) -> tuple[str, ...]:
    """What the buyer wants to read, in the order of REFERENCE_NAMES; a line has its document's where it has none."""
    return tuple(getattr(found, name) for name in REFERENCE_NAMES)


def _instant(instant: datetime | None) -> str:
    return "" if instant is None else instant_text(instant)
