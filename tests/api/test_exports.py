"""Exports over HTTP: what is in them, for whom, and that a page of it is never all of it in memory."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import openpyxl  # type: ignore[import-untyped]
import pytest

from app.operations import export_documents
from app.operations.authenticate import create_key
from tests.service import ACME, OPERATOR, Api, event, service, set_up

GRADUATED = {
    "key": "energy", "meter": "energy", "discount": {"percent": "10"},
    "model": {"type": "graduated", "tiers": [
        {"up_to": "100", "unit_price": "0.30"}, {"up_to": None, "unit_price": "0.25"},
    ]},
}  # fmt: skip
ACCESS = {"key": "access", "description": "=Access", "model": {"type": "flat", "amount": "19.00"}, "timing": "advance"}
FRENCH = {"name": "Garage SAS", "registration": "732829320", "vat_number": "FR44732829320", "address": {
    "line1": "1 rue", "postcode": "38000", "city": "Grenoble", "country": "FR"}}  # fmt: skip


@pytest.fixture
def api(database_url: str) -> Iterator[Api]:
    """October of Acme, with VAT: 19.00 in advance, then 130 kWh and 19.00 more; and what was cancelled, credited."""
    with service(database_url) as running:
        running.put("/v1/tax-rates/standard", {"category": "S", "rate": "20", "country": "FR", "start": "2014-01-01"})
        set_up(running)
        running.put("/v1/tenants/garage", OPERATOR | {"legal": FRENCH})
        set_up_plan(running)
        running.post("/v1/events", [event("1", data={"kwh": "100"}), event("2", data={"kwh": "30"})])
        running.bill("2026-11-01T00:00:00Z")
        running.clock.set("2026-11-24T12:00:00+00:00")
        body = {"tenant": "acme", "source": "/chargers/12", "id": "2", "reason": "fault"}
        running.post("/v1/events/cancellations", body)
        running.bill("2026-11-01T00:00:00Z")
        yield running


def set_up_plan(api: Api) -> None:
    body = {"name": "Standard", "currency": "EUR", "interval": "month", "charges": [GRADUATED, ACCESS]}
    api.put("/v1/plans/standard", body | {"anchor": "calendar"})
    api.post("/v1/plans/standard/publish", {"effective_at": "2020-01-01T00:00:00Z"})
    api.put("/v1/subscriptions/acme-1", {"tenant": "acme", "plan": "standard", "start": "2026-10-01"})


def rows(api: Api, name: str, **query: str) -> list[dict[str, str]]:
    answer = api.call("GET", f"/v1/exports/{name}", params=query)
    assert answer.status_code == 200, answer.text
    content = gzip.decompress(answer.content) if name.endswith(".gz") else answer.content
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def cells(api: Api, name: str) -> list[dict[str, Any]]:
    answer = api.call("GET", f"/v1/exports/{name}")
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    heading, *found = openpyxl.load_workbook(io.BytesIO(answer.content)).active.iter_rows(values_only=True)
    return [dict(zip(heading, row, strict=True)) for row in found]


def test_documents_are_exported_in_order_of_issue(api: Api) -> None:
    """19.00, then 0.9 x 37.50 + 19.00 = 52.75, then 0.9 x 7.50 = 6.75 back, each with 20 % VAT."""
    found = rows(api, "documents.csv")
    assert [(row["number"], row["type"], row["net"], row["tax"], row["total"]) for row in found] == [
        ("2026-000001", "invoice", "19.00", "3.80", "22.80"),
        ("2026-000002", "invoice", "52.75", "10.55", "63.30"),
        ("2026-000003", "credit_note", "6.75", "1.35", "8.10"),
    ]
    assert sum(Decimal(row["signed_total"]) for row in found) == Decimal("78.00")
    assert (found[1]["credited"], found[1]["due"]) == ("8.10", "55.20")
    assert (found[2]["references"], found[0]["seller_vat_number"]) == ("2026-000002", "FR44732829320")
    workbook = cells(api, "documents.xlsx")
    assert [(row["total"], row["issue_date"].date().isoformat()) for row in workbook] == [
        (22.8, "2026-11-23"), (63.3, "2026-11-23"), (8.1, "2026-11-24"),
    ]  # fmt: skip


def test_the_lines_of_a_document_add_up_to_its_net(api: Api) -> None:
    documents = {row["number"]: Decimal(row["net"]) for row in rows(api, "documents.csv")}
    found = rows(api, "lines.csv")
    sums = dict.fromkeys(documents, Decimal(0))
    for row in found:
        sums[row["number"]] += Decimal(row["amount"])
    assert sums == documents
    assert [(row["charge"], row["quantity"], row["plan"], row["meter"], row["tax_rate"]) for row in found[1:3]] == [
        ("energy", "130", "standard", "energy", "20"), ("access", "1", "standard", "", "20"),
    ]  # fmt: skip
    assert found[2]["description"] == "'=Access", "a description is a formula for nobody"
    assert [row["description"] for row in cells(api, "lines.xlsx")] == [row["description"] for row in found]


def test_the_billed_costs_of_an_invoice_are_what_it_asks_for(api: Api) -> None:
    asked = {row["number"]: Decimal(row["signed_total"]) for row in rows(api, "documents.csv")}
    for name in ("focus.csv", "focus.csv.gz"):
        billed = dict.fromkeys(asked, Decimal(0))
        for row in rows(api, name, service_category="Storage"):
            billed[row["InvoiceId"]] += Decimal(row["BilledCost"])
            assert (row["ServiceCategory"], row["ServiceName"]) == ("Storage", row["ServiceName"])
        assert billed == asked


def test_what_the_buyer_wants_to_read_is_exported(api: Api) -> None:
    """The document's order number and cost centre, on each of its lines too."""
    api.put("/v1/tenants/acme", ACME | {"purchase_order": "4711", "cost_centre": "K-12"})
    api.clock.set("2026-12-02T12:00:00+00:00")
    api.bill("2026-12-01T00:00:00Z")
    for name in ("documents.csv", "lines.csv"):
        found = rows(api, name, **{"from": "2026-12-01"})
        assert found and {(row["purchase_order"], row["cost_centre"]) for row in found} == {("4711", "K-12")}
    assert {row["supply"] for row in found} == {"service"}


def test_an_export_is_filtered_by_all_that_its_documents_say(api: Api) -> None:
    def numbers(**query: str) -> list[str]:
        return [row["number"][-1] for row in rows(api, "documents.csv", **query)]

    assert numbers(**{"from": "2026-11-24"}) == ["3"]
    assert numbers(to="2026-11-24") == ["1", "2"]
    assert numbers(issued_from="2026-11-23T12:00:00Z", issued_to="2026-11-23T12:00:01Z") == ["1", "2"]
    assert numbers(type="credit_note") == ["3"]
    assert (numbers(currency="EUR"), numbers(currency="USD")) == (["1", "2", "3"], [])
    assert (numbers(seller="garage"), numbers(seller="acme")) == (["1", "2", "3"], [])
    assert (numbers(buyer="acme"), numbers(buyer="garage")) == (["1", "2", "3"], [])
    assert (numbers(tenant="acme"), numbers(tenant="garage")) == (["1", "2", "3"], ["1", "2", "3"])
    assert numbers(period_start="2026-10-01", period_end="2026-11-01") == ["1", "2", "3"]
    assert numbers(period_start="2026-10-02") == []
    assert numbers(period_end="2026-10-31") == []


WRONG: list[tuple[dict[str, str], int]] = [
    ({"from": "2026-12-01", "to": "2026-11-01"}, 422), ({"from": "yesterday"}, 422), ({"sellr": "garage"}, 422),
    ({"type": "bill"}, 422), ({"currency": "euro"}, 422), ({"seller": "nobody"}, 404),
]  # fmt: skip


def test_an_export_that_cannot_be_made_says_why(api: Api) -> None:
    for name in ("documents.csv", "lines.xlsx", "focus.csv"):
        for query, status in WRONG:
            answer = api.call("GET", f"/v1/exports/{name}", params=query)
            assert answer.status_code == status
            assert answer.headers["content-type"] == "application/problem+json"


def test_there_is_no_export_in_another_format(api: Api) -> None:
    for name in ("documents.pdf", "focus.xlsx", "nothing.csv"):
        assert api.call("GET", f"/v1/exports/{name}").status_code == 404


def test_a_bound_key_exports_what_its_tenant_buys_or_sells(api: Api) -> None:
    """Acme and the garage see the documents between them, a third tenant none; and nobody learns who else there is."""
    api.put("/v1/tenants/other", ACME | {"subjects": []})

    def seen(bound_to: str, **query: str) -> int:
        database = api.client.app.state.database  # type: ignore[attr-defined]
        key = create_key(database, scopes=["read"], tenant=bound_to, now=api.clock())
        answer = api.call("GET", "/v1/exports/documents.csv", key=key, params=query)
        assert answer.status_code == 200
        return len(answer.text.splitlines()) - 1

    assert (seen("acme"), seen("garage"), seen("other")) == (3, 3, 0)
    assert (seen("acme", seller="garage"), seen("acme", seller="other"), seen("acme", seller="nobody")) == (3, 0, 0)
    assert (seen("other", tenant="acme"), seen("other", buyer="acme")) == (0, 0)


def test_what_is_exported_in_pages_is_what_there_is(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = {
        name: api.call("GET", f"/v1/exports/{name}").content for name in ("documents.csv", "lines.csv", "focus.csv")
    }
    monkeypatch.setattr(export_documents, "_PAGE", 1)
    assert {name: api.call("GET", f"/v1/exports/{name}").content for name in whole} == whole
