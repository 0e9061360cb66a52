"""Payment terms: from the buyer's or the seller's profile to the due date, and past it."""

from __future__ import annotations

from typing import Any

from tests.service import ACME, OPERATOR, PER_UNIT, Api, event, set_up

ADDRESS = {"line1": "1 rue de la Paix", "postcode": "75002", "city": "Paris", "country": "FR"}
RATE = {"category": "S", "rate": "20", "country": "FR", "start": "2014-01-01"}
WORK = {"description": "Work", "quantity": "1", "unit_price": "80.00", "tax": "standard"}


def legal(**terms: Any) -> Any:
    return {"name": "A company", "address": ADDRESS} | ({"payment_terms": terms} if terms else {})


def test_an_invoice_is_due_by_the_buyers_terms_before_the_sellers_and_within_the_law(api: Api) -> None:
    """Issued on 23 November. The seller's 45 days end of month are 31 January, but use is billed by a periodic invoice,
    due after 45 days at the latest: 7 January. The buyer's own 10 days are 3 December."""
    api.put("/v1/tax-rates/standard", RATE)
    set_up(api, [PER_UNIT | {"tax": "standard"}], start="2026-10-01")
    api.put("/v1/tenants/garage", OPERATOR | {"legal": legal(days=45, end_of_month=True)})
    api.post("/v1/events", [event("1")])
    api.bill("2026-11-01T00:00:00Z")
    written = api.post("/v1/invoices", {"buyer": "acme", "lines": [WORK], "issue": True})
    assert [one["due_date"] for one in api.invoices()] == ["2027-01-07", "2027-01-31"]
    assert written["overdue"] is False
    api.put("/v1/tenants/acme", ACME | {"legal": legal(days=10)})
    own = api.post("/v1/invoices", {"buyer": "acme", "lines": [WORK], "issue": True})
    assert own["due_date"] == "2026-12-03"
    api.clock.set("2026-12-04T12:00:00+00:00")
    assert [one["overdue"] for one in api.invoices()] == [False, False, True]


def test_terms_and_due_dates_beyond_the_law_of_the_sellers_country_are_refused(api: Api) -> None:
    api.put("/v1/tax-rates/standard", RATE)
    set_up(api)
    api.put("/v1/tenants/garage", OPERATOR | {"legal": legal(days=60)})
    for body, key in ((OPERATOR | {"legal": legal(days=61)}, "garage"), (ACME | {"legal": legal(days=90)}, "acme"),
                      (OPERATOR | {"legal": legal(days=46, end_of_month=True)}, "garage")):  # fmt: skip
        answer = api.call("PUT", f"/v1/tenants/{key}", body)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/legal/payment_terms/days")
    for day in ("2026-11-22", "2027-02-01"):
        answer = api.call("POST", "/v1/invoices", {"buyer": "acme", "lines": [WORK], "due_date": day})
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/due_date"), answer.text
    assert api.post("/v1/invoices", {"buyer": "acme", "lines": [WORK], "due_date": "2027-01-31"})["status"] == "draft"
