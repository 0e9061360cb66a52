"""An event that was wrong, and the right one in its place: both at once, or nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.operations.audit_books import audit_books
from tests.service import ACME, ENERGY, PER_UNIT, Api, event, set_up

PATH = "/v1/events/cancellations"
RIGHT = event("1-right", data={"kwh": "3", "station": "12"})


def replacing(replacement: Any = RIGHT, **fields: Any) -> Any:
    wanted = {"tenant": "acme", "source": "/chargers/12", "id": "1", "reason": "The meter was broken."}
    return wanted | {"replacement": replacement} | fields


def check_books(api: Api) -> None:
    assert audit_books(api.client.app.state.database, now=api.clock()).differences == []  # type: ignore[attr-defined]


def test_the_right_event_counts_in_place_of_the_wrong_one(api: Api) -> None:
    """Of 7.25 and 2 kWh the 7.25 were 3: 5 in all, and 3 at most. The number is kept as it was written, 3.0."""
    set_up(api)
    api.put("/v1/meters/largest", ENERGY | {"aggregation": "max"})
    api.post("/v1/events", [event("1"), event("2", data={"kwh": "2", "station": "12"})])
    body = api.call("POST", PATH, content=(
        b'{"tenant": "acme", "source": "/chargers/12", "id": "1", "reason": "x", "replacement": {"specversion": "1.0", '
        b'"id": "1-right", "source": "/chargers/12", "type": "charging.session.ended", "subject": "acme", '
        b'"time": "2026-10-05T10:00:00Z", "data": {"kwh": 3.0, "station": "12"}}}'
    )).json()  # fmt: skip
    assert (body["id"], body["replacement"]["id"], body["replacement"]["data"]["kwh"]) == ("1", "1-right", 3.0)
    assert api.usage("energy", tenant="acme") == {"": "5"}
    assert api.usage("largest", tenant="acme") == {"": "3"}
    assert api.usage("sessions", tenant="acme") == {"": "2"}
    assert ["cancelled_at" in row for row in api.get("/v1/events")["data"] if row["id"] == "1"] == [True]
    check_books(api)


def test_the_same_request_again_changes_nothing(api: Api) -> None:
    """Also a minute later, and after the meter that measures the event has changed."""
    set_up(api)
    api.post("/v1/events", [event("1")])
    first = api.post(PATH, replacing())
    api.clock.set("2026-11-23T12:01:00+00:00")
    assert api.post(PATH, replacing()) == first
    api.put("/v1/meters/energy", ENERGY | {"property": "$.other"})
    assert api.post(PATH, replacing()) == first
    assert len(api.get("/v1/events")["data"]) == 2
    for other in (
        replacing(RIGHT | {"id": "other"}), replacing(RIGHT | {"data": {"kwh": "4", "station": "12"}}),
        replacing(reason="Another one."),
    ):  # fmt: skip
        assert api.call("POST", PATH, other).status_code == 409
    assert api.usage("sessions", tenant="acme") == {"": "1"}


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"subject": "nobody"}, "/subject"), ({"subject": None}, "/subject"), ({"type": "unheard.of"}, "/type"),
        ({"resource": "nowhere"}, "/resource"), ({"data": {"kwh": "much"}}, "/data"), ({"id": "1"}, "/id"),
        ({"id": "2"}, "/id"), ({"id": ""}, "/id"), ({"time": "2031-01-01T00:00:00Z"}, "/time"),
        ({"specversion": "0.3"}, "/specversion"), ({"data_base64": "AAAA"}, "/data_base64"),
    ],
)  # fmt: skip
def test_what_would_not_be_accepted_replaces_nothing(api: Api, fields: Any, pointer: str) -> None:
    set_up(api)
    api.post("/v1/events", [event("1"), event("2")])
    wrong = {name: value for name, value in (RIGHT | fields).items() if value is not None}
    answer = api.call("POST", PATH, replacing(wrong))
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, f"#/replacement{pointer}")
    assert api.usage("energy", tenant="acme") == {"": "14.5"}
    assert [row for row in api.get("/v1/events")["data"] if "cancelled_at" in row] == []
    assert api.get("/v1/quarantine")["data"] == []


def test_use_may_be_given_to_the_tenant_that_it_was_of(api: Api) -> None:
    set_up(api)
    api.put("/v1/tenants/zeta", ACME | {"name": "Zeta", "subjects": []})
    api.post("/v1/events", [event("1")])
    api.post(PATH, replacing(event("1", subject="zeta")))
    assert [api.usage("energy", tenant=key) for key in ("acme", "zeta")] == [{}, {"": "7.25"}]
    check_books(api)


def test_billed_use_that_is_replaced_is_corrected_by_the_next_run(api: Api) -> None:
    """10 kWh at 0.30 were billed as 3.00 and were 4: 1.80 are credited. Then they were 6 after all: 0.60 more."""
    set_up(api, [PER_UNIT], start="2026-10-01")
    api.post("/v1/events", [event("1", data={"kwh": "10", "station": "12"})])
    api.bill("2026-11-01T00:00:00Z")
    api.post(PATH, replacing(event("2", data={"kwh": "4", "station": "12"})))
    for _ in range(2):
        api.bill("2026-11-01T00:00:00Z")
    assert [(one["type"], one["total"]) for one in api.invoices()] == [("invoice", "3.00"), ("credit_note", "1.80")]
    api.post(PATH, replacing(event("3", data={"kwh": "6", "station": "12"}), id="2"))
    api.clock.set("2026-12-02T00:00:00+00:00")
    api.bill("2026-12-01T00:00:00Z")
    lines = api.invoices(period_start="2026-10-31T23:00:00Z")[0]["lines"]
    assert [(line["kind"], line["amount"]) for line in lines] == [("charge", "0.00"), ("difference", "0.60")]
    check_books(api)


def test_of_two_that_replace_one_event_at_once_one_does(api: Api) -> None:
    """Eight events of 7.25 kWh, each replaced by 1 kWh and by 2 kWh and by the first again, all at the same time."""
    set_up(api)
    api.post("/v1/events", [event(str(number)) for number in range(8)])
    wanted = [
        replacing(event(f"{number}-{kwh}", data={"kwh": kwh, "station": "12"}), id=str(number))
        for number in range(8)
        for kwh in ("1", "2", "1")
    ]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda body: api.call("POST", PATH, body).status_code, wanted))
    by_event = [answers[start : start + 3] for start in range(0, 24, 3)]
    assert all(each in ([200, 409, 200], [409, 200, 409]) for each in by_event)
    total = sum(1 if each[0] == 200 else 2 for each in by_event)
    assert api.usage("energy", tenant="acme") == {"": str(total)}
    assert api.usage("sessions", tenant="acme") == {"": "8"}
    check_books(api)
