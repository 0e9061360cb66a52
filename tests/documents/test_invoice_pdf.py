from __future__ import annotations

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pypdf
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.documents.invoice_pdf import render_pdf
from app.domain.charge_models import Component
from app.domain.invoices import Invoice, InvoiceLine, Reference
from app.domain.periods import Period
from app.domain.rating.lines import Allowance
from app.domain.tax import OUT_OF_SCOPE, TaxRate

MakeInvoice = Callable[..., Invoice]
MakeLine = Callable[..., InvoiceLine]

OCTOBER = Period(datetime(2026, 9, 30, 22, tzinfo=UTC), datetime(2026, 10, 31, 23, tzinfo=UTC))
S = "\u202f"


def read(pdf: bytes) -> pypdf.PdfReader:
    return pypdf.PdfReader(io.BytesIO(pdf))


def pages_of(invoice: Invoice) -> list[str]:
    return [page.extract_text() for page in read(render_pdf(invoice)).pages]


def text_of(invoice: Invoice) -> str:
    return "\n".join(pages_of(invoice))


def test_an_invoice_says_who_owes_whom_what_for_when(make_invoice: MakeInvoice, make_line: MakeLine):
    """100 kWh at 0.30 and 20 at 0.25 are 35.00; 20 % of VAT is 7.00; 42.00 are due. Issued at 00:30 in Paris."""
    text = text_of(make_invoice(make_line()))

    for expected in (
        "Invoice", "2026-000042", "Issue date 2 December 2026", "Due date 1 January 2027",
        "Billing period 1 – 30 November 2026", "Time zone Europe/Paris", "Garage des Alpes SAS", "12 rue des Capucines",
        "Bâtiment C", "38000 Grenoble", "SIREN 732829320", "VAT no. FR44732829320", "Acme Logistics Ltd",
        "EC1A 1BB London", "United Kingdom", "Registration no. 09876543", "Charging energy", "120 kWh",
        "Tier 1 100 kWh €0.30 €30.00", "Tier 2 20 kWh €0.25 €5.00", "VAT 20% €35.00 €7.00", "Net amount €35.00",
        "Total VAT €7.00", "Total €42.00", "Amount due €42.00", "SHA-256 9f86d081884c7d65…", "1 / 1",
    ):  # fmt: skip
        assert expected in text
    assert "DRAFT" not in text
    assert "Period " not in text  # the line's period is the invoice's


def test_a_french_invoice_speaks_french(make_invoice: MakeInvoice, make_line: MakeLine):
    line = make_line(amount=Decimal("1231.50"), allowances=(Allowance("discount 10 %", Decimal("3.50")),))

    text = text_of(make_invoice(line, language="fr"))

    for expected in (
        "Facture", "Date d’émission 2 décembre 2026", "Date d’échéance 1er janvier 2027",
        "Période de facturation du 1er au 30 novembre 2026", "N° de TVA", "Royaume-Uni", "Tranche 1",
        f"0,30{S}€", f"Remise de 10{S}% −3,50{S}€", f"20{S}%", f"Total HT 1{S}231,50{S}€", "Net à payer",
        f"1{S}477,80{S}€", "à régler au plus tard le 1er janvier 2027",
    ):  # fmt: skip
        assert expected in text
    assert "Amount" not in text


def test_a_draft_says_so_on_every_page_and_has_neither_number_nor_hash(make_invoice: MakeInvoice, make_line: MakeLine):
    draft = {"status": "draft", "number": "", "issued_at": None, "due_date": None, "hash": ""}
    lines = [make_line(id=str(number)) for number in range(40)]

    pages = pages_of(make_invoice(*lines, **draft))

    assert len(pages) > 1
    assert all("DRAFT" in page for page in pages)
    assert not any(word in "".join(pages) for word in ("SHA-256", "Issue date", "Due date", "2026-0"))
    assert "BROUILLON" in text_of(make_invoice(make_line(), language="fr", **draft))


def test_a_credit_note_names_the_invoice_it_lowers(make_invoice: MakeInvoice, make_line: MakeLine):
    reference = Reference("inv_0", "2026-000017", datetime(2026, 10, 31, 23, 30, tzinfo=UTC))
    line = make_line(kind="credit", reopens_usage=True, period=OCTOBER, tax=OUT_OF_SCOPE)
    credit = make_invoice(line, type="credit_note", due_date=None, references=(reference,))

    english, french = text_of(credit), text_of(replace(credit, language="fr"))

    for expected in (
        "Credit note", "Credit for invoice 2026-000017 of 1 November 2026", "Correction of period 1 – 31 October 2026",
        "Outside the scope of VAT (O)", "Amount credited €35.00",
    ):  # fmt: skip
        assert expected in english
    assert "Avoir sur la facture 2026-000017 du 1er novembre 2026" in french
    assert "Hors champ de la TVA (O)" in french
    assert "Due date" not in english


def test_a_difference_line_says_what_it_corrects_and_shows_what_was_billed(
    make_invoice: MakeInvoice, make_line: MakeLine
):
    """110 kWh were billed before (30.00 and 2.50); now it is 120."""
    before = (
        Component("tier", Decimal(-100), Decimal("0.30"), Decimal("-30.00"), 1),
        Component("tier", Decimal(-10), Decimal("0.25"), Decimal("-2.50"), 2),
    )
    now = make_line().components
    line = make_line(kind="difference", period=OCTOBER, components=now + before, amount=Decimal("2.50"))

    text = text_of(make_invoice(line))

    assert "Correction of period 1 – 31 October 2026" in text
    assert "Tier 1 −100 kWh €0.30 −€30.00" in text
    assert "Tier 2 −10 kWh €0.25 −€2.50" in text


def test_a_charge_in_advance_names_its_own_period(make_invoice: MakeInvoice, make_line: MakeLine):
    december = Period(datetime(2026, 11, 30, 23, tzinfo=UTC), datetime(2026, 12, 31, 23, tzinfo=UTC))
    only = Component("flat", Decimal(1), Decimal(19), Decimal("19.00"))
    access = make_line(
        description="Access", period=december, quantity=Decimal(1), unit="", amount=Decimal("19.00"), components=(only,)
    )

    text = text_of(make_invoice(make_line(), access))

    assert "Access 1 €19.00 20% €19.00" in text  # one component that repeats its line is not printed twice
    assert "Period 1 – 31 December 2026" in text


def test_free_units_are_shown_where_they_were_taken_off(make_invoice: MakeInvoice, make_line: MakeLine):
    """130 kWh with 10 free: 100 in the first tier and 20 in the second."""
    text = text_of(make_invoice(make_line(quantity=Decimal(130))))

    assert "130 kWh 20% €35.00\nIncluded, free of charge 10 kWh\nTier 1 100 kWh" in text
    assert "Included" not in text_of(make_invoice(make_line()))


def test_each_price_of_a_matrix_and_what_has_none_is_printed(make_invoice: MakeInvoice, make_line: MakeLine):
    """10 kWh at station 12, 4 without a price: nothing of it is called free."""
    cells = (
        Component("cell", Decimal(10), Decimal("0.30"), Decimal("3.00"), 1, "station 12"),
        Component("unpriced", Decimal(4), Decimal(0), Decimal("0.00")),
    )

    text = text_of(make_invoice(make_line(quantity=Decimal(14), components=cells, amount=Decimal("3.00"))))

    assert "station 12 10 kWh €0.30 €3.00\nNot priced 4 kWh €0.00 €0.00" in text
    assert "Included" not in text


def test_a_percentage_is_printed_as_one_and_events_are_counted(make_invoice: MakeInvoice, make_line: MakeLine):
    """100.00 at 1.4 % and one event at its minimum, whose amount is not among the hundred."""
    parts = (
        Component("percentage", Decimal(100), Decimal("0.014"), Decimal("1.40")),
        Component("event_minimum", Decimal(1), Decimal("0.50"), Decimal("0.50")),
    )

    text = text_of(make_invoice(make_line(quantity=Decimal(110), components=parts, amount=Decimal("1.90"))))

    assert "Percentage 100 kWh 1.4% €1.40\nEvents at the minimum 1 €0.50 €0.50" in text
    assert "Included" not in text


def test_use_within_the_allowance_is_shown_as_free(make_invoice: MakeInvoice, make_line: MakeLine):
    nothing = Component("unit", Decimal(0), Decimal("0.30"), Decimal("0.00"))

    text = text_of(make_invoice(make_line(quantity=Decimal(7), components=(nothing,), amount=Decimal("0.00"))))

    assert "Included, free of charge 7 kWh\nPrice per unit 0 kWh €0.30 €0.00" in text


def test_every_digit_of_a_quantity_and_a_price_is_printed(make_invoice: MakeInvoice, make_line: MakeLine):
    quantity = Decimal("0.3071234567891234")
    only = Component("unit", quantity, Decimal("0.300000000012"), Decimal("0.09"))

    text = text_of(make_invoice(make_line(quantity=quantity, components=(only,), amount=Decimal("0.09"))))

    assert "0.3071234567891234 kWh €0.300000000012 20% €0.09" in text


@pytest.mark.parametrize(
    ("currency", "printed"),
    [("JPY", "Net amount ¥1,235"), ("BHD", "Net amount BHD\u00a01,234.500"), ("USD", "$1,234.50")],
)
def test_amounts_have_the_currencys_decimals(make_invoice: MakeInvoice, make_line: MakeLine, currency, printed):
    assert printed in text_of(make_invoice(make_line(amount=Decimal("1234.5")), currency=currency))


def test_each_tax_group_has_a_row(make_invoice: MakeInvoice, make_line: MakeLine):
    reduced, reverse = TaxRate("S", Decimal("5.5")), TaxRate("AE", Decimal(0))

    text = text_of(make_invoice(make_line(), make_line(tax=reduced), make_line(tax=reverse)))

    assert "VAT 20% €35.00 €7.00" in text
    assert "VAT 5.5% €35.00 €1.93" in text
    assert "Reverse charge" in text
    assert "Amount due €113.93" in text


def test_a_page_break_repeats_the_head_and_never_parts_a_line_from_its_components(
    make_invoice: MakeInvoice, make_line: MakeLine
):
    lines = [make_line(id=str(number), description=f"Charger {number}") for number in range(60)]

    pages = pages_of(make_invoice(*lines))

    assert len(pages) > 2
    for number, page in enumerate(pages, 1):
        assert f"{number} / {len(pages)}" in page
        assert "2026-000042" in page
        assert page.count("Charger ") == page.count("Tier 1 ") == page.count("Tier 2 ")
        if "Charger " in page:
            assert page.count("Description Quantity Unit price VAT Amount") == 1
    assert sum(page.count("Charger ") for page in pages) == 60
    assert any("Net amount €2,100.00" in page and "Amount due" in page for page in pages)  # never parted


def test_a_line_longer_than_a_page_is_printed_whole(make_invoice: MakeInvoice, make_line: MakeLine):
    tiers = tuple(Component("tier", Decimal(1), Decimal(1), Decimal("1.00"), number) for number in range(1, 201))

    text = text_of(make_invoice(make_line(components=tiers, amount=Decimal("200.00"))))

    assert all(f"Tier {number} 1 kWh" in text for number in range(1, 201))


def test_long_names_are_printed_whole(make_invoice: MakeInvoice, make_line: MakeLine):
    words, unbroken = "Société " * 30, "N" * 255
    invoice = make_invoice(make_line(description=unbroken, unit="W" * 80))
    invoice = replace(invoice, buyer=replace(invoice.buyer, name=words), seller=replace(invoice.seller, name=unbroken))

    text = text_of(invoice)

    assert text.count("Société") == 30
    assert text.count("N") >= 2 * 255
    assert text.count("W") >= 80


def test_the_largest_numbers_are_printed_whole(make_invoice: MakeInvoice, make_line: MakeLine):
    quantity, price = Decimal("12345678901234567890.123456789012345678"), Decimal("99999999999999999.000000000012")
    only = Component("unit", quantity, price, quantity * price)
    for language, separator in (("en", ","), ("fr", S)):
        line = make_line(quantity=quantity, components=(only,), amount=Decimal("9" * 37))

        text = text_of(make_invoice(line, language=language)).replace("\n", "").replace("\u200b", "")

        assert "12345678901234567890" in text.replace(separator, "")
        assert "123456789012345678" in text


@pytest.mark.parametrize(
    "text",
    [
        "#panic() *bold* $x$ <label> @ref // `raw` \\ \"quotes\" 'single' #sys.inputs",
        "a\0b\x1b\x07\x7f\x9f\r\n\t\u2028\u2029",
        "\ud800 lone \udfff",
        "شركة الطاقة חברת חשמל \u202eRTL\u2066\u200f",
        "株式会社 주식회사 บริษัท कंपनी",
        "😀👩‍👩‍👧🇫🇷 \U000e0041 \ue000 \ufffe\uffff \u0378 \U0010ffff",
        "e" + "\u0301" * 300,
        "\u200b\u200d\ufeff\u00ad" * 60,
        "",
        " " * 300,
    ],
)
def test_no_text_fails(make_invoice: MakeInvoice, make_line: MakeLine, text):
    invoice = _with_text_everywhere(make_invoice, make_line, text)

    assert "Amount due" in text_of(invoice)


def test_markup_is_printed_and_not_obeyed(make_invoice: MakeInvoice, make_line: MakeLine):
    text = text_of(make_invoice(make_line(description='#panic() *b* $x$ --- "q"')))

    assert '#panic() *b* $x$ --- "q"' in text


def test_a_character_that_no_font_shows_is_replaced_and_the_rest_kept(make_invoice: MakeInvoice, make_line: MakeLine):
    pdf = render_pdf(make_invoice(make_line(description="Energy \U0010fffd" + "K" * 40)))

    assert "Energy \ufffd" in read(pdf).pages[0].extract_text()
    assert b"pdfaid:part" in pdf


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(exclude_categories=()), max_size=60))
def test_any_unicode_text_is_printed(make_invoice: MakeInvoice, make_line: MakeLine, text):
    assert render_pdf(_with_text_everywhere(make_invoice, make_line, text)).startswith(b"%PDF-1.7")


def _with_text_everywhere(make_invoice: MakeInvoice, make_line: MakeLine, text: str) -> Invoice:
    line = make_line(
        description=text, unit=text, amount=Decimal("34.00"), allowances=(Allowance(text, Decimal("1.00")),)
    )
    invoice = make_invoice(line)
    assert invoice.buyer.address
    place = replace(invoice.buyer.address, line1=text, line2=text, postcode=text, city=text, country=text)
    buyer = replace(invoice.buyer, name=text, registration=text, vat_number=text, address=place)
    return replace(invoice, buyer=buyer, seller=replace(invoice.seller, name=text, address=None), language=text or "en")


def test_the_same_invoice_gives_the_same_bytes_also_from_several_threads(
    make_invoice: MakeInvoice, make_line: MakeLine
):
    invoices = [make_invoice(make_line(description=f"Station {number}")) for number in range(6)]
    alone = [render_pdf(invoice) for invoice in invoices]

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(render_pdf, invoices * 3))

    assert together == alone * 3
    assert len(set(alone)) == len(invoices)


def test_payments_and_credits_do_not_change_the_document(make_invoice: MakeInvoice, make_line: MakeLine):
    invoice = make_invoice(make_line())

    assert render_pdf(replace(invoice, paid=Decimal(10), credited=Decimal(5))) == render_pdf(invoice)


def test_the_file_is_an_archivable_pdf(make_invoice: MakeInvoice, make_line: MakeLine):
    """PDF/A-3b as far as it can be seen from outside: its claim, output intent, identifier, dates, embedded fonts."""
    reader = read(render_pdf(make_invoice(make_line())))
    root: Any = reader.trailer["/Root"]
    page: Any = reader.pages[0]
    metadata = root["/Metadata"].get_data()

    assert b"<pdfaid:part>3</pdfaid:part>" in metadata
    assert b"<pdfaid:conformance>B</pdfaid:conformance>" in metadata
    assert root["/OutputIntents"][0]["/S"] == "/GTS_PDFA1"
    assert reader.trailer["/ID"]
    assert reader.metadata is not None
    assert reader.metadata.title == "Invoice 2026-000042"
    assert reader.metadata.creation_date == datetime(2026, 12, 1, 23, 30, tzinfo=UTC)
    for font in page["/Resources"]["/Font"].values():
        descriptor = font["/DescendantFonts"][0]["/FontDescriptor"]
        assert any(key.startswith("/FontFile") for key in descriptor)


def test_a_document_without_lines_or_addresses_is_printed(make_invoice: MakeInvoice):
    invoice = make_invoice()
    bare = replace(invoice, buyer=replace(invoice.buyer, address=None, registration="", vat_number=""))

    assert "Nothing to charge in this period." in text_of(bare)
