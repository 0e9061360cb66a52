"""Legal profiles, references and purchase orders: from what is put to what stands in an issued document."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from tests.service import ACME, OPERATOR, PER_UNIT, Api, event, set_up

PARIS = {"line1": "1 rue de la Paix", "postcode": "75002", "city": "Paris", "country": "FR"}
LYON = {"line1": "2 place Bellecour", "postcode": "69002", "city": "Lyon", "country": "FR"}
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + (16).to_bytes(4) + (8).to_bytes(4) + b"\x08\x06\x00\x00\x00"
GARAGE: dict[str, Any] = {
    "name": "Garage SAS", "registration": "732829320", "siret": "73282932000074", "vat_number": "FR44732829320",
    "address": PARIS, "legal_form": "SAS", "share_capital": {"amount": "10000", "currency": "EUR"},
    "register": "RCS", "register_town": "Grenoble", "vat_regime": "on_debits",
    "electronic_address": {"scheme": "0225", "id": "732829320"}, "iban": "FR7630006000011234567890189",
    "bic": "BNPAFRPP", "payment_terms": {"days": 30, "end_of_month": False}, "penalty_terms": "Three times the rate.",
    "discount_terms": "No discount.", "recovery_terms": "40 EUR.", "colour": "#1a4d8f",
    "contacts": [{"name": "A. Martin", "email": "a@garage.example"}],
}  # fmt: skip
RATE = {"category": "S", "rate": "20", "country": "FR", "start": "2014-01-01"}


def billed(api: Api, tenant: dict[str, Any] | None = None, **subscription: Any) -> Any:
    """The run over September 2026, in which acme used 7.25 kWh: 2.18 before tax."""
    set_up(api, [PER_UNIT])
    api.put("/v1/tax-rates/standard", RATE)
    api.put("/v1/tenants/garage", OPERATOR | {"legal": GARAGE})
    api.put("/v1/tenants/acme", ACME | (tenant or {}))
    api.put("/v1/subscriptions/acme-1", {"tenant": "acme", "plan": "standard", "start": "2026-09-01"} | subscription)
    api.post("/v1/events", [event("s-1", time="2026-09-05T10:00:00Z")])
    return api.bill("2026-10-01T00:00:00Z")


def pointers(answer: Any) -> list[str]:
    assert answer.status_code == 422, answer.text
    return [item["pointer"] for item in answer.json()["errors"]]


def test_a_whole_profile_is_shown_as_it_was_put_and_nothing_is_missing(api: Api) -> None:
    body = OPERATOR | {"legal": GARAGE}
    made = api.put("/v1/tenants/garage", body)
    assert made["legal"] == GARAGE
    assert made["missing"] == {"invoice": [], "french_invoice": [], "e_invoice": []}
    assert made["invalid"] == []
    assert api.put("/v1/tenants/garage", made) == made
    assert api.get("/v1/tenants/garage") == made


def test_made_up_numbers_are_kept_and_named_and_plain_documents_go_out(api: Api) -> None:
    """A VAT number with a wrong check digit is no reason not to bill."""
    run = billed(api, {"legal": {"name": "Acme", "registration": "123456789", "vat_number": "FR12345678901",
                                 "address": PARIS}})  # fmt: skip
    assert run["closed"] == 1
    shown = api.get("/v1/tenants/acme")
    assert [item["field"] for item in shown["invalid"]] == ["legal.registration", "legal.vat_number"]
    assert shown["missing"] == {"invoice": [], "french_invoice": [], "e_invoice": ["legal.electronic_address"]}
    assert api.invoices()[0]["parties"]["buyer"]["vat_number"] == "FR12345678901"


@pytest.mark.parametrize(
    ("field", "value", "pointer"),
    [
        ("iban", "FR7630006000011234567890188", "#/legal/iban"),
        ("bic", "BNP", "#/legal/bic"),
        ("colour", "blue", "#/legal/colour"),
        ("vat_regime", "some", "#/legal/vat_regime"),
        ("payment_terms", {"days": 366}, "#/legal/payment_terms/days"),
        ("electronic_address", {"scheme": "x", "id": "1"}, "#/legal/electronic_address/scheme"),
        ("share_capital", {"amount": "-1", "currency": "EUR"}, "#/legal/share_capital/amount"),
        ("contacts", [{}], "#/legal/contacts/0"),
        ("contacts", [{"email": "nobody"}], "#/legal/contacts/0/email"),
        ("logo", {"media_type": "image/png", "data": "?"}, "#/legal/logo/data"),
        ("logo", {"media_type": "image/png", "data": b64encode(b"no picture").decode()}, "#/legal/logo/data"),
        ("logo", {"media_type": "image/png", "digest": "0" * 64}, "#/legal/logo/digest"),
        ("logo", {"media_type": "image/png"}, "#/legal/logo"),
    ],
)
def test_what_cannot_be_right_is_refused_where_it_stands(api: Api, field: str, value: Any, pointer: str) -> None:
    answer = api.call("PUT", "/v1/tenants/garage", OPERATOR | {"legal": GARAGE | {field: value}})
    assert pointers(answer) == [pointer]


@pytest.mark.parametrize(
    "drawing",
    [
        '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
        '<svg xmlns="http://www.w3.org/2000/svg"><image href="https://elsewhere.example/a.png"/></svg>',
        '<!DOCTYPE svg [<!ENTITY a "b">]><svg xmlns="http://www.w3.org/2000/svg">&a;</svg>',
        "<html/>", "<svg",
    ],
)  # fmt: skip
def test_a_drawing_that_is_more_than_a_drawing_is_refused(api: Api, drawing: str) -> None:
    logo = {"media_type": "image/svg+xml", "data": b64encode(drawing.encode()).decode()}
    answer = api.call("PUT", "/v1/tenants/garage", OPERATOR | {"legal": GARAGE | {"logo": logo}})
    assert pointers(answer) == ["#/legal/logo/data"]


def test_a_logo_is_sent_once_and_then_named_by_its_digest(api: Api) -> None:
    data = b64encode(PNG).decode()
    made = api.put(
        "/v1/tenants/garage", OPERATOR | {"legal": GARAGE | {"logo": {"media_type": "image/png", "data": data}}}
    )
    assert set(made["legal"]["logo"]) == {"media_type", "digest"}
    assert api.put("/v1/tenants/garage", made) == made
    patched = api.call("PATCH", "/v1/tenants/garage", {"legal": {"colour": "#000000"}}).json()
    assert patched["legal"]["logo"] == made["legal"]["logo"]


def test_an_issued_document_keeps_the_parties_of_its_issue(api: Api) -> None:
    billed(api, {"billing_address": LYON, "delivery_address": LYON, "legal": {"name": "Acme", "address": PARIS}})
    before = api.invoices()[0]
    api.put("/v1/tenants/garage", OPERATOR | {"legal": {"name": "Another"}})
    api.put("/v1/tenants/acme", ACME)
    after = api.get(f"/v1/invoices/{before['id']}")

    assert after == before
    seller = {name: value for name, value in GARAGE.items() if name != "payment_terms"}
    assert before["parties"]["seller"] == {"key": "garage"} | seller
    assert before["parties"]["buyer"] == {"key": "acme", "name": "Acme", "address": PARIS, "billing_address": LYON}
    assert before["delivery_address"] == LYON


def test_references_stand_on_the_document_the_subscriptions_before_the_tenants(api: Api) -> None:
    billed(api, {"cost_centre": "4000", "buyer_reference": "R-1"}, cost_centre="4711", project_reference="P-9")
    found = api.invoices()[0]
    assert {name: found[name] for name in ("cost_centre", "buyer_reference", "project_reference")} == {
        "cost_centre": "4711", "buyer_reference": "R-1", "project_reference": "P-9",
    }  # fmt: skip
    assert "contract_reference" not in found and found["purchase_order"] is None
    assert api.get("/v1/subscriptions/acme-1")["cost_centre"] == "4711"


# --- who pays ---------------------------------------------------------------------------------------------------------


def test_who_pays_pays_for_itself_and_in_one_currency(api: Api) -> None:
    set_up(api)
    for key, currency in (("group", "EUR"), ("usa", "USD")):
        api.put(f"/v1/tenants/{key}", ACME | {"name": key, "currency": currency, "subjects": []})
    made = api.put("/v1/tenants/acme", ACME | {"bill_to": "group", "parent": "group"})
    assert (made["bill_to"], made["parent"]) == ("group", "group")
    for body, pointer in (
        ({"bill_to": "usa"}, "#/bill_to"), ({"bill_to": "nobody"}, "#/bill_to"), ({"bill_to": "acme"}, "#/bill_to"),
        ({"parent": "nobody"}, "#/parent"), ({"parent": "acme"}, "#/parent"),
    ):  # fmt: skip
        assert pointers(api.call("PUT", "/v1/tenants/acme", ACME | body)) == [pointer]
    group = ACME | {"name": "group", "subjects": []}
    assert pointers(api.call("PUT", "/v1/tenants/group", group | {"bill_to": "garage"})) == ["#/bill_to"]
    assert pointers(api.call("PUT", "/v1/tenants/group", group | {"parent": "acme"})) == ["#/parent"]
    assert pointers(api.call("PUT", "/v1/tenants/group", group | {"currency": "USD"})) == ["#/currency"]


# --- purchase orders --------------------------------------------------------------------------------------------------


def test_a_document_names_the_order_that_ends_first_and_has_enough_left(api: Api) -> None:
    """2.18 goes on neither the order of 2025, nor on the one with a cap of 2.00."""
    orders = [
        {"number": "late"}, {"number": "old", "valid_to": "2025-12-31"},
        {"number": "small", "cap": "2.00", "valid_to": "2026-12-01"},
        {"number": "good", "cap": "4.00", "valid_from": "2026-01-01", "valid_to": "2026-12-31"},
    ]  # fmt: skip
    billed(api, {"purchase_orders": orders, "purchase_order_required": True})
    assert api.get("/v1/tenants/acme")["purchase_orders"] == orders
    api.post("/v1/events", [event("s-2", time="2026-10-05T10:00:00Z")])
    api.bill("2026-11-01T00:00:00Z")
    assert [found["purchase_order"] for found in api.invoices()] == ["good", "late"], "1.82 are left of the first"


def test_without_an_order_nothing_is_issued_where_one_is_required(api: Api) -> None:
    run = billed(api, {"purchase_order_required": True})
    assert (run["closed"], run["failed"]) == (0, 1)
    assert "takes no invoice without a purchase order" in run["failures"][0]["detail"]
    assert api.invoices(status="issued") == []

    draft = api.bill("2026-10-01T00:00:00Z", issue=False) and api.invoices()[0]
    answer = api.call("POST", f"/v1/invoices/{draft['id']}/issue")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/purchase-order-required")

    api.put("/v1/tenants/acme", ACME | {"purchase_order_required": True, "purchase_orders": [{"number": "4711"}]})
    assert api.bill("2026-10-01T00:00:00Z")["closed"] == 1
    issued = api.invoices(status="issued")[0]
    assert (issued["number"], issued["purchase_order"]) == ("2026-000001", "4711")


def test_an_order_that_is_named_must_be_good_if_it_is_one_of_the_tenants(api: Api) -> None:
    run = billed(api, {"purchase_orders": [{"number": "4711", "cap": "1.00"}]}, purchase_order="4711")
    assert "1.00 EUR are left" in run["failures"][0]["detail"]
    api.put("/v1/subscriptions/acme-1", {"tenant": "acme", "plan": "standard", "start": "2026-09-01",
                                         "purchase_order": "ours-1"})  # fmt: skip
    assert api.bill("2026-10-01T00:00:00Z")["closed"] == 1
    assert api.invoices()[0]["purchase_order"] == "ours-1"


def test_a_credit_note_gives_its_order_back_what_it_took(api: Api) -> None:
    """2.18 of 3.00 are used; 7.25 kWh are cancelled, and the next 2.18 go on the same order."""
    billed(api, {"purchase_orders": [{"number": "4711", "cap": "3.00"}]})
    cancelled = {"tenant": "acme", "source": "/chargers/12", "id": "s-1", "reason": "test"}
    api.post("/v1/events/cancellations", cancelled)
    api.post("/v1/events", [event("s-2", time="2026-10-05T10:00:00Z")])
    api.bill("2026-11-01T00:00:00Z")
    api.post("/v1/events", [event("s-3", time="2026-11-05T10:00:00Z")])
    api.clock.set("2026-12-02T12:00:00+00:00")
    api.bill("2026-12-01T00:00:00Z")
    found = [(one["type"], one["net"], one["purchase_order"]) for one in api.invoices()]
    assert found == [
        ("invoice", "2.18", "4711"), ("invoice", "2.18", None), ("credit_note", "2.18", "4711"),
        ("invoice", "2.18", "4711"),
    ]  # fmt: skip


def test_orders_have_numbers_of_their_own_and_caps_in_the_tenants_currency(api: Api) -> None:
    set_up(api)
    for orders, pointer in (
        ([{"number": "1"}, {"number": "1"}], "#/purchase_orders/1/number"),
        ([{"number": "1", "cap": "1.001"}], "#/purchase_orders/0/cap"),
        ([{"number": "1", "cap": "0"}], "#/purchase_orders/0/cap"),
        ([{"number": "1", "valid_from": "2026-02-01", "valid_to": "2026-01-01"}], "#/purchase_orders/0/valid_to"),
        ([{"cap": "1"}], "#/purchase_orders/0/number"),
    ):
        answer = api.call("PUT", "/v1/tenants/acme", ACME | {"purchase_orders": orders})
        assert pointers(answer) == [pointer]
