"""Payments: part of an invoice, all of it, more than it; before there is one; taken back, sent back, credited after."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.scenarios.test_credit import AT_ONE, RATE, TAXED, cancel, check_books, use
from tests.service import ACME, Api, set_up

REDUCED = {"category": "S", "rate": "5.5", "country": "FR", "start": "2014-01-01"}


def billed(api: Api, kwh: str = "35", **more: Any) -> Any:
    """The invoice of October: 35.00 net and 7.00 of VAT at 20 %, unless said otherwise."""
    api.put("/v1/tax-rates/standard", RATE)
    set_up(api, [TAXED], start="2026-10-01")
    use(api, "1", kwh)
    api.bill("2026-11-01T00:00:00Z")
    (invoice,) = api.invoices()
    return invoice


def pay(api: Api, invoice: Any, amount: str, **more: Any) -> Any:
    return api.post(f"/v1/invoices/{invoice['id']}/payments", {"amount": amount} | more)


def amounts(api: Api, invoice: Any) -> tuple[str, str, str]:
    shown = api.get(f"/v1/invoices/{invoice['id']}")
    assert Decimal(shown["due"]) == Decimal(shown["total"]) - Decimal(shown["paid"]) - Decimal(shown["credited"])
    return shown["paid"], shown["credited"], shown["due"]


def taxes(payment: Any) -> list[tuple[str, str, str]]:
    return [(part["rate"], part["base"], part["amount"]) for part in payment["tax"]]


def test_an_invoice_is_paid_in_two_parts_which_hold_its_vat_together(api: Api) -> None:
    """42.00 with 7.00 of VAT: 20.00 hold 3.33 of it (20 x 7 / 42 = 3.333), the other 22.00 the other 3.67."""
    invoice = billed(api)
    before = {name: invoice[name] for name in ("hash", "lines", "total")}

    first = pay(api, invoice, "20", paid_on="2026-11-05", method="transfer", reference="VIR 17")
    assert amounts(api, invoice) == ("20.00", "0.00", "22.00")
    second = pay(api, invoice, "22.00", date="2026-11-06")

    assert (first["amount"], first["currency"], first["paid_on"]) == ("20.00", "EUR", "2026-11-05")
    assert (first["tenant"], first["seller"], first["invoice"], first["status"]) == (
        "acme", "garage", invoice["id"], "allocated",
    )  # fmt: skip
    assert (first["method"], first["reference"], first["source"]) == ("transfer", "VIR 17", "api")
    assert (taxes(first), taxes(second)) == ([("20", "16.67", "3.33")], [("20", "18.33", "3.67")])
    assert second["paid_on"] == "2026-11-06" and second["unallocated"] == "0.00"
    assert amounts(api, invoice) == ("42.00", "0.00", "0.00")
    after = api.get(f"/v1/invoices/{invoice['id']}")
    assert {name: after[name] for name in before} == before
    listed = api.get(f"/v1/invoices/{invoice['id']}/payments")
    assert [one["id"] for one in listed["data"]] == [first["id"], second["id"]]
    assert (listed["paid"], listed["from_balance"], listed["from_payments"], listed["due"]) == (
        "42.00", "0.00", "42.00", "0.00",
    )  # fmt: skip
    check_books(api)


def test_what_is_over_stays_on_account_and_the_next_invoice_takes_it(api: Api) -> None:
    """50.00 for 42.00 leave 8.00 on account. November's 12.00 take them as they are issued: 4.00 are due."""
    invoice = billed(api)
    payment = pay(api, invoice, "50.00")
    assert (payment["allocated"], payment["unallocated"], payment["status"]) == ("42.00", "8.00", "partly_allocated")
    assert amounts(api, invoice) == ("42.00", "0.00", "0.00")
    assert [one["id"] for one in api.get("/v1/payments", unallocated="true")["data"]] == [payment["id"]]
    assert api.get("/v1/payments", unallocated="false")["data"] == []

    api.clock.set("2026-12-05T12:00:00+00:00")
    use(api, "2", "10", "2026-11-05T10:00:00Z")
    api.bill("2026-12-01T00:00:00Z")

    _, november = api.invoices()
    assert (november["total"], november["paid"], november["due"]) == ("12.00", "8.00", "4.00")
    shown = api.get(f"/v1/payments/{payment['id']}")
    assert [(one["invoice"], one["amount"]) for one in shown["allocations"]] == [
        (invoice["id"], "42.00"), (november["id"], "8.00"),
    ]  # fmt: skip
    assert (shown["unallocated"], shown["status"], shown["invoice"]) == ("0.00", "allocated", None)
    assert [(one["kind"], one["amount"], one["booked_on"]) for one in shown["entries"]] == [
        ("allocation", "42.00", "2026-11-23"), ("allocation", "8.00", "2026-12-05"),
    ]  # fmt: skip
    check_books(api)


def test_prepaid_balance_and_payments_are_one_sum(api: Api) -> None:
    """42.00: a balance of 10.00 pays first, 2.00 on account next; 30.00 are due, and 30.00 paid later settle them. The
    VAT of both payments is 7.00 less the 1.67 of the balance's 10.00."""
    api.put("/v1/tax-rates/standard", RATE)
    set_up(api, [TAXED], start="2026-10-01")
    api.post("/v1/credit-grants", {"tenant": "acme", "kind": "prepaid", "amount": "10"})
    early = api.post("/v1/payments", {"tenant": "acme", "amount": "2.00", "paid_on": "2026-10-20"})
    assert (early["unallocated"], early["status"], early["allocations"]) == ("2.00", "unallocated", [])
    use(api, "1", "35")
    api.bill("2026-11-01T00:00:00Z")

    (invoice,) = api.invoices()
    assert (invoice["paid"], invoice["due"]) == ("12.00", "30.00")
    later = pay(api, invoice, "30.00")

    assert amounts(api, invoice) == ("42.00", "0.00", "0.00")
    listed = api.get(f"/v1/invoices/{invoice['id']}/payments")
    assert (listed["from_balance"], listed["from_payments"]) == ("10.00", "32.00")
    vat = [Decimal(api.get(f"/v1/payments/{one['id']}")["tax"][0]["amount"]) for one in (early, later)]
    assert sum(vat) == Decimal("5.33")
    check_books(api)


def test_one_payment_pays_several_invoices_the_oldest_first(api: Api) -> None:
    """42.00 of October and 12.00 of November are open: 50.00 pay 42.00 and 8.00; another 4.00 and 1.00 on account."""
    october = billed(api)
    api.clock.set("2026-12-05T12:00:00+00:00")
    use(api, "2", "10", "2026-11-05T10:00:00Z")
    api.bill("2026-12-01T00:00:00Z")
    _, november = api.invoices()

    payment = api.post("/v1/payments", {"tenant": "acme", "amount": "50.00", "currency": "EUR"})

    assert [(one["number"], one["amount"]) for one in payment["allocations"]] == [
        ("2026-000001", "42.00"), ("2026-000002", "8.00"),
    ]  # fmt: skip
    other = api.post("/v1/payments", {"tenant": "acme", "amount": "5.00", "allocate": "none"})
    assert other["unallocated"] == "5.00" and amounts(api, november) == ("8.00", "0.00", "4.00")
    assert api.post(f"/v1/payments/{other['id']}/allocations", {})["unallocated"] == "1.00"
    assert amounts(api, november) == ("12.00", "0.00", "0.00") and amounts(api, october)[2] == "0.00"
    check_books(api)


def test_allocations_can_be_named_and_taken_off_again(api: Api) -> None:
    """60.00, of which 12.00 are for November and 10.00 for October; then November's 12.00 go to October."""
    october = billed(api)
    api.clock.set("2026-12-05T12:00:00+00:00")
    use(api, "2", "10", "2026-11-05T10:00:00Z")
    api.bill("2026-12-01T00:00:00Z")
    _, november = api.invoices()
    wanted = [{"invoice": november["id"]}, {"invoice": october["id"], "amount": "10.00"}]

    payment = api.post("/v1/payments", {"tenant": "acme", "amount": "60.00", "allocations": wanted})

    assert payment["unallocated"] == "38.00"
    assert (amounts(api, november)[2], amounts(api, october)[2]) == ("0.00", "32.00")
    path = f"/v1/payments/{payment['id']}"
    released = api.post(f"{path}/releases", {"invoice": november["id"]})
    assert released["unallocated"] == "50.00" and amounts(api, november)[2] == "12.00"
    again = api.post(f"{path}/allocations", {"allocations": [{"invoice": october["id"], "amount": "32.00"}]})
    assert (again["allocated"], again["unallocated"], taxes(again)) == ("42.00", "18.00", [("20", "35.00", "7.00")])
    for body, status in (
        ({"invoice": november["id"], "amount": "18.01"}, 422), ({"invoice": november["id"], "amount": "12.01"}, 422),
        ({"invoice": october["id"], "amount": "0"}, 422), ({"invoice": "inv_nothing"}, 422),
    ):  # fmt: skip
        assert api.call("POST", f"{path}/allocations", body).status_code == status, body
    assert api.call("POST", f"{path}/releases", {"invoice": november["id"]}).status_code == 409
    check_books(api)


def test_a_chargeback_makes_the_invoice_due_again(api: Api) -> None:
    """50.00 for 42.00 come back whole: 8.00 of the account and 42.00 of the invoice, with its 7.00 of VAT."""
    invoice = billed(api)
    payment = pay(api, invoice, "50.00", paid_on="2026-11-05")
    path = f"/v1/payments/{payment['id']}/reversals"

    reversed_ = api.call("POST", path, {"reason": "chargeback", "reversed_on": "2026-11-20"})

    assert reversed_.status_code == 201
    shown = reversed_.json()
    assert (shown["status"], shown["reversed"], shown["unallocated"], shown["tax"]) == ("reversed", "50.00", "0.00", [])
    assert [(one["amount"], one["reason"], one["reversed_on"]) for one in shown["reversals"]] == [
        ("50.00", "chargeback", "2026-11-20")
    ]
    assert amounts(api, invoice) == ("0.00", "0.00", "42.00")
    assert api.call("POST", path, {"reason": "chargeback"}).status_code == 409
    entries = api.get(f"/v1/payments/{payment['id']}")["entries"]
    assert [(one["kind"], one["amount"]) for one in entries] == [
        ("allocation", "42.00"), ("release", "-42.00"), ("reversal", "50.00"),
    ]  # fmt: skip
    api.clock.set("2027-01-05T12:00:00+00:00")
    assert api.get(f"/v1/invoices/{invoice['id']}")["overdue"] is True
    check_books(api)


def test_a_part_of_a_payment_is_taken_back_and_what_is_over_is_refunded(api: Api) -> None:
    """50.00 for 42.00: 3.00 of the 8.00 are sent back. Then 10.00 are charged back: the 5.00 left, and 5.00 of the
    invoice."""
    invoice = billed(api)
    payment = pay(api, invoice, "50.00")
    path = f"/v1/payments/{payment['id']}"

    refunded = api.call("POST", f"{path}/refunds", {"amount": "3.00"}, headers={"Idempotency-Key": "r-1"})
    again = api.call("POST", f"{path}/refunds", {"amount": "3.00"}, headers={"Idempotency-Key": "r-1"})
    assert (refunded.status_code, again.status_code, again.json()) == (201, 200, refunded.json())
    assert api.call("POST", f"{path}/refunds", {"amount": "5.01"}).status_code == 409
    shown = api.post(f"{path}/reversals", {"reason": "mistake", "amount": "10.00"})

    assert (shown["allocated"], shown["unallocated"], shown["refunded"], shown["reversed"]) == (
        "37.00", "0.00", "3.00", "10.00",
    )  # fmt: skip
    assert amounts(api, invoice) == ("37.00", "0.00", "5.00")
    assert api.call("POST", f"{path}/refunds", {}).status_code == 409
    assert api.call("POST", f"{path}/reversals", {"reason": "mistake", "amount": "37.01"}).status_code == 409
    check_books(api)


def test_a_credit_note_on_a_paid_invoice_puts_money_back_on_account(api: Api) -> None:
    """42.00 are paid: 10.00 by balance and 32.00 by transfer. A note over 36.00 leaves 6.00: 32.00 go back on account,
    4.00 to the balance. The next invoice takes what is on account, and the rest can be refunded."""
    api.put("/v1/tax-rates/standard", RATE)
    set_up(api, [TAXED], start="2026-10-01")
    balance = api.post("/v1/credit-grants", {"tenant": "acme", "kind": "prepaid", "amount": "10"})
    use(api, "1", "30")
    use(api, "2", "5")
    api.bill("2026-11-01T00:00:00Z")
    (invoice,) = api.invoices()
    payment = pay(api, invoice, "32.00")
    cancel(api, "1")

    api.bill("2026-11-01T00:00:00Z")

    assert amounts(api, invoice) == ("6.00", "36.00", "0.00")
    shown = api.get(f"/v1/payments/{payment['id']}")
    assert (shown["allocated"], shown["unallocated"], shown["tax"]) == ("0.00", "32.00", [])
    (note,) = api.invoices(type="credit_note")
    assert [(one["kind"], one["amount"], (one["document"] or {}).get("id")) for one in shown["entries"]] == [
        ("allocation", "32.00", None), ("release", "-32.00", note["id"]),
    ]  # fmt: skip
    assert api.get(f"/v1/credit-grants/{balance['id']}")["left"] == "4.00"
    assert api.post(f"/v1/payments/{payment['id']}/refunds", {})["refunded"] == "32.00"
    check_books(api)


def test_a_credit_note_on_a_part_paid_invoice_splits_what_is_paid_anew(api: Api) -> None:
    """100.00 at 20 % and 100.00 at 5.5 %: 225.50. Half is paid: 10.00 and 2.75 of VAT. The 5.5 % are credited whole:
    112.75 stand on 120.00 at 20 % alone, with 18.79 of VAT; the last 7.25 bring it to 20.00."""
    for name, rate in (("standard", RATE), ("reduced", REDUCED)):
        api.put(f"/v1/tax-rates/{name}", rate)
    sessions = {"key": "sessions", "meter": "sessions", "model": {"type": "per_unit", "unit_price": "100"}}
    set_up(api, [{**sessions, "tax": "reduced"}, {"key": "access", "tax": "standard",
            "model": {"type": "flat", "amount": "100.00"}}], start="2026-10-01")  # fmt: skip
    use(api, "1", "5")
    api.bill("2026-11-01T00:00:00Z")
    (invoice,) = api.invoices()
    assert invoice["total"] == "225.50"
    first = pay(api, invoice, "112.75")
    assert taxes(first) == [("5.5", "50.00", "2.75"), ("20", "50.00", "10.00")]
    cancel(api, "1")
    api.bill("2026-11-01T00:00:00Z")

    assert amounts(api, invoice) == ("112.75", "105.50", "7.25")
    shown = api.get(f"/v1/payments/{first['id']}")
    assert taxes(shown) == [("20", "93.96", "18.79")]
    assert [(one["kind"], one["amount"]) for one in shown["entries"]] == [
        ("allocation", "112.75"), ("adjustment", "0.00"),
    ]  # fmt: skip
    last = pay(api, invoice, "7.25")
    assert taxes(last) == [("20", "6.04", "1.21")]
    check_books(api)


def test_the_same_payment_is_recorded_once(api: Api) -> None:
    """By an idempotency key, and by what another system calls it; something else under the same name is refused."""
    invoice = billed(api)
    path = f"/v1/invoices/{invoice['id']}/payments"
    body = {"amount": "20.00", "external_id": "bank-17"}

    answers = [
        api.call("POST", path, body, headers={"Idempotency-Key": "one"}),
        api.call("POST", path, body | {"amount": "20"}, headers={"Idempotency-Key": "one"}),
        api.call("POST", path, body),
    ]

    assert [answer.status_code for answer in answers] == [201, 200, 200]
    assert answers[0].json() == answers[1].json() == answers[2].json()
    assert amounts(api, invoice) == ("20.00", "0.00", "22.00")
    for sent, key in ((body | {"amount": "21"}, "one"), (body | {"amount": "21"}, "two"), ({"amount": "20"}, "one")):
        assert api.call("POST", path, sent, headers={"Idempotency-Key": key}).status_code == 409
    assert api.call("POST", path, {"amount": "20", "note": "no id"}).status_code == 201
    assert amounts(api, invoice)[0] == "40.00"


def test_what_cannot_be_paid_is_refused(api: Api) -> None:
    """A draft and a credit note are in a state that forbids it; another currency, no amount, a day to come are
    faults."""
    invoice = billed(api)
    cancel(api, "1")
    use(api, "2", "1", "2026-11-05T10:00:00Z")
    api.bill("2026-11-01T00:00:00Z")
    (note,) = api.invoices(type="credit_note")
    api.clock.set("2026-12-05T12:00:00+00:00")
    api.bill("2026-12-01T00:00:00Z", issue=False)
    (draft,) = api.invoices(status="draft")
    for document in (note, draft):
        answer = api.call("POST", f"/v1/invoices/{document['id']}/payments", {"amount": "1"})
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/conflict")
    for fault, pointer in (
        ({"currency": "USD"}, "#/currency"), ({"amount": "0"}, "#/amount"), ({"amount": "-1"}, "#/amount"),
        ({"amount": "1.001"}, "#/amount"), ({"paid_on": "2026-12-06"}, "#/paid_on"), ({"amount": None}, "#/amount"),
        ({"paid_on": "2026-12-01", "date": "2026-12-01"}, "#/date"), ({"payer": "acme"}, "#/payer"),
    ):  # fmt: skip
        answer = api.call("POST", f"/v1/invoices/{invoice['id']}/payments", {"amount": "1"} | fault)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    named: tuple[tuple[dict[str, Any], str], ...] = (
        ({"tenant": "nobody"}, "#/tenant"), ({"seller": "nobody"}, "#/seller"), ({"currency": "USD"}, "#/currency"),
        ({"allocations": [{"invoice": "x"}]}, "#/allocations/0/invoice"),
        ({"allocations": [{"invoice": invoice["id"], "amount": "9"}]}, "#/allocations/0/amount"),
        ({"seller": "acme", "invoice": invoice["id"]}, "#/allocations/0/invoice"),
    )  # fmt: skip
    for wrong, pointer in named:
        answer = api.call("POST", "/v1/payments", {"tenant": "acme", "amount": "1"} | wrong)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer), wrong
    assert api.get("/v1/payments")["data"] == []
    assert api.call("GET", "/v1/payments/pay_x").status_code == 404


def test_an_invoice_without_vat_is_paid_too(api: Api) -> None:
    set_up(api, [AT_ONE], start="2026-10-01")
    use(api, "1", "35")
    api.bill("2026-11-01T00:00:00Z")
    (invoice,) = api.invoices()

    payment = pay(api, invoice, "35.00")

    assert payment["tax"] == [{"category": "O", "rate": "0", "base": "35.00", "amount": "0.00"}]


def test_pages_of_payments_go_on_where_they_ended(api: Api) -> None:
    invoice = billed(api)
    made = [pay(api, invoice, str(number))["id"] for number in (1, 2, 3)]

    first = api.get("/v1/payments", limit=2, tenant="acme", invoice=invoice["id"])
    second = api.get("/v1/payments", limit=2, tenant="acme", invoice=invoice["id"], cursor=first["next_cursor"])

    assert [one["id"] for one in (*first["data"], *second["data"])] == made and second["next_cursor"] is None
    assert api.call("GET", "/v1/payments", params={"cursor": "eA"}).status_code == 400
    assert api.call("GET", "/v1/payments", params={"tenant": "nobody"}).status_code == 404


def test_whoever_listens_is_told_of_payments_and_of_invoices_that_are_paid(api: Api) -> None:
    """30.00 of 42.00 are paid, then 12.00 by balance: three messages. Then 30.00 come back."""
    endpoint = {"url": "https://erp.example.com/hook", "events": ["payment.*", "invoice.paid"]}
    api.put("/v1/webhook-endpoints/erp", endpoint)
    invoice = billed(api)

    payment = pay(api, invoice, "30.00")
    grant = api.post("/v1/credit-grants", {"tenant": "acme", "kind": "prepaid", "amount": "12"})
    api.post(f"/v1/credit-grants/{grant['id']}/apply", {})
    api.post(f"/v1/payments/{payment['id']}/reversals", {"reason": "chargeback"})

    with api.client.app.state.database.engine.connect() as connection:  # type: ignore[attr-defined]
        rows = connection.exec_driver_sql("SELECT type, payload FROM outbox ORDER BY message_id").all()
    told = [(type, json.loads(payload)["data"]) for type, payload in rows]
    assert [(type, data["id"]) for type, data in told] == [
        ("payment.recorded", payment["id"]), ("invoice.paid", invoice["id"]), ("payment.reversed", payment["id"]),
    ]  # fmt: skip
    assert [told[1][1][name] for name in ("number", "total", "paid", "buyer")] == [
        "2026-000001", "42.00", "42.00", "acme",
    ]  # fmt: skip
    assert (told[0][1]["allocated"], told[2][1]["reversed"]) == ("30.00", "30.00")


@pytest.mark.parametrize("path", ["allocations", "releases", "reversals", "refunds"])
def test_a_payment_that_there_is_not_is_not_found(api: Api, path: str) -> None:
    body = {"reason": "mistake"} if path == "reversals" else {"invoice": "x"} if path == "releases" else {}
    assert api.call("POST", f"/v1/payments/pay_x/{path}", body).status_code == 404


# --- what is owed -----------------------------------------------------------------------------------------------------


def test_the_account_of_a_tenant_says_what_is_open_as_of_any_day(api: Api) -> None:
    """42.00 of 23 November are due on 23 December. 50.00 are paid on 1 December, and 20.00 of them taken back on 10
    January: as of each day the account is what it was then."""
    invoice = billed(api)
    assert invoice["due_date"] == "2026-12-23"
    api.clock.set("2026-12-02T12:00:00+00:00")
    payment = pay(api, invoice, "50.00", paid_on="2026-12-01")
    api.clock.set("2027-01-15T12:00:00+00:00")
    api.post(f"/v1/payments/{payment['id']}/reversals",
             {"reason": "chargeback", "amount": "20.00", "reversed_on": "2027-01-10"})  # fmt: skip

    def account(**query: str) -> Any:
        return api.get("/v1/tenants/acme/account", **query)

    (first,) = account(as_of="2026-11-30")["balances"]
    assert (first["due"], first["overdue"], first["unallocated"], first["balance"]) == (
        "42.00",
        "0.00",
        "0.00",
        "42.00",
    )
    paid = account(as_of="2026-12-31")
    assert [(one["due"], one["unallocated"], one["balance"]) for one in paid["balances"]] == [("0.00", "8.00", "-8.00")]
    assert (paid["invoices"], [one["unallocated"] for one in paid["payments"]]) == ([], ["8.00"])
    now = account()
    assert now["as_of"] == "2027-01-15" and now["payments"] == []
    (balance,), (open_invoice,) = now["balances"], now["invoices"]
    assert (balance["due"], balance["buckets"]["0-30"], balance["balance"]) == ("12.00", "12.00", "12.00")
    assert (open_invoice["due"], open_invoice["days_overdue"], open_invoice["bucket"]) == ("12.00", 23, "0-30")
    assert (account(as_of="2026-11-22")["balances"], account(as_of="2026-11-22")["invoices"]) == ([], [])
    assert api.call("GET", "/v1/tenants/acme/account", params={"as_of": "soon"}).status_code == 422


def test_receivables_stand_in_buckets_by_age_and_add_up(api: Api) -> None:
    """Acme's 42.00 of October are 31 days over on 23 January, its 12.00 of November (due 4 January) 19; Borealis has
    5.00 on account."""
    billed(api)
    api.put("/v1/tenants/borealis", {**ACME, "name": "=Borealis", "subjects": []})
    api.clock.set("2026-12-05T12:00:00+00:00")
    api.post("/v1/payments", {"tenant": "borealis", "amount": "5.00"})
    use(api, "2", "10", "2026-11-05T10:00:00Z")
    api.bill("2026-12-01T00:00:00Z")
    api.clock.set("2027-01-23T12:00:00+00:00")

    found = api.get("/v1/receivables")

    acme, borealis = found["data"]
    assert (acme["tenant"], acme["due"], acme["overdue"], acme["invoices"]) == ("acme", "54.00", "54.00", 2)
    assert acme["buckets"] == {"not_due": "0.00", "0-30": "12.00", "31-60": "42.00", "61-90": "0.00", "90+": "0.00"}
    assert (borealis["due"], borealis["unallocated"], borealis["balance"]) == ("0.00", "5.00", "-5.00")
    (total,) = found["totals"]
    assert (total["due"], total["unallocated"], total["balance"]) == ("54.00", "5.00", "49.00")
    assert api.get("/v1/receivables", bucket="31-60")["data"] == [acme]
    assert api.get("/v1/receivables", bucket="90+")["data"] == []
    assert api.get("/v1/receivables", as_of="2027-06-01", bucket="90+")["data"][0]["buckets"]["90+"] == "54.00"
    assert api.get("/v1/receivables", tenant="borealis")["data"] == [borealis]
    assert api.get("/v1/receivables", seller="nobody")["data"] == []
    assert api.get("/v1/receivables", as_of="2026-11-30")["data"][0]["buckets"]["not_due"] == "42.00"
    table = api.call("GET", "/v1/receivables.csv").text.lstrip("\ufeff").splitlines()
    assert table[0].startswith("as_of,tenant,name,currency,due,overdue,not_due,0-30")
    assert table[1] == "2027-01-23,acme,Acme SAS,EUR,54.00,54.00,0.00,12.00,42.00,0.00,0.00,0.00,54.00,2"
    assert table[2].startswith("2027-01-23,borealis,'=Borealis,EUR,0.00")
    asked = api.call("GET", "/v1/receivables", headers={"Accept": "text/csv"})
    assert asked.text.lstrip("\ufeff").splitlines() == table and asked.headers["content-type"].startswith("text/csv")
    for bucket in ("old", ""):
        assert api.call("GET", "/v1/receivables", params={"bucket": bucket}).status_code == 422
