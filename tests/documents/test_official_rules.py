"""E-invoices of every kind against the schema, EN 16931 and BR-FR; what the rules refuse is refused here too."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from lxml import etree

import app
from app.documents.invoice_cii import write_cii
from app.documents.invoice_ubl import write_ubl
from app.documents.make_e_invoice import e_invoice_of
from app.domain.credit import CreditUse
from app.domain.invoices import AccountingTax, Invoice, InvoiceLine, Remarks, totals
from app.domain.rating.lines import Allowance
from app.domain.tax import OUT_OF_SCOPE, TaxRate
from app.official import Checker, NotInstalled, official_checker
from tests.documents.e_invoices import ACME, CREDITED, FRANCHISE, GARAGE, LONDON, MUELLER, D, priced

MakeInvoice = Callable[..., Invoice]
MakeLine = Callable[..., InvoiceLine]

WRITERS = {"cii": write_cii, "ubl": write_ubl}


@pytest.fixture(scope="module")
def checker() -> Iterator[Checker]:
    with official_checker() as found:
        yield found


def _lines(make_line: MakeLine) -> dict[str, InvoiceLine]:
    return {
        "tiers": make_line(),
        "tiny price": make_line(
            quantity=D(1234567), components=(priced("1234567", "0.00000012", "0.15"),), amount=D("0.15"), unit="token"
        ),
        "discount": make_line(
            quantity=D(100), components=(priced("100", "0.30", "30.00"),), amount=D("27.00"),
            allowances=(Allowance("discount 10 %", D("3.00")),),
        ),
        "discount of several": make_line(amount=D("31.50"), allowances=(Allowance("discount 10 %", D("3.50")),)),
        "surcharge": make_line(
            quantity=D(-100), components=(priced("-100", "0.30", "-30.00"),), amount=D("-27.00"),
            allowances=(Allowance("discount 10 %", D("-3.00")),),
        ),
        "maximum": make_line(
            components=(priced("100", "0.30", "30.00"), priced("-1", "5.00", "-5.00", "maximum")), amount=D("25.00")
        ),
        "no use": make_line(quantity=D(0), components=(priced("0", "0.30", "0.00"),), amount=D("0.00")),
        "other rate": make_line(tax=TaxRate("S", D("5.5"))),
        "exempt": make_line(tax=TaxRate("E", D(0))),
        "zero rate": make_line(tax=TaxRate("Z", D(0))),
    }  # fmt: skip


def _documents(make_invoice: MakeInvoice, make_line: MakeLine) -> dict[str, Invoice]:
    lines = _lines(make_line)

    def french(*lines: InvoiceLine, **changes: Any) -> Invoice:
        return make_invoice(*lines, **({"seller": GARAGE, "buyer": ACME} | changes))

    use = CreditUse(UUID(int=1), "welcome", D("10.00"), TaxRate("S", D(20)))
    with_credit = french(lines["tiers"], lines["discount of several"])
    net, tax, total = totals(with_credit.lines, "EUR", allowances=(use,))
    references: dict[str, Any] = {
        "purchase_order": "PO-1", "buyer_reference": "Service 7", "contract_reference": "C-2",
        "project_reference": "P-3", "cost_centre": "CC-4",
    }  # fmt: skip
    euros = AccountingTax("EUR", D("6.40"), D("0.9142"), "ECB", date(2026, 11, 30))
    credit: dict[str, Any] = {"type": "credit_note", "references": CREDITED, "due_date": None}
    return {
        "all lines": french(*lines.values(), language="fr"),
        "credit and references": replace(with_credit, allowances=(use,), net=net, tax=tax, total=total, **references),
        "notes": french(lines["tiers"], remarks=Remarks(note="Merci.", reason="Sans objet.")),
        "credit note": french(lines["tiers"], lines["discount"], **credit, project_reference="P-3"),
        "self-billed": french(lines["tiers"], type="statement"),
        "VAT group": french(lines["tiers"], seller=replace(GARAGE, vat_regime="vat_group")),
        "VAT on payment": french(lines["tiers"], seller=replace(GARAGE, vat_regime="on_payment")),
        "franchise": french(lines["exempt"], seller=FRANCHISE),
        "reverse charge": french(make_line(tax=TaxRate("AE", D(0))), buyer=MUELLER),
        "to a member state": french(make_line(tax=TaxRate("K", D(0))), buyer=MUELLER),
        "export": french(make_line(tax=TaxRate("G", D(0))), buyer=LONDON),
        "out of scope": french(make_line(tax=OUT_OF_SCOPE), buyer=MUELLER),
        "dollars": french(lines["tiers"], currency="USD", accounting_tax=euros, delivery_address=ACME.address),
        "German seller": make_invoice(
            lines["tiers"], seller=replace(MUELLER, iban="DE89370400440532013000"), buyer=ACME
        ),
        "yen": make_invoice(
            make_line(components=(priced("7", "5", "35"),), quantity=D(7), amount=D(35)), seller=MUELLER, buyer=LONDON,
            currency="JPY",
        ),
        "hostile texts": french(
            make_line(description="<b>&amp;\x00\ud800 ]]> \u202e" + "x" * 300),
            buyer=replace(ACME, name="A & B <SARL>"),
        ),
    }  # fmt: skip


@pytest.mark.parametrize("syntax", WRITERS)
def test_every_kind_of_document_passes_the_official_rules(
    checker: Checker, make_invoice: MakeInvoice, make_line: MakeLine, syntax: str
):
    documents = _documents(make_invoice, make_line)

    reports = list(
        checker.check_all((name, WRITERS[syntax](e_invoice_of(invoice))) for name, invoice in documents.items())
    )

    assert {report.syntax for report in reports} == {syntax}
    assert [(report.name, report.findings) for report in reports if report.findings] == []
    french = [name for name, invoice in documents.items() if invoice.seller.key == "operator"]
    assert [report.name for report in reports if "BR-FR" in report.checks] == french


@pytest.mark.parametrize("syntax", WRITERS)
def test_an_invoice_of_a_prepayment_passes_too(
    checker: Checker, make_invoice: MakeInvoice, make_line: MakeLine, syntax: str
):
    document = replace(e_invoice_of(make_invoice(make_line(), seller=GARAGE, buyer=ACME)), type_code="386")

    assert checker.check("386", WRITERS[syntax](document)).findings == ()


@pytest.mark.parametrize(
    ("old", "new", "rules"),
    [
        (b"SubjectCode>PMT", b"SubjectCode>AAI", {"BR-FR-05_BT-22_PMT"}),
        (b"GrandTotalAmount>42.00", b"GrandTotalAmount>43.00", {"BR-CO-15", "BR-CO-16"}),
        (b'unitCode="KWH">100<', b'unitCode="KWH">100.00001<', {"BR-FR-DEC-02_BT-129"}),
        (b"TypeCode>380", b"TypeCode>381", {"BR-FR-CO-05_BT-3"}),
    ],
)  # fmt: skip
def test_what_breaks_a_rule_is_found(
    checker: Checker, make_invoice: MakeInvoice, make_line: MakeLine, old: bytes, new: bytes, rules: set[str]
):
    content = write_cii(e_invoice_of(make_invoice(make_line(), seller=GARAGE, buyer=ACME)))
    assert old in content

    report = checker.check("wrong.xml", content.replace(old, new))

    assert not report.passed
    assert rules <= {item.rule for item in report.findings}


@pytest.mark.parametrize(
    "content", [b"", b"no XML", b"<a/>", b"%PDF-1.7 broken", b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"]
)
def test_what_is_no_e_invoice_is_said_to_be_none(checker: Checker, content: bytes):
    report = checker.check("file", content)

    assert (report.passed, report.syntax) == (False, "")
    assert report.findings[0].detail


def test_valid_invoices_of_other_systems_pass(checker: Checker):
    """What the rules accept from others is no reason to refuse what we write, nor the other way round."""
    folder = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "en16931-ubl"
    if not folder.is_dir():
        pytest.skip("the invoices of other systems are not here: ../shared/data/en16931-ubl")

    reports = [checker.check(path.name, path.read_bytes()) for path in sorted(folder.iterdir())]

    assert len(reports) == 18
    assert [(report.name, report.findings) for report in reports if not report.passed] == []
    assert {report.syntax for report in reports} == {"ubl"}


def test_without_the_engine_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("app.official.find_spec", lambda name: None)

    with pytest.raises(NotInstalled, match="einvoice-validate"), official_checker():
        pass


def test_only_the_process_of_its_own_loads_the_engine():
    """The engine ends its process when two threads use it."""
    root = Path(app.__file__).parent

    users = [path.name for path in root.rglob("*.py") if re.search("(import|from) saxonche", path.read_text())]

    assert users == ["official_child.py"]


def test_the_same_document_gives_the_same_bytes(make_invoice: MakeInvoice, make_line: MakeLine):
    document = e_invoice_of(make_invoice(make_line(), seller=GARAGE, buyer=ACME))

    for write in WRITERS.values():
        assert write(document) == write(document)
        assert etree.fromstring(write(document)) is not None
