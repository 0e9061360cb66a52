"""`quotepart verify --official`: files of e-invoices, checked by the official rules."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli import commands
from app.documents.factur_x import embed
from app.documents.invoice_cii import write_cii
from app.documents.invoice_pdf import render_pdf
from app.documents.invoice_ubl import write_ubl
from app.documents.make_e_invoice import e_invoice_of
from tests.documents.conftest import invoice_of, line_of
from tests.documents.e_invoices import ACME, GARAGE


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(commands, ["verify", *arguments])
    return done.exit_code, done.output


@pytest.fixture
def files(tmp_path: Path) -> Path:
    invoice = invoice_of(line_of(), seller=GARAGE, buyer=ACME)
    document = e_invoice_of(invoice)
    xml = write_cii(document)
    (tmp_path / "a.xml").write_bytes(xml)
    (tmp_path / "a.ubl.xml").write_bytes(write_ubl(document))
    (tmp_path / "a.pdf").write_bytes(embed(render_pdf(invoice), xml, document, "en"))
    (tmp_path / "wrong.xml").write_bytes(xml.replace(b"GrandTotalAmount>42.00", b"GrandTotalAmount>43.00"))
    return tmp_path


def test_files_that_follow_the_rules_pass(files: Path):
    code, output = run("--official", *(str(files / name) for name in ("a.xml", "a.ubl.xml", "a.pdf")))

    assert code == 0, output
    assert "a.pdf: CII, XSD, EN 16931, BR-FR" in output
    assert "a.ubl.xml: UBL, XSD, EN 16931, BR-FR" in output


def test_a_file_that_breaks_a_rule_is_named_with_it(files: Path):
    code, output = run("--official", "--json", str(files / "wrong.xml"), str(files / "a.xml"))

    assert code == 1
    wrong, right = json.loads(output)["files"]
    assert not wrong["passed"] and "BR-CO-15" in {item["rule"] for item in wrong["findings"]}
    assert right["passed"] and right["findings"] == []


def test_what_is_not_there_or_not_installed_is_said(files: Path, monkeypatch: pytest.MonkeyPatch):
    assert run("--official", str(files / "none.xml"))[0] == 1
    monkeypatch.setattr("app.official.find_spec", lambda name: None)

    assert run("--official", str(files / "a.xml"))[0] == 1
