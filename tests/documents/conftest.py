"""Invoices that fill in what a test leaves open: a garage in Grenoble bills November 2026 to a London company."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from app.domain.charge_models import Component
from app.domain.invoices import Invoice, InvoiceLine
from app.domain.parties import Address, Party
from app.domain.periods import Period
from app.domain.tax import TaxRate, group_tax

# Local midnights of Europe/Paris, which is one hour ahead of UTC in winter.
NOVEMBER = Period(datetime(2026, 10, 31, 23, tzinfo=UTC), datetime(2026, 11, 30, 23, tzinfo=UTC))

SELLER = Party(
    "operator",
    "Garage des Alpes SAS",
    registration="732829320",
    vat_number="FR44732829320",
    address=Address("12 rue des Capucines", "38000", "Grenoble", "FR", line2="Bâtiment C"),
)
BUYER = Party(
    "acme",
    "Acme Logistics Ltd",
    registration="09876543",
    vat_number="GB123456789",
    address=Address("1 Station Road", "EC1A 1BB", "London", "GB"),
)
TWO_TIERS = (
    Component("tier", Decimal(100), Decimal("0.30"), Decimal("30.00"), 1),
    Component("tier", Decimal(20), Decimal("0.25"), Decimal("5.00"), 2),
)


def line_of(**changes: Any) -> InvoiceLine:
    """120 kWh in two tiers, 100 x 0.30 and 20 x 0.25: 35.00 at 20 % VAT."""
    facts: dict[str, Any] = {
        "id": "1", "charge": "energy", "description": "Charging energy", "period": NOVEMBER, "quantity": Decimal(120),
        "unit": "kWh", "amount": Decimal("35.00"), "tax": TaxRate("S", Decimal(20)), "components": TWO_TIERS,
    }  # fmt: skip
    return InvoiceLine(**(facts | changes))


def invoice_of(*lines: InvoiceLine, **changes: Any) -> Invoice:
    """An issued invoice of the lines, with the tax and the totals that follow from them."""
    currency = changes.get("currency", "EUR")
    net = sum((line.amount for line in lines), Decimal(0))
    tax = group_tax(((line.tax, line.amount) for line in lines), currency)
    facts: dict[str, Any] = {
        "id": "inv_1", "type": "invoice", "status": "issued", "seller": SELLER, "buyer": BUYER, "currency": currency,
        "language": "en", "time_zone": "Europe/Paris", "period": NOVEMBER, "lines": lines, "net": net, "tax": tax,
        "total": net + sum((group.amount for group in tax), Decimal(0)), "number": "2026-000042",
        "issued_at": datetime(2026, 12, 1, 23, 30, tzinfo=UTC), "due_date": date(2027, 1, 1),
        "hash": "9f86d081884c7d65" * 4,
    }  # fmt: skip
    return Invoice(**(facts | changes))


@pytest.fixture
def make_line() -> Callable[..., InvoiceLine]:
    return line_of


@pytest.fixture
def make_invoice() -> Callable[..., Invoice]:
    return invoice_of
