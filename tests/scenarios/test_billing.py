"""From events to issued invoices, and what late and cancelled usage does to them: whole stories through HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from tests.service import ACME, OPERATOR, PER_UNIT, Api, event, set_up

GRADUATED = {
    "key": "energy", "meter": "energy", "allowance": "10", "minimum": "5.00",
    "model": {
        "type": "graduated",
        "tiers": [{"up_to": "100", "unit_price": "0.30"}, {"up_to": None, "unit_price": "0.25"}],
    },
}  # fmt: skip
ACCESS = {"key": "access", "model": {"type": "flat", "amount": "19.00"}, "timing": "advance"}

IN_ADVANCE = {"key": "access", "model": {"type": "flat", "amount": "30.00"}, "timing": "advance"}
SUBSCRIBED = {"tenant": "acme", "plan": "standard", "start": "2026-10-01"}


def use(api: Api, id: str, kwh: str, time: str) -> None:
    answer = api.post("/v1/events", [event(id, time=time, data={"kwh": kwh, "station": "12"})])
    assert answer["accepted"] == 1


def publish(api: Api, charges: list[Any], effective_at: str) -> None:
    """The plan's next version."""
    body = {"name": "Standard", "currency": "EUR", "interval": "month", "anchor": "calendar", "charges": charges}
    api.put("/v1/plans/standard", body)
    api.post("/v1/plans/standard/publish", {"effective_at": effective_at})


def test_a_month_of_use_becomes_a_numbered_invoice(api: Api) -> None:
    """130 kWh, 10 free: 100 x 0.30 + 20 x 0.25 = 35.00; access in advance 19.00 at the start and at the month's end."""
    set_up(api, [GRADUATED, ACCESS], start="2026-10-01")
    use(api, "1", "70", "2026-10-05T10:00:00Z")
    use(api, "2", "60", "2026-10-31T22:59:59Z")
    use(api, "3", "5", "2026-10-31T23:00:00Z")
    run = api.bill("2026-11-01T00:00:00Z")
    assert (run["periods_due"], run["closed"], run["failed"]) == (2, 2, 0)
    first, second = api.invoices()
    assert [first["number"], second["number"]] == ["2026-000001", "2026-000002"]
    assert [(line["charge"], line["amount"]) for line in first["lines"]] == [("access", "19.00")]
    assert [(line["charge"], line["quantity"], line["amount"]) for line in second["lines"]] == [
        ("energy", "130", "35.00"),
        ("access", "1", "19.00"),
    ]
    components = [
        (c["description"], c["quantity"], c["unit_price"], c["amount"]) for c in second["lines"][0]["components"]
    ]
    assert components == [("tier 1", "100", "0.30", "30.00"), ("tier 2", "20", "0.25", "5.00")]
    assert second["period"] == {"start": "2026-09-30T22:00:00Z", "end": "2026-10-31T23:00:00Z"}
    assert (second["net"], second["total"], second["due"], second["currency"]) == ("54.00", "54.00", "54.00", "EUR")
    assert second["tax"] == [{"category": "O", "rate": "0", "base": "54.00", "amount": "0.00"}]
    assert second["previous_hash"] == first["hash"]
    assert api.bill("2026-11-01T00:00:00Z")["periods_due"] == 0
    assert len(api.invoices()) == 2


def test_late_use_is_billed_on_the_next_invoice_with_the_tiers_of_its_own_month(api: Api) -> None:
    """October: 100 kWh at 0.30 = 30.00 (no allowance). 50 more come late: 30 + 12.50 is 42.50, 12.50 more."""
    charge = {**GRADUATED, "allowance": "0", "minimum": "0"}
    set_up(api, [charge], start="2026-09-01")
    use(api, "1", "100", "2026-09-10T10:00:00Z")
    api.bill("2026-10-01T00:00:00Z")
    use(api, "2", "50", "2026-09-20T10:00:00Z")
    use(api, "3", "10", "2026-10-20T10:00:00Z")
    api.bill("2026-11-01T00:00:00Z")
    second = api.invoices()[1]
    assert [(line["kind"], line["quantity"], line["amount"]) for line in second["lines"]] == [
        ("charge", "10", "3.00"),
        ("difference", "50", "12.50"),
    ]
    assert second["lines"][1]["period"]["start"] == "2026-08-31T22:00:00Z"
    assert api.bill("2026-11-01T00:00:00Z")["periods_due"] == 0
    assert len(api.invoices()) == 2


def test_cancelled_use_that_was_billed_is_credited_once(api: Api) -> None:
    """Of 100 kWh at 0.30, 40 are cancelled after issue: a credit note of 12.00 on the invoice of 30.00."""
    set_up(api, [PER_UNIT], start="2026-10-01")
    use(api, "1", "60", "2026-10-05T10:00:00Z")
    use(api, "2", "40", "2026-10-06T10:00:00Z")
    api.bill("2026-11-01T00:00:00Z")
    api.post("/v1/events/cancellations", {"tenant": "acme", "source": "/chargers/12", "id": "2", "reason": "fault"})
    for _ in range(2):
        api.bill("2026-11-01T00:00:00Z")
    invoice, note = api.invoices()
    assert (note["type"], note["number"], note["total"]) == ("credit_note", "2026-000002", "12.00")
    assert note["references"][0]["number"] == invoice["number"]
    assert note["lines"][0]["reopens_usage"] is True
    assert (invoice["credited"], invoice["due"]) == ("12.00", "18.00")


def test_a_difference_is_credited_to_the_documents_that_billed_it_latest_first(api: Api) -> None:
    """September bills 50.00, October adds 10.00 late; then 20.00 is cancelled: 10.00 off the second, 10.00 off the
    first."""
    price = {**PER_UNIT, "model": {"type": "per_unit", "unit_price": "1"}}
    set_up(api, [price], start="2026-09-01")
    use(api, "1", "30", "2026-09-05T10:00:00Z")
    use(api, "2", "20", "2026-09-06T10:00:00Z")
    api.bill("2026-10-01T00:00:00Z")
    use(api, "3", "10", "2026-09-07T10:00:00Z")
    api.bill("2026-11-01T00:00:00Z")
    api.post("/v1/events/cancellations", {"tenant": "acme", "source": "/chargers/12", "id": "2", "reason": "fault"})
    api.bill("2026-11-01T00:00:00Z")
    notes = {note["references"][0]["number"]: note["total"] for note in api.invoices(type="credit_note")}
    assert notes == {"2026-000001": "10.00", "2026-000002": "10.00"}
    use(api, "4", "5", "2026-09-08T10:00:00Z")
    api.clock.set("2026-12-02T00:00:00+00:00")
    api.bill("2026-12-01T00:00:00Z")
    lines = api.invoices(period_start="2026-10-31T23:00:00Z")[0]["lines"]
    assert [(line["kind"], line["amount"]) for line in lines] == [("charge", "0.00"), ("difference", "5.00")]


def test_each_stretch_of_a_plan_version_is_rated_alone(api: Api) -> None:
    """Kill Bill's case: 100 kWh before 8 May at 1.50 and 100 after at 2.50 make two lines, 150.00 and 250.00."""
    set_up(api, [{**PER_UNIT, "model": {"type": "per_unit", "unit_price": "1.50"}}], start="2026-05-01")
    body = {"name": "Standard", "currency": "EUR", "interval": "month", "anchor": "calendar"}
    dearer = {**PER_UNIT, "model": {"type": "per_unit", "unit_price": "2.50"}}
    api.put("/v1/plans/standard", body | {"charges": [dearer]})
    api.post("/v1/plans/standard/publish", {"effective_at": "2026-05-08T00:00:00+02:00"})
    use(api, "1", "100", "2026-05-02T10:00:00Z")
    use(api, "2", "100", "2026-05-10T10:00:00Z")
    api.bill("2026-06-01T00:00:00Z")
    assert [line["amount"] for line in api.invoices()[0]["lines"]] == ["150.00", "250.00"]


def test_a_part_month_pays_its_share_by_local_days(api: Api) -> None:
    """From 16 October, 16 of 31 days: 31.00 becomes 16.00; ended on 11 November, 10 of 30 days: 10.33."""
    flat = {"key": "base", "model": {"type": "flat", "amount": "31.00"}}
    set_up(api, [flat], start="2026-10-16")
    subscription = {"tenant": "acme", "plan": "standard", "start": "2026-10-16", "end": "2026-11-11"}
    api.put("/v1/subscriptions/acme-1", subscription)
    run = api.bill("2026-11-23T00:00:00Z")
    assert run["periods_due"] == 2
    assert [invoice["net"] for invoice in api.invoices()] == ["16.00", "10.33"]


def test_an_end_inside_a_period_paid_in_advance_gives_back_the_rest(api: Api) -> None:
    """November's 30.00 was billed in advance; the subscription ends on 16 November: 15.00 is credited."""
    access = {"key": "access", "model": {"type": "flat", "amount": "30.00"}, "timing": "advance"}
    set_up(api, [access], start="2026-11-01")
    api.bill("2026-11-02T00:00:00Z")
    subscription = {"tenant": "acme", "plan": "standard", "start": "2026-11-01", "end": "2026-11-16"}
    api.put("/v1/subscriptions/acme-1", subscription)
    api.bill("2026-11-20T00:00:00Z")
    assert [(one["type"], one["total"]) for one in api.invoices()] == [("invoice", "30.00"), ("credit_note", "15.00")]


def test_an_end_where_the_period_paid_in_advance_begins_gives_all_of_it_back(api: Api) -> None:
    """November's 30.00 was billed on its first day, and the subscription ends on that day: 30.00 is credited."""
    set_up(api, [IN_ADVANCE], start="2026-10-01")
    api.bill("2026-11-02T00:00:00Z")
    api.put("/v1/subscriptions/acme-1", SUBSCRIBED | {"end": "2026-11-01"})
    for _ in range(2):
        api.bill("2026-11-20T00:00:00Z")
    assert [(one["type"], one["total"]) for one in api.invoices()] == [
        ("invoice", "30.00"),
        ("invoice", "30.00"),
        ("credit_note", "30.00"),
    ]


def test_an_end_before_a_stretch_paid_in_advance_gives_all_of_that_stretch_back(api: Api) -> None:
    """November was billed as 9.00 by version 1 and 21.00 by version 2 from the 10th. It ends on the 5th: 5.00 of the
    first stretch and all of the second are credited."""
    set_up(api, [IN_ADVANCE], start="2026-11-01")
    publish(api, [IN_ADVANCE | {"description": "Access"}], "2026-11-10T00:00:00+01:00")
    api.bill("2026-11-02T00:00:00Z")
    api.put("/v1/subscriptions/acme-1", SUBSCRIBED | {"start": "2026-11-01", "end": "2026-11-05"})
    api.bill("2026-11-20T00:00:00Z")
    invoice, note = api.invoices()
    assert [line["amount"] for line in invoice["lines"]] == ["9.00", "21.00"]
    assert [line["amount"] for line in note["lines"]] == ["5.00", "21.00"]


def test_an_end_taken_back_is_billed_for_the_days_that_it_adds(api: Api) -> None:
    """15.00 were billed in advance up to 16 November, then the end is taken away: 15.00 more for the rest of it."""
    set_up(api, [IN_ADVANCE], start="2026-11-01")
    subscription = SUBSCRIBED | {"start": "2026-11-01"}
    api.put("/v1/subscriptions/acme-1", subscription | {"end": "2026-11-16"})
    api.bill("2026-11-02T00:00:00Z")
    api.put("/v1/subscriptions/acme-1", subscription)
    api.clock.set("2026-12-05T00:00:00+00:00")
    api.bill("2026-12-01T00:00:00Z", issue=False)
    api.bill("2026-12-01T00:00:00Z")
    assert [[line["amount"] for line in one["lines"]] for one in api.invoices()] == [["15.00"], ["15.00", "30.00"]]


@pytest.mark.parametrize("time_zone", ["Asia/Tokyo", "America/St_Johns"])
def test_what_is_paid_in_advance_stays_paid_until_then_in_another_zone(api: Api, time_zone: str) -> None:
    """November is paid up to midnight in Paris. December begins there, though the tenant moves and the end is set."""
    set_up(api, [IN_ADVANCE], start="2026-11-01")
    api.bill("2026-11-02T00:00:00Z")
    api.put("/v1/tenants/acme", ACME | {"time_zone": time_zone})
    api.put("/v1/subscriptions/acme-1", SUBSCRIBED | {"start": "2026-11-01", "end": "2027-03-01"})
    api.clock.set("2026-12-05T00:00:00+00:00")
    api.bill("2026-12-02T00:00:00Z")
    first, second = api.invoices()
    assert [line["period"]["start"] for line in second["lines"]] == [first["lines"][0]["period"]["end"]]
    assert (first["net"], second["net"]) == ("30.00", "30.00")


def test_a_charge_in_advance_that_begins_inside_a_period_is_billed_at_its_end(api: Api) -> None:
    """Version 2 charges 30.00 in advance from 15 November: 16 of 30 days are 16.00, due with December's 30.00."""
    set_up(api, [PER_UNIT], start="2026-10-01")
    api.bill("2026-11-01T00:00:00Z")
    publish(api, [PER_UNIT, IN_ADVANCE], "2026-11-15T00:00:00+01:00")
    api.clock.set("2026-12-05T00:00:00+00:00")
    api.bill("2026-12-01T00:00:00Z")
    lines = api.invoices()[1]["lines"]
    assert [line["amount"] for line in lines if line["charge"] == "access"] == ["16.00", "30.00"]


def test_what_was_paid_in_advance_is_not_due_again_in_arrears(api: Api) -> None:
    """November was billed in advance by version 1; pinned to version 2, which charges in arrears, it is not again."""
    set_up(api, [IN_ADVANCE], start="2026-11-01")
    publish(api, [IN_ADVANCE | {"timing": "arrears"}], "2026-11-02T00:00:00+01:00")
    subscription = SUBSCRIBED | {"start": "2026-11-01"}
    api.put("/v1/subscriptions/acme-1", subscription | {"version": 1})
    api.bill("2026-11-01T00:00:00Z")
    api.put("/v1/subscriptions/acme-1", subscription | {"version": 2})
    api.clock.set("2027-01-05T00:00:00+00:00")
    api.bill("2027-01-01T00:00:00Z")
    starts = [line["period"]["start"] for one in api.invoices() for line in one["lines"]]
    assert starts == ["2026-10-31T23:00:00Z", "2026-11-30T23:00:00Z"]


def test_the_seller_of_an_invoice_credits_it_also_when_it_is_the_operator_no_more(api: Api) -> None:
    set_up(api, [PER_UNIT], start="2026-10-01")
    use(api, "1", "10", "2026-10-05T10:00:00Z")
    api.bill("2026-11-01T00:00:00Z")
    api.put("/v1/tenants/garage", OPERATOR | {"operator": False})
    api.put("/v1/tenants/successor", OPERATOR)
    api.post("/v1/events/cancellations", {"tenant": "acme", "source": "/chargers/12", "id": "1", "reason": "fault"})
    api.bill("2026-11-01T00:00:00Z")
    invoice, note = api.invoices()
    assert [(one["seller"], one["number"]) for one in (invoice, note)] == [
        ("garage", "2026-000001"),
        ("garage", "2026-000002"),
    ]


def test_the_credit_note_that_was_asked_for_is_the_one_that_comes_back(api: Api) -> None:
    set_up(api, [PER_UNIT], start="2026-09-01")
    use(api, "1", "30", "2026-09-05T10:00:00Z")
    use(api, "2", "10", "2026-10-05T10:00:00Z")
    api.bill("2026-11-01T00:00:00Z")
    for id in ("1", "2"):
        api.post("/v1/events/cancellations", {"tenant": "acme", "source": "/chargers/12", "id": id, "reason": "fault"})
    api.bill("2026-11-01T00:00:00Z", issue=False)
    second = api.invoices(status="draft")[1]
    issued = api.post(f"/v1/invoices/{second['id']}/issue", {})
    assert (issued["references"], issued["total"]) == (second["references"], "3.00")


def test_vat_is_computed_per_group(api: Api) -> None:
    """Three charges of 0.33 at 20 %: base 0.99, VAT 0.20, not 3 x 0.07."""
    flats = [{"key": f"f{n}", "model": {"type": "flat", "amount": "0.33"}, "tax": "standard"} for n in range(3)]
    api.put("/v1/tax-rates/standard", {"category": "S", "rate": "20", "country": "FR", "start": "2014-01-01"})
    set_up(api, flats, start="2026-10-01")
    api.bill("2026-11-01T00:00:00Z")
    invoice = api.invoices()[0]
    assert invoice["tax"] == [{"category": "S", "rate": "20", "base": "0.99", "amount": "0.20"}]
    assert (invoice["net"], invoice["total"]) == ("0.99", "1.19")


def test_drafts_are_recomputed_until_issue(api: Api) -> None:
    set_up(api, [PER_UNIT], start="2026-10-01")
    use(api, "1", "10", "2026-10-05T10:00:00Z")
    api.bill("2026-11-01T00:00:00Z", issue=False)
    use(api, "2", "10", "2026-10-06T10:00:00Z")
    draft = api.invoices()[0]
    assert (draft["status"], draft["number"], draft["net"]) == ("draft", None, "3.00")
    issued = api.post(f"/v1/invoices/{draft['id']}/issue", {})
    assert (issued["status"], issued["number"], issued["net"]) == ("issued", "2026-000001", "6.00")
    assert api.call("POST", f"/v1/invoices/{issued['id']}/issue", {}).status_code == 409
    assert api.call("POST", f"/v1/invoices/{issued['id']}/discard", {}).status_code == 409
    assert len(api.invoices()) == 1


def test_a_draft_keeps_its_id_when_it_is_computed_anew(api: Api) -> None:
    """Invoice and credit note alike, through a second run and the issue."""
    set_up(api, [PER_UNIT], start="2026-09-01")
    use(api, "1", "10", "2026-09-05T10:00:00Z")
    api.bill("2026-10-01T00:00:00Z")
    use(api, "2", "10", "2026-10-05T10:00:00Z")
    cancelled = {"tenant": "acme", "source": "/chargers/12", "id": "1", "reason": "fault"}
    api.post("/v1/events/cancellations", cancelled)
    api.bill("2026-11-01T00:00:00Z", issue=False)
    ids = {one["type"]: one["id"] for one in api.invoices(status="draft")}
    use(api, "3", "10", "2026-10-06T10:00:00Z")
    api.bill("2026-11-01T00:00:00Z", issue=False)
    assert {one["type"]: one["id"] for one in api.invoices(status="draft")} == ids
    assert api.get(f"/v1/invoices/{ids['invoice']}")["net"] == "6.00"
    assert api.post(f"/v1/invoices/{ids['invoice']}/issue", {})["id"] == ids["invoice"]
    assert api.get(f"/v1/invoices/{ids['credit_note']}")["status"] == "issued"


@pytest.mark.parametrize("name", ["tenants", "sellers", "plans"])
def test_a_run_for_somebody_unknown_is_refused_by_name(api: Api, name: str) -> None:
    set_up(api, [PER_UNIT])
    known = {"tenants": "acme", "sellers": "garage", "plans": "standard"}[name]
    body = {"through": "2026-10-01T00:00:00Z", name: [known, "nobody"]}
    answer = api.call("POST", "/v1/billing-runs", body)
    assert answer.status_code == 422
    assert [item["pointer"] for item in answer.json()["errors"]] == [f"#/{name}/1"]


def test_a_run_through_the_future_names_the_field(api: Api) -> None:
    answer = api.call("POST", "/v1/billing-runs", {"through": "2027-01-01T00:00:00Z"})
    assert answer.status_code == 422
    assert [item["pointer"] for item in answer.json()["errors"]] == ["#/through"]


def test_a_discarded_draft_leaves_its_period_open(api: Api) -> None:
    set_up(api, [PER_UNIT], start="2026-10-01")
    api.bill("2026-11-01T00:00:00Z", issue=False)
    draft = api.invoices()[0]
    assert api.call("POST", f"/v1/invoices/{draft['id']}/discard", {}).status_code == 204
    assert api.invoices() == []
    assert api.bill("2026-11-01T00:00:00Z")["closed"] == 1


def test_usage_without_a_price_is_listed_as_unpriced(api: Api) -> None:
    set_up(api, [{"key": "base", "model": {"type": "flat", "amount": "1"}}], start="2026-10-01")
    use(api, "1", "4", "2026-10-05T10:00:00Z")
    run = api.bill("2026-11-01T00:00:00Z")
    assert {(entry["tenant"], entry["meter"], entry["quantity"]) for entry in run["unpriced"]} == {
        ("acme", "energy", "4"),
        ("acme", "sessions", "1"),
    }


def test_a_line_explains_itself_down_to_its_events(api: Api) -> None:
    set_up(api, [GRADUATED], start="2026-10-01")
    use(api, "1", "70", "2026-10-05T10:00:00Z")
    use(api, "2", "60", "2026-10-06T10:00:00Z")
    api.bill("2026-11-01T00:00:00Z")
    invoice = api.invoices()[0]
    path = f"/v1/invoices/{invoice['id']}/lines/{invoice['lines'][0]['id']}"
    explanation = api.get(f"{path}/explanation")
    assert (explanation["usage"]["quantity"], explanation["rated"], explanation["holds"]) == ("130", "35.00", True)
    events = api.get(f"{path}/events")
    assert ([row["id"] for row in events["data"]], events["verified"]) == (["1", "2"], True)


def test_the_preview_is_the_invoice_that_would_come(api: Api) -> None:
    set_up(api, [GRADUATED, ACCESS], start="2026-11-01")
    use(api, "1", "130", "2026-11-05T10:00:00Z")
    preview = api.get("/v1/tenants/acme/preview")
    assert [(line["charge"], line["amount"]) for line in preview["lines"]] == [("energy", "35.00"), ("access", "19.00")]
    assert api.invoices() == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"through": "2030-01-01T00:00:00Z"}, 422),
        ({"through": "soon"}, 422),
        ({}, 422),
        ({"through": "2026-11-01T00:00:00Z", "issue": "yes"}, 422),
        ({"through": "2026-11-01T00:00:00Z", "isue": True}, 422),
        ([], 422),
    ],
)
def test_a_run_that_cannot_be_is_refused(api: Api, body: Any, status: int) -> None:
    answer = api.call("POST", "/v1/billing-runs", body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_seller_with_a_vat_number_and_no_rate_is_told_so(api: Api) -> None:
    """Nothing is issued without VAT by mistake: the period fails with what to do, and is closed once that is done."""
    set_up(api, [PER_UNIT], start="2026-10-01")
    address = {"line1": "1 rue A", "postcode": "75001", "city": "Paris", "country": "FR"}
    seller = {
        "name": "Garage", "currency": "EUR", "time_zone": "Europe/Paris", "language": "en", "operator": True,
        "legal": {"name": "Garage SA", "vat_number": "FR40303265045", "address": address},
    }  # fmt: skip
    api.put("/v1/tenants/garage", seller)
    run = api.bill("2026-11-01T00:00:00Z")
    assert (run["closed"], run["failed"]) == (0, 1)
    assert "tax rate" in run["failures"][0]["detail"]
    api.put("/v1/tax-rates/standard", {"category": "S", "rate": "20", "country": "FR", "start": "2014-01-01"})
    assert api.bill("2026-11-01T00:00:00Z")["closed"] == 1
    assert api.invoices()[0]["parties"]["seller"]["vat_number"] == "FR40303265045"


def test_files_of_an_issued_invoice_stay_the_same(api: Api) -> None:
    set_up(api, [GRADUATED], start="2026-10-01")
    api.bill("2026-11-01T00:00:00Z")
    id = api.invoices()[0]["id"]
    for format, media_type in (("pdf", "application/pdf"), ("csv", "text/csv; charset=utf-8")):
        answers = [api.call("GET", f"/v1/invoices/{id}.{format}") for _ in range(2)]
        assert answers[0].content == answers[1].content
        assert answers[0].headers["content-type"] == media_type
    assert api.call("GET", f"/v1/invoices/{id}.docx").status_code == 404
