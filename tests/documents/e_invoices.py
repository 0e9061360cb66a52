"""Documents that can be e-invoices: a French garage with a full profile bills a French company, and others."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from app.domain.charge_models import Component
from app.domain.invoices import Reference
from app.domain.parties import Address, Capital, Contact, ElectronicAddress, Party

D = Decimal

GARAGE = Party(
    "operator", "Garage des Alpes SAS", registration="732829320", vat_number="FR44732829320",
    address=Address("12 rue des Capucines", "38000", "Grenoble", "FR", line2="Bâtiment C"), siret="73282932000074",
    legal_form="SAS", share_capital=Capital(D(10000), "EUR"), register="RCS", register_town="Grenoble",
    vat_regime="on_debits", iban="FR7630006000011234567890189", bic="AGRIFRPP",
    contacts=(Contact("Comptabilité", "compta@garage.example", "+33 4 76 00 00 00"),),
)  # fmt: skip
ACME = Party(
    "acme", "Acme SARL", registration="552100554", vat_number="FR61552100554",
    address=Address("8 rue des Forges", "35000", "Rennes", "FR"),
)  # fmt: skip
MUELLER = Party(
    "mueller", "Müller GmbH", registration="HRB 1234", vat_number="DE811907980",
    address=Address("Weg 1", "10115", "Berlin", "DE"),
)  # fmt: skip
LONDON = Party(
    "london", "Acme Logistics Ltd", registration="09876543", vat_number="GB123456789",
    address=Address("1 Station Road", "EC1A 1BB", "London", "GB"),
    electronic_address=ElectronicAddress("EM", "ap@acme.example"),
)  # fmt: skip
FRANCHISE = replace(GARAGE, vat_number="", vat_regime="franchise")
CREDITED = (Reference("inv_0", "2026-000017", datetime(2026, 10, 31, 23, 30, tzinfo=UTC)),)


def priced(quantity: str, price: str, amount: str, kind: str = "unit") -> Component:
    return Component(kind, D(quantity), D(price), D(amount))  # type: ignore[arg-type]
