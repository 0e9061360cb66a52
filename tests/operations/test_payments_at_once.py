"""Payments in any order, several at the same time, and beside the issue of what changes what is owed."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.operations.audit_books import audit_books
from app.storage.database import Database
from tests.service import ACME, Api, event, service, set_up

RATES = {"standard": "20", "reduced": "5.5"}
SESSION = {"type": "per_unit", "unit_price": "10.01"}
PLAN = [
    {"key": "sessions", "meter": "sessions", "model": SESSION, "tax": "standard"},
    {"key": "energy", "meter": "energy", "model": {"type": "per_unit", "unit_price": "0.97"}, "tax": "reduced"},
]


@pytest.fixture
def api(database_url: str) -> Iterator[Api]:
    with service(database_url) as running:
        yield running


def billed(api: Api, *, tenant: str = "acme", events: int = 6) -> Any:
    """The tenant's invoice of October: sessions at 20 %, their energy at 5.5 %."""
    for key, rate in RATES.items():
        api.put(f"/v1/tax-rates/{key}", {"category": "S", "rate": rate, "country": "FR", "start": "2014-01-01"})
    set_up(api, PLAN, start="2026-10-01")
    if tenant != "acme":
        api.put(f"/v1/tenants/{tenant}", ACME | {"subjects": []})
        api.put(f"/v1/subscriptions/{tenant}-1", {"tenant": tenant, "plan": "standard", "start": "2026-10-01"})
    api.post("/v1/events", [event(str(number), subject=tenant) for number in range(events)])
    api.bill("2026-11-01T00:00:00Z", tenants=[tenant])
    (invoice,) = api.invoices(buyer=tenant)
    return invoice


def differences(api: Api) -> list[Any]:
    database: Database = api.client.app.state.database  # type: ignore[attr-defined]
    return audit_books(database, now=api.clock()).differences


def check(api: Api, tenant: str = "acme") -> None:
    """due = total - paid - credited of every invoice, nothing due less than nothing, and every payment adds up."""
    paid = Decimal(0)
    for one in api.invoices(type="invoice", status="issued", buyer=tenant):
        assert Decimal(one["due"]) == Decimal(one["total"]) - Decimal(one["paid"]) - Decimal(one["credited"]) >= 0
        assert Decimal(one["paid"]) >= 0
        paid += Decimal(one["paid"])
    balance = sum(Decimal(one["used"]) for one in api.get("/v1/credit-grants", kind="prepaid", tenant=tenant)["data"])
    for one in api.get("/v1/payments", tenant=tenant)["data"]:
        parts = [Decimal(one[name]) for name in ("allocated", "unallocated", "refunded", "reversed")]
        assert sum(parts) == Decimal(one["amount"]) and min(parts) >= 0
        assert sum(Decimal(tax["base"]) + Decimal(tax["amount"]) for tax in one["tax"]) == parts[0]
        balance += parts[0]
    assert paid == balance


STEPS = st.one_of(
    st.tuples(st.just("pay"), st.integers(1, 9000)), st.tuples(st.just("account"), st.integers(1, 9000)),
    st.tuples(st.sampled_from(["reverse", "refund", "allocate", "release"]), st.integers(0, 9000)),
    st.tuples(st.just("credit"), st.integers(0, 5)), st.tuples(st.just("balance"), st.integers(1, 3000)),
    st.tuples(st.just("next"), st.integers(1, 4)),
)  # fmt: skip


def take(api: Api, tenant: str, invoice: Any, step: str, size: int) -> None:
    """One step of a story; one that its payment does not allow is refused, and changes nothing."""
    amount = str(Decimal(size) / 100)
    payments = api.get("/v1/payments", tenant=tenant)["data"]
    chosen = f"/v1/payments/{payments[size % len(payments)]['id']}" if payments else ""
    match step:
        case "pay":
            api.post(f"/v1/invoices/{invoice['id']}/payments", {"amount": amount})
        case "account":
            allocate = "none" if size % 2 else "oldest_first"
            api.post("/v1/payments", {"tenant": tenant, "amount": amount, "allocate": allocate})
        case "credit":
            wrong = {"tenant": tenant, "source": "/chargers/12", "id": str(size), "reason": "a fault"}
            api.call("POST", "/v1/events/cancellations", wrong)
            api.bill("2026-11-01T00:00:00Z", tenants=[tenant])
        case "balance":
            made = api.post("/v1/credit-grants", {"tenant": tenant, "kind": "prepaid", "amount": amount})
            api.post(f"/v1/credit-grants/{made['id']}/apply", {})
        case "next":
            late = [event(f"late-{one}", time="2026-11-05T10:00:00Z", subject=tenant) for one in range(size)]
            api.post("/v1/events", late)
            api.bill("2026-12-01T00:00:00Z", tenants=[tenant])
        case "reverse" | "refund" if chosen:
            body = {"reason": "mistake"} | ({"amount": amount} if size else {})
            api.call("POST", f"{chosen}/{'reversals' if step == 'reverse' else 'refunds'}", body)
        case "allocate" if chosen:
            api.call("POST", f"{chosen}/allocations", {})
        case "release" if chosen:
            api.call("POST", f"{chosen}/releases", {"invoice": invoice["id"]})


def test_any_order_of_payments_credits_and_reversals_adds_up(api: Api) -> None:
    """due = total - paid - credited after every step, the books are clean, and what is paid in full holds its VAT."""
    api.clock.set("2026-12-05T12:00:00+00:00")
    numbers = count(1)

    @given(st.lists(STEPS, min_size=1, max_size=8))
    @settings(max_examples=7)
    def adds_up(steps: list[tuple[str, int]]) -> None:
        tenant = f"tenant-{next(numbers)}"
        invoice = billed(api, tenant=tenant)
        for step, size in steps:
            take(api, tenant, invoice, step, size)
            check(api, tenant)
        # What is still due is paid: then all payments together hold the VAT of what is left of each invoice.
        for one in api.invoices(type="invoice", status="issued", buyer=tenant):
            if Decimal(one["due"]):
                api.post(f"/v1/invoices/{one['id']}/payments", {"amount": one["due"]})
        check(api, tenant)
        assert differences(api) == []

    adds_up()


def test_two_payments_at_once_pay_an_invoice_no_more_than_once(api: Api) -> None:
    """Eight payments of 30.00 at once: the invoice takes its total, and the rest of 240.00 is on account."""
    invoice = billed(api)
    path = f"/v1/invoices/{invoice['id']}/payments"

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: api.call("POST", path, {"amount": "30.00"}), range(8)))

    assert [answer.status_code for answer in answers] == [201] * 8
    assert api.get(f"/v1/invoices/{invoice['id']}")["due"] == "0.00"
    on_account = sum(Decimal(one["unallocated"]) for one in api.get("/v1/payments")["data"])
    assert on_account == Decimal("240.00") - Decimal(invoice["total"])
    check(api)
    assert differences(api) == []


def test_the_same_payment_sent_at_once_is_recorded_once(api: Api) -> None:
    invoice = billed(api)
    path = f"/v1/invoices/{invoice['id']}/payments"

    def send(number: int) -> int:
        headers = {"Idempotency-Key": "one"} if number % 2 else {}
        answer = api.call("POST", path, {"amount": "30.00", "external_id": "bank-1"}, headers=headers)
        return int(answer.status_code)

    with ThreadPoolExecutor(6) as pool:
        statuses = list(pool.map(send, range(6)))

    assert sorted(statuses) == [200] * 5 + [201]
    assert api.get(f"/v1/invoices/{invoice['id']}")["paid"] == "30.00"
    check(api)
    assert differences(api) == []


def test_a_payment_beside_a_credit_note_leaves_nothing_paid_twice(api: Api) -> None:
    """The whole invoice is paid while half of it is credited: whichever is first, what is too much is on account."""
    invoice = billed(api)
    for number in range(3):
        wrong = {"tenant": "acme", "source": "/chargers/12", "id": str(number), "reason": "a fault"}
        api.post("/v1/events/cancellations", wrong)

    with ThreadPoolExecutor(4) as pool:
        paid = [
            pool.submit(api.call, "POST", f"/v1/invoices/{invoice['id']}/payments", {"amount": invoice["total"]})
            for _ in range(2)
        ]
        credited = pool.submit(api.bill, "2026-11-01T00:00:00Z")
        assert [one.result().status_code for one in paid] == [201, 201]
        assert credited.result()["failed"] == 0

    after = api.get(f"/v1/invoices/{invoice['id']}")
    assert Decimal(after["credited"]) > 0 and after["due"] == "0.00"
    on_account = sum(Decimal(one["unallocated"]) for one in api.get("/v1/payments")["data"])
    assert on_account == Decimal(invoice["total"]) + Decimal(after["credited"])
    check(api)
    assert differences(api) == []


def test_the_audit_names_a_ledger_of_payments_that_no_longer_agrees(api: Api) -> None:
    """An entry is changed in the database: the payment's rest, its split and the VAT of the invoice no longer agree."""
    invoice = billed(api)
    api.post(f"/v1/invoices/{invoice['id']}/payments", {"amount": invoice["total"]})
    database: Database = api.client.app.state.database  # type: ignore[attr-defined]
    database.write(lambda connection: connection.exec_driver_sql("UPDATE payment_entries SET amount = '1.00'"))

    found = {(one.table, one.what) for one in differences(api)}

    assert found == {("payments", "left"), ("payment_entries", "sum of its split")}
