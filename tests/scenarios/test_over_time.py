"""Levels, sessions and running totals over several billing periods: what is carried over, what comes late, what goes.

September and October 2026 in Paris are 720 and 745 hours. A unit is 0.01.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from app.operations.audit_books import audit_books
from app.storage.database import Database
from tests.service import Api, event, service, set_up

TYPE = "told"
METERS: dict[str, dict[str, Any]] = {
    "seats": {"aggregation": "time_weighted", "property": "$.seats", "per": "hour"},
    "use": {"aggregation": "duration", "property": "$.what", "session": "$.id", "start_value": "start",
            "end_value": "end", "longest": "48h"},
    "power": {"aggregation": "counter", "property": "$.total"},
    "members": {"aggregation": "unique", "property": "$.who", "operation": "$.op"},
}  # fmt: skip


@pytest.fixture
def api(database_url: str) -> Iterator[Api]:
    with service(database_url, now="2026-09-01T00:00:00+00:00") as running:
        set_up(running)
        for key, fields in METERS.items():
            running.put(f"/v1/meters/{key}", {"event_type": f"{TYPE}.{key}", "unit": "h"} | fields)
        charges = [{"key": key, "meter": key, "model": {"type": "per_unit", "unit_price": "0.01"}} for key in METERS]
        set_up(running, charges)
        running.clock.set("2026-12-05T00:00:00+00:00")
        yield running


def told(meter: str, name: str, time: str, **data: Any) -> Any:
    return event(f"{meter}-{name}", type=f"{TYPE}.{meter}", time=time, data=data)


def post(api: Api, *events: Any) -> None:
    assert api.post("/v1/events", list(events))["accepted"] == len(events)


def billed(api: Api) -> dict[tuple[str, str], str]:
    """By charge and start of the period what was billed: the first line, then what was added or credited."""
    found: dict[tuple[str, str], list[str]] = {}
    documents = [item for item in api.invoices(buyer="acme", limit=1000) if item["status"] == "issued"]
    for document in sorted(documents, key=lambda item: item["number"]):
        for line in document["lines"]:
            if line["quantity"] != "0":
                sign = "-" if document["type"] == "credit_note" else ""
                found.setdefault((line["charge"], line["period"]["start"][:7]), []).append(sign + line["quantity"])
    return {key: " ".join(quantities) for key, quantities in found.items()}


SEPTEMBER, OCTOBER, NOVEMBER = "2026-08", "2026-09", "2026-10"
"""The months in UTC in which the local ones begin."""


def clean(api: Api) -> bool:
    database: Database = api.client.app.state.database  # type: ignore[attr-defined]
    audit = audit_books(database, now=api.clock())
    assert audit.differences == []
    return True


def test_each_period_begins_with_what_the_one_before_left(api: Api) -> None:
    """3 seats from 21 September, 00:00 (10 days, 240 h): 720. October has 745 x 3 = 2235. A session from 22:00 to 04:00
    local over the end of September is 2 h and 4 h. The total goes from 100 to 130 and 150; bo stays a member."""
    post(
        api,
        told("seats", "a", "2026-09-20T22:00:00Z", seats=3),
        told("use", "a", "2026-09-30T20:00:00Z", id="s1", what="start"),
        told("use", "b", "2026-10-01T02:00:00Z", id="s1", what="end"),
        told("power", "a", "2026-09-10T00:00:00Z", total=100),
        told("power", "b", "2026-09-20T00:00:00Z", total=130),
        told("power", "c", "2026-10-10T00:00:00Z", total=150),
        told("members", "a", "2026-09-10T00:00:00Z", who="al"),
        told("members", "b", "2026-09-10T00:00:00Z", who="bo"),
        told("members", "c", "2026-10-10T00:00:00Z", who="al", op="remove"),
    )
    api.bill("2026-11-01T00:00:00Z")

    assert billed(api) == {
        ("seats", SEPTEMBER): "720", ("seats", OCTOBER): "2235", ("use", SEPTEMBER): "2", ("use", OCTOBER): "4",
        ("power", SEPTEMBER): "30", ("power", OCTOBER): "20", ("members", SEPTEMBER): "2", ("members", OCTOBER): "1",
    }  # fmt: skip
    assert clean(api)


def test_a_late_event_changes_the_periods_after_it_as_well(api: Api) -> None:
    """Both months are issued. Then September gets: 2 seats from its beginning, which go on, 720 x 2 and 745 x 2; the
    start of a session that ended in October, 1 h and 3 h; an earlier reading of the total, 80, from which October's
    first reading of 100 is 20 more; and a member."""
    post(
        api,
        told("use", "end", "2026-10-01T01:00:00Z", id="s1", what="end"),
        told("power", "b", "2026-10-10T00:00:00Z", total=100),
    )
    api.bill("2026-11-01T00:00:00Z")
    assert billed(api) == {}

    post(
        api,
        told("seats", "late", "2026-08-31T22:00:00Z", seats=2),
        told("use", "late", "2026-09-30T21:00:00Z", id="s1", what="start"),
        told("power", "late", "2026-09-10T00:00:00Z", total=80),
        told("members", "late", "2026-09-10T00:00:00Z", who="al"),
    )
    api.bill("2026-12-01T00:00:00Z")

    assert billed(api) == {
        ("seats", SEPTEMBER): "1440", ("seats", OCTOBER): "1490", ("seats", NOVEMBER): "1440",
        ("use", SEPTEMBER): "1", ("use", OCTOBER): "3", ("power", OCTOBER): "20",
        ("members", SEPTEMBER): "1", ("members", OCTOBER): "1", ("members", NOVEMBER): "1",
    }  # fmt: skip
    assert clean(api)
    again = billed(api)
    api.bill("2026-12-02T00:00:00Z")
    assert billed(api) == again, "nothing is billed twice"


def test_a_cancelled_event_takes_back_what_it_carried_into_later_periods(api: Api) -> None:
    """2 seats since September are cancelled after October was issued: both months are credited in full."""
    post(api, told("seats", "a", "2026-08-31T22:00:00Z", seats=2))
    api.bill("2026-11-01T00:00:00Z")
    api.post("/v1/events/cancellations", {"tenant": "acme", "source": "/chargers/12", "id": "seats-a"})
    api.bill("2026-12-01T00:00:00Z")

    assert billed(api) == {("seats", SEPTEMBER): "1440 -1440", ("seats", OCTOBER): "1490 -1490"}
    assert clean(api)


def test_a_session_without_an_end_is_cut_and_seen(api: Api) -> None:
    """It begins on 30 September at 22:00 local, and `longest` is 48 h: 2 h in September, 46 in October, no more."""
    post(api, told("use", "a", "2026-09-30T20:00:00Z", id="s1", what="start"))
    api.bill("2026-12-01T00:00:00Z")

    assert billed(api) == {("use", SEPTEMBER): "2", ("use", OCTOBER): "46"}
    rows = api.get("/v1/usage", meter="use", tenant="acme", window="month", start="2026-09-01", end="2026-12-01")[
        "data"
    ]
    assert [(row["quantity"], row["sessions"]) for row in rows] == [
        ("2", {"open": 1, "cut": 0}), ("46", {"open": 0, "cut": 1}),
    ]  # fmt: skip


def test_a_preview_measures_up_to_now(api: Api) -> None:
    """2 seats since the 1st of December, 00:00 local; on the 5th at 01:00 these are 97 h: 194. A session has 1 h."""
    post(
        api,
        told("seats", "a", "2026-11-30T23:00:00Z", seats=2),
        told("use", "a", "2026-12-04T23:00:00Z", id="s1", what="start"),
    )
    lines = {line["charge"]: line["quantity"] for line in api.get("/v1/tenants/acme/preview")["lines"]}

    assert (lines["seats"], lines["use"]) == ("194", "1")
    assert api.usage("seats", tenant="acme", start="2026-12-01", end="2026-12-31") == {"": "194"}


def test_another_meter_counts_the_past_anew_and_issued_periods_stay(api: Api) -> None:
    """Seats are measured per day from now on: what was issued per hour stays, and is still found to be right."""
    post(api, told("seats", "a", "2026-10-31T23:00:00Z", seats=2), told("seats", "b", "2026-11-01T23:00:00Z", seats=0))
    api.bill("2026-12-01T00:00:00Z")
    changed = METERS["seats"] | {"event_type": f"{TYPE}.seats", "unit": "d", "per": "day"}
    assert api.put("/v1/meters/seats", changed)["revision"] == 2

    assert api.usage("seats", tenant="acme", start="2026-10-01", end="2026-12-01") == {"": "2"}
    post(api, told("seats", "late", "2026-11-01T11:00:00Z", seats=4))
    api.bill("2026-12-02T00:00:00Z")
    api.put(
        "/v1/subscriptions/acme-1", {"tenant": "acme", "plan": "standard", "start": "2026-09-01", "end": "2026-12-03"}
    )
    api.bill("2026-12-04T00:00:00Z")
    assert billed(api) == {("seats", NOVEMBER): "48 24"}
    assert clean(api)


def test_what_lay_in_quarantine_has_its_place_in_time_when_it_is_released(api: Api) -> None:
    """A badge that nobody pays for yet: 1 seat for a day, and one that goes on. Claimed, it is 24 h and 3 x 24 h."""
    later = [
        event("q1", type=f"{TYPE}.seats", subject="badge-9", time="2026-11-01T00:00:00Z", data={"seats": 1}),
        event("q2", type=f"{TYPE}.seats", subject="badge-9", time="2026-11-02T00:00:00Z", data={"seats": 3}),
    ]
    assert api.post("/v1/events", later)["quarantined"] == 2
    api.call("PATCH", "/v1/tenants/acme", {"subjects": ["user-17", "badge-9"]})

    assert api.usage("seats", tenant="acme", start="2026-11-01T00:00:00Z", end="2026-11-03T00:00:00Z") == {"": "96"}


def test_every_subject_has_a_level_of_its_own_and_none_is_the_tenants(api: Api) -> None:
    """acme has 2 seats, user-17 3: 5 together. What names no subject is what names acme: then 4 + 3."""
    post(
        api,
        told("seats", "a", "2026-11-01T00:00:00Z", seats=2),
        told("seats", "b", "2026-11-01T00:00:00Z", seats=3) | {"subject": "user-17"},
    )
    hours = {"start": "2026-11-01T00:00:00Z", "end": "2026-11-01T02:00:00Z", "window": "hour", "time_zone": "UTC"}
    assert list(api.usage("seats", tenant="acme", **hours).values()) == ["5", "5"]
    by_subject = api.get("/v1/usage", meter="seats", tenant="acme", group_by="subject", **hours)["data"]
    assert [(row["group"]["subject"], row["quantity"]) for row in by_subject] == [
        ("acme", "2"), ("user-17", "3"), ("acme", "2"), ("user-17", "3"),
    ]  # fmt: skip


def test_an_end_belongs_to_its_session_whatever_else_it_says(api: Api) -> None:
    """The start says on which resource, the end does not: asked for that resource it is still 2 hours."""
    api.put("/v1/resources/saw", {"name": "Saw", "kind": "equipment", "owner": "garage"})
    post(
        api,
        told("use", "a", "2026-11-01T08:00:00Z", id="s1", what="start") | {"resource": "saw"},
        told("use", "b", "2026-11-01T10:00:00Z", id="s1", what="end"),
    )

    assert api.usage("use", tenant="acme", resource="saw") == {"": "2"}


def test_an_explanation_shows_the_windows_in_which_a_level_held(api: Api) -> None:
    """2 seats since September; in October each day has 48 h, the one of the clock change 50."""
    post(api, told("seats", "a", "2026-09-20T22:00:00Z", seats=2))
    api.bill("2026-11-01T00:00:00Z")
    (invoice,) = [item for item in api.invoices(buyer="acme") if item["period"]["start"].startswith(OCTOBER)]
    (line,) = [line for line in invoice["lines"] if line["charge"] == "seats"]

    explained = api.get(f"/v1/invoices/{invoice['id']}/lines/{line['id']}/explanation")

    assert explained["holds"]
    assert explained["usage"]["events"] == 0
    assert explained["usage"]["quantity"] == "1490"
    assert explained["usage"]["carried"] == {
        "events": 1, "first": [{"source": "/chargers/12", "id": "seats-a", "time": "2026-09-20T22:00:00Z"}],
    }  # fmt: skip
    assert [row["quantity"] for row in explained["use"]["data"]] == ["48"] * 24 + ["50"] + ["48"] * 6
    assert explained["use"]["verified"]
