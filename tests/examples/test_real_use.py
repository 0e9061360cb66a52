"""Real use through meters of their own, each against a sum that is made here from the file alone.

An office's presence sensor as a level over time, a year of slots on washing machines as sessions, and what bike trips
take beyond half an hour.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.examples.running import real_file, rows_of
from tests.service import ACME, Api, event, service, set_up

MINUTE = timedelta(minutes=1)


@pytest.fixture
def api(database_url: str) -> Iterator[Api]:
    with service(database_url) as running:
        set_up(running)
        yield running


def post(api: Api, events: list[Any]) -> None:
    for first in range(0, len(events), 5000):
        page = events[first : first + 5000]
        assert api.post("/v1/events", page)["accepted"] == len(page)


def subscribe(api: Api, meter: str, unit_price: str, *, zone: str, start: str) -> None:
    """acme, in this zone, pays for each unit of the meter."""
    api.put("/v1/tenants/acme", ACME | {"time_zone": zone})
    charge = {"key": meter, "meter": meter, "model": {"type": "per_unit", "unit_price": unit_price}}
    api.put("/v1/plans/one", {"name": "One", "currency": "EUR", "interval": "month", "charges": [charge]})
    api.post("/v1/plans/one/publish", {"effective_at": "2010-01-01T00:00:00Z"})
    api.put("/v1/subscriptions/acme-1", {"tenant": "acme", "plan": "one", "start": start})


def text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


# --- presence ---------------------------------------------------------------------------------------------------------


def test_an_offices_presence_is_the_time_that_its_sensor_said_so(api: Api) -> None:
    """Each reading holds until the next, also over the 7 gaps and the night of the clock change: by day, and on the
    invoice of October, in seconds."""
    zone = ZoneInfo("Europe/Amsterdam")
    name = "office_room_917810_raw_properties.csv.gz"
    readings = sorted(
        (datetime.strptime(row["timestamp"], "%Y-%m-%dT%H:%M:%S%z").astimezone(UTC), int(float(row["occupancy__bool"])))
        for row in rows_of(real_file(name))
        if row["source"] == "bms" and row["occupancy__bool"]
    )
    assert len(readings) == 34_446
    occupied: dict[date, int] = {}
    for (at, is_there), (until, _) in pairwise(readings):
        while is_there and at < until:
            day = at.astimezone(zone).date()
            midnight = datetime.combine(day + timedelta(days=1), time(), zone).astimezone(UTC)
            occupied[day] = occupied.get(day, 0) + (min(midnight, until) - at) // timedelta(seconds=1)
            at = min(midnight, until)
    last, is_there = readings[-1]

    api.put("/v1/meters/presence", {
        "event_type": "presence", "aggregation": "time_weighted", "property": "$.there", "per": "second", "unit": "s",
    })  # fmt: skip
    subscribe(api, "presence", "0.0002", zone=zone.key, start="2022-09-01")
    post(api, [
        event(str(number), type="presence", source="/room", time=text(at), data={"there": there})
        for number, (at, there) in enumerate([*readings, *([(last + MINUTE, 0)] if is_there else [])])
    ])  # fmt: skip

    found = api.usage("presence", tenant="acme", window="day", start="2022-10-01", end="2022-12-01", time_zone=zone.key)
    days = {datetime.fromisoformat(start).astimezone(zone).date(): int(q) for start, q in found.items() if q != "0"}
    for sums in (occupied, days):
        sums.pop(
            last.astimezone(zone).date(), None
        )  # the last reading holds for a minute more in the one, not the other
    assert days == occupied
    api.bill("2022-11-15T00:00:00Z")
    october = sum(seconds for day, seconds in occupied.items() if day.month == 10)
    billed = [line for item in api.invoices(buyer="acme") for line in item["lines"] if line["quantity"] != "0"]
    assert [line["quantity"] for line in billed] == [str(october)]
    assert Decimal(billed[0]["amount"]) == (october * Decimal("0.0002")).quantize(Decimal("0.01"), ROUND_HALF_UP)


# --- washing machines -------------------------------------------------------------------------------------------------

MONTHS = {
    "JAN": 1, "FEB": 2, "MÄR": 3, "MAR": 3, "APR": 4, "MAI": 5, "MAY": 5, "JUN": 6, "JUL": 7, "AUG": 8, "SEP": 9,
    "OKT": 10, "OCT": 10, "NOV": 11, "DEZ": 12, "DEC": 12,
}  # fmt: skip


def clock_time(text: str) -> time:
    hour, minute = text.split(":")
    return time(int(hour), int(minute))


def slots() -> list[tuple[datetime, datetime, str]]:
    """(start, end, machine) in UTC; an end at 0:00 is midnight of the next day."""
    zone, found = ZoneInfo("Europe/Berlin"), []
    for row in rows_of(real_file("dorm_washing_machines.csv")):
        day = date(int(row["year"]), MONTHS[row["month"]], int(row["day"]))
        start, end = (
            datetime.combine(day, clock_time(row[name]), zone).astimezone(UTC) for name in ("start_time", "end_time")
        )
        if end <= start:
            midnight = day + timedelta(days=1)
            end = datetime(midnight.year, midnight.month, midnight.day, tzinfo=zone).astimezone(UTC)
        found.append((start, end, row["machine"]))
    return found


def test_the_slots_on_washing_machines_last_from_their_start_to_their_end(api: Api) -> None:
    """2,346 slots as 4,692 events: by month and machine the minutes that the file's times say."""
    zone = ZoneInfo("Europe/Berlin")
    api.put("/v1/meters/washing", {
        "event_type": "slot", "aggregation": "duration", "property": "$.what", "start_value": "start",
        "end_value": "end", "session": "$.slot", "longest": "24h", "per": "minute", "unit": "min",
        "dimensions": {"machine": "$.machine"},
    })  # fmt: skip
    expected: dict[tuple[int, int, str], int] = {}
    events = []
    for number, (start, end, machine) in enumerate(slots()):
        for what, at in (("start", start), ("end", end)):
            data = {"slot": number, "what": what} | ({"machine": machine} if what == "start" else {})
            events.append(event(f"{number}-{what}", type="slot", source="/dorm", time=text(at), data=data))
        minute = start
        while minute < end:
            local = minute.astimezone(zone)
            month = (local.year, local.month, machine)
            expected[month] = expected.get(month, 0) + 1
            minute += MINUTE
    assert len(events) == 4_692
    post(api, events[::-1])

    rows = api.get(
        "/v1/usage", meter="washing", tenant="acme", window="month", start="2022-12-01", end="2024-01-01",
        time_zone=zone.key, group_by="machine",
    )["data"]  # fmt: skip
    found = {}
    for row in rows:
        start = datetime.fromisoformat(row["start"]).astimezone(zone)
        if row["quantity"] != "0":
            found[start.year, start.month, row["group"]["machine"]] = int(row["quantity"])
        assert row["sessions"]["cut"] == 0
    assert found == expected


# --- bikes ------------------------------------------------------------------------------------------------------------


def test_what_bike_trips_take_beyond_half_an_hour_is_billed_in_whole_minutes(api: Api) -> None:
    """An expression makes the seconds beyond 1,800 of each trip; a month's are minutes, rounded up once, at 0.15."""
    trips = rows_of(real_file("bikeshare_bayarea_2014-11.csv.gz"))
    beyond: dict[str, int] = {}
    for trip in trips:
        kind = trip["subscription_type"]
        beyond[kind] = beyond.get(kind, 0) + max(int(trip["duration"]) - 1800, 0)
    assert len(trips) == 25_516

    api.put("/v1/meters/beyond", {
        "event_type": "trip", "aggregation": "sum", "expression": "max($.duration - 1800, 0)", "unit": "s",
        "convert": {"divide_by": "60", "unit": "min"}, "rounding": {"mode": "up", "scale": 0},
        "dimensions": {"kind": "$.kind"},
    })  # fmt: skip
    subscribe(api, "beyond", "0.15", zone="America/Los_Angeles", start="2014-10-01")
    post(api, [
        event(trip["trip_id"], type="trip", source="/bikes", time=trip["start_date"],
              data={"duration": trip["duration"], "kind": trip["subscription_type"]})
        for trip in trips
    ])  # fmt: skip

    rows = api.get("/v1/usage", meter="beyond", tenant="acme", group_by="kind")["data"]
    assert {row["group"]["kind"]: int(row["quantity"]) for row in rows} == beyond
    api.bill("2014-12-31T00:00:00Z")
    minutes = (Decimal(sum(beyond.values())) / 60).to_integral_value(ROUND_CEILING)
    (line,) = [line for item in api.invoices(buyer="acme") for line in item["lines"] if line["quantity"] != "0"]
    amount = (minutes * Decimal("0.15")).quantize(Decimal("0.01"), ROUND_HALF_UP)
    assert (line["quantity"], line["unit"], Decimal(line["amount"])) == (str(minutes), "min", amount)
