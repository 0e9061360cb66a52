"""Weekly, quarterly, daily and longer periods from the plan to the invoice, in the tenant's own zone."""

from __future__ import annotations

from typing import Any

import pytest

from tests.service import ACME, OPERATOR, PER_UNIT, Api, event, set_up

SEVEN = {"key": "base", "model": {"type": "flat", "amount": "7.00"}, "timing": "advance"}


def subscribe(api: Api, zone: str, charges: list[Any], start: str, **plan: Any) -> None:
    set_up(api)
    api.put("/v1/tenants/garage", OPERATOR)
    api.put("/v1/tenants/acme", ACME | {"time_zone": zone})
    api.put("/v1/plans/standard", {"name": "Standard", "currency": "EUR", "charges": charges} | plan)
    api.post("/v1/plans/standard/publish", {"effective_at": "2020-01-01T00:00:00Z"})
    api.put("/v1/subscriptions/acme-1", {"tenant": "acme", "plan": "standard", "start": start})


def lines(api: Api) -> list[tuple[str, str]]:
    """(start of the line's period, amount) of every line, in order of issue."""
    return [(line["period"]["start"], line["amount"]) for one in api.invoices() for line in one["lines"]]


@pytest.mark.parametrize(
    ("start", "zone", "amount"),
    [
        ("2023-06-16T05:00:00Z", "America/Denver", "4.00"),  # Thursday 15 June, 23:00
        ("2023-06-16T05:00:00Z", "America/Halifax", "3.00"),  # Friday 16 June, 02:00
        ("2023-06-16T20:00:00Z", "Europe/Paris", "3.00"),  # Friday 16 June, 22:00
        ("2023-06-16T20:00:00Z", "Asia/Karachi", "2.00"),  # Saturday 17 June, 01:00
    ],
)
def test_lago_invoices_spec_a_weekly_charge_in_advance_counts_local_days(
    api: Api, start: str, zone: str, amount: str
) -> None:
    """7.00 a week in advance: 1.00 for each day from the local start to Sunday; then 7.00 from Monday on."""
    subscribe(api, zone, [SEVEN], start, interval="week", anchor="calendar")
    api.bill("2023-06-20T00:00:00Z")
    assert [amount for _, amount in lines(api)] == [amount, "7.00"]


def test_lago_a_month_in_advance_beside_the_use_of_the_month_before(api: Api) -> None:
    """On 1 February 2024: 7.00 for 1 to 29 February, and January's 10 kWh at 0.30."""
    subscribe(api, "Europe/Paris", [SEVEN, PER_UNIT], "2024-01-01", interval="month")
    api.post("/v1/events", [event("1", time="2024-01-31T22:59:59Z", data={"kwh": "10"})])
    api.bill("2024-02-01T00:00:00Z")
    invoice = api.invoices()[1]
    assert [(line["charge"], line["period"]["start"], line["amount"]) for line in invoice["lines"]] == [
        ("energy", "2023-12-31T23:00:00Z", "3.00"),
        ("base", "2024-01-31T23:00:00Z", "7.00"),
    ]
    assert invoice["lines"][1]["period"]["end"] == "2024-02-29T23:00:00Z"


@pytest.mark.parametrize(
    ("plan", "start", "through", "expected"),
    [
        # Q1 2026 has 90 days, 45 of them from 15 February on: 90.00 x 45 / 90.
        ({"interval": "quarter"}, "2026-02-15", "2026-07-01",
         [("2026-02-14T23:00:00Z", "45.00"), ("2026-03-31T22:00:00Z", "90.00")]),
        ({"interval": "quarter", "anchor": "anniversary"}, "2025-11-30", "2026-06-01",
         [("2025-11-29T23:00:00Z", "90.00"), ("2026-02-27T23:00:00Z", "90.00")]),
        ({"interval": "day", "interval_count": 10, "anchor": "anniversary"}, "2026-03-25", "2026-04-15",
         [("2026-03-24T23:00:00Z", "90.00"), ("2026-04-03T22:00:00Z", "90.00")]),
        # Wednesday to Sunday: 5 of 7 days, 64.2857; the clocks change on 29 March.
        ({"interval": "week"}, "2026-03-25", "2026-04-07",
         [("2026-03-24T23:00:00Z", "64.29"), ("2026-03-29T22:00:00Z", "90.00")]),
        ({"interval": "year", "anchor": "anniversary"}, "2024-02-29", "2026-03-01",
         [("2024-02-28T23:00:00Z", "90.00"), ("2025-02-27T23:00:00Z", "90.00")]),
    ],
)  # fmt: skip
def test_a_flat_amount_is_due_once_a_period_whatever_its_length(
    api: Api, plan: Any, start: str, through: str, expected: list[tuple[str, str]]
) -> None:
    base = {"key": "base", "model": {"type": "flat", "amount": "90.00"}}
    subscribe(api, "Europe/Paris", [base], start, **plan)
    api.bill(f"{through}T00:00:00Z")
    assert lines(api) == expected


def test_a_plan_shows_how_many_intervals_a_period_has(api: Api) -> None:
    """The field is there where it says something."""
    subscribe(api, "Europe/Paris", [SEVEN], "2026-01-01", interval="day", interval_count=10)
    assert api.get("/v1/plans/standard")["interval_count"] == 10
    assert api.get("/v1/plans/standard/versions")["data"][0]["interval_count"] == 10
    plan = {"name": "W", "currency": "EUR", "interval": "week", "interval_count": 1, "charges": [SEVEN]}
    assert "interval_count" not in api.put("/v1/plans/weekly", plan)
