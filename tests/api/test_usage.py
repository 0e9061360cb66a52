"""Usage windows in real time zones, groups and filters."""

from __future__ import annotations

from typing import Any

import pytest

from tests.service import ACME, Api, event, set_up


def use(api: Api, *uses: tuple[str, str], **fields: Any) -> None:
    """One event of so many kWh at each time."""
    made = [event(f"{time}{kwh}", time=time, data={"kwh": kwh, "station": "12"}, **fields) for time, kwh in uses]
    assert api.post("/v1/events", made)["accepted"] == len(uses)


def test_a_day_of_25_hours_and_a_month_of_745(api: Api) -> None:
    """Paris leaves summer time on 2026-10-25: the day is [22:00Z, 23:00Z next day)."""
    set_up(api)
    use(api, ("2026-10-24T22:00:00Z", "1"), ("2026-10-25T22:59:59Z", "2"), ("2026-10-25T23:00:00Z", "4"))
    period = {"start": "2026-10-24T22:00:00Z", "end": "2026-10-26T23:00:00Z"}
    assert api.usage("energy", tenant="acme", window="day", **period) == {
        "2026-10-24T22:00:00Z": "3",
        "2026-10-25T23:00:00Z": "4",
    }
    rows = api.get("/v1/usage", meter="energy", window="month", time_zone="Europe/Paris",
                   start="2026-09-30T22:00:00Z", end="2026-10-31T23:00:00Z")["data"]  # fmt: skip
    assert [(row["start"], row["end"], row["quantity"]) for row in rows] == [
        ("2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z", "7")
    ]


def test_a_date_is_midnight_in_the_zone_of_the_windows(api: Api) -> None:
    """In Paris 2026-10-25 begins at 22:00Z and has 25 hours."""
    set_up(api)
    use(api, ("2026-10-24T21:59:59Z", "1"), ("2026-10-24T22:00:00Z", "2"), ("2026-10-25T22:59:59Z", "4"))
    days = {"start": "2026-10-25", "end": "2026-10-26"}
    assert api.usage("energy", time_zone="Europe/Paris", window="day", **days) == {"2026-10-24T22:00:00Z": "6"}
    assert api.usage("energy", tenant="acme", **days) == {"": "6"}
    assert api.usage("energy", time_zone="UTC", **days) == {"": "4"}


def test_odd_offsets_are_exact(api: Api) -> None:
    """Kathmandu is at +05:45: its midnight is 18:15Z, inside an hour of UTC."""
    set_up(api)
    use(api, ("2026-10-04T18:14:59Z", "1"), ("2026-10-04T18:15:00Z", "2"), ("2026-10-05T18:14:59.999999Z", "4"))
    period = {"start": "2026-10-03T18:15:00Z", "end": "2026-10-05T18:15:00Z", "time_zone": "Asia/Kathmandu"}
    assert api.usage("energy", window="day", **period) == {"2026-10-03T18:15:00Z": "1", "2026-10-04T18:15:00Z": "6"}
    assert api.usage("energy", window="hour", **period) == {
        "2026-10-04T17:15:00Z": "1",
        "2026-10-04T18:15:00Z": "2",
        "2026-10-05T17:15:00Z": "4",
    }


def test_the_stretch_asked_for_may_begin_anywhere(api: Api) -> None:
    set_up(api)
    use(api, ("2026-10-05T10:16:59Z", "1"), ("2026-10-05T10:17:00Z", "2"), ("2026-10-05T10:41:00Z", "4"))
    period = {"start": "2026-10-05T10:17:00Z", "end": "2026-10-05T10:41:00Z"}
    assert api.usage("energy", **period) == {"": "2"}
    assert api.usage("sessions", **period) == {"": "1"}


def test_groups_and_filters(api: Api) -> None:
    set_up(api)
    api.put("/v1/tenants/borealis", ACME | {"name": "Borealis", "subjects": []})
    api.put("/v1/resources/charger-12", {"name": "Charger 12", "kind": "equipment", "owner": "garage"})
    use(api, ("2026-10-05T10:00:00Z", "1"))
    use(api, ("2026-10-05T10:00:00Z", "2"), subject="borealis", resource="charger-12")
    lost = event("lost", data={"kwh": "4"})
    assert api.post("/v1/events", lost)["accepted"] == 1

    def groups(**query: Any) -> Any:
        return [(row["group"], row["quantity"]) for row in api.get("/v1/usage", meter="energy", **query)["data"]]

    assert groups(group_by="station") == [({"station": None}, "4"), ({"station": "12"}, "3")]
    assert groups(group_by="tenant,resource", resource="charger-12") == [
        ({"tenant": "borealis", "resource": "charger-12"}, "2")
    ]
    assert groups(tenant="acme") == [({}, "5")]
    assert groups(tenant="garage") == []


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({}, 422),
        ({"meter": "nothing"}, 404),
        ({"meter": "energy", "tenant": "nobody"}, 404),
        ({"meter": "energy", "time_zone": "Mars/Olympus"}, 422),
        ({"meter": "energy", "window": "fortnight"}, 422),
        ({"meter": "energy", "window": "day"}, 422),
        ({"meter": "energy", "group_by": "colour"}, 422),
        ({"meter": "energy", "start": "2026-10-02T00:00:00Z", "end": "2026-10-01T00:00:00Z"}, 422),
        ({"meter": "energy", "start": "today"}, 422),
        ({"meter": "energy", "tennant": "acme"}, 422),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_by_name(api: Api, query: Any, status: int) -> None:
    set_up(api)
    answer = api.call("GET", "/v1/usage", params=query)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
