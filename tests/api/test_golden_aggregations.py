"""Totals that other metering systems assert in their own tests, over the same events sent to this one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.service import Api, event, service, set_up


@pytest.fixture
def api(database_url: str) -> Iterator[Api]:
    with service(database_url) as running:
        set_up(running)
        yield running


def total(api: Api, fields: dict[str, Any], days: dict[str, list[Any]], **query: Any) -> dict[str, str]:
    """What a new meter makes of these values, each under `v`; objects are sent as they are."""
    kind = f"golden-{fields['aggregation']}"
    api.put(f"/v1/meters/{kind}", {"event_type": kind, "unit": "x", "property": "$.v"} | fields)
    events = [
        event(f"{kind}-{day}-{number}", type=kind, time=f"2026-10-{day}T1{number}:00:00Z",
              data=value if isinstance(value, dict) else {"v": value})
        for day, values in days.items()
        for number, value in enumerate(values)
    ]  # fmt: skip
    api.post("/v1/events", events)
    return api.usage(kind, tenant="acme", start="2026-10-01T00:00:00Z", end="2026-10-10T00:00:00Z", **query)


def test_polar_meter_test_service_average(api: Api):
    """10, 10, 10 and, on another day, 50: 20, not the 30 of the two days' averages."""
    assert total(api, {"aggregation": "avg"}, {"01": [10, 10, 10], "02": [50]}) == {"": "20"}


def test_polar_meter_test_service_maximum(api: Api):
    """20, nothing, and 15 on three days: 20, not 35."""
    assert total(api, {"aggregation": "max"}, {"01": [20, 3], "03": [15]}) == {"": "20"}


def test_polar_meter_test_service_minimum(api: Api):
    """A day without events is not 0: the least is 5."""
    assert total(api, {"aggregation": "min"}, {"01": [20, 5], "03": [15]}) == {"": "5"}


def test_polar_meter_test_service_unique(api: Api):
    """A value that comes on two days counts once."""
    assert total(api, {"aggregation": "unique"}, {"01": ["a", "b"], "02": ["a"]}) == {"": "2"}


def test_polar_meter_test_service_values_that_are_no_numbers(api: Api):
    """true and "invalid" are no part of the sum of 20 and 10; here they wait in quarantine."""
    assert total(api, {"aggregation": "sum"}, {"01": [20, True], "02": ["invalid", 10]}) == {"": "30"}
    assert len(api.get("/v1/quarantine", reason="unmeasurable")["data"]) == 2


def test_lago_unique_count_with_operation_type(api: Api):
    """Added, added again, another added, the first removed, and removed once more: one is there."""
    days = {
        "01": [{"v": "a", "op": "add"}, {"v": "a", "op": "add"}, {"v": "b"}],
        "02": [{"v": "a", "op": "remove"}, {"v": "a", "op": "remove"}],
    }

    assert total(api, {"aggregation": "unique", "operation": "$.op"}, days) == {"": "1"}


def test_a_level_counts_by_the_part_of_the_day_that_it_held(api: Api):
    """A level of 10 from 10:00 on: 140 of 24 hours on the first day, 10 on each day after it."""
    fields = {"aggregation": "time_weighted", "per": "day"}
    found = total(api, fields, {"01": [10]}, window="day", time_zone="UTC")
    assert list(found.values())[1:] == ["10"] * 8
    assert found["2026-10-01T00:00:00Z"] == "5.83333333333333333"


def test_flexprice_windowed_maximum_summed_over_the_windows(api: Api):
    """The greatest of each day, 50, 150, 200 and 99, are 499 together; the greatest of all would be 200."""
    fields = {"aggregation": "sum", "window": {"aggregation": "max", "per": "day"}}

    assert total(api, fields, {"01": [50, 7], "02": [150], "03": [120, 200], "05": [99, 99]}) == {"": "499"}
