from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from app.documents import wording
from app.domain.charge_models import Component
from app.domain.invoices import Invoice, InvoiceLine, Reference
from app.domain.parties import Address
from app.domain.periods import Period
from app.domain.tax import CATEGORIES, OUT_OF_SCOPE, TaxRate

PARIS = ZoneInfo("Europe/Paris")
S = "\u202f"  # the narrow no-break space


def test_both_languages_have_words_for_the_same_things():
    assert wording.TEXTS["en"].keys() == wording.TEXTS["fr"].keys()
    for category in CATEGORIES:
        assert f"category_{category}" in wording.TEXTS["en"]


@pytest.mark.parametrize(
    ("tag", "language"),
    [("fr", "fr"), ("fr-CA", "fr"), ("FR_ch", "fr"), ("en", "en"), ("de", "en"), ("fro", "en"), ("", "en")],
)
def test_a_document_is_in_french_or_else_in_english(tag, language):
    assert wording.language_of(tag) == language


@pytest.mark.parametrize(
    ("amount", "currency", "english", "french"),
    [
        ("1234.56", "EUR", "€1,234.56", f"1{S}234,56{S}€"),
        ("1234.56", "USD", "$1,234.56", f"1{S}234,56{S}$US"),
        ("0.00", "EUR", "€0.00", f"0,00{S}€"),
        ("-3.5", "EUR", "−€3.50", f"−3,50{S}€"),
        ("1234567", "JPY", "¥1,234,567", f"1{S}234{S}567{S}JPY"),
        ("1234.5", "BHD", "BHD\u00a01,234.500", f"1{S}234,500{S}BHD"),
        ("-1.5", "BHD", "−BHD\u00a01.500", f"−1,500{S}BHD"),
        ("99999999999999999999999999.99", "EUR", "€99,999,999,999,999,999,999,999,999.99", None),
    ],
)
def test_amounts_follow_currency_and_language(amount, currency, english, french):
    assert wording.amount(Decimal(amount), currency, "en") == english
    if french:
        assert wording.amount(Decimal(amount), currency, "fr") == french


@pytest.mark.parametrize(
    ("quantity", "english", "french"),
    [
        ("0.3071234567891234", "0.3071234567891234", "0,3071234567891234"),
        ("12345678901234567890.123456789012345678", "12,345,678,901,234,567,890.123456789012345678", None),
        ("1234.50", "1,234.5", f"1{S}234,5"),
        ("1E+3", "1,000", f"1{S}000"),
        ("-96", "−96", "−96"),
        ("-0", "0", "0"),
    ],
)
def test_quantities_show_every_digit(quantity, english, french):
    assert wording.quantity(Decimal(quantity), "en") == english
    if french:
        assert wording.quantity(Decimal(quantity), "fr") == french


@pytest.mark.parametrize(
    ("price", "currency", "english"),
    [
        ("0.3", "EUR", "€0.30"),
        ("0.000000000012", "EUR", "€0.000000000012"),
        ("0.005", "JPY", "¥0.005"),
        ("12", "JPY", "¥12"),
        ("0.25", "BHD", "BHD\u00a00.250"),
    ],
)
def test_unit_prices_show_every_digit_and_at_least_the_currencys_decimals(price, currency, english):
    assert wording.unit_price(Decimal(price), currency, "en") == english


def test_percentages():
    assert wording.percent(Decimal("5.50"), "en") == "5.5%"
    assert wording.percent(Decimal("5.50"), "fr") == f"5,5{S}%"


def at(*parts: int, zone: ZoneInfo = PARIS) -> datetime:
    return datetime(*parts, tzinfo=zone).astimezone(UTC)  # type: ignore[arg-type,misc]


@pytest.mark.parametrize(
    ("start", "end", "english", "french"),
    [
        ((2026, 11, 1), (2026, 12, 1), "1 – 30 November 2026", "du 1er au 30 novembre 2026"),
        ((2026, 10, 15), (2026, 11, 15), "15 October – 14 November 2026", "du 15 octobre au 14 novembre 2026"),
        ((2026, 12, 15), (2027, 1, 15), "15 December 2026 – 14 January 2027", "du 15 décembre 2026 au 14 janvier 2027"),
        ((2026, 11, 1), (2026, 11, 2), "1 November 2026", "du 1er novembre 2026"),
        ((2026, 10, 1), (2026, 11, 1), "1 – 31 October 2026", "du 1er au 31 octobre 2026"),
    ],
)
def test_people_read_a_period_with_its_last_day(start, end, english, french):
    period = Period(at(*start), at(*end))

    assert wording.period(period, PARIS, "en") == english
    assert wording.period(period, PARIS, "fr") == french


def test_a_period_that_ends_within_a_day_is_given_with_local_times_and_offsets():
    """2:30 of 25 October 2026 happens twice in Paris; the offset says which one is meant."""
    period = Period(at(2026, 10, 1), datetime(2026, 10, 25, 1, 30, tzinfo=UTC))

    assert wording.period(period, PARIS, "en") == "1 October 2026 00:00 (UTC+02:00) – 25 October 2026 02:30 (UTC+01:00)"
    assert wording.period(period, PARIS, "fr").startswith(
        "du 1er octobre 2026 à 00:00 (UTC+02:00) au 25 octobre 2026 à"
    )


def test_a_period_shows_its_seconds_and_microseconds_where_it_has_them():
    period = Period(at(2026, 10, 1, 12, 0, 7), at(2026, 10, 2, 12, 0, 0, 5))

    assert wording.period(period, PARIS, "en") == (
        "1 October 2026 12:00:07 (UTC+02:00) – 2 October 2026 12:00:00.000005 (UTC+02:00)"
    )


def test_dates():
    assert wording.day(date(2026, 12, 1), "en") == "1 December 2026"
    assert wording.day(date(2026, 12, 1), "fr") == "1er décembre 2026"
    assert wording.day(date(2026, 8, 2), "fr") == "2 août 2026"


def test_the_price_of_a_percentage_is_one():
    """0.014 of the amount is 1.4 %; 0.014 a unit is a price."""
    share = Component("percentage_tier", Decimal(100), Decimal("0.014"), Decimal("1.40"), 2)
    unit = Component("unit", Decimal(100), Decimal("0.014"), Decimal("1.40"))

    assert wording.component(share, "fr") == "Tranche 2"
    assert wording.component_price(share, "EUR", "fr") == f"1,4{S}%"
    assert wording.component_price(unit, "EUR", "en") == "€0.014"


def test_rates_and_cells_are_named_by_what_they_are():
    rate = Component("time_rate", Decimal(1), Decimal(1), Decimal("1.00"), 2, "08:00–20:00")
    cell = Component("cell", Decimal(1), Decimal(1), Decimal("1.00"), 1, "station 12")

    assert [wording.component(rate, "en"), wording.component(rate, "fr")] == [
        "Rate 2, 08:00–20:00",
        "Tarif 2, 08:00–20:00",
    ]
    assert wording.component(cell, "fr") == "station 12"


def test_components_have_words_in_both_languages():
    first = Component("tier", Decimal(1), Decimal(1), Decimal(1), 1)

    assert (wording.component(first, "en"), wording.component(first, "fr")) == ("Tier 1", "Tranche 1")
    for kind in ("unit", "tier_flat", "package", "flat", "maximum", "minimum"):
        for language in ("en", "fr"):
            assert wording.component(replace(first, kind=kind), language)


@pytest.mark.parametrize(
    ("description", "french"),
    [
        ("discount 10 %", f"Remise de 10{S}%"),
        ("discount 12.5%", f"Remise de 12,5{S}%"),
        ("discount", "Remise"),
        ("discount for friends", "discount for friends"),
        ("discount . %", "discount . %"),
        ("goodwill", "goodwill"),
    ],
)
def test_discounts_are_translated_and_other_words_left_alone(description, french):
    assert wording.allowance(description, "fr") == french


def test_a_difference_line_names_the_period_it_corrects(
    make_line: Callable[..., InvoiceLine], make_invoice: Callable[..., Invoice]
):
    october = Period(at(2026, 10, 1), at(2026, 11, 1))
    difference = make_line(kind="difference", period=october)
    invoice = make_invoice(difference)

    english = wording.line_note(difference, invoice, PARIS, "en")
    french = wording.line_note(difference, invoice, PARIS, "fr")

    assert english.startswith("Correction of period 1 – 31 October 2026")
    assert french.startswith("Correction de la période du 1er au 31 octobre 2026")


def test_a_line_names_its_period_where_it_is_not_the_documents(
    make_line: Callable[..., InvoiceLine], make_invoice: Callable[..., Invoice]
):
    december = make_line(period=Period(at(2026, 12, 1), at(2027, 1, 1)))
    november = make_line()
    invoice = make_invoice(november, december)

    assert wording.line_note(november, invoice, PARIS, "en") == ""
    assert wording.line_note(december, invoice, PARIS, "en") == "Period 1 – 31 December 2026"


def test_a_credit_names_the_invoice_by_number_and_local_date(make_invoice: Callable[..., Invoice]):
    """Issued at 23:30 UTC on 30 November, which is 1 December in Paris."""
    reference = Reference("inv_0", "2026-000042", datetime(2026, 11, 30, 23, 30, tzinfo=UTC))
    credit = make_invoice(type="credit_note", references=(reference,))

    assert wording.reference(reference, credit, PARIS, "en") == "Credit for invoice 2026-000042 of 1 December 2026"
    assert wording.reference(reference, credit, PARIS, "fr") == "Avoir sur la facture 2026-000042 du 1er décembre 2026"


def test_a_tax_rate_is_shown_only_where_there_is_one():
    assert wording.tax_rate(TaxRate("S", Decimal(20)), "en") == "20%"
    assert wording.tax_rate(OUT_OF_SCOPE, "en") == "O"
    assert wording.tax_category("O", "en") == "Outside the scope of VAT (O)"
    assert wording.tax_category("O", "fr") == "Hors champ de la TVA (O)"


def test_an_address_leaves_out_what_is_empty_and_names_frequent_countries():
    assert wording.address_lines(Address("1 rue A", "", "", "FR"), "fr") == ["1 rue A", "France"]
    assert wording.address_lines(Address("1 rue A", "1", "B", "ZZ"), "en") == ["1 rue A", "1 B", "ZZ"]
