"""Which tax a charge has, and why: the whole decision as a table."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.invoices import accounting_tax
from app.domain.tax import (
    OUT_OF_SCOPE,
    ExchangeRate,
    Exemption,
    TaxFacts,
    TaxGroup,
    TaxRate,
    decide_tax,
    mixes_scopes,
)
from app.domain.tenants import NamedTaxRate, RateChange
from tests.documents.conftest import invoice_of, line_of

ZERO = Decimal(0)
FRENCH = TaxFacts(seller_country="FR", buyer_country="FR")
GERMAN: dict[str, Any] = {"buyer_country": "DE", "vat_number_of": "DE"}
ROOM: dict[str, Any] = {"supply": "immovable"}


@pytest.mark.parametrize(
    ("facts", "why", "category"),
    [
        # What the catalog says goes first.
        ({"names_rate": True, **GERMAN}, "named", None),
        ({"seller_regime": "franchise", "has_default": True}, "franchise", "E"),
        ({"seller_regime": "none"}, "not_subject", "O"),
        ({"seller_registered": False}, "not_registered", "O"),
        ({"seller_registered": False, "has_default": True, **GERMAN}, "default", None),
        ({"seller_country": "US", **GERMAN}, "default", None),
        ({"seller_country": "", **GERMAN}, "default", None),
        # Services: where the buyer is, if it is surely a business.
        ({}, "default", None),
        ({"buyer_country": ""}, "default", None),
        ({"buyer_country": "MC"}, "default", None),
        (GERMAN, "reverse_charge", "AE"),
        ({"buyer_country": "GR", "vat_number_of": "EL"}, "reverse_charge", "AE"),
        ({"buyer_country": "DE"}, "not_checked", None),
        ({"buyer_country": "DE", "vat_number_of": "FR"}, "not_checked", None),
        ({"buyer_country": "US"}, "not_checked", None),
        ({"buyer_country": "US", "vat_number_of": "US"}, "outside_eu", "O"),
        # Goods: where they go.
        ({"supply": "goods"}, "default", None),
        ({"supply": "goods", **GERMAN}, "intra_community", "K"),
        ({"supply": "goods", "delivered_to": "FR", **GERMAN}, "default", None),
        ({"supply": "goods", "delivered_to": "DE"}, "not_checked", None),
        ({"supply": "goods", "delivered_to": "DE", "vat_number_of": "BE"}, "intra_community", "K"),
        ({"supply": "goods", "buyer_country": "US"}, "export", "G"),
        ({"supply": "goods", "buyer_country": "FR", "delivered_to": "CH"}, "export", "G"),
        # Rooms, vehicles and current: where they stand, whoever the buyer is.
        ({**ROOM, **GERMAN}, "default", None),
        ({**ROOM, "place": "FR", **GERMAN}, "default", None),
        ({**ROOM, "place": "DE"}, "where_it_stands", None),
        ({**ROOM, "place": "DE", **GERMAN}, "reverse_charge", "AE"),
        ({**ROOM, "place": "BE", **GERMAN}, "where_it_stands", None),
        ({**ROOM, "place": "CH", **GERMAN}, "outside_eu", "O"),
        ({"supply": "electricity", "place": "DE", **GERMAN}, "reverse_charge", "AE"),
        ({"supply": "hire_of_transport", "place": "DE"}, "where_it_stands", None),
    ],
)
def test_the_decision(facts, why, category):
    found = decide_tax(replace(FRENCH, **facts))
    assert (found.why, None if found.tax is None else found.tax.category) == (why, category)
    assert found.country == (facts["place"] if why == "where_it_stands" else "")
    if category is not None:
        assert found.tax is not None and found.tax.rate == 0
        assert (found.tax.exemption is not None) == (why not in ("not_subject", "not_registered"))


def test_reasons_are_in_the_language_of_the_document_and_the_law():
    def reason(**facts):
        found = decide_tax(replace(FRENCH, **facts))
        assert found.tax is not None
        return found.tax.exemption

    assert reason(**GERMAN) == Exemption("VATEX-EU-AE", "Reverse charge")
    assert reason(**GERMAN, language="fr") == Exemption("VATEX-EU-AE", "Autoliquidation")
    franchise = Exemption("VATEX-FR-FRANCHISE", "TVA non applicable, art. 293 B du CGI")
    assert reason(seller_regime="franchise") == reason(seller_regime="franchise", language="fr") == franchise
    assert reason(seller_regime="franchise", seller_country="BE").code == ""
    assert reason(supply="goods", **GERMAN).code == "VATEX-EU-IC"
    assert reason(supply="goods", buyer_country="CH").code == "VATEX-EU-G"


@given(
    st.builds(
        TaxFacts, supply=st.sampled_from(("service", "goods", "electricity", "immovable", "hire_of_transport")),
        place=st.sampled_from(("", "FR", "DE", "CH")), seller_country=st.sampled_from(("", "FR", "BE", "US")),
        seller_regime=st.sampled_from((None, "on_debits", "franchise", "none")), seller_registered=st.booleans(),
        buyer_country=st.sampled_from(("", "FR", "DE", "US")), delivered_to=st.sampled_from(("", "FR", "DE", "US")),
        vat_number_of=st.just(""), names_rate=st.booleans(), has_default=st.booleans(),
    )
)  # fmt: skip
def test_without_a_check_nobody_is_charged_less_than_the_seller_owes(facts):
    """Neither reverse charge nor supply within the Union: both rest on a number that somebody has checked."""
    found = decide_tax(facts)
    assert found.tax is None or found.tax.category not in ("AE", "K")
    assert found.tax is None or found.tax.rate == 0


# --- rates with dates -------------------------------------------------------------------------------------------------


def test_a_rate_is_the_one_in_force_on_the_day():
    changes = (RateChange(date(2030, 1, 1), Decimal(21)), RateChange(date(2031, 1, 1), Decimal(19)))
    rate = NamedTaxRate("standard", "S", Decimal(20), "FR", date(2014, 1, 1), changes)
    days = (date(2013, 12, 31), date(2014, 1, 1), date(2029, 12, 31), date(2030, 1, 1), date(2031, 6, 1))
    found = [rate.on(day, language="en") for day in days]
    assert [item and item.rate for item in found] == [None, 20, 20, 21, 19]


def test_a_rate_says_its_own_reason_before_the_usual_one():
    day = date(2026, 1, 1)
    own = Exemption("VATEX-EU-132", "Medical care")
    made = {
        (category, exemption): NamedTaxRate("x", category, ZERO, "FR", day, (), exemption).on(day, language="en")
        for category, exemption in (("E", own), ("E", None), ("AE", None), ("O", None), ("Z", None))
    }
    assert [rate and rate.exemption and rate.exemption.code for rate in made.values()] == [
        "VATEX-EU-132", None, "VATEX-EU-AE", None, None,
    ]  # fmt: skip


# --- out of scope -----------------------------------------------------------------------------------------------------


def test_what_is_out_of_scope_is_told_from_what_is_not():
    standard, zero = TaxRate("S", Decimal(20)), TaxRate("Z", ZERO)
    assert mixes_scopes([standard, OUT_OF_SCOPE])
    assert not any(mixes_scopes(taxes) for taxes in ([], [standard, zero], [OUT_OF_SCOPE, OUT_OF_SCOPE]))


# --- VAT in another currency ------------------------------------------------------------------------------------------

RATE = ExchangeRate("usd", "USD", "EUR", date(2026, 11, 2), Decimal("0.9213"), "ECB")


def of_vat(*amounts: str) -> Any:
    groups = tuple(TaxGroup("S", Decimal(20), Decimal(amount) * 5, Decimal(amount)) for amount in amounts)
    return replace(invoice_of(line_of(), currency="USD"), tax=groups)


def test_the_vat_of_a_document_is_changed_once_as_a_whole():
    """7.01 + 3.33 = 10.34 USD at 0.9213 are 9.526242: 9.53 EUR."""
    found = accounting_tax(of_vat("7.01", "3.33"), RATE)
    assert (found.amount, found.currency, found.rate, found.source) == (Decimal("9.53"), "EUR", RATE.rate, "ECB")


@given(st.lists(st.integers(min_value=1, max_value=5000), min_size=1, max_size=8))
def test_credit_notes_together_take_back_exactly_what_was_declared(cents):
    whole = of_vat(str(Decimal(sum(cents)) / 100))
    declared, taken, earlier = accounting_tax(whole, RATE).amount, ZERO, list[Any]()
    for item in cents:
        note = of_vat(str(Decimal(item) / 100))
        own = accounting_tax(note, RATE, earlier=earlier, declared_before=taken)
        assert abs(own.amount - note.tax[0].amount * RATE.rate) <= Decimal("0.01")
        taken, earlier = taken + own.amount, [*earlier, note]
    assert taken == declared


def test_a_rate_can_be_turned_round():
    """1 EUR is 1.25 USD: 1 USD is 0.80 EUR."""
    turned = replace(RATE, from_currency="EUR", to_currency="USD", rate=Decimal("1.25")).turned
    assert (turned.from_currency, turned.to_currency, turned.rate) == ("USD", "EUR", Decimal("0.8"))
