from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from app.documents.invoice_csv import COLUMNS, render_csv
from app.domain.charge_models import Component
from app.domain.invoices import Invoice, InvoiceLine, Reference
from app.domain.rating.lines import Allowance
from app.domain.tax import TaxRate

MakeInvoice = Callable[..., Invoice]
MakeLine = Callable[..., InvoiceLine]


def rows_of(invoice: Invoice) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(render_csv(invoice).decode(), newline="")))


def test_components_and_allowances_are_rows_that_add_up_to_the_net(make_invoice: MakeInvoice, make_line: MakeLine):
    """30.00 + 5.00 - 3.50 = 31.50 on the first line, 35.00 on the second: 66.50."""
    discounted = make_line(amount=Decimal("31.50"), allowances=(Allowance("discount 10 %", Decimal("3.50")),))

    rows = rows_of(make_invoice(discounted, make_line(id="2")))

    assert [(row["line"], row["row_type"], row["amount"]) for row in rows] == [
        ("1", "component", "30.00"),
        ("1", "component", "5.00"),
        ("1", "allowance", "-3.50"),
        ("2", "component", "30.00"),
        ("2", "component", "5.00"),
    ]
    assert sum(Decimal(row["amount"]) for row in rows) == Decimal("66.50") == Decimal(rows[0]["document_net"])


def test_a_row_carries_the_facts_of_its_document_line_and_tax(make_invoice: MakeInvoice, make_line: MakeLine):
    row = rows_of(make_invoice(make_line()))[0]

    assert tuple(row) == COLUMNS
    wanted = {
        "document_number": "2026-000042", "document_type": "invoice", "issue_date": "2026-12-02",
        "issued_at": "2026-12-01T23:30:00Z", "due_date": "2027-01-01", "seller": "operator",
        "seller_name": "Garage des Alpes SAS", "seller_vat_number": "FR44732829320", "buyer": "acme",
        "buyer_address": "1 Station Road, EC1A 1BB London, GB", "charge": "energy",
        "period_start": "2026-10-31T23:00:00Z",
        "period_end": "2026-11-30T23:00:00Z", "line_quantity": "120", "unit": "kWh", "line_amount": "35.00",
        "row_kind": "tier", "tier": "1", "quantity": "100", "unit_price": "0.3", "tax_category": "S", "tax_rate": "20",
        "tax_base": "35.00", "tax_amount": "7.00", "document_net": "35.00", "document_tax": "7.00",
        "document_total": "42.00", "hash": "9f86d081884c7d65" * 4,
    }  # fmt: skip
    assert {column: row[column] for column in wanted} == wanted


def test_quantities_and_prices_keep_every_digit(make_invoice: MakeInvoice, make_line: MakeLine):
    quantity, price = Decimal("0.3071234567891234"), Decimal("0.000000000012")
    exact = make_line(quantity=quantity, components=(Component("unit", quantity, price, Decimal("0.00")),))

    row = rows_of(make_invoice(exact))[0]

    assert (row["quantity"], row["unit_price"], row["line_quantity"]) == (
        "0.3071234567891234", "0.000000000012", "0.3071234567891234",
    )  # fmt: skip


@pytest.mark.parametrize(("currency", "text"), [("JPY", "1235"), ("BHD", "1234.500"), ("EUR", "1234.50")])
def test_amounts_have_the_currencys_decimals(make_invoice: MakeInvoice, make_line: MakeLine, currency, text):
    only = Component("flat", Decimal(1), Decimal("1234.5"), Decimal("1234.5"))

    row = rows_of(make_invoice(make_line(amount=Decimal("1234.5"), components=(only,)), currency=currency))[0]

    assert row["amount"] == row["line_amount"] == text


@pytest.mark.parametrize(
    "name",
    ["=1+1", "+33 1", "-cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", " =1", "\r\n=1", "\u200b=1", "\ufeff+1", "＝1", "\tx"],
)
def test_a_name_is_never_a_formula(make_invoice: MakeInvoice, make_line: MakeLine, name):
    invoice = make_invoice(make_line(description=name, unit=name))
    invoice = replace(invoice, buyer=replace(invoice.buyer, name=name))

    row = rows_of(invoice)[0]

    assert row["buyer_name"] == row["line_description"] == row["unit"] == f"'{name}"


def test_a_negative_amount_stays_a_number(make_invoice: MakeInvoice, make_line: MakeLine):
    billed = Component("tier", Decimal(-100), Decimal("0.30"), Decimal("-30.00"), 1)

    row = rows_of(make_invoice(make_line(components=(billed,), amount=Decimal("-30.00"))))[0]

    assert (row["quantity"], row["amount"]) == ("-100", "-30.00")


def test_records_end_with_crlf_and_odd_texts_come_back_whole(make_invoice: MakeInvoice, make_line: MakeLine):
    odd = 'a "quoted", name\nwith a break; שלום 株式会社 😀'

    invoice = make_invoice(make_line(description=odd))

    assert render_csv(invoice).endswith(b"\r\n")
    assert rows_of(invoice)[0]["line_description"] == odd


def test_a_lone_surrogate_does_not_fail(make_invoice: MakeInvoice, make_line: MakeLine):
    assert rows_of(make_invoice(make_line(description="a\ud800b\0")))[0]["line_description"] == "a?b\0"


def test_a_credit_note_names_its_invoice(make_invoice: MakeInvoice, make_line: MakeLine):
    reference = Reference("inv_0", "2026-000017", datetime(2026, 10, 31, 23, 30, tzinfo=UTC))
    line = make_line(kind="credit", reopens_usage=True)

    row = rows_of(make_invoice(line, type="credit_note", due_date=None, references=(reference,)))[0]

    assert (row["document_type"], row["references"], row["due_date"]) == ("credit_note", "2026-000017 2026-11-01", "")
    assert (row["line_kind"], row["reopens_usage"]) == ("credit", "true")


def test_nothing_is_lost_of_a_line_without_components_or_a_document_without_lines(
    make_invoice: MakeInvoice, make_line: MakeLine
):
    bare = make_line(components=(), amount=Decimal("0.00"), quantity=Decimal(0), tax=TaxRate("O", Decimal(0)))

    assert [(row["row_type"], row["quantity"], row["amount"]) for row in rows_of(make_invoice(bare))] == [
        ("line", "0", "0.00")
    ]
    assert [(row["row_type"], row["document_total"]) for row in rows_of(make_invoice())] == [("document", "0.00")]
