"""Who stands on a document, what of it is hashed, and what a legal profile lacks."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from app.domain.invoices import AccountingTax, Remarks, content, content_hash, line_content
from app.domain.kept_parties import keep_legal, keep_party, read_legal, read_party
from app.domain.legal_checks import invalid_fields, missing_fields
from app.domain.parties import (
    Address,
    BuyerReferences,
    Capital,
    Contact,
    ElectronicAddress,
    Legal,
    LogoName,
    PaymentTerms,
    PurchaseOrder,
    buyer_party,
    seller_party,
)
from app.domain.tax import Exemption, TaxGroup, TaxRate, group_tax, summed_groups
from app.domain.tenants import Tenant
from tests.documents.conftest import invoice_of, line_of

PARIS = Address("1 rue de la Paix", "75002", "Paris", "FR")
BERLIN = Address("Unter den Linden 1", "10117", "Berlin", "DE")
WHOLE = Legal(
    "Garage SAS", "732829320", "FR44732829320", PARIS, siret="73282932000074", legal_form="SAS",
    share_capital=Capital(Decimal("10000.00"), "EUR"), register="RCS", register_town="Grenoble",
    vat_regime="on_debits", electronic_address=ElectronicAddress("0225", "732829320"),
    iban="FR7630006000011234567890189", bic="BNPAFRPP", payment_terms=PaymentTerms(0),
    penalty_terms="Three times the legal rate.", discount_terms="No discount.", recovery_terms="40 EUR.",
    contacts=(Contact("A. Martin", "a@garage.example"), Contact(phone="+33 4 76 00 00 00")),
    logo=LogoName("ab" * 32, "image/png"), colour="#1a4d8f",
)  # fmt: skip


def tenant(legal: Legal | None, *, sells: bool) -> Tenant:
    return Tenant(UUID(int=1), "one", "One", "EUR", "Europe/Paris", "fr", sells, legal=legal)


def test_a_document_from_before_there_were_profiles_keeps_its_hash():
    """The hash was computed by the version that knew names, numbers and addresses only."""
    assert content_hash(invoice_of(line_of())) == "935fab3c005a23e7c6ba38a3bf0fa3f40a49287ba149fc09d769c3d2dfb52b35"


def test_what_is_set_is_part_of_the_hashed_content():
    plain, line = invoice_of(line_of()), line_of()
    seller = seller_party("operator", "Garage", WHOLE)
    changes = (
        {"purchase_order": "4711"}, {"buyer_reference": "R"}, {"contract_reference": "C"}, {"cost_centre": "CC"},
        {"project_reference": "P"}, {"delivery_address": BERLIN}, {"remarks": Remarks(note="Thank you.")},
        {"accounting_tax": AccountingTax("EUR", Decimal(7), Decimal("0.85"), "ECB", date(2026, 12, 1))},
        {"seller": seller}, {"seller": replace(seller, iban="DE89370400440532013000")},
        {"seller": replace(seller, logo=None)}, {"buyer": replace(plain.buyer, billing_address=PARIS)},
        {"tax": (replace(plain.tax[0], exemption=Exemption("VATEX-EU-AE", "Reverse charge")),)},
    )  # fmt: skip
    hashes = {content_hash(replace(plain, **change)) for change in changes}
    lines = (
        {"supply": "goods"}, {"references": BuyerReferences(cost_centre="CC")},
        {"tax": TaxRate("S", Decimal(20), Exemption("", "None"))},
    )  # fmt: skip
    hashes |= {content_hash(replace(plain, lines=(replace(line, **change),))) for change in lines}
    assert len(hashes | {content_hash(plain)}) == len(changes) + len(lines) + 1
    assert not {"purchase_order", "remarks", "delivery_address", "accounting_tax"} & content(plain).keys()
    assert not {"supply", "references", "exemption"} & line_content(line).keys()


def test_what_is_kept_of_a_profile_is_read_back():
    assert read_legal(keep_legal(WHOLE)) == WHOLE
    assert read_legal(keep_legal(Legal("Acme"))) == Legal("Acme")
    for party in (
        seller_party("a", "A", WHOLE), seller_party("a", "A", None), buyer_party("b", "B", None, billing_address=PARIS),
        buyer_party("b", "B", WHOLE),
    ):  # fmt: skip
        assert read_party(keep_party(party)) == party


def test_a_bare_party_is_kept_as_it_always_was():
    kept = {"key": "a", "name": "A", "registration": "", "vat_number": "", "address": None}
    assert keep_party(seller_party("a", "A", None)) == kept
    assert keep_legal(Legal("A")) == {name: value for name, value in kept.items() if name != "key"}


def test_a_buyer_shows_nothing_that_only_sellers_print():
    buyer = buyer_party("b", "B", WHOLE)
    assert (buyer.iban, buyer.bic, buyer.penalty_terms, buyer.logo, buyer.colour) == ("", "", "", None, "")
    assert (buyer.siret, buyer.electronic_address) == ("73282932000074", WHOLE.electronic_address)


def test_a_reference_of_the_subscription_goes_before_that_of_the_tenant():
    own, general = BuyerReferences(cost_centre="A"), BuyerReferences("4711", cost_centre="B")
    assert own.over(general) == BuyerReferences("4711", cost_centre="A")
    assert own.over(general).beyond(general) == own


def test_an_order_is_good_on_its_first_and_on_its_last_day():
    order = PurchaseOrder("4711", date(2026, 1, 1), date(2026, 12, 31))
    days = (date(2025, 12, 31), date(2026, 1, 1), date(2026, 12, 31), date(2027, 1, 1))
    assert [order.covers(day) for day in days] == [False, True, True, False]
    assert PurchaseOrder("1").covers(date(1999, 1, 1))


# --- what is missing --------------------------------------------------------------------------------------------------


def test_a_whole_profile_lacks_nothing():
    assert missing_fields(tenant(WHOLE, sells=True)) == {"invoice": (), "french_invoice": (), "e_invoice": ()}
    assert missing_fields(tenant(WHOLE, sells=False)) == {"invoice": (), "french_invoice": (), "e_invoice": ()}


@pytest.mark.parametrize(
    ("field", "kinds"),
    [
        ("address", ("invoice", "french_invoice", "e_invoice")),
        ("registration", ("invoice", "french_invoice", "e_invoice")),
        ("vat_number", ("invoice", "french_invoice", "e_invoice")),
        ("legal_form", ("french_invoice",)),
        ("register_town", ("french_invoice",)),
        ("vat_regime", ("french_invoice", "e_invoice")),
        ("penalty_terms", ("french_invoice", "e_invoice")),
        ("electronic_address", ("e_invoice",)),
        ("iban", ()),
    ],
)
def test_each_kind_of_document_names_what_a_seller_lacks(field, kinds):
    nothing: Any = "" if isinstance(getattr(WHOLE, field), str) and field != "vat_regime" else None
    found = missing_fields(tenant(replace(WHOLE, **{field: nothing}), sells=True))
    assert tuple(kind for kind, names in found.items() if f"legal.{field}" in names) == kinds


def test_a_small_business_needs_no_vat_number_and_a_sole_trader_no_register():
    legal = replace(WHOLE, vat_number="", vat_regime="franchise", legal_form="EI", share_capital=None, register="",
                    register_town="")  # fmt: skip
    assert not any(missing_fields(tenant(legal, sells=True)).values())


def test_a_seller_abroad_sends_no_french_invoice():
    found = missing_fields(tenant(replace(WHOLE, address=BERLIN, penalty_terms=""), sells=True))
    assert found == {"invoice": (), "e_invoice": ()}


def test_a_buyer_abroad_needs_a_vat_number_and_no_siren():
    legal = Legal("Berlin GmbH", address=BERLIN)
    assert missing_fields(tenant(legal, sells=False)) == {
        "invoice": (), "french_invoice": ("legal.vat_number",),
        "e_invoice": ("legal.vat_number", "legal.electronic_address"),
    }  # fmt: skip
    assert missing_fields(tenant(None, sells=False))["invoice"] == ("legal.address",)


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({}, []),
        ({"registration": "732829321", "siret": ""}, ["legal.registration", "legal.electronic_address"]),
        ({"registration": "732 829 320"}, []),
        ({"siret": "73282932000075"}, ["legal.siret"]),
        ({"siret": "55210055400013"}, ["legal.siret"]),
        ({"vat_number": "FR12345678901"}, ["legal.vat_number"]),
        ({"vat_number": "DE136695976"}, []),
        ({"electronic_address": ElectronicAddress("0225", "552100554")}, ["legal.electronic_address"]),
        ({"electronic_address": ElectronicAddress("9930", "DE136695976")}, []),
        ({"address": BERLIN, "registration": "HRB 1", "siret": "", "electronic_address": None}, []),
    ],
)
def test_a_number_with_a_wrong_check_digit_is_named(changes, fields):
    assert [fault.field for fault in invalid_fields(replace(WHOLE, **changes))] == fields


# --- exemptions -------------------------------------------------------------------------------------------------------


def test_lines_of_one_rate_share_a_group_whatever_exempts_them():
    """60.00 and 40.00 without VAT, for two reasons, and 10.00 at 20 %: two groups, and the first says both reasons."""
    first, second = Exemption("VATEX-EU-132", "Medical."), Exemption("VATEX-EU-143", "Import.")
    zero = Decimal(0)
    found = group_tax(
        [
            (TaxRate("E", zero, first), Decimal(60)), (TaxRate("E", zero, second), Decimal(40)),
            (TaxRate("S", Decimal(20)), Decimal(10)),
        ],
        "EUR",
    )  # fmt: skip
    both = Exemption("", "Medical. Import.")
    assert found == (
        TaxGroup("E", zero, Decimal(100), zero, both), TaxGroup("S", Decimal(20), Decimal(10), Decimal(2)),
    )  # fmt: skip
    assert summed_groups((*found, *found))[0] == TaxGroup("E", zero, Decimal(200), zero, both)
    assert TaxRate("E", zero, first) == TaxRate("E", zero, second)
