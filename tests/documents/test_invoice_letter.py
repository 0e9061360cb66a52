"""What a finance director reads on the paper besides lines and totals: who sells, how to pay, what the law says."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pypdf
import pytest

from app.documents.invoice_pdf import render_pdf
from app.domain.invoices import AccountingTax, Invoice, InvoiceLine, Remarks
from app.domain.parties import Logo, LogoName
from app.domain.tax import Exemption, TaxRate
from tests.documents.e_invoices import ACME, CREDITED, FRANCHISE, GARAGE, MUELLER, D
from tests.documents.test_use_chart import traced

MakeInvoice = Callable[..., Invoice]
MakeLine = Callable[..., InvoiceLine]

# One red point.
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc000000301010018dd8db0"
    "0000000049454e44ae426082"
)


@pytest.fixture
def french(make_invoice: MakeInvoice) -> MakeInvoice:
    return lambda *lines, **changes: make_invoice(
        *lines, **({"seller": GARAGE, "buyer": ACME, "language": "fr"} | changes)
    )


def text_of(invoice: Invoice, logo: Logo | None = None) -> str:
    reader = pypdf.PdfReader(io.BytesIO(render_pdf(invoice, logo=logo)))
    # Where a line ends is the layout's affair.
    return " ".join(" ".join(page.extract_text() for page in reader.pages).split())


def test_a_french_seller_says_who_it_is_and_what_the_law_asks_for(french: MakeInvoice, make_line: MakeLine):
    text = text_of(french(make_line()))

    for expected in (
        "SAS au capital de 10 000,00 €, RCS Grenoble", "SIREN 732829320", "SIRET 73282932000074",
        "N° de TVA FR44732829320",
        "Comptabilité · +33 4 76 00 00 00 · compta@garage.example", "Catégorie d’opérations : prestations de services.",
        "Option pour le paiement de la taxe d’après les débits.", "Pénalités de retard : trois fois le taux",
        "Indemnité forfaitaire pour frais de recouvrement en cas de retard de paiement : 40 €.",
        "Pas d’escompte pour paiement anticipé.",
    ):  # fmt: skip
        assert expected in text


def test_an_invoice_says_how_to_pay_it(french: MakeInvoice, make_line: MakeLine):
    text = text_of(french(make_line()))

    for expected in (
        "Règlement", "IBAN FR76 3000 6000 0112 3456 7890 189", "BIC AGRIFRPP", "Référence RF02 2026 0000 42",
        "À scanner avec",
    ):  # fmt: skip
        assert expected in text


def test_a_credit_note_asks_for_no_payment(french: MakeInvoice, make_line: MakeLine):
    text = text_of(french(make_line(kind="credit"), type="credit_note", references=CREDITED, due_date=None))

    assert "IBAN" not in text
    assert "Pénalités" not in text


def test_dollars_are_not_paid_by_the_code_of_the_euro_area(french: MakeInvoice, make_line: MakeLine):
    euros = AccountingTax("EUR", D("6.40"), D("0.9142"), "BCE", date(2026, 11, 30))

    text = text_of(french(make_line(), currency="USD", accounting_tax=euros))

    assert "IBAN" in text
    assert "scanner" not in text
    assert "TVA en EUR : 6,40 €, au cours de 0,9142 pour 1 USD (BCE, 30 novembre 2026)." in text


def test_the_buyers_own_words_are_on_it(french: MakeInvoice, make_line: MakeLine):
    invoice = french(
        make_line(), purchase_order="PO-118", cost_centre="CC-4100", remarks=Remarks(note="Merci de votre confiance."),
        delivery_address=replace(ACME.address, line1="3 quai Lamennais") if ACME.address else None,
    )  # fmt: skip

    text = text_of(invoice)

    for expected in ("Bon de commande PO-118", "Centre de coûts CC-4100", "Merci de votre confiance.",
                     "Livré à 3 quai Lamennais, 35000 Rennes, France"):  # fmt: skip
        assert expected in text


def test_why_there_is_no_vat_is_said(french: MakeInvoice, make_line: MakeLine):
    exempt = TaxRate("E", D(0), Exemption("VATEX-FR-CGI261-4", "Formation, art. 261 du CGI."))

    assert "Formation, art. 261 du CGI." in text_of(french(make_line(tax=exempt)))
    assert "TVA non applicable, art. 293 B du CGI." in text_of(
        french(make_line(tax=TaxRate("E", D(0))), seller=FRANCHISE)
    )
    assert "Autoliquidation" in text_of(french(make_line(tax=TaxRate("AE", D(0))), buyer=MUELLER))


def test_the_use_of_each_day_is_drawn(french: MakeInvoice, make_line: MakeLine):
    trace = traced({"2026-11-02": "10.5", "2026-11-30": "4"})

    text = text_of(french(make_line(trace=trace)))

    assert "Charging energy : consommation par jour" in text
    assert "1er novembre max. 10,5 kWh 30 novembre" in text


def test_several_subscriptions_have_their_subtotals(french: MakeInvoice, make_line: MakeLine):
    """35.00 of Paris and twice 35.00 of Lyon."""
    lines = [make_line(id=str(number), subscription=name) for number, name in enumerate(("paris", "lyon", "lyon"))]

    text = text_of(french(*lines))

    assert "Sous-total paris 35,00 €" in text
    assert "Sous-total lyon 70,00 €" in text


def test_a_logo_is_shown_and_one_that_cannot_be_drawn_is_left_out(french: MakeInvoice, make_line: MakeLine):
    invoice = french(make_line())
    good, broken = (Logo(LogoName("0" * 64, "image/png"), content) for content in (PNG, PNG[:40]))

    assert b"/Image" in render_pdf(invoice, logo=good)
    assert render_pdf(invoice, logo=broken) == render_pdf(invoice)


def test_a_colour_that_is_none_changes_nothing(french: MakeInvoice, make_line: MakeLine):
    plain = french(make_line())

    assert render_pdf(replace(plain, seller=replace(GARAGE, colour="red; #"))) == render_pdf(plain)
    assert render_pdf(replace(plain, seller=replace(GARAGE, colour="#aa0000"))) != render_pdf(plain)
