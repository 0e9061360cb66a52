"""Coupons on invoices, and when use of those invoices comes late: whole stories through HTTP."""

from __future__ import annotations

from tests.scenarios.test_credit import cancel, check_books, use
from tests.scenarios.test_shared import ENERGY_AT_ONE, SESSIONS_AT_TEN, in_all, lines
from tests.service import Api, set_up

MONTHS = ("2026-09-05", "2026-10-05", "2026-11-05")


def test_lago_taxes_on_invoice_spec_a_coupon_is_spread_over_the_fees_before_tax(api: Api) -> None:
    """Fees of 100 (10 %), 50 (0 %) and 30 (20 %), and 20 that fill a minimum (20 %): a coupon of 10 takes 5, 2.50, 1.50
    and 1. VAT 9.50 and 9.50 is 19.00; 209.00 in all."""
    for key, rate in (("ten", "10"), ("twenty", "20")):
        api.put(f"/v1/tax-rates/{key}", {"category": "S", "rate": rate, "country": "FR", "start": "2014-01-01"})
    api.put("/v1/tax-rates/zero", {"category": "Z", "country": "FR", "start": "2014-01-01"})
    fees = [("first", "30", "twenty"), ("second", "100", "ten"), ("third", "50", "zero")]
    charges = [{"key": key, "model": {"type": "flat", "amount": amount}, "tax": tax} for key, amount, tax in fees]
    set_up(api, charges, start="2026-10-01", minimum="200.00")
    api.put("/v1/coupons/ten-off", {"name": "Ten off", "amount": "10.00", "currency": "EUR", "periods": 1})
    applied = api.post("/v1/applied-coupons", {"coupon": "ten-off", "subscription": "acme-1"})
    api.bill("2026-11-01T00:00:00Z")

    (invoice,) = api.invoices()
    assert [(line["charge"], line["allowances"][0]["amount"]) for line in invoice["lines"]] == [
        ("first", "1.50"), ("second", "5.00"), ("third", "2.50"), ("true-up", "1.00"),
    ]  # fmt: skip
    assert [(group["rate"], group["base"], group["amount"]) for group in invoice["tax"]] == [
        ("10", "95.00", "9.50"), ("20", "47.50", "9.50"), ("0", "47.50", "0.00"),
    ]  # fmt: skip
    assert (invoice["net"], invoice["total"]) == ("190.00", "209.00")
    shown = api.get(f"/v1/applied-coupons/{applied['id']}")
    assert (shown["status"], shown["used"], shown["invoices"]) == (
        "used_up", 1, [{"id": invoice["id"], "number": invoice["number"]}],
    )  # fmt: skip
    check_books(api)


def test_a_percentage_for_two_invoices_lowers_two(api: Api) -> None:
    """10 % off 100.00, 200.00 and 300.00, for the first two invoices: 90.00, 180.00 and 300.00."""
    set_up(api, [ENERGY_AT_ONE], start="2026-09-01")
    api.put("/v1/coupons/tenth", {"name": "A tenth", "percent": "10", "periods": 2})
    api.post("/v1/applied-coupons", {"coupon": "tenth", "tenant": "acme"})
    again = api.call("POST", "/v1/applied-coupons", {"coupon": "tenth", "tenant": "acme"})
    assert again.status_code == 409
    api.clock.set("2026-12-02T12:00:00+00:00")
    for number, day in enumerate(MONTHS, 1):
        use(api, str(number), str(number * 100), f"{day}T10:00:00Z")
    api.bill("2026-12-01T00:00:00Z")

    assert [invoice["net"] for invoice in api.invoices()] == ["90.00", "180.00", "300.00"]
    check_books(api)


def test_late_use_of_an_invoice_that_had_a_coupon_has_it_too(api: Api) -> None:
    """10 % off 100.00 is 90.00; 50.00 that come late owe 45.00, though the coupon is used up; 30.00 that are cancelled
    give 27.00 back."""
    set_up(api, [ENERGY_AT_ONE], start="2026-10-01")
    api.put("/v1/coupons/tenth", {"name": "A tenth", "percent": "10", "periods": 1})
    api.post("/v1/applied-coupons", {"coupon": "tenth", "subscription": "acme-1"})
    use(api, "1", "70")
    use(api, "2", "30")
    api.bill("2026-11-01T00:00:00Z")
    use(api, "3", "50")
    api.clock.set("2026-12-02T12:00:00+00:00")
    api.bill("2026-12-01T00:00:00Z")
    assert lines(api.invoices()[1]) == [("energy", "charge", "0.00"), ("energy", "difference", "45.00")]
    cancel(api, "2")
    api.bill("2026-12-01T00:00:00Z")

    assert in_all(api)["energy 2026-09-30"] == "108.00"
    assert api.invoices(type="credit_note")[0]["net"] == "27.00"
    check_books(api)


def test_a_coupon_of_units_is_for_the_charges_that_it_names_until_it_is_ended(api: Api) -> None:
    """15 sessions free each month: of 20 sessions 5 are billed, and the energy is not lowered. Ended, it lowers no
    more."""
    set_up(api, [ENERGY_AT_ONE, SESSIONS_AT_TEN], start="2026-10-01")
    api.put("/v1/coupons/fifteen", {"name": "Fifteen", "quantity": "15", "charges": ["sessions"]})
    applied = api.post("/v1/applied-coupons", {"coupon": "fifteen", "subscription": "acme-1"})
    for number in range(20):
        use(api, f"oct-{number}", "1")
        use(api, f"nov-{number}", "1", "2026-11-05T10:00:00Z")
    api.bill("2026-11-01T00:00:00Z")
    ended = api.post(f"/v1/applied-coupons/{applied['id']}/end", {})
    api.clock.set("2026-12-02T12:00:00+00:00")
    api.bill("2026-12-01T00:00:00Z")

    assert ended["status"] == "ended"
    assert [lines(invoice) for invoice in api.invoices()] == [
        [("energy", "charge", "20.00"), ("sessions", "charge", "50.00")],
        [("energy", "charge", "20.00"), ("sessions", "charge", "200.00")],
    ]
    check_books(api)
