"""Use that is late, cancelled or amended after its period was issued: what is billed, what is credited, what is listed.

With OpenMeter's cases of `periodpreserving/engine_test`. Its volume tiers count across periods in one of them (total 16
reached in P2: -150 on P1, +80 on P2); here every billing period has a total of its own, so only the late unit applies.
"""

from __future__ import annotations

from typing import Any

import pytest

from app.operations.audit_books import audit_books
from tests.service import OPERATOR, Api, event, set_up

TEN = {"key": "energy", "meter": "energy", "model": {"type": "per_unit", "unit_price": "10"}}
VOLUME = {"key": "energy", "meter": "energy", "model": {"type": "volume", "tiers": [
    {"up_to": "15", "unit_price": "10"}, {"up_to": None, "unit_price": "5"}]}}  # fmt: skip
SUBSCRIBED = {"tenant": "acme", "plan": "standard", "start": "2026-06-01"}


def use(api: Api, id: str, kwh: str, time: str) -> None:
    assert api.post("/v1/events", [event(id, time=time, data={"kwh": kwh, "station": "12"})])["accepted"] == 1


def cancel(api: Api, id: str) -> None:
    wish = {"tenant": "acme", "source": "/chargers/12", "id": id, "reason": "fault"}
    api.post("/v1/events/cancellations", wish)


def bill(api: Api, through: str, **rest: Any) -> Any:
    api.clock.set("2027-06-01T00:00:00+00:00")
    run = api.bill(f"{through}T00:00:00Z", **rest)
    assert run["failures"] == []
    return run


def issued(api: Api) -> list[Any]:
    return sorted(api.invoices(status="issued"), key=lambda one: str(one["number"]))


def lines(document: Any) -> list[tuple[str, str, str]]:
    """(kind, month that the line belongs to, amount)."""
    return [(line["kind"], line["period"]["end"][:7], line["amount"]) for line in document["lines"]]


def late(api: Api) -> list[tuple[str, str, str]]:
    """(amount billed, difference, status) of what is used otherwise than billed."""
    found = api.get("/v1/subscriptions/acme-1/late-usage")["data"]
    return [(item["amount_billed"], item["difference"], item["status"]) for item in found]


def audit(api: Api) -> Any:
    database = api.client.app.state.database  # type: ignore[attr-defined]
    return audit_books(database, now=api.clock())


@pytest.fixture(autouse=True)
def clean_books(api: Api) -> Any:
    """Whatever a story does, the audit finds nothing at its end."""
    yield
    assert audit(api).differences == []


# --- golden cases -----------------------------------------------------------------------------------------------------


def test_openmeter_periodpreserving_engine_test_a_late_unit_in_the_first_period(api: Api) -> None:
    """At 10: P1 3 units, 30; P2 2 units, 20; then 1 late in P1 and 3 in P3: 10 tagged P1 and 30 tagged P3 make 40."""
    set_up(api, [TEN], start="2026-06-01")
    use(api, "1", "3", "2026-06-10T10:00:00Z")
    use(api, "2", "2", "2026-07-10T10:00:00Z")
    bill(api, "2026-08-01")
    use(api, "3", "1", "2026-06-11T10:00:00Z")
    use(api, "4", "3", "2026-08-10T10:00:00Z")
    bill(api, "2026-09-01")
    assert [one["net"] for one in issued(api)] == ["30.00", "20.00", "40.00"]
    assert lines(issued(api)[2]) == [("charge", "2026-08", "30.00"), ("difference", "2026-06", "10.00")]


def test_openmeter_periodpreserving_engine_test_a_late_unit_that_makes_volume_cheaper(api: Api) -> None:
    """15 units at 10 are 150; the 16th of the same period makes all of them 5 each, 80: 70 come back on it. Both the
    new price and the old one negated stand on the line, and its period is P1."""
    set_up(api, [VOLUME], start="2026-06-01")
    use(api, "1", "15", "2026-06-10T10:00:00Z")
    bill(api, "2026-07-01")
    use(api, "2", "1", "2026-06-11T10:00:00Z")
    bill(api, "2026-07-01")
    invoice, note = issued(api)
    assert (invoice["net"], note["type"], note["net"]) == ("150.00", "credit_note", "70.00")
    assert lines(note) == [("credit", "2026-06", "70.00")]
    assert [(part["quantity"], part["amount"]) for part in note["lines"][0]["components"]] == [
        ("15", "150.00"),
        ("-16", "-80.00"),
    ]


# --- any number of corrections ----------------------------------------------------------------------------------------


def test_late_cancelled_and_amended_use_of_several_months_with_tiers_and_minimum(api: Api) -> None:
    """Tiers 100 at 0.30, then 0.25, at least 20.00. June: 50 (20.00 by the minimum), then 130 late in all (37.50),
    then 120 (35.00). July: 200 (55.00), then 60 (20.00 by the minimum). What is billed in all is what it costs."""
    charge = {"key": "energy", "meter": "energy", "minimum": "20.00", "model": {"type": "graduated", "tiers": [
        {"up_to": "100", "unit_price": "0.30"}, {"up_to": None, "unit_price": "0.25"}]}}  # fmt: skip
    set_up(api, [charge], start="2026-06-01")
    use(api, "j1", "50", "2026-06-10T10:00:00Z")
    use(api, "k1", "200", "2026-07-10T10:00:00Z")
    bill(api, "2026-08-01")
    use(api, "j2", "80", "2026-06-12T10:00:00Z")
    cancel(api, "k1")
    use(api, "k2", "60", "2026-07-11T10:00:00Z")
    bill(api, "2026-09-01")
    replacement = event("j3", time="2026-06-12T10:00:00Z", data={"kwh": "70", "station": "12"})
    wish = {"tenant": "acme", "source": "/chargers/12", "id": "j2", "reason": "wrong", "replacement": replacement}
    api.post("/v1/events/cancellations", wish)
    bill(api, "2026-09-01")
    found = [(one["type"], lines(one)) for one in issued(api)]
    assert found == [
        ("invoice", [("charge", "2026-06", "20.00")]),
        ("invoice", [("charge", "2026-07", "55.00")]),
        ("invoice", [("charge", "2026-08", "20.00"), ("difference", "2026-06", "17.50")]),
        ("credit_note", [("credit", "2026-07", "35.00")]),
        ("credit_note", [("credit", "2026-06", "2.50")]),
    ]
    assert found[4][0] == "credit_note" and issued(api)[4]["references"][0]["number"] == issued(api)[2]["number"]
    assert (late(api), audit(api).unbilled) == ([], [])


def test_late_use_keeps_price_tax_and_rounding_of_its_period(api: Api) -> None:
    """June at 0.30 and 20 %; from July on at 1.00 and 10 %: 10 kWh late for June are 3.00 at 20 %."""
    for key, rate in (("high", "20"), ("low", "10")):
        api.put(f"/v1/tax-rates/{key}", {"category": "S", "rate": rate, "country": "FR", "start": "2014-01-01"})
    old = {"key": "energy", "meter": "energy", "tax": "high", "model": {"type": "per_unit", "unit_price": "0.30"}}
    set_up(api, [old], start="2026-06-01")
    bill(api, "2026-07-01")
    new = old | {"tax": "low", "model": {"type": "per_unit", "unit_price": "1.00"}}
    api.put("/v1/plans/standard", {"name": "S", "currency": "EUR", "interval": "month", "charges": [new]})
    api.post("/v1/plans/standard/publish", {"effective_at": "2026-07-01T00:00:00+02:00"})
    use(api, "1", "10", "2026-06-10T10:00:00Z")
    use(api, "2", "10", "2026-07-10T10:00:00Z")
    bill(api, "2026-08-01")
    assert issued(api)[1]["tax"] == [
        {"category": "S", "rate": "10", "base": "10.00", "amount": "1.00"},
        {"category": "S", "rate": "20", "base": "3.00", "amount": "0.60"},
    ]


def test_of_several_open_drafts_the_first_has_the_late_use(api: Api) -> None:
    set_up(api, [TEN], start="2026-06-01")
    use(api, "1", "5", "2026-06-10T10:00:00Z")
    bill(api, "2026-07-01")
    use(api, "2", "1", "2026-06-11T10:00:00Z")
    bill(api, "2026-09-01", issue=False)
    july, august = api.invoices(status="draft")
    assert (july["net"], august["net"]) == ("10.00", "0.00")
    assert api.call("POST", f"/v1/invoices/{august['id']}/issue", {}).status_code == 409
    assert api.post(f"/v1/invoices/{july['id']}/issue", {})["net"] == "10.00"
    assert api.post(f"/v1/invoices/{august['id']}/issue", {})["net"] == "0.00"


# --- policy and horizon -----------------------------------------------------------------------------------------------


def test_what_is_only_reported_is_listed_and_not_billed(api: Api) -> None:
    """June 30.00; 2 kWh late and, of July, 4 of 5 cancelled: listed by the run, the audit and the subscription."""
    set_up(api, [TEN], start="2026-06-01")
    shown = api.put("/v1/subscriptions/acme-1", SUBSCRIBED | {"late_usage": {"policy": "report_only"}})
    assert shown["late_usage"] == {"policy": "report_only", "horizon_days": None}
    use(api, "1", "3", "2026-06-10T10:00:00Z")
    use(api, "2", "4", "2026-07-10T10:00:00Z")
    use(api, "3", "1", "2026-07-11T10:00:00Z")
    bill(api, "2026-08-01")
    use(api, "4", "2", "2026-06-11T10:00:00Z")
    cancel(api, "2")
    run = bill(api, "2026-09-01")
    assert [lines(one) for one in issued(api)][2:] == [[("charge", "2026-08", "0.00")]]
    expected = [("30.00", "20.00", "report_only"), ("50.00", "-40.00", "report_only")]
    assert late(api) == expected
    assert [(item["amount_billed"], item["difference"], item["status"]) for item in run["unbilled"]] == expected
    assert audit(api).unbilled == run["unbilled"]
    entry = run["unbilled"][0]
    assert (entry["quantity_billed"], entry["quantity"], entry["amount"]) == ("3", "5", "50.00")
    page = api.get("/v1/subscriptions/acme-1/late-usage", limit=1)
    assert [item["difference"] for item in page["data"]] == ["20.00"]
    rest = api.get("/v1/subscriptions/acme-1/late-usage", limit=1, cursor=page["next_cursor"])
    assert [[item["difference"] for item in rest["data"]], rest["next_cursor"]] == [["-40.00"], None]
    api.put("/v1/subscriptions/acme-1", SUBSCRIBED)
    assert [status for *_, status in late(api)] == ["pending", "pending"]
    bill(api, "2026-10-01")
    assert lines(issued(api)[3]) == [("charge", "2026-09", "0.00"), ("difference", "2026-06", "20.00")]
    assert (issued(api)[4]["type"], issued(api)[4]["net"], late(api)) == ("credit_note", "40.00", [])


def test_late_use_beyond_the_horizon_is_listed_and_not_billed(api: Api) -> None:
    """45 days back: on 1 August what ended on 1 July is billed, on 1 September it is not."""
    set_up(api, [TEN], start="2026-06-01")
    api.put("/v1/subscriptions/acme-1", SUBSCRIBED | {"late_usage": {"horizon_days": 45}})
    bill(api, "2026-07-01")
    use(api, "1", "1", "2026-06-10T10:00:00Z")
    bill(api, "2026-08-01")
    use(api, "2", "2", "2026-06-11T10:00:00Z")
    use(api, "3", "3", "2026-07-11T10:00:00Z")
    run = bill(api, "2026-09-01")
    assert [lines(one) for one in issued(api)][1:] == [
        [("charge", "2026-07", "0.00"), ("difference", "2026-06", "10.00")],
        [("charge", "2026-08", "0.00"), ("difference", "2026-07", "30.00")],
    ]
    assert late(api) == [("10.00", "20.00", "beyond_horizon")]
    assert [item["difference"] for item in run["unbilled"]] == ["20.00"]


def test_a_stretch_that_was_cut_is_no_late_use(api: Api) -> None:
    """What was paid in advance comes back when the subscription ends, whatever it says of late use."""
    flat = {"key": "access", "model": {"type": "flat", "amount": "30.00"}, "timing": "advance"}
    set_up(api, [flat], start="2026-06-01")
    own = SUBSCRIBED | {"late_usage": {"policy": "report_only", "horizon_days": 0}}
    api.put("/v1/subscriptions/acme-1", own)
    bill(api, "2026-06-01")
    api.put("/v1/subscriptions/acme-1", own | {"end": "2026-06-16"})
    bill(api, "2026-09-01")
    assert [(one["type"], one["net"]) for one in issued(api)] == [("invoice", "30.00"), ("credit_note", "15.00")]


@pytest.mark.parametrize(
    ("wish", "pointer"),
    [({"policy": "ignore"}, "policy"), ({"horizon_days": -1}, "horizon_days"), ({"days": 3}, "days")],
)
def test_a_word_on_late_use_that_is_none_is_refused_by_name(api: Api, wish: Any, pointer: str) -> None:
    set_up(api, [TEN], start="2026-06-01")
    answer = api.call("PUT", "/v1/subscriptions/acme-1", SUBSCRIBED | {"late_usage": wish})
    assert [item["pointer"] for item in answer.json()["errors"]] == [f"#/late_usage/{pointer}"]


# --- more owed to the buyer than by it --------------------------------------------------------------------------------


def test_a_period_that_comes_to_less_than_nothing_is_a_credit_note(api: Api) -> None:
    """5 kWh fed in and 2 used, at 10: 30.00 are owed to the buyer, on a credit note that cites no invoice. 1 kWh more
    of use comes late: 10.00 on the next invoice. 4 more fed in: no invoice has billed June, so they are a negative
    difference on the next document; with August's 10 kWh that is 60.00."""
    set_up(api, [TEN], start="2026-06-01")
    use(api, "1", "-5", "2026-06-10T10:00:00Z")
    use(api, "2", "2", "2026-06-11T10:00:00Z")
    bill(api, "2026-07-01", issue=False)
    draft = api.invoices(status="draft")[0]
    assert (draft["type"], draft["net"]) == ("credit_note", "30.00")
    note = api.post(f"/v1/invoices/{draft['id']}/issue", {})
    assert (note["type"], note["number"], note["net"], note["total"]) == (
        "credit_note",
        "2027-000001",
        "30.00",
        "30.00",
    )
    assert (note["references"], note["due"]) == ([], "0.00")
    assert [(line["quantity"], line["amount"]) for line in note["lines"]] == [("3", "30.00")]
    use(api, "3", "1", "2026-06-12T10:00:00Z")
    bill(api, "2026-08-01")
    assert lines(issued(api)[1]) == [("charge", "2026-07", "0.00"), ("difference", "2026-06", "10.00")]
    cancel(api, "3")
    use(api, "4", "-4", "2026-06-12T10:00:00Z")
    use(api, "5", "10", "2026-08-12T10:00:00Z")
    bill(api, "2026-09-01")
    kinds = [(one["type"], one["net"]) for one in issued(api)[2:]]
    assert kinds == [("invoice", "100.00"), ("credit_note", "50.00")]


def test_negative_use_lowers_an_invoice_that_stays_positive(api: Api) -> None:
    base = {"key": "base", "model": {"type": "flat", "amount": "100.00"}}
    set_up(api, [TEN, base], start="2026-06-01")
    use(api, "1", "-5", "2026-06-10T10:00:00Z")
    bill(api, "2026-07-01")
    assert [(one["type"], one["net"]) for one in issued(api)] == [("invoice", "50.00")]


# --- charges that take another form -----------------------------------------------------------------------------------


def test_a_charge_paid_in_advance_and_metered_after_a_pin_stays_two_things(api: Api) -> None:
    """June's 30.00 was paid in advance by version 1; pinned to version 2, whose charge of that key is metered, June's
    3 kWh are 30.00 more, and neither corrects the other."""
    flat = {"key": "energy", "model": {"type": "flat", "amount": "30.00"}, "timing": "advance"}
    set_up(api, [flat], start="2026-06-01")
    api.put("/v1/plans/standard", {"name": "S", "currency": "EUR", "interval": "month", "charges": [TEN]})
    api.post("/v1/plans/standard/publish", {"effective_at": "2026-05-01T00:00:00Z"})
    api.put("/v1/subscriptions/acme-1", SUBSCRIBED | {"version": 1})
    bill(api, "2026-06-01")
    api.put("/v1/subscriptions/acme-1", SUBSCRIBED | {"version": 2})
    use(api, "1", "3", "2026-06-10T10:00:00Z")
    bill(api, "2026-07-01")
    bill(api, "2026-08-01")
    assert [lines(one) for one in issued(api)] == [
        [("charge", "2026-06", "30.00")],
        [("charge", "2026-06", "30.00")],
        [("charge", "2026-07", "0.00")],
    ]


# --- preview ----------------------------------------------------------------------------------------------------------


def test_the_preview_is_the_next_invoice_with_its_differences_and_what_is_due_in_advance(api: Api) -> None:
    """In July: July's use, August's 30.00 in advance, and the difference for June."""
    flat = {"key": "access", "model": {"type": "flat", "amount": "30.00"}, "timing": "advance"}
    set_up(api, [TEN, flat], start="2026-06-01")
    api.put("/v1/tenants/garage", OPERATOR)
    use(api, "1", "5", "2026-06-10T10:00:00Z")
    bill(api, "2026-07-01")
    use(api, "2", "1", "2026-06-11T10:00:00Z")
    use(api, "3", "7", "2026-07-11T10:00:00Z")
    api.clock.set("2026-07-20T00:00:00+00:00")
    preview = api.get("/v1/tenants/acme/preview")
    bill(api, "2026-08-01")
    keep = ("type", "period", "lines", "net", "tax", "total", "parties", "currency")
    assert {name: preview[name] for name in keep} == {name: issued(api)[-1][name] for name in keep}
    assert lines(preview) == [
        ("charge", "2026-07", "70.00"), ("charge", "2026-08", "30.00"), ("difference", "2026-06", "10.00"),
    ]  # fmt: skip


def test_the_preview_of_a_period_that_changes_plan_is_the_invoice_of_the_change(api: Api) -> None:
    set_up(api, [TEN], start="2026-06-01")
    api.put("/v1/plans/pro", {"name": "P", "currency": "EUR", "interval": "month", "trial": {"days": 5}, "charges": [
        {"key": "access", "model": {"type": "flat", "amount": "30.00"}, "timing": "advance"}]})  # fmt: skip
    api.post("/v1/plans/pro/publish", {"effective_at": "2020-01-01"})
    api.post("/v1/subscriptions/acme-1/changes", {"plan": "pro", "at": "2026-06-16"})
    use(api, "1", "5", "2026-06-10T10:00:00Z")
    api.clock.set("2026-06-12T00:00:00+00:00")
    preview = api.get("/v1/tenants/acme/preview")
    bill(api, "2026-06-17")
    assert preview["lines"] == issued(api)[-1]["lines"]
    assert [line["amount"] for line in preview["lines"]] == ["50.00", "15.00"]
