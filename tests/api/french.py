"""A French garage with a full legal profile, and what it bills to a French company: documents that are e-invoices."""

from __future__ import annotations

from typing import Any

from tests.service import ACME, OPERATOR, PER_UNIT, Api, event, set_up

GARAGE_LEGAL = {
    "name": "Garage des Alpes SAS", "registration": "732829320", "siret": "73282932000074",
    "vat_number": "FR44732829320", "legal_form": "SAS", "share_capital": {"amount": "10000.00", "currency": "EUR"},
    "register": "RCS", "register_town": "Grenoble", "vat_regime": "on_debits", "iban": "FR7630006000011234567890189",
    "bic": "AGRIFRPP",
    "address": {"line1": "12 rue des Capucines", "postcode": "38000", "city": "Grenoble", "country": "FR"},
}  # fmt: skip
ACME_LEGAL = {
    "name": "Acme SARL", "registration": "552100554", "vat_number": "FR61552100554",
    "address": {"line1": "8 rue des Forges", "postcode": "35000", "city": "Rennes", "country": "FR"},
}  # fmt: skip
STANDARD = {"category": "S", "rate": "20", "country": "FR", "start": "2014-01-01"}


def french_invoice(api: Api, *, buyer_legal: dict[str, Any] | None = None, charges: list[Any] | None = None) -> Any:
    """October of Acme, 7.25 kWh at 0.30, issued: 2.18 and 0.44 of VAT."""
    api.put("/v1/tax-rates/standard", STANDARD)
    set_up(api)
    api.put("/v1/tenants/garage", OPERATOR | {"legal": GARAGE_LEGAL})
    api.put("/v1/tenants/acme", ACME | ({"legal": ACME_LEGAL if buyer_legal is None else buyer_legal}))
    set_up_plan(api, charges or [PER_UNIT])
    api.post("/v1/events", event("s-1"))
    api.bill("2026-11-01T00:00:00Z")
    return api.invoices(status="issued")[0]


def set_up_plan(api: Api, charges: list[Any]) -> None:
    body = {"name": "Standard", "currency": "EUR", "interval": "month", "anchor": "calendar", "charges": charges}
    api.put("/v1/plans/standard", body)
    api.post("/v1/plans/standard/publish", {"effective_at": "2020-01-01T00:00:00Z"})
    api.put("/v1/subscriptions/acme-1", {"tenant": "acme", "plan": "standard", "start": "2026-10-01"})
