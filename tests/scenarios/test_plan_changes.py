"""A subscription that moves between plans, and one that begins with a trial: what is billed, when, what comes back."""

from __future__ import annotations

from typing import Any

import pytest

from app.operations.audit_books import audit_books
from tests.service import ACME, Api, event, set_up

PER_KWH = {"key": "energy", "meter": "energy", "model": {"type": "per_unit", "unit_price": "0.30"}}
BASIC = [{"key": "access", "model": {"type": "flat", "amount": "30.00"}, "timing": "advance"}, PER_KWH]
PRO = [
    {"key": "access", "model": {"type": "flat", "amount": "60.00"}, "timing": "advance"},
    {**PER_KWH, "model": {"type": "graduated", "tiers": [
        {"up_to": "100", "unit_price": "0.20"}, {"up_to": None, "unit_price": "0.10"}]}},
]  # fmt: skip
ARREARS = [{"key": "base", "model": {"type": "flat", "amount": "31.00"}}]


def plan(api: Api, key: str, charges: list[Any], **terms: Any) -> None:
    body = {"name": key, "currency": "EUR", "interval": "month", "anchor": "calendar", "charges": charges}
    api.put(f"/v1/plans/{key}", body | terms)
    api.post(f"/v1/plans/{key}/publish", {"effective_at": "2020-01-01T00:00:00Z"})


def begin(api: Api, start: str, key: str = "basic", **fields: Any) -> None:
    set_up(api)
    plan(api, "basic", BASIC)
    plan(api, "pro", PRO)
    api.put("/v1/subscriptions/acme-1", {"tenant": "acme", "plan": key, "start": start} | fields)


def change(api: Api, key: str, at: str | None = None, **fields: Any) -> Any:
    body = {"plan": key} | ({} if at is None else {"at": at}) | fields
    return api.call("POST", "/v1/subscriptions/acme-1/changes", body)


def use(api: Api, id: str, kwh: str, time: str) -> None:
    assert api.post("/v1/events", [event(id, time=time, data={"kwh": kwh, "station": "12"})])["accepted"] == 1


def documents(api: Api) -> list[tuple[str, list[tuple[str, str]]]]:
    """(type, (charge, amount) of each line) of every issued document, in order of issue."""
    found = sorted(api.invoices(status="issued"), key=lambda one: str(one["number"]))
    return [(one["type"], [(line["charge"], line["amount"]) for line in one["lines"]]) for one in found]


def bill(api: Api, through: str) -> None:
    api.clock.set("2027-06-01T00:00:00+00:00")
    run = api.bill(through)
    assert run["failures"] == []


@pytest.fixture(autouse=True)
def clean_books(api: Api) -> Any:
    """Whatever a story does, the audit finds nothing at its end."""
    yield
    database = api.client.app.state.database  # type: ignore[attr-defined]
    assert audit_books(database, now=api.clock()).differences == []


# --- changes of plan --------------------------------------------------------------------------------------------------


def test_an_upgrade_credits_the_unused_share_and_bills_the_rest(api: Api) -> None:
    """November's 30.00 is paid. On the 16th Pro begins: 15 of 30 days come back, 15.00, and 15 of 30 of 60.00 are due
    at once, with the use by Basic so far (10 x 0.30). December by Pro: 60.00, and 150 kWh are 20.00 + 5.00."""
    begin(api, "2026-11-01")
    api.bill("2026-11-01T00:00:00Z")
    assert change(api, "pro", "2026-11-16").status_code == 201
    use(api, "1", "10", "2026-11-15T22:59:59Z")
    use(api, "2", "150", "2026-11-15T23:00:00Z")
    bill(api, "2026-12-01T00:00:00Z")
    assert documents(api) == [
        ("invoice", [("access", "30.00")]),
        ("invoice", [("energy", "3.00"), ("access", "30.00")]),
        ("credit_note", [("access", "15.00")]),
        ("invoice", [("energy", "25.00"), ("access", "60.00")]),
    ]


def test_a_downgrade_gives_back_more_than_it_bills(api: Api) -> None:
    """Pro's 60.00 for November, Basic from the 21st on: 10 of 30 days, 20.00 back and 10.00 due."""
    begin(api, "2026-11-01", "pro")
    api.bill("2026-11-01T00:00:00Z")
    change(api, "basic", "2026-11-21")
    bill(api, "2026-11-23T00:00:00Z")
    assert documents(api) == [
        ("invoice", [("access", "60.00")]),
        ("invoice", [("energy", "0.00"), ("access", "10.00")]),
        ("credit_note", [("access", "20.00")]),
    ]


def test_a_change_at_the_boundary_of_a_period_leaves_both_whole(api: Api) -> None:
    begin(api, "2026-10-01")
    change(api, "pro", "2026-11-01")
    use(api, "1", "1", "2026-10-31T22:59:59Z")
    use(api, "2", "1", "2026-10-31T23:00:00Z")
    bill(api, "2026-12-01T00:00:00Z")
    assert documents(api) == [
        ("invoice", [("access", "30.00")]),
        ("invoice", [("energy", "0.30"), ("access", "60.00")]),
        ("invoice", [("energy", "0.20"), ("access", "60.00")]),
    ]


def test_a_change_at_a_boundary_that_is_paid_already_credits_all_of_it(api: Api) -> None:
    """November's 30.00 is paid when Pro is put in force from 1 November on: it comes back, and 60.00 are due with
    December's 60.00."""
    begin(api, "2026-10-01")
    api.bill("2026-11-01T00:00:00Z")
    change(api, "pro", "2026-11-01")
    bill(api, "2026-12-01T00:00:00Z")
    assert documents(api)[2:] == [
        ("invoice", [("access", "60.00"), ("energy", "0.00"), ("access", "60.00")]),
        ("credit_note", [("access", "30.00")]),
    ]


def test_a_change_and_a_change_back_inside_one_month(api: Api) -> None:
    """Basic, Pro from the 11th, Basic from the 16th: 30.00 paid, 20.00 back; 5 of 30 days of Pro are 10.00, 15 of 30
    of Basic 15.00. Each stretch has tiers of its own: 110 kWh by Pro are 20.00 + 1.00."""
    begin(api, "2026-11-01")
    api.bill("2026-11-01T00:00:00Z")
    change(api, "pro", "2026-11-11")
    change(api, "basic", "2026-11-16")
    for number, day in enumerate(("10", "15", "20")):
        use(api, str(number), "110", f"2026-11-{day}T12:00:00Z")
    bill(api, "2026-12-01T00:00:00Z")
    assert documents(api) == [
        ("invoice", [("access", "30.00")]),
        ("invoice", [("energy", "33.00"), ("access", "10.00")]),
        ("credit_note", [("access", "20.00")]),
        ("invoice", [("energy", "21.00"), ("access", "15.00")]),
        ("invoice", [("energy", "33.00"), ("access", "30.00")]),
    ]


def test_a_change_inside_an_hour_parts_the_use_of_that_hour(api: Api) -> None:
    """At 10:17 in Paris. By local days the day of the change is the new plan's: 14 of 30 days of Basic are 14.00."""
    begin(api, "2026-11-01")
    change(api, "pro", "2026-11-15T09:17:00Z")
    use(api, "1", "1", "2026-11-15T09:16:59.999999Z")
    use(api, "2", "1", "2026-11-15T09:17:00Z")
    bill(api, "2026-12-01T00:00:00Z")
    assert documents(api) == [
        ("invoice", [("access", "14.00")]),
        ("invoice", [("energy", "0.30"), ("access", "32.00")]),
        ("invoice", [("energy", "0.20"), ("access", "60.00")]),
    ]


def test_arrears_of_both_plans_sum_to_the_month(api: Api) -> None:
    """31.00 a month by either: 10 of 31 days and 21 of 31 days of October."""
    begin(api, "2026-10-01")
    plan(api, "one", ARREARS)
    plan(api, "two", ARREARS)
    api.put("/v1/subscriptions/acme-1", {"tenant": "acme", "plan": "one", "start": "2026-10-01"})
    change(api, "two", "2026-10-11")
    bill(api, "2026-11-01T00:00:00Z")
    assert documents(api) == [("invoice", [("base", "10.00")]), ("invoice", [("base", "21.00")])]


def test_versions_and_a_change_in_one_month_make_stretches_of_their_own(api: Api) -> None:
    """Basic, its second version at 45.00 from the 7th, Pro from the 16th, all in advance and known beforehand:
    6 of 30 days of 30.00, 9 of 30 of 45.00, 15 of 30 of 60.00."""
    begin(api, "2026-11-01")
    dearer = [{**BASIC[0], "model": {"type": "flat", "amount": "45.00"}}, PER_KWH]
    api.put("/v1/plans/basic", {"name": "basic", "currency": "EUR", "interval": "month", "charges": dearer})
    api.post("/v1/plans/basic/publish", {"effective_at": "2026-11-07T00:00:00+01:00"})
    change(api, "pro", "2026-11-16")
    bill(api, "2026-11-20T00:00:00Z")
    assert documents(api) == [
        ("invoice", [("access", "6.00"), ("access", "13.50")]),
        ("invoice", [("energy", "0.00"), ("energy", "0.00"), ("access", "30.00")]),
    ]


def test_late_use_is_billed_by_the_plan_that_it_was_used_on(api: Api) -> None:
    begin(api, "2026-11-01")
    change(api, "pro", "2026-11-16")
    bill(api, "2026-11-16T00:00:00Z")
    use(api, "1", "10", "2026-11-15T12:00:00Z")
    bill(api, "2026-12-01T00:00:00Z")
    invoice = sorted(api.invoices(), key=lambda one: str(one["number"]))[-1]
    assert [(line["kind"], line["amount"]) for line in invoice["lines"] if line["charge"] == "energy"] == [
        ("charge", "0.00"),
        ("difference", "3.00"),
    ]


def test_a_monthly_anniversary_stays_where_it_was_and_a_year_begins_with_its_change(api: Api) -> None:
    begin(api, "2026-01-31")
    for key in ("first", "second"):
        plan(api, key, ARREARS, anchor="anniversary")
    plan(api, "yearly", ARREARS, anchor="anniversary", interval="year")
    api.put("/v1/subscriptions/acme-1", {"tenant": "acme", "plan": "first", "start": "2026-01-31"})
    change(api, "second", "2026-02-10")
    change(api, "yearly", "2026-04-10")
    bill(api, "2027-05-01T00:00:00Z")
    lines = [line for one in api.invoices() for line in one["lines"]]
    # 28 days from 31 January to 28 February, of which 10 and 18; 30 days from 31 March, of which 10.
    assert [(line["period"]["start"][:10], line["amount"]) for line in lines] == [
        ("2026-01-30", "11.07"), ("2026-02-09", "19.93"), ("2026-02-27", "31.00"), ("2026-03-30", "10.33"),
        ("2026-04-09", "31.00"),
    ]  # fmt: skip


def test_a_change_is_billed_on_local_days_in_the_tenants_zone(api: Api) -> None:
    """In Denver 16 November begins at 07:00 UTC."""
    begin(api, "2026-11-01")
    api.put("/v1/tenants/acme", ACME | {"time_zone": "America/Denver"})
    api.put("/v1/subscriptions/acme-1", {"tenant": "acme", "plan": "basic", "start": "2026-11-01"})
    assert change(api, "pro", "2026-11-16").json()["changes"][0]["at"] == "2026-11-16"
    use(api, "1", "10", "2026-11-16T06:59:59Z")
    bill(api, "2026-11-17T00:00:00Z")
    assert documents(api)[-1] == ("invoice", [("energy", "3.00"), ("access", "30.00")])


def test_a_change_is_asked_for_once(api: Api) -> None:
    """Repeating it changes nothing; another at the same instant takes its place; without `at` it is now."""
    begin(api, "2026-11-01")
    first = change(api, "pro", "2026-12-16")
    again = change(api, "pro", "2026-12-16")
    assert (first.status_code, again.status_code, again.json()) == (201, 200, first.json())
    assert change(api, "pro").json()["changes"][0]["at"] == "2026-11-23T12:00:00Z"
    api.clock.set("2026-11-24T12:00:00+00:00")
    assert change(api, "pro").status_code == 200
    api.put("/v1/subscriptions/acme-1", {"tenant": "acme", "plan": "basic", "start": "2026-11-01"})
    assert api.get("/v1/subscriptions/acme-1")["changes"] == []
    other = change(api, "pro", "2026-12-16", overrides={"charges": {"energy": {"allowance": "5"}}})
    shown = other.json()["changes"]
    assert shown == [{"at": "2026-12-16", "plan": "pro", "version": None,
                      "overrides": {"charges": {"energy": {"allowance": "5"}}}}]  # fmt: skip
    assert api.get("/v1/subscriptions", plan="pro")["data"] == [other.json()]
    assert api.put("/v1/subscriptions/acme-1", other.json()) == other.json()


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({"plan": "pro", "at": "2026-11-01"}, 422, "#/at"),  # the start itself
        ({"plan": "pro", "at": "2027-01-01"}, 422, "#/at"),  # the end itself
        ({"plan": "gold", "at": "2026-12-01"}, 422, "#/plan"),
        ({"plan": "pro", "at": "2026-12-01", "version": 7}, 422, "#/version"),
        ({"plan": "pro", "at": "2026-12-01", "overrides": {"charges": {"x": {"tax": None}}}}, 422,
         "#/overrides/charges/x"),
        ({"plan": "dollars", "at": "2026-12-01"}, 422, "#/plan"),
        ({"at": "2026-12-01"}, 422, "#/plan"),
        ({"plan": "pro", "at": "2026-12-01", "from": "x"}, 422, "#/from"),
    ],
)  # fmt: skip
def test_a_change_that_cannot_be_is_refused_by_name(api: Api, body: Any, status: int, pointer: str) -> None:
    begin(api, "2026-11-01", end="2027-01-01")
    plan(api, "dollars", ARREARS, currency="USD")
    answer = api.call("POST", "/v1/subscriptions/acme-1/changes", body)
    assert (answer.status_code, [item["pointer"] for item in answer.json()["errors"]]) == (status, [pointer])
    assert api.get("/v1/subscriptions/acme-1")["changes"] == []
    assert change(api, "pro", "2026-12-01", version=1).status_code == 201
    assert api.call("POST", "/v1/subscriptions/nobody/changes", {"plan": "pro"}).status_code == 404


def test_changes_in_the_subscription_itself_are_named_by_their_place(api: Api) -> None:
    begin(api, "2026-11-01")
    wish = {"tenant": "acme", "plan": "basic", "start": "2026-11-01"}
    twice = [{"plan": "pro", "at": "2026-12-01"}, {"plan": "basic", "at": "2026-11-30T23:00:00Z"}]
    answer = api.call("PUT", "/v1/subscriptions/acme-1", wish | {"changes": twice})
    assert [item["pointer"] for item in answer.json()["errors"]] == ["#/changes/1/at"]
    changes = [{"plan": "basic", "at": "2027-01-01"}, {"plan": "pro", "at": "2026-12-01"}]
    shown = api.put("/v1/subscriptions/acme-1", wish | {"changes": changes})["changes"]
    assert [(item["at"], item["plan"]) for item in shown] == [("2026-12-01", "pro"), ("2027-01-01", "basic")]
    patched = api.call("PATCH", "/v1/subscriptions/acme-1", {"changes": None})
    assert patched.json()["changes"] == []


def test_what_is_billed_keeps_its_plan(api: Api) -> None:
    """October is billed by Basic, November by Pro from the 16th on: neither can be otherwise afterwards."""
    begin(api, "2026-10-01")
    change(api, "pro", "2026-11-16")
    bill(api, "2026-12-01T00:00:00Z")
    wish = {"tenant": "acme", "plan": "basic", "start": "2026-10-01"}
    assert api.call("PUT", "/v1/subscriptions/acme-1", wish).status_code == 409
    assert api.call("PUT", "/v1/subscriptions/acme-1", wish | {"plan": "pro"}).status_code == 409
    assert change(api, "basic", "2026-11-20").json()["type"].endswith("period-already-issued")
    assert change(api, "basic", "2026-12-10").status_code == 201


def test_a_change_that_is_taken_back_leaves_the_month_as_it_was(api: Api) -> None:
    """Credited at the next run, and billed again when the change is gone before it came."""
    begin(api, "2026-11-01")
    api.bill("2026-11-01T00:00:00Z")
    change(api, "pro", "2026-11-26")
    api.bill("2026-11-02T00:00:00Z")
    api.put("/v1/subscriptions/acme-1", {"tenant": "acme", "plan": "basic", "start": "2026-11-01"})
    bill(api, "2026-12-01T00:00:00Z")
    assert documents(api) == [
        ("invoice", [("access", "30.00")]),
        ("credit_note", [("access", "5.00")]),
        ("invoice", [("energy", "0.00"), ("access", "30.00"), ("access", "5.00")]),
    ]


def test_a_plan_cannot_take_a_meter_that_another_subscription_prices(api: Api) -> None:
    begin(api, "2026-10-01", end="2026-12-01")
    api.put("/v1/subscriptions/acme-2", {"tenant": "acme", "plan": "basic", "start": "2026-12-01"})
    plan(api, "other", [{**PER_KWH, "key": "sessions", "meter": "sessions"}])
    api.put("/v1/subscriptions/acme-3", {"tenant": "acme", "plan": "other", "start": "2026-10-01"})
    answer = api.call("POST", "/v1/subscriptions/acme-3/changes", {"plan": "pro", "at": "2026-11-30"})
    assert answer.json()["type"].endswith("subscriptions-overlap")
    assert [item["pointer"] for item in answer.json()["errors"]] == ["#/at"]


def test_a_version_of_the_plan_that_was_left_may_begin_after_the_change(api: Api) -> None:
    """Basic is paid until 1 December, but left on the 16th: its next version may begin then, not before."""
    begin(api, "2026-11-01")
    api.bill("2026-11-01T00:00:00Z")
    change(api, "pro", "2026-11-16")
    other = [{**BASIC[0], "model": {"type": "flat", "amount": "1.00"}}, PER_KWH]
    api.put("/v1/plans/basic", {"name": "basic", "currency": "EUR", "interval": "month", "charges": other})
    early = api.call("POST", "/v1/plans/basic/publish", {"effective_at": "2026-11-10T00:00:00Z"})
    assert early.json()["type"].endswith("period-already-issued")
    assert api.call("POST", "/v1/plans/basic/publish", {"effective_at": "2026-11-16"}).status_code == 200


# --- ends -------------------------------------------------------------------------------------------------------------


def test_a_subscription_that_was_billed_to_its_end_may_go_on(api: Api) -> None:
    """Ended on 16 November and billed: 15.00 and 0.30. Taken up again, the rest of the month is a stretch by itself."""
    begin(api, "2026-11-01", end="2026-11-16")
    use(api, "1", "1", "2026-11-15T12:00:00Z")
    bill(api, "2026-11-20T00:00:00Z")
    use(api, "2", "1", "2026-11-16T12:00:00Z")
    api.put("/v1/subscriptions/acme-1", {"tenant": "acme", "plan": "basic", "start": "2026-11-01"})
    bill(api, "2026-12-01T00:00:00Z")
    assert documents(api) == [
        ("invoice", [("access", "15.00")]),
        ("invoice", [("energy", "0.30")]),
        ("invoice", [("access", "15.00"), ("energy", "0.30"), ("access", "30.00")]),
    ]
    wish = {"tenant": "acme", "plan": "basic", "start": "2026-11-01", "end": "2026-11-20"}
    assert api.call("PUT", "/v1/subscriptions/acme-1", wish).status_code == 409


# --- trials -----------------------------------------------------------------------------------------------------------


def test_a_trial_shows_its_use_and_charges_nothing(api: Api) -> None:
    """14 days from 3 November: 10 kWh are 3.00, taken off. From the 17th, 14 of 30 days of 30.00 are due in advance."""
    begin(api, "2026-11-03")
    plan(api, "tried", [{**PER_KWH, "minimum": "5.00"}, BASIC[0]], trial={"days": 14})
    shown = api.put("/v1/subscriptions/acme-1", {"tenant": "acme", "plan": "tried", "start": "2026-11-03"})
    assert (shown["trial"], shown["trial_end"]) == (None, "2026-11-17")
    use(api, "1", "10", "2026-11-16T22:59:59Z")
    use(api, "2", "20", "2026-11-16T23:00:00Z")
    bill(api, "2026-12-01T00:00:00Z")
    first, second = api.invoices()
    line = first["lines"][0]
    assert (line["quantity"], line["amount"]) == ("10", "0.00")
    assert line["allowances"] == [{"description": "trial", "amount": "3.00"}]
    assert [(item["charge"], item["amount"]) for item in first["lines"][1:]] == [("access", "14.00")]
    assert [(item["charge"], item["amount"]) for item in second["lines"]] == [("energy", "6.00"), ("access", "30.00")]
    assert (first["net"], second["net"]) == ("14.00", "36.00")


def test_a_subscription_may_have_another_trial_than_its_plan_or_none(api: Api) -> None:
    begin(api, "2026-11-03")
    plan(api, "tried", BASIC, trial={"days": 14}, anchor="anniversary")
    wish = {"tenant": "acme", "plan": "tried", "start": "2026-11-03"}
    assert api.put("/v1/subscriptions/acme-1", wish | {"trial": {"days": 0}})["trial_end"] is None
    assert api.put("/v1/subscriptions/acme-1", wish | {"trial": {"days": 7}})["trial_end"] == "2026-11-10"
    bill(api, "2026-12-10T00:00:00Z")
    assert documents(api) == [
        ("invoice", [("energy", "0.00"), ("access", "30.00")]),
        ("invoice", [("energy", "0.00"), ("access", "30.00")]),
    ]
    starts = [one["lines"][-1]["period"]["start"] for one in api.invoices()]
    assert starts == ["2026-11-09T23:00:00Z", "2026-12-09T23:00:00Z"], "anniversaries of the end of the trial"
    assert api.call("PUT", "/v1/subscriptions/acme-1", wish).status_code == 409


def test_a_trial_holds_on_through_a_change_of_plan(api: Api) -> None:
    begin(api, "2026-11-03", trial={"days": 14})
    change(api, "pro", "2026-11-10")
    use(api, "1", "10", "2026-11-05T12:00:00Z")
    use(api, "2", "10", "2026-11-12T12:00:00Z")
    bill(api, "2026-11-20T00:00:00Z")
    assert documents(api) == [
        ("invoice", [("energy", "0.00")]),
        ("invoice", [("energy", "0.00"), ("access", "28.00")]),
    ]


def test_late_use_of_a_trial_costs_nothing_either(api: Api) -> None:
    begin(api, "2026-11-03", trial={"days": 14})
    bill(api, "2026-11-20T00:00:00Z")
    use(api, "1", "10", "2026-11-05T12:00:00Z")
    bill(api, "2026-12-01T00:00:00Z")
    assert len(documents(api)) == 2


@pytest.mark.parametrize(
    ("trial", "pointer"),
    [({"days": -1}, "#/trial/days"), ({}, "#/trial/days"), (14, "#/trial"), ({"days": 1, "weeks": 1}, "#/trial/weeks")],
)
def test_a_trial_that_cannot_be_is_refused_by_name(api: Api, trial: Any, pointer: str) -> None:
    begin(api, "2026-11-03")
    answer = api.call("PUT", "/v1/subscriptions/acme-1", {"tenant": "acme", "plan": "basic", "start": "2026-11-03",
                                                          "trial": trial})  # fmt: skip
    assert (answer.status_code, [item["pointer"] for item in answer.json()["errors"]]) == (422, [pointer])
