"""Promotional credit and prepaid balance: from the grant to the invoice, and back where a credit note lowers it."""

from __future__ import annotations

from typing import Any

from app.operations.audit_books import audit_books
from tests.service import PER_UNIT, Api, event, set_up

AT_ONE = {**PER_UNIT, "model": {"type": "per_unit", "unit_price": "1"}}
TAXED = {**AT_ONE, "tax": "standard"}
RATE = {"category": "S", "rate": "20", "country": "FR", "start": "2014-01-01"}


def use(api: Api, id: str, kwh: str, time: str = "2026-10-05T10:00:00Z", subject: str = "acme") -> None:
    body = event(id, time=time, data={"kwh": kwh, "station": "12"}, subject=subject)
    assert api.post("/v1/events", [body])["accepted"] == 1


def cancel(api: Api, id: str) -> None:
    api.post("/v1/events/cancellations", {"tenant": "acme", "source": "/chargers/12", "id": id, "reason": "fault"})


def grant(api: Api, kind: str, amount: str, **more: Any) -> str:
    made = api.post("/v1/credit-grants", {"tenant": "acme", "kind": kind, "amount": amount} | more)
    return str(made["id"])


def left(api: Api, id: str) -> tuple[str, str, str, str]:
    shown = api.get(f"/v1/credit-grants/{id}")
    return shown["used"], shown["left"], shown["expired"], shown["voided"]


def check_books(api: Api) -> None:
    found = audit_books(api.client.app.state.database, now=api.clock())  # type: ignore[attr-defined]
    assert found.differences == []


def test_promotional_credit_lowers_the_net_and_prepaid_balance_pays_the_total(api: Api) -> None:
    """100.00 net less 30.00 of credit is 70.00, with 20 % VAT 84.00; a balance of 50.00 pays a part: 34.00 are due."""
    api.put("/v1/tax-rates/standard", RATE)
    set_up(api, [TAXED], start="2026-10-01")
    credit, balance = grant(api, "promotional", "30"), grant(api, "prepaid", "50.00", description="Voucher 17")
    use(api, "1", "100")
    api.bill("2026-11-01T00:00:00Z")

    (invoice,) = api.invoices()
    assert [(item["description"], item["amount"], item["credit_grant"]) for item in invoice["allowances"]] == [
        ("promotional credit", "30.00", credit)
    ]
    assert (invoice["net"], invoice["total"], invoice["paid"], invoice["due"]) == ("70.00", "84.00", "50.00", "34.00")
    assert invoice["tax"] == [{"category": "S", "rate": "20", "base": "70.00", "amount": "14.00"}]
    assert (left(api, credit), left(api, balance)) == (
        ("30.00", "0.00", "0.00", "0.00"), ("50.00", "0.00", "0.00", "0.00"),
    )  # fmt: skip
    (entry,) = api.get(f"/v1/credit-grants/{balance}")["uses"]
    assert (entry["kind"], entry["amount"], entry["document"]) == (
        "use", "50.00", {"id": invoice["id"], "number": "2026-000001"},
    )  # fmt: skip
    assert entry["invoice"] == entry["document"]
    assert api.get(f"/v1/credit-grants/{balance}/uses")["data"] == [entry]
    check_books(api)


def test_a_draft_and_a_preview_show_the_credit_that_they_would_use_and_use_none(api: Api) -> None:
    set_up(api, [AT_ONE], start="2026-10-01")
    credit = grant(api, "promotional", "30")
    use(api, "1", "100")
    use(api, "2", "10", "2026-11-05T10:00:00Z")
    api.bill("2026-11-01T00:00:00Z", issue=False)

    (draft,) = api.invoices()
    preview = api.get("/v1/tenants/acme/preview")

    assert (draft["net"], draft["paid"], preview["net"]) == ("70.00", "0.00", "0.00")
    assert preview["allowances"][0]["amount"] == "10.00"
    assert left(api, credit) == ("0.00", "30.00", "0.00", "0.00")
    api.post(f"/v1/invoices/{draft['id']}/issue", {})
    assert left(api, credit) == ("30.00", "0.00", "0.00", "0.00")


def test_credit_is_used_by_priority_then_by_expiry_then_by_age(api: Api) -> None:
    """Of 100.00: 20.00 first by priority, 30.00 that expire in January, 25.00 that expire in March, 25.00 of the last
    40.00, which never expire."""
    set_up(api, [AT_ONE], start="2026-10-01")
    never = grant(api, "promotional", "40")
    march = grant(api, "promotional", "25", expires_at="2027-03-01")
    january = grant(api, "promotional", "30", expires_at="2027-01-01")
    first = grant(api, "promotional", "20", priority=1)
    use(api, "1", "100")
    api.bill("2026-11-01T00:00:00Z")

    (invoice,) = api.invoices()
    taken = [(item["credit_grant"], item["amount"]) for item in invoice["allowances"]]
    assert taken == [(first, "20.00"), (january, "30.00"), (march, "25.00"), (never, "25.00")]
    assert (invoice["net"], invoice["total"]) == ("0.00", "0.00")


def test_what_is_left_of_a_grant_expires_and_what_is_voided_is_gone(api: Api) -> None:
    """Of 100.00 that expire with November, October uses 10.00 and November 20.00; December's 30.00 come too late."""
    set_up(api, [AT_ONE], start="2026-10-01")
    lapsing, other = grant(api, "promotional", "100", expires_at="2026-12-01"), grant(api, "promotional", "5")
    voided = api.post(f"/v1/credit-grants/{other}/void", {"reason": "granted by mistake"})
    assert (voided["status"], voided["voided"], voided["left"]) == ("voided", "5.00", "0.00")
    assert api.post(f"/v1/credit-grants/{other}/void", {"reason": "again"}) == voided
    use(api, "1", "10", "2026-10-05T10:00:00Z")
    use(api, "2", "20", "2026-11-05T10:00:00Z")
    api.clock.set("2027-01-05T12:00:00+00:00")
    use(api, "3", "30", "2026-12-05T10:00:00Z")
    api.bill("2027-01-01T00:00:00Z")

    assert [invoice["net"] for invoice in api.invoices()] == ["0.00", "0.00", "30.00"]
    shown = api.get(f"/v1/credit-grants/{lapsing}")
    assert (shown["status"], shown["used"], shown["left"], shown["expired"]) == ("expired", "30.00", "0.00", "70.00")
    check_books(api)


def test_a_credit_note_gives_money_back_first_and_then_the_credit(api: Api) -> None:
    """100.00 less 30.00 of credit, paid with 70.00 of balance. 20.00 are cancelled: 20.00 go back to the balance, as if
    80.00 had been billed. Then 60.00 more: 20.00 are left and carry 20.00 of the credit, so 50.00 go back to the
    balance and 10.00 to the credit."""
    set_up(api, [AT_ONE], start="2026-10-01")
    credit, balance = grant(api, "promotional", "30"), grant(api, "prepaid", "70")
    for id, kwh in (("1", "20"), ("2", "20"), ("3", "60")):
        use(api, id, kwh)
    api.bill("2026-11-01T00:00:00Z")
    cancel(api, "1")
    api.bill("2026-11-01T00:00:00Z")

    assert (left(api, credit)[1], left(api, balance)[1]) == ("0.00", "20.00")
    cancel(api, "3")
    api.bill("2026-11-01T00:00:00Z")

    invoice, first, second = api.invoices()
    assert [(note["net"], [item["amount"] for item in note["allowances"]]) for note in (first, second)] == [
        ("20.00", []), ("50.00", ["10.00"]),
    ]  # fmt: skip
    assert (left(api, credit)[1], left(api, balance)[1]) == ("10.00", "70.00")
    assert (invoice["paid"], invoice["credited"], invoice["due"]) == ("0.00", "70.00", "0.00")
    entries = api.get(f"/v1/credit-grants/{balance}/uses")["data"]
    assert [(one["kind"], one["amount"], one["document"]["number"], one["invoice"]["number"]) for one in entries] == [
        ("use", "70.00", "2026-000001", "2026-000001"),
        ("return", "-20.00", "2026-000002", "2026-000001"),
        ("return", "-50.00", "2026-000003", "2026-000001"),
    ]
    check_books(api)


def test_what_comes_back_to_a_voided_grant_is_voided_too(api: Api) -> None:
    set_up(api, [AT_ONE], start="2026-10-01")
    balance = grant(api, "prepaid", "100")
    use(api, "1", "60")
    api.bill("2026-11-01T00:00:00Z")
    api.post(f"/v1/credit-grants/{balance}/void", {})
    cancel(api, "1")
    api.bill("2026-11-01T00:00:00Z")

    assert left(api, balance) == ("0.00", "0.00", "0.00", "100.00")
    check_books(api)


def test_balance_that_comes_after_the_invoice_pays_it_when_it_is_applied(api: Api) -> None:
    """October's 100.00 and November's 10.00 are open; 105.00 pays the older one whole and 5.00 of the other."""
    set_up(api, [AT_ONE], start="2026-10-01")
    use(api, "1", "100")
    use(api, "2", "10", "2026-11-05T10:00:00Z")
    api.clock.set("2026-12-02T12:00:00+00:00")
    api.bill("2026-12-01T00:00:00Z")
    balance = grant(api, "prepaid", "105")
    first, second = api.invoices()

    api.post(f"/v1/credit-grants/{balance}/apply", {"invoice": second["id"]})
    assert [one["paid"] for one in api.invoices()] == ["0.00", "10.00"]
    shown = api.post(f"/v1/credit-grants/{balance}/apply", {})

    assert [(one["paid"], one["due"]) for one in api.invoices()] == [("95.00", "5.00"), ("10.00", "0.00")]
    assert (shown["status"], shown["left"]) == ("spent", "0.00")
    assert api.invoices()[0]["hash"] == first["hash"]
    check_books(api)


def test_a_request_with_an_idempotency_key_grants_once(api: Api) -> None:
    set_up(api)
    body = {"tenant": "acme", "kind": "prepaid", "amount": "10"}
    answers = [
        api.call("POST", "/v1/credit-grants", body | more, headers={"Idempotency-Key": "top-up-1"})
        for more in ({}, {}, {"amount": "11"})
    ]

    assert [answer.status_code for answer in answers] == [201, 200, 409]
    assert answers[0].json() == answers[1].json()
    assert len(api.get("/v1/credit-grants", tenant="acme")["data"]) == 1


def test_what_cannot_be_granted_is_refused_with_its_place(api: Api) -> None:
    set_up(api)
    wrong = [
        ({"kind": "units", "amount": "5"}, "#/meter"),
        ({"kind": "units", "amount": "5", "meter": "nothing"}, "#/meter"),
        ({"kind": "prepaid", "amount": "0"}, "#/amount"),
        ({"kind": "prepaid", "amount": "1.001"}, "#/amount"),
        ({"kind": "prepaid", "amount": "1", "currency": "USD"}, "#/currency"),
        ({"kind": "promotional", "amount": "1", "meter": "energy"}, "#/meter"),
        ({"kind": "promotional", "amount": "1", "tenant": "nobody"}, "#/tenant"),
        ({"kind": "promotional", "amount": "1", "expires_at": "2020-01-01"}, "#/expires_at"),
    ]
    for body, pointer in wrong:
        answer = api.call("POST", "/v1/credit-grants", {"tenant": "acme"} | body)
        assert (answer.status_code, [item["pointer"] for item in answer.json()["errors"]]) == (422, [pointer]), body
