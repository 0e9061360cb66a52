"""A bank statement pays invoices: by reference, by number, by amount and name; nothing twice; what comes back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from app.domain.references import creditor_reference
from tests.scenarios.statements import IBAN, Booking, camt053
from tests.scenarios.test_credit import RATE, TAXED, check_books, use
from tests.service import ACME, Api, set_up

OUTCOMES = ("new", "duplicates", "matched", "reversed", "unmatched", "ignored")


def billed(api: Api) -> tuple[Any, Any]:
    """Acme owes 42.00 for October, Borealis 12.00."""
    api.put("/v1/tax-rates/standard", RATE)
    set_up(api, [TAXED], start="2026-10-01")
    api.put("/v1/tenants/borealis", ACME | {"name": "Boréalis SARL", "subjects": []})
    api.put("/v1/subscriptions/borealis-1", {"tenant": "borealis", "plan": "standard", "start": "2026-10-01"})
    use(api, "1", "35")
    use(api, "2", "10", subject="borealis")
    api.bill("2026-11-01T00:00:00Z")
    (acme,), (borealis,) = api.invoices(buyer="acme"), api.invoices(buyer="borealis")
    assert (acme["total"], borealis["total"]) == ("42.00", "12.00")
    return acme, borealis


def send(api: Api, content: bytes, media_type: str = "application/xml", **query: str) -> Any:
    answer = api.call(
        "POST", "/v1/bank-statements", content=content, headers={"Content-Type": media_type}, params=query
    )  # fmt: skip
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


def outcomes(told: Any) -> dict[str, int]:
    return {name: told[name] for name in OUTCOMES if told[name]}


def due(api: Api, invoice: Any) -> str:
    return str(api.get(f"/v1/invoices/{invoice['id']}")["due"])


def entries(api: Api, **query: str) -> list[Any]:
    found: list[Any] = api.get("/v1/bank-entries", **query)["data"]
    return found


def test_a_statement_pays_by_reference_by_number_and_by_amount_and_name(api: Api) -> None:
    """42.00 by its creditor reference; 5.00 of 12.00 by the number in the text, the other 7.00 by amount and name; 3.00
    of somebody unknown wait, and the bank's fee concerns nobody."""
    acme, borealis = billed(api)
    content = camt053(
        Booking("42.00", reference=creditor_reference(acme["number"]), servicer="S1"),
        Booking("5.00", text=f"fact {borealis['number'].replace('-', ' ')} acompte", name="J. Doe", servicer="S2"),
        Booking("7.00", text="solde", name="BOREALIS", servicer="S3", day="2026-11-06"),
        Booking("3.00", text="gift", name="Somebody", servicer="S4"),
        Booking("2.50", text="fees", debit=True, servicer="S5"),
        Booking("9.00", text="announced", status="PDNG", servicer="S6"),
    )  # fmt: skip

    told = send(api, content)

    assert (told["format"], told["entries"], told["pending"], told["statements"]) == ("camt.053", 5, 1, ["STMT-1"])
    assert outcomes(told) == {"new": 5, "matched": 3, "unmatched": 1, "ignored": 1}
    assert (due(api, acme), due(api, borealis)) == ("0.00", "0.00")
    assert [(one["matched_by"], one["tenant"], one["amount"]) for one in entries(api, status="matched")] != []
    by = {one["amount"]: one["matched_by"] for one in entries(api, status="matched")}
    assert by == {"42.00": "reference", "5.00": "number", "7.00": "amount_and_name"}
    (waiting,) = entries(api, status="unmatched")
    assert (waiting["amount"], waiting["name"], waiting["booked_on"]) == ("3.00", "Somebody", "2026-11-05")
    (paid,) = api.get(f"/v1/invoices/{acme['id']}/payments")["data"]
    assert (paid["source"], paid["method"], paid["paid_on"], paid["amount"]) == (
        "bank", "transfer", "2026-11-05", "42.00",
    )  # fmt: skip
    assert [(part["base"], part["amount"]) for part in paid["tax"]] == [("35.00", "7.00")]
    assert "quotepart_bank_entries_unmatched 1.0" in api.call("GET", "/metrics").text
    check_books(api)


def test_the_same_file_and_overlapping_statements_pay_once(api: Api) -> None:
    """The file again, the same movements in the next statement, with and without a reference of the bank: once each."""
    acme, _ = billed(api)
    named = Booking("20.00", text=acme["number"], servicer="S1")
    bare = Booking("5.00", text=acme["number"])
    content = camt053(named, bare, bare)

    first, again = send(api, content), send(api, content)
    overlapping = send(api, camt053(named, bare, bare, Booking("1.00", text=acme["number"]), id="STMT-2", version="04"))

    assert outcomes(first) == {"new": 3, "matched": 3}
    assert (again["id"], outcomes(again)) == (first["id"], {"duplicates": 3})
    assert outcomes(overlapping) == {"new": 1, "duplicates": 3, "matched": 1}
    assert due(api, acme) == "11.00" and len(api.get("/v1/payments")["data"]) == 4
    assert {one["id"] for one in api.get("/v1/bank-statements")["data"]} == {first["id"], overlapping["id"]}
    assert len(entries(api, statement=first["id"])) == 3
    check_books(api)


def test_the_same_file_sent_at_once_pays_once(api: Api) -> None:
    acme, borealis = billed(api)
    content = camt053(
        *(Booking("4.00", text=acme["number"]) for _ in range(5)), Booking("12.00", name="Borealis"),
        Booking("1.00", text="nobody's"),
    )  # fmt: skip

    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(lambda _: send(api, content), range(4)))

    assert sum(one["matched"] for one in told) == 6 and sum(one["new"] for one in told) == 7
    assert (due(api, acme), due(api, borealis)) == ("22.00", "0.00")
    assert len(api.get("/v1/payments")["data"]) == 6 and len(entries(api, status="unmatched")) == 1
    check_books(api)


def test_what_the_bank_takes_back_is_due_again(api: Api) -> None:
    """A collected 42.00 is returned (MD06) by its end-to-end id; a transfer of 12.00 reversed by the bank's own
    reference. A return of what nobody knows waits; an unmatched credit that is returned is no business of anybody."""
    acme, borealis = billed(api)
    send(api, camt053(
        Booking("42.00", text=acme["number"], end_to_end="E2E-1", servicer="S1"),
        Booking("12.00", text=borealis["number"], servicer="S2"), Booking("8.00", text="?", end_to_end="E2E-8"),
    ))  # fmt: skip
    assert (due(api, acme), due(api, borealis)) == ("0.00", "0.00")

    told = send(api, camt053(
        Booking("42.00", debit=True, return_code="MD06", end_to_end="E2E-1", servicer="S9", day="2026-11-10"),
        Booking("12.00", debit=True, reversal=True, servicer="S2", day="2026-11-10"),
        Booking("7.00", debit=True, return_code="AC04", end_to_end="E2E-7", day="2026-11-10"),
        Booking("8.00", debit=True, reversal=True, end_to_end="E2E-8", day="2026-11-10"), id="STMT-2",
    ))  # fmt: skip

    assert outcomes(told) == {"new": 4, "reversed": 2, "unmatched": 1, "ignored": 1}
    assert (due(api, acme), due(api, borealis)) == ("42.00", "12.00")
    (back,) = [one for one in entries(api, direction="debit", status="matched") if one["amount"] == "42.00"]
    payment = api.get(f"/v1/payments/{back['payment']}")
    assert (payment["status"], payment["reversed"]) == ("reversed", "42.00")
    assert [(one["id"], one["reason"], one["note"], one["reversed_on"]) for one in payment["reversals"]] == [
        (back["reversal"], "returned", "MD06", "2026-11-10")
    ]
    assert {one["amount"] for one in entries(api, status="unmatched")} == {"7.00"}
    assert send(api, camt053(Booking("8.00", text="?", end_to_end="E2E-8")))["unmatched"] == 0
    check_books(api)


def test_what_is_not_clear_waits_and_is_assigned_by_hand(api: Api) -> None:
    """Two companies owe 42.00 under one name; a text names invoices of two tenants. A person says which."""
    acme, borealis = billed(api)
    api.put("/v1/tenants/acme-2", ACME | {"subjects": []})
    api.put("/v1/subscriptions/acme-2", {"tenant": "acme-2", "plan": "standard", "start": "2026-10-01"})
    use(api, "3", "35", subject="acme-2")
    api.bill("2026-11-01T00:00:00Z")
    both = f"{acme['number']} {borealis['number']}"
    told = send(
        api, camt053(Booking("42.00", name="Acme"), Booking("54.00", text=both), Booking("1.00", text="interest"))
    )
    assert outcomes(told) == {"new": 3, "unmatched": 3}
    by_amount = {one["amount"]: f"/v1/bank-entries/{one['id']}" for one in entries(api, status="unmatched")}

    first = api.post(f"{by_amount['42.00']}/assign", {"invoice": acme["id"]})
    assert (first["status"], first["matched_by"], first["tenant"]) == ("matched", "hand", "acme")
    assert api.call("POST", f"{by_amount['42.00']}/assign", {"invoice": acme["id"]}).status_code == 409
    assert api.call("POST", f"{by_amount['42.00']}/ignore", {}).status_code == 409
    ignored = api.post(f"{by_amount['1.00']}/ignore", {"reason": "interest"})
    assert (ignored["status"], ignored["reason"]) == ("ignored", "interest")
    second = api.post(f"{by_amount['54.00']}/assign", {"tenant": "borealis"})
    payment = api.get(f"/v1/payments/{second['payment']}")
    assert (payment["allocated"], payment["unallocated"], payment["tenant"]) == ("12.00", "42.00", "borealis")
    for body in (
        {"invoice": "inv_x"}, {"tenant": "nobody"}, {}, {"invoice": acme["id"], "tenant": "acme"}, {"payment": "pay_x"},
        {"invoices": [acme["id"], borealis["id"]]},
    ):  # fmt: skip
        assert api.call("POST", f"{by_amount['1.00']}/assign", body).status_code == 422, body
    assert api.call("POST", "/v1/bank-entries/ben_x/assign", {"tenant": "acme"}).status_code == 404
    assert due(api, acme) == "0.00"
    check_books(api)


def test_a_payment_that_was_recorded_by_hand_is_not_paid_again(api: Api) -> None:
    """42.00 are recorded before the statement comes, which tells of them: one payment. A second is one more."""
    acme, _ = billed(api)
    payment = api.post(f"/v1/invoices/{acme['id']}/payments", {"amount": "42.00", "paid_on": "2026-11-05"})

    told = send(api, camt053(Booking("42.00", text=acme["number"], servicer="S1")))
    twice = send(api, camt053(Booking("42.00", text=acme["number"], servicer="S2"), id="STMT-2"))

    assert (told["matched"], twice["matched"]) == (1, 1)
    assert {one["payment"] for one in entries(api)} > {payment["id"]}
    assert [one["unallocated"] for one in api.get("/v1/payments")["data"]] == ["0.00", "42.00"]
    check_books(api)


def test_a_debit_is_said_by_hand_to_take_back_a_payment(api: Api) -> None:
    """42.00 came; 42.00 go out without a word. A person says that they are the same, once."""
    acme, _ = billed(api)
    payment = api.post(f"/v1/invoices/{acme['id']}/payments", {"amount": "42.00"})
    send(api, camt053(Booking("42.00", debit=True, text="impayé", servicer="S1")))
    (entry,) = entries(api)
    path = f"/v1/bank-entries/{entry['id']}/assign"

    assert api.call("POST", path, {"tenant": "acme"}).status_code == 409
    matched = api.post(path, {"payment": payment["id"]})

    assert (matched["status"], matched["payment"], due(api, acme)) == ("matched", payment["id"], "42.00")
    check_books(api)


def test_a_csv_statement_pays_too(api: Api) -> None:
    """With a mapping in the address, or inside JSON; sent again it pays nothing."""
    acme, borealis = billed(api)
    text = f"Jour;Montant;Libellé\n05/11/2026;42,00;VIR {acme['number']}\n05/11/2026;-1,00;frais\n"
    mapping = '{"date": "Jour", "account": "FR76 1"}'

    told = send(api, text.encode(), "text/csv", mapping=mapping)
    again = send(api, text.encode(), "text/csv; charset=utf-8", mapping=mapping)
    body = {"format": "csv", "content": f"date,amount,text\n2026-11-05,12.00,{borealis['number']}\n"}
    inside = api.post("/v1/bank-statements", body)

    assert (outcomes(told), outcomes(again)) == ({"new": 2, "matched": 1, "ignored": 1}, {"duplicates": 2})
    assert (told["account"], inside["matched"]) == ("FR761", 1)
    assert (due(api, acme), due(api, borealis)) == ("0.00", "0.00")
    for content, kind, status in (
        (b"<a/>", "application/xml", 422), (b"<a", "application/xml", 400), (b"x", "text/csv", 422),
        (b"x", "image/png", 415), (b"{", "application/json", 400), (b"{}", "application/json", 422),
        (b'<!DOCTYPE a SYSTEM "http://127.0.0.1/"><a/>', "text/xml", 400),
    ):  # fmt: skip
        answer = api.call("POST", "/v1/bank-statements", content=content, headers={"Content-Type": kind})
        assert answer.status_code == status, (content, answer.text)
    check_books(api)


@pytest.mark.parametrize("amount", ["41.99", "42.01"])
def test_another_amount_under_a_name_alone_waits(api: Api, amount: str) -> None:
    billed(api)
    assert send(api, camt053(Booking(amount, name="ACME SAS")))["unmatched"] == 1


def test_what_waited_is_matched_once_its_invoice_is_there(api: Api) -> None:
    """November's number comes with the money before the invoice is issued; the same file pays it afterwards."""
    billed(api)
    api.clock.set("2026-12-05T12:00:00+00:00")
    content = camt053(Booking("12.00", text="2026-000003", servicer="S1", day="2026-12-01"))
    assert outcomes(send(api, content)) == {"new": 1, "unmatched": 1}
    use(api, "3", "10", "2026-11-05T10:00:00Z")
    api.bill("2026-12-01T00:00:00Z")

    assert outcomes(send(api, content)) == {"duplicates": 1, "matched": 1}
    assert sum(Decimal(one["paid"]) for one in api.invoices()) == Decimal("12.00")


def test_a_statement_belongs_to_the_seller_whose_account_it_is_of(api: Api) -> None:
    """The account in its legal profile says whose it is, and `seller` says so first; else it is the operator's."""
    billed(api)
    api.put("/v1/tenants/lender", ACME | {"subjects": [], "legal": {"name": "Lender SAS", "iban": IBAN}})
    content = camt053(Booking("1.00", text="?"))

    assert send(api, content)["seller"] == "lender"
    assert send(api, content, seller="garage")["seller"] == "garage"
    assert send(api, camt053(Booking("1.00"), account="DE89370400440532013000"))["seller"] == "garage"
    assert api.call("POST", "/v1/bank-statements", content=content, params={"seller": "nobody"}).status_code == 422


def test_a_movement_told_to_two_sellers_is_a_payment_to_each_that_says_so(api: Api) -> None:
    """A file that was sent for the wrong seller first: what acme paid is assigned there, and then where it belongs."""
    acme, _ = billed(api)
    api.put("/v1/tenants/lender", ACME | {"subjects": [], "legal": {"name": "Lender SAS", "iban": IBAN}})
    content = camt053(Booking("42.00", text="?"))
    for seller in ("lender", "garage"):
        assert send(api, content, seller=seller)["unmatched"] == 1
    told = {entry["seller"]: entry["id"] for entry in entries(api)}
    api.post(f"/v1/bank-entries/{told['lender']}/assign", {"tenant": "acme"})
    api.post(f"/v1/bank-entries/{told['garage']}/assign", {"tenant": "acme"})

    paid = [(one["seller"], one["amount"]) for one in api.get("/v1/payments")["data"]]
    assert sorted(paid) == [("garage", "42.00"), ("lender", "42.00")]
    assert due(api, acme) == "0.00"
    check_books(api)
