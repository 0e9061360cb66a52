"""What a meter reads from an event: an expression in place of a property, and the unit in which it is billed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.service import Api, event, service, set_up


@pytest.fixture
def api(database_url: str) -> Iterator[Api]:
    with service(database_url) as running:
        set_up(running)
        yield running


TOKENS = {"event_type": "call", "aggregation": "sum", "expression": "$.input + 4 * $.output", "unit": "token"}
TRAFFIC = {
    "event_type": "transfer", "aggregation": "sum", "property": "$.bytes", "unit": "B",
    "rounding": {"mode": "up", "scale": 1}, "convert": {"divide_by": "1073741824", "unit": "GiB"},
}  # fmt: skip


def call(id: str, **data: object) -> object:
    return event(id, type="call", data=data)


def test_a_meter_sums_what_its_expression_makes_of_each_event(api: Api) -> None:
    """100 + 4 x 20 = 180, and 7 + 4 x 0.5 = 9: together 189."""
    assert api.put("/v1/meters/tokens", TOKENS)["expression"] == TOKENS["expression"]
    api.post("/v1/events", [call("a", input=100, output=20), call("b", input="7", output="0.5")])

    assert api.usage("tokens", tenant="acme") == {"": "189"}


def test_an_event_that_an_expression_cannot_measure_waits_in_quarantine_for_one_that_can(api: Api) -> None:
    """Without `output` there is nothing to multiply. The mended meter reads `input` alone: 5."""
    api.put("/v1/meters/tokens", TOKENS)
    assert api.post("/v1/events", [call("a", input=5)])["quarantined"] == 1
    (kept,) = api.get("/v1/quarantine", reason="unmeasurable")["data"]
    assert kept["detail"] == (
        "$.output is absent or not a number within bounds: meter tokens cannot compute $.input + 4 * $.output"
    )

    api.put("/v1/meters/tokens", TOKENS | {"expression": "$.input * 1"})

    assert api.usage("tokens", tenant="acme") == {"": "5"}


def test_another_expression_counts_the_events_that_were_there_anew(api: Api) -> None:
    api.put("/v1/meters/tokens", TOKENS)
    api.post("/v1/events", [call("a", input=100, output=20)])
    changed = api.put("/v1/meters/tokens", TOKENS | {"expression": "max($.input, $.output) / 3"})

    assert changed["revision"] == 2
    assert api.usage("tokens", tenant="acme") == {"": "33.333333333333333333"}


def test_an_average_is_of_all_events_whatever_the_windows_and_the_groups(api: Api) -> None:
    """Three of 10 on one day and one of 50 on another are 20 on average, not the 30 of the days' averages."""
    api.put("/v1/meters/load", {"event_type": "load", "aggregation": "avg", "property": "$.v", "unit": "%"})
    days = ["2026-10-05", "2026-10-05", "2026-10-05", "2026-10-06"]
    api.post("/v1/events", [
        event(str(n), type="load", time=f"{day}T10:00:00Z", data={"v": v})
        for n, (day, v) in enumerate(zip(days, (10, 10, 10, 50), strict=True))
    ])  # fmt: skip

    assert api.usage("load", tenant="acme") == {"": "20"}
    windows = api.usage("load", tenant="acme", window="day", start="2026-10-05", end="2026-10-07", time_zone="UTC")
    assert list(windows.values()) == ["10", "50"]


def test_a_cancelled_event_leaves_the_average(api: Api) -> None:
    api.put("/v1/meters/load", {"event_type": "load", "aggregation": "avg", "property": "$.v", "unit": "%"})
    api.post("/v1/events", [event(str(n), type="load", data={"v": n}) for n in (1, 2, 6)])
    api.post("/v1/events/cancellations", {"tenant": "acme", "source": "/chargers/12", "id": "6"})

    assert api.usage("load", tenant="acme") == {"": "1.5"}


def test_bytes_are_billed_as_gibibytes_rounded_in_that_unit(api: Api) -> None:
    """5 GiB and 1 byte are 5.0000..., up to 5.1; 2 are free, 3.1 x 0.10 = 0.31. Usage is shown in bytes."""
    api.put("/v1/meters/traffic", TRAFFIC)
    set_up(api, [{"key": "traffic", "meter": "traffic", "allowance": "2",
                  "model": {"type": "per_unit", "unit_price": "0.10"}}])  # fmt: skip
    api.post("/v1/events", [event("a", type="transfer", data={"bytes": 5 * 2**30 + 1})])
    assert api.usage("traffic", tenant="acme") == {"": str(5 * 2**30 + 1)}

    api.bill("2026-11-01T00:00:00Z")

    invoice = next(item for item in api.invoices(buyer="acme") if item["lines"][0]["quantity"] != "0")
    line = invoice["lines"][0]
    assert (line["quantity"], line["unit"], line["amount"]) == ("5.1", "GiB", "0.31")
    explained = api.get(f"/v1/invoices/{invoice['id']}/lines/{line['id']}/explanation")
    assert [(step["stage"], step["quantity"]) for step in explained["steps"][:3]] == [
        ("convert_units", "5.000000000931322575"), ("round_quantity", "5.1"), ("deduct_allowance", "3.1"),
    ]  # fmt: skip
    assert explained["holds"]


def test_another_unit_leaves_what_was_issued_as_it_was(api: Api) -> None:
    """October is issued in GiB. The meter now bills GB; a late byte is rated by the terms that the line recorded."""
    api.put("/v1/meters/traffic", TRAFFIC)
    set_up(api, [{"key": "traffic", "meter": "traffic", "model": {"type": "per_unit", "unit_price": "0.10"}}])
    api.post("/v1/events", [event("a", type="transfer", data={"bytes": 2**30})])
    api.bill("2026-11-01T00:00:00Z")
    api.put("/v1/meters/traffic", TRAFFIC | {"convert": {"divide_by": "1000000000", "unit": "GB"}})
    api.post("/v1/events", [event("late", type="transfer", data={"bytes": 2**31})])
    api.clock.set("2026-12-02T00:00:00+00:00")

    api.bill("2026-12-01T00:00:00Z")

    lines = [line for item in api.invoices(buyer="acme") for line in item["lines"] if line["quantity"] != "0"]
    assert sorted((line["quantity"], line["unit"], line["amount"]) for line in lines) == [
        ("1", "GiB", "0.10"), ("2", "GiB", "0.20"),
    ]  # fmt: skip
