"""Credit notes by hand: what they take back, what is left, and how billing goes on from there."""

from __future__ import annotations

from typing import Any

import pytest

from app.operations.audit_books import audit_books
from tests.service import PER_UNIT, Api, event, set_up

AT_ONE = {**PER_UNIT, "model": {"type": "per_unit", "unit_price": "1"}, "tax": "standard"}
RATE = {"category": "S", "rate": "20", "country": "FR", "start": "2014-01-01"}
BASE = {"key": "base", "model": {"type": "flat", "amount": "50"}, "tax": "reduced"}


def use(api: Api, id: str, kwh: str, time: str = "2026-10-05T10:00:00Z") -> None:
    assert api.post("/v1/events", [event(id, time=time, data={"kwh": kwh, "station": "12"})])["accepted"] == 1


def cancel(api: Api, id: str) -> None:
    api.post("/v1/events/cancellations", {"tenant": "acme", "source": "/chargers/12", "id": id, "reason": "fault"})


def billed(api: Api, kwh: str = "100", *charges: Any) -> Any:
    """The issued invoice of October: so many kWh at one euro, and whatever else the plan charges."""
    api.put("/v1/tax-rates/standard", RATE)
    api.put("/v1/tax-rates/reduced", RATE | {"rate": "5.5"})
    set_up(api, [AT_ONE, *charges], start="2026-10-01")
    use(api, "1", kwh)
    api.bill("2026-11-01T00:00:00Z")
    (invoice,) = api.invoices()
    return invoice


def credit(api: Api, invoice: Any, **wish: Any) -> Any:
    return api.post(f"/v1/invoices/{invoice['id']}/credit-notes", {"reason": "agreed"} | wish)


def refused(api: Api, invoice: Any, **wish: Any) -> tuple[int, str, str]:
    answer = api.call("POST", f"/v1/invoices/{invoice['id']}/credit-notes", {"reason": "agreed"} | wish)
    said = answer.json()
    return answer.status_code, said["type"].rpartition("/")[2], said.get("left", "")


def again(api: Api, invoice: Any) -> Any:
    return api.get(f"/v1/invoices/{invoice['id']}")


def check_books(api: Api) -> None:
    found = audit_books(api.client.app.state.database, now=api.clock())  # type: ignore[attr-defined]
    assert found.differences == []


def test_a_line_is_credited_by_amount_by_quantity_and_by_what_is_left(api: Api) -> None:
    """Of 100 kWh at 1.00: 10.00, then 25 kWh, then the 65.00 that are left; 20 % VAT on each; nothing is due then."""
    invoice = billed(api)
    first = api.call(
        "POST", f"/v1/invoices/{invoice['id']}/credit-notes",
        {"reason": "the socket was faulty", "reference": "T-17", "lines": [{"line": "ln_1", "amount": "10.00"}]},
    )  # fmt: skip
    note = first.json()

    assert (first.status_code, first.headers["location"]) == (201, f"/v1/invoices/{note['id']}")
    assert (note["type"], note["status"], note["number"]) == ("credit_note", "issued", "2026-000002")
    assert (note["net"], note["total"], note["reason"], note["reference"]) == (
        "10.00", "12.00", "the socket was faulty", "T-17",
    )  # fmt: skip
    assert note["references"] == [
        {"id": invoice["id"], "number": "2026-000001", "issued_at": invoice["issued_at"]}
    ]  # fmt: skip
    (line,) = note["lines"]
    assert (line["kind"], line["credits"], line["reopens_usage"]) == ("credit", "ln_1", False)

    by_quantity = credit(api, invoice, lines=[{"line": "ln_1", "quantity": "25"}])
    (line,) = by_quantity["lines"]
    assert (line["quantity"], line["amount"], line["components"][0]["unit_price"]) == ("25", "25.00", "1.00")
    assert refused(api, invoice, lines=[{"line": "ln_1", "amount": "65.01"}]) == (422, "credit-exceeds-left", "65.00")
    rest = credit(api, invoice, lines=[{"line": "ln_1"}])
    assert (rest["net"], rest["total"]) == ("65.00", "78.00")
    paid_off = again(api, invoice)
    assert (paid_off["credited"], paid_off["due"]) == ("120.00", "0.00")
    assert refused(api, invoice) == (409, "nothing-left-to-credit", "0")
    listed = api.get(f"/v1/invoices/{invoice['id']}/credit-notes")
    assert [item["number"] for item in listed["data"]] == ["2026-000002", "2026-000003", "2026-000004"]
    check_books(api)


def test_an_amount_over_the_document_is_spread_over_its_rates_and_never_more_than_is_left(api: Api) -> None:
    """100.00 at 20 % and 50.00 at 5.5 %: 30.00 are 20.00 and 10.00, VAT 4.00 and 0.55. 120.00 are left."""
    invoice = billed(api, "100", BASE)
    note = credit(api, invoice, amount="30.00")

    assert [(item["rate"], item["base"], item["amount"]) for item in note["tax"]] == [
        ("5.5", "10.00", "0.55"), ("20", "20.00", "4.00"),
    ]  # fmt: skip
    assert refused(api, invoice, amount="120.01") == (422, "credit-exceeds-left", "120.00")
    rest = credit(api, invoice)
    assert (rest["net"], again(api, invoice)["due"]) == ("120.00", "0.00")
    check_books(api)


def test_a_gift_is_not_billed_again_and_use_that_is_opened_again_is(api: Api) -> None:
    """Of 100.00, 30.00 are given; the next run bills nothing. 20.00 are opened again: November's invoice bills them
    beside its own 5.00, as 100.00 less 80.00."""
    invoice = billed(api)
    credit(api, invoice, amount="30")
    api.bill("2026-11-01T00:00:00Z")
    assert len(api.invoices()) == 2

    reopened = credit(api, invoice, amount="20", reopens_usage=True)
    assert reopened["lines"][0]["reopens_usage"] is True
    check_books(api)
    use(api, "2", "5", "2026-11-05T10:00:00Z")
    api.clock.set("2026-12-02T12:00:00+00:00")
    api.bill("2026-12-01T00:00:00Z")

    november = api.invoices()[-1]
    assert [(line["kind"], line["amount"]) for line in november["lines"]] == [
        ("charge", "5.00"),
        ("difference", "20.00"),
    ]
    assert again(api, invoice)["due"] == "60.00"
    check_books(api)
    api.bill("2026-12-01T00:00:00Z")
    assert len(api.invoices()) == 4


def test_a_cancelled_invoice_is_issued_again_from_what_is_measured_now(api: Api) -> None:
    """100 kWh and the base of 50.00 were billed; 40 kWh never were. The whole is credited and 60.00 + 50.00 billed, in
    one step; what comes later is corrected on the new invoice."""
    invoice = billed(api, "60", BASE)
    use(api, "late", "40")
    api.clock.set("2026-12-02T12:00:00+00:00")
    api.bill("2026-12-01T00:00:00Z")
    october, november = api.invoices()
    assert november["lines"][-1]["amount"] == "40.00"
    cancel(api, "late")

    made = credit(api, invoice, reason="wrong meter", reissue=True)

    assert (made["net"], again(api, october)["due"]) == ("110.00", "0.00")
    new = made["reissued"]
    assert (new["status"], new["period"], new["references"][0]["number"]) == (
        "issued", october["period"], october["number"],
    )  # fmt: skip
    # The 40 kWh that November billed are still billed there; October bills what is not.
    assert {line["charge"]: line["amount"] for line in new["lines"]} == {"energy": "20.00", "base": "50.00"}
    check_books(api)
    api.bill("2026-12-01T00:00:00Z")
    assert sum(float(one["due"]) for one in api.invoices()) == pytest.approx(float(october["total"]) + 52.75)
    check_books(api)


def test_a_whole_invoice_is_issued_again_as_if_it_were_the_first(api: Api) -> None:
    """100 kWh were billed and 30 of them never were: 120.00 are credited and 84.00 billed, by a line of kind charge."""
    invoice = billed(api, "70")
    use(api, "wrong", "30")
    cancel(api, "wrong")
    use(api, "more", "14")
    new = credit(api, invoice, reissue=True)["reissued"]

    assert [(line["kind"], line["quantity"], line["amount"]) for line in new["lines"]] == [("charge", "84", "84.00")]
    assert (new["number"], new["total"]) == ("2026-000003", "100.80")
    explained = api.get(f"/v1/invoices/{new['id']}/lines/ln_1/explanation")
    assert (explained["holds"], explained["correction"]) == (True, None)
    check_books(api)
    cancel(api, "more")
    api.bill("2026-11-01T00:00:00Z")
    note = api.invoices()[-1]
    assert (note["type"], note["net"], note["references"][0]["number"]) == ("credit_note", "14.00", "2026-000003")
    check_books(api)


def test_a_correction_never_credits_what_was_given_already(api: Api) -> None:
    """Of 100.00, 80.00 are given; then the use falls to 50 kWh. 50.00 would be credited and 20.00 are left: the note
    has 50.00 less 30.00 of the gift. Nothing is due after it, and the books balance."""
    invoice = billed(api, "50")
    use(api, "more", "50")
    new = credit(api, invoice, reissue=True)["reissued"]
    credit(api, new, amount="80")
    cancel(api, "more")
    api.bill("2026-11-01T00:00:00Z")

    note = api.invoices()[-1]
    assert [line["amount"] for line in note["lines"]] == ["50.00", "-30.00"]
    assert (note["net"], again(api, new)["due"]) == ("20.00", "0.00")
    check_books(api)


def test_promotional_credit_and_balance_come_back_with_a_credit_by_hand(api: Api) -> None:
    """100.00 less 30.00 of credit, 84.00 with VAT, paid from a balance of 100.00. A note over 70.00 gives the money
    back; the rest of the whole gives back the credit."""
    api.put("/v1/tax-rates/standard", RATE)
    set_up(api, [AT_ONE], start="2026-10-01")
    promotional = api.post("/v1/credit-grants", {"tenant": "acme", "kind": "promotional", "amount": "30"})["id"]
    balance = api.post("/v1/credit-grants", {"tenant": "acme", "kind": "prepaid", "amount": "100"})["id"]
    use(api, "1", "100")
    api.bill("2026-11-01T00:00:00Z")
    (invoice,) = api.invoices()
    assert (invoice["paid"], invoice["due"]) == ("84.00", "0.00")

    note = credit(api, invoice, amount="70")
    assert (note["net"], note["total"], api.get(f"/v1/credit-grants/{balance}")["left"]) == ("70.00", "84.00", "100.00")
    assert refused(api, invoice, amount="0.01") == (422, "credit-exceeds-left", "0.00")
    rest = credit(api, invoice)
    assert (rest["net"], rest["allowances"][0]["amount"]) == ("0.00", "30.00")
    assert api.get(f"/v1/credit-grants/{promotional}")["left"] == "30.00"
    check_books(api)


def test_what_several_payments_paid_comes_back_with_the_whole_credit_each_with_its_tax(api: Api) -> None:
    """60.00 of 120.00 were paid in three parts: all of it is on account again, and the books balance."""
    invoice = billed(api)
    for amount in ("10.00", "20.00", "30.00"):
        api.post(f"/v1/invoices/{invoice['id']}/payments", {"amount": amount, "method": "transfer"})
    assert again(api, invoice)["paid"] == "60.00"
    credit(api, invoice)
    shown = again(api, invoice)
    assert (shown["paid"], shown["credited"], shown["due"]) == ("0.00", "120.00", "0.00")
    check_books(api)


def test_a_credit_note_sent_twice_is_one(api: Api) -> None:
    invoice = billed(api)
    path = f"/v1/invoices/{invoice['id']}/credit-notes"
    body = {"reason": "agreed", "amount": "10"}
    answers = [api.call("POST", path, body, headers={"Idempotency-Key": "case-1"}) for _ in range(2)]
    other = api.call("POST", path, body | {"amount": "11"}, headers={"Idempotency-Key": "case-1"})

    assert [answer.status_code for answer in answers] == [201, 200]
    assert answers[0].json() == answers[1].json()
    assert other.status_code == 409
    assert again(api, invoice)["credited"] == "12.00"


def test_only_issued_invoices_are_credited_and_a_wish_is_read_strictly(api: Api) -> None:
    invoice = billed(api)
    note = credit(api, invoice, amount="10")
    assert refused(api, note)[:2] == (409, "not-creditable")
    use(api, "2", "1", "2026-11-05T10:00:00Z")
    api.clock.set("2026-12-02T12:00:00+00:00")
    api.bill("2026-12-01T00:00:00Z", issue=False)
    assert refused(api, api.invoices(status="draft")[0])[:2] == (409, "not-creditable")
    for wish, pointer in (
        ({"reason": ""}, "#/reason"), ({"lines": [{"line": "ln_9"}]}, "#/lines/0/line"),
        ({"lines": [{"line": "ln_1", "amount": "1", "quantity": "1"}]}, "#/lines/0/amount"),
        ({"lines": [{"line": "ln_1", "amount": "1.001"}]}, "#/lines/0/amount"), ({"amount": "0"}, "#/amount"),
        ({"amount": "1", "lines": [{"line": "ln_1"}]}, "#/amount"), ({"lines": []}, "#/lines"),
        ({"reissue": True, "amount": "1"}, "#/reissue"), ({"lines": [{"line": "ln_1", "quantity": "101"}]}, ""),
        ({"lines": [{"line": "ln_1"}, {"line": "ln_1"}]}, "#/lines/1/line"),
    ):  # fmt: skip
        answer = api.call("POST", f"/v1/invoices/{invoice['id']}/credit-notes", {"reason": "agreed"} | wish)
        assert answer.status_code == 422, answer.text
        assert pointer in [item["pointer"] for item in answer.json()["errors"]] or not pointer, answer.text


def test_a_credit_line_is_explained_by_the_use_that_it_credits(api: Api) -> None:
    invoice = billed(api)
    note = credit(api, invoice, amount="10")
    explained = api.get(f"/v1/invoices/{note['id']}/lines/ln_1/explanation")
    assert (explained["amount"], explained["rated"], explained["correction"]) == ("10.00", "100.00", None)
    assert api.get(f"/v1/invoices/{note['id']}/lines/ln_1/events")["verified"] is True
    for format in ("pdf", "csv"):
        assert api.call("GET", f"/v1/invoices/{note['id']}.{format}").status_code == 200
