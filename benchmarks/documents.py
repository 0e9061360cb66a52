"""How many documents does one process make in a second? `python -m benchmarks.documents` prints it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from time import perf_counter

from app.documents.factur_x import embed
from app.documents.invoice_cii import write_cii
from app.documents.invoice_pdf import render_pdf
from app.documents.make_e_invoice import e_invoice_of
from app.domain.charge_models import Component
from app.domain.invoices import Invoice, InvoiceLine
from app.domain.parties import Address, Party
from app.domain.periods import Period
from app.domain.tax import TaxRate, group_tax

_NOVEMBER = Period(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
_STANDARD = TaxRate("S", Decimal(20))


def measure_pdfs_per_second(*, documents: int = 100, lines: int = 10) -> float:
    """PDFs a second of `documents` different invoices of `lines` lines with two tiers each, after one to warm up."""
    return _per_second(render_pdf, documents, lines)


def measure_e_invoices_per_second(*, documents: int = 300, lines: int = 10) -> float:
    """CII a second of such invoices, their amounts checked."""
    return _per_second(lambda invoice: write_cii(e_invoice_of(invoice)), documents, lines)


def measure_factur_x_per_second(*, documents: int = 50, lines: int = 10) -> float:
    """PDFs with the e-invoice inside a second."""
    return _per_second(_factur_x, documents, lines)


def _factur_x(invoice: Invoice) -> bytes:
    document = e_invoice_of(invoice)
    return embed(render_pdf(invoice), write_cii(document), document, "fr")


def _per_second(make: Callable[[Invoice], bytes], documents: int, lines: int) -> float:
    invoice = _invoice(lines)
    make(invoice)
    started = perf_counter()
    for number in range(documents):
        # A new number and new names each time: the layout remembers texts that it has seen before.
        buyer = replace(invoice.buyer, name=f"Buyer {number} SARL")
        make(replace(invoice, number=f"2026-{number:06}", buyer=buyer))
    return documents / (perf_counter() - started)


def _invoice(lines: int) -> Invoice:
    address = Address("12 rue des Capucines", "38000", "Grenoble", "FR")
    seller = Party("operator", "Garage des Alpes SAS", "732829320", "FR44732829320", address)
    made = tuple(_line(number) for number in range(1, lines + 1))
    net = sum((line.amount for line in made), Decimal(0))
    tax = group_tax(((line.tax, line.amount) for line in made), "EUR")
    return Invoice(
        id="inv_benchmark",
        type="invoice",
        status="issued",
        seller=seller,
        buyer=replace(seller, key="buyer"),
        currency="EUR",
        language="fr",
        time_zone="UTC",
        period=_NOVEMBER,
        lines=made,
        net=net,
        tax=tax,
        total=net + sum((group.amount for group in tax), Decimal(0)),
        number="2026-000001",
        issued_at=datetime(2026, 12, 1, 9, tzinfo=UTC),
        due_date=date(2026, 12, 31),
        hash="0" * 64,
    )


def _line(number: int) -> InvoiceLine:
    beyond = Decimal(number)
    components = (
        Component("tier", Decimal(100), Decimal("0.30"), Decimal("30.00"), 1),
        Component("tier", beyond, Decimal("0.25"), (beyond / 4).quantize(Decimal("0.01")), 2),
    )
    return InvoiceLine(
        id=str(number),
        charge=f"station-{number}",
        description=f"Station {number}",
        period=_NOVEMBER,
        quantity=Decimal(100) + beyond,
        unit="kWh",
        amount=sum((component.amount for component in components), Decimal(0)),
        tax=_STANDARD,
        components=components,
    )


if __name__ == "__main__":
    print(f"{measure_pdfs_per_second():.0f} PDF/s")
    print(f"{measure_e_invoices_per_second():.0f} e-invoices/s")
    print(f"{measure_factur_x_per_second():.0f} Factur-X/s")
