"""An issued document as an e-invoice: CII, UBL and Factur-X, and what is said where it cannot be one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from facturx import get_xml_from_pdf
from lxml import etree
from typer.testing import CliRunner

from app.cli import commands
from app.commands.hand_over import put_file
from app.domain.invoices import totals
from app.official import Checker, official_checker
from tests.api.french import ACME_LEGAL, french_invoice
from tests.service import Api


@pytest.fixture(scope="module")
def checker() -> Iterator[Checker]:
    with official_checker() as found:
        yield found


def found(xml: bytes, name: str) -> list[str]:
    return [element.text for element in etree.fromstring(xml).iter("{*}" + name)]


def test_an_issued_invoice_is_an_e_invoice(api: Api, checker: Checker):
    """7.25 kWh at 0.30 are 2.18; 20 % is 0.44; 2.62 are due."""
    invoice = french_invoice(api)

    cii = api.call("GET", f"/v1/invoices/{invoice['id']}.xml")
    ubl = api.call("GET", f"/v1/invoices/{invoice['id']}.ubl.xml")

    assert (cii.status_code, cii.headers["content-type"]) == (200, "application/xml")
    assert cii.headers["content-disposition"] == f'inline; filename="{invoice["number"]}.xml"'
    assert ubl.headers["content-disposition"] == f'inline; filename="{invoice["number"]}.ubl.xml"'
    assert found(cii.content, "BilledQuantity") == ["7.25"]
    assert etree.fromstring(cii.content).find(".//{*}BilledQuantity").get("unitCode") == "KWH"
    assert found(cii.content, "DuePayableAmount") == found(ubl.content, "PayableAmount") == ["2.62"]
    reports = list(checker.check_all([("cii", cii.content), ("ubl", ubl.content)]))
    assert [(report.syntax, report.checks, report.findings) for report in reports] == [
        ("cii", ("XSD", "EN 16931", "BR-FR"), ()), ("ubl", ("XSD", "EN 16931", "BR-FR"), ()),
    ]  # fmt: skip


def test_the_pdf_holds_the_e_invoice_of_the_other_route_byte_for_byte(api: Api):
    invoice = french_invoice(api)

    first, xml, again = (
        api.call("GET", f"/v1/invoices/{invoice['id']}.{format}").content for format in ("pdf", "xml", "pdf")
    )

    assert get_xml_from_pdf(first, check_xsd=False, check_schematron=False) == ("factur-x.xml", xml)
    assert first == again


def test_a_document_that_lacks_something_says_what_and_goes_out_on_paper(api: Api):
    """Without a SIREN of the buyer there is no French e-invoice; the PDF is a plain one."""
    invoice = french_invoice(api, buyer_legal={key: ACME_LEGAL[key] for key in ("name", "address")})

    for format in ("xml", "ubl.xml"):
        answer = api.call("GET", f"/v1/invoices/{invoice['id']}.{format}")
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/no-e-invoice")
        assert [item["pointer"] for item in answer.json()["errors"]] == ["#/parties/buyer/registration"]
    pdf = api.call("GET", f"/v1/invoices/{invoice['id']}.pdf")
    assert pdf.content.startswith(b"%PDF") and b"factur-x" not in pdf.content


def test_what_is_completed_later_changes_nothing_of_what_is_issued(api: Api):
    invoice = french_invoice(api, buyer_legal={key: ACME_LEGAL[key] for key in ("name", "address")})
    api.call("PATCH", "/v1/tenants/acme", {"legal": ACME_LEGAL})

    assert api.call("GET", f"/v1/invoices/{invoice['id']}.xml").status_code == 409


def test_a_credit_note_cites_its_invoice(api: Api, checker: Checker):
    invoice = french_invoice(api)
    api.post("/v1/events/cancellations", {"tenant": "acme", "source": "/chargers/12", "id": "s-1", "reason": "wrong"})
    api.bill("2026-11-01T00:00:00Z")
    note = api.invoices(type="credit_note")[0]

    cii = api.call("GET", f"/v1/invoices/{note['id']}.xml").content
    ubl = api.call("GET", f"/v1/invoices/{note['id']}.ubl.xml").content

    assert etree.QName(etree.fromstring(ubl)).localname == "CreditNote"
    assert found(cii, "IssuerAssignedID") == [invoice["number"]]
    assert Decimal(found(cii, "DuePayableAmount")[0]) == Decimal(note["total"]) == Decimal("2.62")
    assert [report.findings for report in checker.check_all([("cii", cii), ("ubl", ubl)])] == [(), ()]


@pytest.mark.parametrize(
    "wish", [{"amount": "0.77"}, {"lines": [{"line": "ln_1", "quantity": "1.5"}]},
             {"lines": [{"line": "ln_1", "amount": "1.01"}]}, {}, {"reissue": True}]
)  # fmt: skip
def test_a_credit_note_by_hand_is_an_e_invoice(api: Api, checker: Checker, wish: dict[str, object]):
    """Over the document, by quantity, by amount, whole, and with a new invoice."""
    invoice = french_invoice(api)
    api.post(f"/v1/invoices/{invoice['id']}/credit-notes", {"reason": "wrong station", "reference": "case 7"} | wish)
    documents = [item for item in api.invoices(status="issued") if item["id"] != invoice["id"]]
    assert "credit_note" in {item["type"] for item in documents}

    files = [
        (f"{item['number']}.{format}", api.call("GET", f"/v1/invoices/{item['id']}.{format}").content)
        for item in documents
        for format in ("xml", "ubl.xml")
    ]

    assert [(report.name, report.findings) for report in checker.check_all(files) if report.findings] == []
    note = next(item for item in documents if item["type"] == "credit_note")
    content = api.call("GET", f"/v1/invoices/{note['id']}.xml").content
    assert {"wrong station", "case 7"} <= set(found(content, "Content"))


def test_what_people_write_is_on_the_e_invoice(api: Api, checker: Checker):
    """An invoice of no subscription: 2.5 h at 80.00 and a rebate of 10.00, with an order number and a note."""
    french_invoice(api)
    lines = [
        {"description": "Installation", "quantity": "2.5", "unit_price": "80.00", "unit": "h", "tax": "standard"},
        {"description": "Geste commercial", "quantity": "-1", "unit_price": "10.00", "tax": "standard"},
    ]
    period = {"start": "2026-10-01", "end": "2026-11-01"}
    sent = {
        "buyer": "acme",
        "lines": lines,
        "period": period,
        "note": "Merci.",
        "purchase_order": "PO-7",
        "issue": True,
    }
    invoice = api.post("/v1/invoices", sent)

    files = [
        (format, api.call("GET", f"/v1/invoices/{invoice['id']}.{format}").content) for format in ("xml", "ubl.xml")
    ]

    assert [report.findings for report in checker.check_all(files)] == [(), ()]
    cii = files[0][1]
    assert found(cii, "BilledQuantity") == ["2.5", "-1"]
    assert [element.get("unitCode") for element in etree.fromstring(cii).iter("{*}BilledQuantity")] == ["HUR", "C62"]
    assert (found(cii, "IssuerAssignedID"), found(cii, "DuePayableAmount")) == (["PO-7"], ["228.00"])
    assert "Merci." in found(cii, "Content")


def test_an_unknown_form_is_not_found(api: Api):
    invoice = french_invoice(api)

    for name in (f"{invoice['id']}.docx", f"{invoice['id']}.csv.xml", "x.ubl.xml"):
        path = f"/v1/invoices/{name}"
        assert api.call("GET", path).status_code == 404


def test_a_document_whose_amounts_disagree_is_not_issued_and_takes_no_number(api: Api, monkeypatch: pytest.MonkeyPatch):
    """VAT that is off by a cent: the run names the period among its failures; once it is right, it is number 1."""

    def off_by_a_cent(*arguments: Any, **named: Any) -> Any:
        net, groups, total = totals(*arguments, **named)
        cent = Decimal("0.01")
        return net, (replace(groups[0], amount=groups[0].amount + cent), *groups[1:]), total + cent

    with monkeypatch.context() as patched:
        patched.setattr("app.operations.make_drafts.totals", off_by_a_cent)
        with pytest.raises(IndexError):
            french_invoice(api)
        run = api.bill("2026-11-01T00:00:00Z")
    assert (run["closed"], run["failed"]) == (0, 1)
    assert "the VAT of S 20 % is 0.44, not 0.45 (BR-CO-17)" in str(run["failures"])

    api.bill("2026-11-01T00:00:00Z")

    assert [invoice["number"] for invoice in api.invoices(status="issued")] == ["2026-000001"]


# --- statuses ---------------------------------------------------------------------------------------------------------


def test_what_a_platform_says_is_kept_in_order_and_changes_nothing(api: Api):
    before = french_invoice(api)
    path = f"/v1/invoices/{before['id']}/statuses"

    for code in ("200", 202, "205"):
        answer = api.call("POST", path, {"code": code, "platform": "PA", "at": "2026-11-24T08:00:00Z"})
        assert answer.status_code == 201, answer.text

    rows = api.get(path)["data"]
    assert [(row["sequence"], row["code"], row["name"]) for row in rows] == [
        (1, "200", "deposited"), (2, "202", "received"), (3, "205", "approved"),
    ]  # fmt: skip
    assert {row["received_at"] for row in rows} == {"2026-11-23T12:00:00Z"}
    assert api.get(f"/v1/invoices/{before['id']}") == before
    page = api.get(path, limit=2)
    assert [row["code"] for row in api.get(path, cursor=page["next_cursor"])["data"]] == ["205"]


def test_a_message_of_a_platform_is_kept_once(api: Api):
    path = f"/v1/invoices/{french_invoice(api)['id']}/statuses"
    message = {"code": "213", "platform": "PA", "reason": "Rejet sémantique", "external_id": "flow-1"}

    first, again = (api.call("POST", path, message) for _ in range(2))
    other = api.call("POST", path, message | {"code": "205"})

    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 409)
    assert first.json() == again.json()
    assert len(api.get(path)["data"]) == 1


def test_a_request_sent_again_keeps_one_status(api: Api):
    path = f"/v1/invoices/{french_invoice(api)['id']}/statuses"

    answers = [api.call("POST", path, {"code": "202"}, headers={"Idempotency-Key": "k-1"}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 200]
    assert len(api.get(path)["data"]) == 1


@pytest.mark.parametrize("body", [{}, {"code": "199"}, {"code": 214}, {"code": True}, {"code": "205", "at": "never"}])
def test_a_status_that_there_is_not_is_refused(api: Api, body: dict[str, object]):
    answer = api.call("POST", f"/v1/invoices/{french_invoice(api)['id']}/statuses", body)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] in ("#/code", "#/at")


# --- files handed over ------------------------------------------------------------------------------------------------


def _hand_over(database_url: str, to: Path, *options: str) -> list[dict[str, object]]:
    done = CliRunner().invoke(
        commands, ["hand-over", "--to", str(to), "--json", *options], env={"QUOTEPART_DATABASE_URL": database_url}
    )
    assert done.exit_code == 0, done.output
    documents: list[dict[str, object]] = json.loads(done.stdout)["documents"]
    return documents


def test_documents_are_handed_over_once_whole(api: Api, database_url: str, tmp_path: Path):
    invoice = french_invoice(api)
    names = [f"garage_{invoice['number']}.{format}" for format in ("pdf", "xml")]

    first = _hand_over(database_url, tmp_path / "out")
    for path in (tmp_path / "out").iterdir():
        path.rename(tmp_path / path.name)  # the platform takes them away
    second = _hand_over(database_url, tmp_path / "out")
    elsewhere = _hand_over(database_url, tmp_path / "archive", "--form", "ubl.xml")

    assert first == [{"number": invoice["number"], "files": names}]
    assert second == []
    assert (tmp_path / names[1]).read_bytes() == api.call("GET", f"/v1/invoices/{invoice['id']}.xml").content
    assert elsewhere == [{"number": invoice["number"], "files": [f"garage_{invoice['number']}.ubl.xml"]}]


def test_a_document_that_is_no_e_invoice_is_handed_over_as_pdf(api: Api, database_url: str, tmp_path: Path):
    invoice = french_invoice(api, buyer_legal={key: ACME_LEGAL[key] for key in ("name", "address")})

    assert _hand_over(database_url, tmp_path) == [
        {"number": invoice["number"], "files": [f"garage_{invoice['number']}.pdf"]}
    ]


def test_a_file_that_cannot_be_finished_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("app.commands.hand_over.os.replace", no_space)

    with pytest.raises(OSError, match="No space"):
        put_file(tmp_path, "a.pdf", b"content")
    assert list(tmp_path.iterdir()) == []
