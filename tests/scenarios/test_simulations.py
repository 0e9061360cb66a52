"""A plan over past use: what it would have brought, to whom, and that nothing of it is billed."""

from __future__ import annotations

import csv
import io
import json
import time
from decimal import Decimal
from typing import Any
from uuid import UUID
from xml.etree import ElementTree

import pytest
import sqlalchemy as sa

from app.operations import run_simulations
from app.operations.authenticate import create_key
from app.storage.tables import metadata
from tests.service import ACME, PER_UNIT, Api, event, set_up

ACCESS = {"key": "access", "model": {"type": "flat", "amount": "31.00"}, "timing": "advance"}
DRAFT: dict[str, Any] = {
    "name": "Dearer", "currency": "EUR", "interval": "month",
    "charges": [
        {"key": "energy", "meter": "energy", "allowance": "10", "model": {"type": "per_unit", "unit_price": "0.50"}}
    ],
}  # fmt: skip
OCTOBER = {"start": "2026-10-01", "end": "2026-11-01"}


def use(api: Api, id: str, kwh: str, time: str, subject: str = "acme") -> None:
    answer = api.post("/v1/events", [event(id, time=time, subject=subject, data={"kwh": kwh, "station": "12"})])
    assert answer["accepted"] == 1


def simulated(api: Api, **fields: Any) -> Any:
    """The simulation when it is done."""
    answer = api.call("POST", "/v1/simulations", {"plan": DRAFT} | OCTOBER | fields)
    assert answer.status_code in (200, 202), answer.text
    found = answer.json()
    assert answer.headers["location"] == f"/v1/simulations/{found['id']}"
    deadline = time.monotonic() + 60
    while found["status"] == "running":
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
        found = api.get(f"/v1/simulations/{found['id']}")
    return found


def sides(found: Any) -> list[tuple[str, str, str, str]]:
    return [(row["tenant"], row["old"], row["new"], row["difference"]) for row in found["data"]]


def second_tenant(api: Api, key: str = "birch", **fields: Any) -> None:
    api.put(f"/v1/tenants/{key}", {**ACME, "name": key.title(), "subjects": []} | fields)
    api.put(f"/v1/subscriptions/{key}-1", {"tenant": key, "plan": "standard", "start": "2026-09-01"})


def test_a_draft_is_compared_with_what_each_tenant_pays(api: Api) -> None:
    """Acme: 130 x 0.30 = 39.00 and 31.00 for access; 120 x 0.50 = 60.00. Birch: 20 x 0.30 + 31.00; 10 x 0.50."""
    set_up(api, [PER_UNIT, ACCESS])
    second_tenant(api)
    use(api, "1", "130", "2026-10-05T10:00:00Z")
    use(api, "2", "20", "2026-10-05T10:00:00Z", "birch")
    use(api, "3", "999", "2026-09-05T10:00:00Z")
    found = simulated(api)
    assert sides(found) == [("acme", "70.00", "60.00", "-10.00"), ("birch", "37.00", "5.00", "-32.00")]
    assert [(row["charge"], row["old"], row["new"]) for row in found["data"][0]["charges"]] == [
        ("energy", "39.00", "60.00"), ("access", "31.00", None),
    ]  # fmt: skip
    totals = found["totals"]
    assert (totals["tenants"], totals["old"], totals["new"], totals["difference"]) == (2, "107.00", "65.00", "-42.00")
    assert [row["tenant"] for row in found["largest_changes"]] == ["birch", "acme"]
    assert (found["tenants_due"], found["tenants_done"], found["skipped"], found["next_cursor"]) == (2, 2, [], None)


def test_the_old_side_is_the_invoice_and_publishing_the_draft_makes_the_new_one(api: Api) -> None:
    """Whatever a simulation says of a month that is to come is what closing bills then."""
    set_up(api, [PER_UNIT, ACCESS])
    use(api, "1", "33.333", "2026-10-05T10:00:00Z")
    draft = {**DRAFT, "key": "standard", "charges": [*DRAFT["charges"], ACCESS]}
    found = simulated(api, plan=draft)
    api.put("/v1/plans/standard", {name: value for name, value in draft.items() if name != "key"})
    api.post("/v1/plans/standard/publish", {"effective_at": "2026-09-30T22:00:00Z"})
    api.bill("2026-11-01T00:00:00Z")
    lines = [
        line
        for invoice in api.invoices()
        for line in invoice["lines"]
        if line["period"]["start"] == "2026-09-30T22:00:00Z"
    ]
    assert sides(found) == [("acme", "41.00", "42.67", "1.67")]
    assert str(sum(Decimal(line["amount"]) for line in lines)) == "42.67"


def test_two_plans_are_compared_over_the_same_use(api: Api) -> None:
    """By its key the plan of the catalog is meant: 130 x 0.30 = 39.00, less than the draft's 60.00."""
    set_up(api, [PER_UNIT, ACCESS])
    use(api, "1", "130", "2026-10-05T10:00:00Z")
    dear = {**DRAFT, "charges": [{**PER_UNIT, "model": {"type": "per_unit", "unit_price": "1"}}]}
    assert sides(simulated(api, against=dear)) == [("acme", "130.00", "60.00", "-70.00")]
    assert sides(simulated(api, plan="standard", against=DRAFT)) == [("acme", "60.00", "70.00", "10.00")]


def test_terms_that_a_subscription_has_otherwise_hold_for_its_own_plan_only(api: Api) -> None:
    set_up(api, [PER_UNIT])
    own = {
        "tenant": "acme",
        "plan": "standard",
        "start": "2026-09-01",
        "overrides": {"charges": {"energy": {"allowance": "100"}}},
    }
    api.put("/v1/subscriptions/acme-1", own)
    use(api, "1", "130", "2026-10-05T10:00:00Z")
    assert sides(simulated(api)) == [("acme", "9.00", "60.00", "51.00")]
    assert sides(simulated(api, plan=DRAFT | {"key": "standard"})) == [("acme", "9.00", "15.00", "6.00")]


def test_a_tenant_that_is_named_needs_no_subscription(api: Api) -> None:
    """Somebody who is measured and not billed yet: nothing now, 120 x 0.50 then."""
    set_up(api, [PER_UNIT])
    api.put("/v1/tenants/cedar", {**ACME, "name": "Cedar", "subjects": []})
    use(api, "1", "130", "2026-10-05T10:00:00Z", "cedar")
    assert [row["tenant"] for row in simulated(api)["data"]] == ["acme"]
    assert sides(simulated(api, tenants=["cedar"])) == [("cedar", "0.00", "60.00", "60.00")]


def test_a_plan_takes_the_place_of_the_subscriptions_that_are_named_and_leaves_the_others(api: Api) -> None:
    set_up(api, [PER_UNIT])
    other = {"name": "Parking", "currency": "EUR", "interval": "month", "charges": [ACCESS]}
    api.put("/v1/plans/parking", other)
    api.post("/v1/plans/parking/publish", {"effective_at": "2020-01-01T00:00:00Z"})
    api.put("/v1/subscriptions/acme-2", {"tenant": "acme", "plan": "parking", "start": "2026-09-01"})
    use(api, "1", "130", "2026-10-05T10:00:00Z")
    assert sides(simulated(api)) == [("acme", "70.00", "60.00", "-10.00")]
    assert sides(simulated(api, replaces=["standard"])) == [("acme", "39.00", "60.00", "21.00")]


def test_parts_of_periods_owe_their_part_on_both_sides(api: Api) -> None:
    """The 16th to the 26th, subscribed from the 20th: 6 of 31 days of 31.00 are 6.00, of 62.00 they are 12.00."""
    set_up(api, [ACCESS], start="2026-10-20")
    draft = {**DRAFT, "charges": [{"key": "access", "model": {"type": "flat", "amount": "62.00"}}]}
    assert sides(simulated(api, plan=draft, start="2026-10-16", end="2026-10-26")) == [
        ("acme", "6.00", "12.00", "6.00")
    ]


def test_a_draft_may_count_its_periods_otherwise(api: Api) -> None:
    """10 kWh free a week instead of a month: 40 kWh in each of two weeks cost 30 x 0.50 a week."""
    set_up(api, [PER_UNIT])
    use(api, "1", "40", "2026-10-06T10:00:00Z")
    use(api, "2", "40", "2026-10-13T10:00:00Z")
    assert sides(simulated(api)) == [("acme", "24.00", "35.00", "11.00")]
    assert sides(simulated(api, plan={**DRAFT, "interval": "week"})) == [("acme", "24.00", "30.00", "6.00")]


def test_who_cannot_be_simulated_is_named_with_the_reason(api: Api) -> None:
    set_up(api, [PER_UNIT])
    api.put("/v1/tenants/dollar", {**ACME, "name": "Dollar", "currency": "USD", "subjects": []})
    found = simulated(api, tenants=["acme", "dollar"])
    assert [row["tenant"] for row in found["data"]] == ["acme"]
    assert [row["tenant"] for row in found["skipped"]] == ["dollar"]
    assert "USD" in found["skipped"][0]["detail"]


def test_many_tenants_are_a_job_that_is_read_page_by_page(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.api.routers.simulations.AT_ONCE", 0)
    monkeypatch.setattr("app.operations.simulate_plan.BATCH", 2)
    set_up(api, [PER_UNIT])
    for number in range(6):
        second_tenant(api, f"tenant-{number}")
        use(api, f"e-{number}", "20", "2026-10-05T10:00:00Z", f"tenant-{number}")
    answer = api.call("POST", "/v1/simulations", {"plan": DRAFT, "tenants": None} | OCTOBER)
    assert answer.status_code in (200, 202)
    found = simulated(api)
    assert found["tenants_done"] == 7
    rows: list[Any] = []
    cursor: Any = ""
    while cursor is not None:
        page = api.get(f"/v1/simulations/{found['id']}", limit=3, cursor=cursor)
        assert page["totals"] == found["totals"]
        rows += page["data"]
        cursor = page["next_cursor"]
    assert rows == found["data"]
    assert len(rows) == 7


def test_a_job_that_was_left_is_gone_on_with(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken off after two tenants, it is done by whoever takes it next, each tenant once."""
    set_up(api, [PER_UNIT])
    for number in range(5):
        second_tenant(api, f"tenant-{number}")
    monkeypatch.setattr("app.operations.simulate_plan.BATCH", 2)
    database = api.client.app.state.database  # type: ignore[attr-defined]
    wanted = run_simulations.find_simulation(database, UUID(simulated(api)["id"]))
    assert wanted is not None
    simulation_id, _, _ = run_simulations.start_simulation(database, wanted[0].request, now=api.clock())
    run_simulations.run_simulation(database, simulation_id, keep_going=lambda: False)
    while not run_simulations.run_simulation(database, simulation_id, keep_going=lambda: True):
        pass
    found = run_simulations.find_simulation(database, simulation_id)
    assert found is not None
    assert (found[0].status, found[0].done, found[0].totals.tenants) == ("done", 6, 6)


def test_nothing_that_is_billed_changes(api: Api) -> None:
    """Every table but those of simulations and jobs is row for row as it was."""
    set_up(api, [PER_UNIT])
    use(api, "1", "130", "2026-10-05T10:00:00Z")
    api.bill("2026-11-01T00:00:00Z", issue=False)
    database = api.client.app.state.database  # type: ignore[attr-defined]

    def rows() -> dict[str, list[str]]:
        own = {"simulations", "simulated_tenants", "jobs", "api_keys", "catalog_version"}
        tables = [table for table in metadata.sorted_tables if table.name not in own]
        found: dict[str, list[str]] = database.read(
            lambda connection: {table.name: sorted(map(repr, connection.execute(sa.select(table)))) for table in tables}
        )
        return found

    before = rows()
    assert sides(simulated(api)) == [("acme", "39.00", "60.00", "21.00")]
    assert rows() == before


def test_a_simulation_as_a_table_adds_up(api: Api) -> None:
    set_up(api, [PER_UNIT, ACCESS])
    api.put("/v1/tenants/=1+1", {**ACME, "name": "Sum", "subjects": []})
    use(api, "1", "130", "2026-10-05T10:00:00Z")
    found = simulated(api, tenants=["acme", "=1+1"])
    path = f"/v1/simulations/{found['id']}"
    by_header = api.call("GET", path, headers={"Accept": "text/csv"})
    assert by_header.headers["content-type"] == "text/csv; charset=utf-8"
    answer = api.call("GET", f"{path}.csv")
    assert answer.content == by_header.content
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["tenant"] for row in rows] == ["'=1+1", "acme", "acme"]
    assert sum(Decimal(row["difference"]) for row in rows) == Decimal(found["totals"]["difference"])


def test_a_simulation_as_a_picture_names_the_largest_changes(api: Api) -> None:
    set_up(api, [PER_UNIT])
    api.put("/v1/tenants/<b>", {**ACME, "name": "Bold", "subjects": []})
    use(api, "1", "130", "2026-10-05T10:00:00Z")
    use(api, "2", "1000", "2026-10-05T10:00:00Z", "<b>")
    found = simulated(api, tenants=["acme", "<b>"])
    answer = api.call("GET", f"/v1/simulations/{found['id']}.svg")
    assert answer.headers["content-type"] == "image/svg+xml"
    picture = ElementTree.fromstring(answer.content)
    texts = [item.text for item in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[0] == "Dearer instead of what is in force"
    assert "2 tenants: €39.00 now, €555.00 then, +€516.00" in texts
    assert [text for text in texts if text in ("acme", "<b>", "+€21.00", "+€495.00")] == [
        "<b>",
        "+€495.00",
        "acme",
        "+€21.00",
    ]
    assert api.call("GET", f"/v1/simulations/{found['id']}.pdf").status_code == 404


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"end": "2026-10-01"}, "#/end"),
        ({"end": "2036-10-01"}, "#/end"),
        ({"start": None}, "#/start"),
        ({"tenants": ["acme", "nobody"]}, "#/tenants/1"),
        ({"replaces": ["nothing"]}, "#/replaces/0"),
        ({"plan": "nothing"}, "#/plan"),
        ({"plan": None}, "#/plan"),
        ({"plan": {**DRAFT, "charges": [{**PER_UNIT, "meter": "nothing"}]}}, "#/plan/charges/0/meter"),
        ({"plan": {**DRAFT, "charges": [{**PER_UNIT, "model": {"type": "per_unit", "unit_price": "-1"}}]}},
         "#/plan/charges/0/model/unit_price"),
        ({"against": {**DRAFT, "currency": "USD"}}, "#/against/currency"),
        ({"plans": []}, "#/plans"),
    ],
)  # fmt: skip
def test_what_cannot_be_simulated_is_refused_with_the_place(api: Api, fields: Any, pointer: str) -> None:
    set_up(api, [PER_UNIT])
    answer = api.call("POST", "/v1/simulations", {"plan": DRAFT} | OCTOBER | fields)
    assert answer.status_code == 422, answer.text
    assert [item["pointer"] for item in answer.json()["errors"]] == [pointer]


def test_the_example_of_the_contract_is_answered(api: Api) -> None:
    set_up(api, [PER_UNIT])
    body = {"plan": DRAFT, "tenants": None, "start": "2026-09-01T00:00:00+02:00", "end": "2026-10-01T00:00:00+02:00"}
    found = json.loads(api.call("POST", "/v1/simulations", body).text)
    assert (found["status"], found["start"], found["data"][0]["new"]) == ("done", "2026-08-31T22:00:00Z", "0.00")


def test_a_bound_key_simulates_for_its_tenant_and_sees_no_draft(api: Api) -> None:
    """By its key the published plan is meant, though there is a draft of 1.00; what it asked for nobody else's key
    sees."""
    set_up(api, [PER_UNIT])
    second_tenant(api)
    use(api, "1", "130", "2026-10-05T10:00:00Z")
    dear = {**PER_UNIT, "model": {"type": "per_unit", "unit_price": "1"}}
    api.put("/v1/plans/standard", {**DRAFT, "anchor": "calendar", "charges": [dear]})
    database = api.client.app.state.database  # type: ignore[attr-defined]
    acme, birch = (create_key(database, scopes=["read"], tenant=key, now=api.clock()) for key in ("acme", "birch"))
    answer = api.call("POST", "/v1/simulations", {"plan": "standard"} | OCTOBER, key=acme)
    assert sides(answer.json()) == [("acme", "39.00", "39.00", "0.00")]
    assert sides(simulated(api, plan="standard", tenants=["acme"])) == [("acme", "39.00", "130.00", "91.00")]
    for path in (answer.headers["location"], f"{answer.headers['location']}.csv"):
        assert api.call("GET", path, key=acme).status_code == 200
        assert api.call("GET", path, key=birch).status_code == 404


def test_what_the_charges_of_a_plan_have_in_common_counts_too(api: Api) -> None:
    """60.00 of use under a plan's minimum of 100.00: 40.00 more, as the invoice would have it."""
    set_up(api, [PER_UNIT])
    use(api, "1", "130", "2026-10-05T10:00:00Z")
    found = simulated(api, plan={**DRAFT, "minimum": "100.00"})
    assert sides(found) == [("acme", "39.00", "100.00", "61.00")]
    assert sorted(row["new"] for row in found["data"][0]["charges"]) == ["40.00", "60.00"]
