"""Every charge model from events to the invoice, through HTTP: what is gathered, what it costs, what comes late."""

from __future__ import annotations

from typing import Any

import pytest

from tests.service import Api, event, set_up

PEAK = {
    "event_type": "charging.session.ended", "aggregation": "max", "property": "$.kwh", "unit": "kW",
}  # fmt: skip


def priced(api: Api, model: dict[str, Any], *, meter: Any = None, start: str = "2026-10-01", **rest: Any) -> None:
    """A plan with one charge of this model on the meter `energy`, or on another one in its place."""
    set_up(api)
    if meter is not None:
        api.put("/v1/meters/energy", meter)
    charge = {"key": "energy", "meter": "energy", "model": model} | rest
    body = {"name": "Standard", "currency": "EUR", "interval": "month", "anchor": "calendar", "charges": [charge]}
    shown = api.put("/v1/plans/standard", body)
    assert shown["charges"][0]["model"] == model
    assert api.put("/v1/plans/standard", body) == shown
    api.post("/v1/plans/standard/publish", {"effective_at": "2020-01-01T00:00:00Z"})
    api.put("/v1/subscriptions/acme-1", {"tenant": "acme", "plan": "standard", "start": start})


def use(api: Api, *rows: tuple[str, str, str], station: Any = "12") -> None:
    """Events as (id, kWh, time)."""
    sent = [event(id, time=time, data={"kwh": kwh, "station": station}) for id, kwh, time in rows]
    assert api.post("/v1/events", sent)["accepted"] == len(rows)


def pieces(line: Any) -> list[tuple[str, str, str, str]]:
    return [(c["description"], c["quantity"], c["unit_price"], c["amount"]) for c in line["components"]]


def october(api: Api) -> Any:
    """The line of October, billed now, which its preview foresaw and the audit finds right."""
    api.clock.set("2026-10-31T22:59:59+00:00")
    [foreseen] = api.get("/v1/tenants/acme/preview")["lines"]
    api.clock.set("2026-11-23T12:00:00+00:00")
    run = api.bill("2026-11-01T00:00:00Z")
    assert (run["failed"], run["closed"]) == (0, 1)
    [invoice] = api.invoices(type="invoice")
    [line] = invoice["lines"]
    assert line == foreseen
    explained = api.get(f"/v1/invoices/{invoice['id']}/lines/{line['id']}/explanation")
    assert explained["holds"] is True
    assert api.call("GET", f"/v1/invoices/{invoice['id']}.pdf").status_code == 200
    return line


def late(api: Api) -> list[tuple[str, str, str]]:
    """What the next runs bill and credit of October: (kind, quantity, amount) of lines about it."""
    api.clock.set("2026-12-02T00:00:00+00:00")
    assert api.bill("2026-12-01T00:00:00Z")["failed"] == 0
    return [
        (line["kind"], line["quantity"], line["amount"])
        for invoice in api.invoices()
        for line in invoice["lines"]
        if line["kind"] != "charge"
    ]


def test_amounts_are_passed_on_times_the_multiplier(api: Api) -> None:
    """OpenMeter's dynamic price: 10 x 1.33333 is 13.33; 0.75 more came late: 10.75 x 1.33333 = 14.33, 1.00 more."""
    priced(api, {"type": "dynamic", "multiplier": "1.33333"})
    use(api, ("1", "4", "2026-10-05T10:00:00Z"), ("2", "6", "2026-10-06T10:00:00Z"))
    assert pieces(october(api)) == [("amount passed on", "10", "1.33333", "13.33")]
    use(api, ("3", "0.75", "2026-10-07T10:00:00Z"))
    assert late(api) == [("difference", "0.75", "1.00")]


CAPACITY = {
    "type": "capacity",
    "tiers": [
        {"up_to": "100", "unit_price": "0", "flat": "10"}, {"up_to": "200", "unit_price": "20"},
        {"up_to": None, "unit_price": "0", "flat": "30"},
    ],
}  # fmt: skip


def test_a_peak_pays_the_price_of_its_tier(api: Api) -> None:
    """The peak of 120 lies in the second tier: 20.00, however far into it; a late 250 makes it 30.00, 10.00 more."""
    priced(api, CAPACITY, meter=PEAK)
    use(api, ("1", "120", "2026-10-05T10:00:00Z"), ("2", "80", "2026-10-06T10:00:00Z"))
    assert pieces(october(api)) == [("tier 2, capacity", "1", "20.00", "20.00")]
    use(api, ("3", "250", "2026-10-07T10:00:00Z"))
    assert late(api) == [("difference", "130", "10.00")]


def test_a_capacity_that_nobody_used_costs_nothing(api: Api) -> None:
    """Although the first tier costs 10.00."""
    priced(api, CAPACITY, meter=PEAK)
    assert pieces(october(api)) == [("tier 1, capacity", "0", "10.00", "0.00")]


def test_each_tier_of_amounts_has_its_percentage(api: Api) -> None:
    """1,500: 1,000 at 2 % = 20.00 and 1.00 on entry, 500 at 1.5 % = 7.50."""
    tiers = [{"up_to": "1000", "rate": "2", "flat": "1"}, {"up_to": None, "rate": "1.5"}]
    priced(api, {"type": "graduated_percentage", "tiers": tiers})
    use(api, ("1", "700", "2026-10-05T10:00:00Z"), ("2", "800", "2026-10-06T10:00:00Z"))
    assert pieces(october(api)) == [
        ("tier 1, percentage", "1000", "0.02", "20.00"),
        ("tier 1, entry", "1", "1.00", "1.00"),
        ("tier 2, percentage", "500", "0.015", "7.50"),
    ]


RESERVED = {"type": "reservation", "reserved": "100", "unit_price": "2.00", "overage_unit_price": "3.00"}


def test_a_reservation_is_owed_in_full_and_what_goes_beyond_it_too(api: Api) -> None:
    """100 x 2.00 and 12.5 x 3.00 = 237.50; 20 are cancelled: 37.50 are credited."""
    priced(api, RESERVED)
    use(api, ("1", "92.5", "2026-10-05T10:00:00Z"), ("2", "20", "2026-10-06T10:00:00Z"))
    assert pieces(october(api)) == [("reserved", "100", "2.00", "200.00"), ("overage", "12.5", "3.00", "37.50")]
    api.post("/v1/events/cancellations", {"tenant": "acme", "source": "/chargers/12", "id": "2", "reason": "fault"})
    assert late(api) == [("credit", "20", "37.50")]


def test_a_part_of_a_month_owes_its_share_of_the_reservation(api: Api) -> None:
    """From 16 October, 16 of 31 days: 200.00 x 16 / 31 = 103.23. The reserved hundred stays whole."""
    priced(api, RESERVED, start="2026-10-16")
    use(api, ("1", "101", "2026-10-20T10:00:00Z"))
    assert pieces(october(api)) == [
        ("reserved, share of the period", "1", "103.23", "103.23"),
        ("overage", "1", "3.00", "3.00"),
    ]


def test_a_percentage_with_a_fee_for_each_event(api: Api) -> None:
    """800 at 1.3 % = 10.40 and 4 x 2.00; without its last event 5.20 and 6.00: 7.20 are credited."""
    priced(api, {"type": "percentage", "rate": "1.3", "fixed": "2.0"})
    use(api, *((str(n), amount, f"2026-10-0{n}T10:00:00Z") for n, amount in enumerate(("50", "100", "250", "400"), 1)))
    assert pieces(october(api)) == [("percentage", "800", "0.013", "10.40"), ("per event", "4", "2.00", "8.00")]
    api.post("/v1/events/cancellations", {"tenant": "acme", "source": "/chargers/12", "id": "4", "reason": "fault"})
    assert late(api) == [("credit", "400", "7.20")]


def test_the_first_events_by_time_are_free_whenever_they_come(api: Api) -> None:
    """Of 10, 20 and 30 the first two are free: 30 at 10 % and 1.00. An earlier 5 comes late: 5 and 10 are free now, and
    20 + 30 owe 5.00 and 2.00: 3.00 more. Events of one instant go by source and id.
    """
    priced(api, {"type": "percentage", "rate": "10", "fixed": "1", "free_events": 2})
    use(
        api,
        ("c", "30", "2026-10-05T10:00:00Z"),
        ("b", "20", "2026-10-05T10:00:00Z"),
        ("a", "10", "2026-10-05T10:00:00Z"),
    )
    assert pieces(october(api)) == [("percentage", "30", "0.10", "3.00"), ("per event", "1", "1.00", "1.00")]
    use(api, ("z", "5", "2026-10-05T09:59:59Z"))
    assert late(api) == [("difference", "5", "3.00")]


def test_each_event_owes_between_its_minimum_and_its_maximum(api: Api) -> None:
    """Lago's case at 2.99 %: 10 owes 1.75, 80 owes 2.39, 10,000 owe 12.00. Another 10 late: 1.75 more."""
    model = {"type": "percentage", "rate": "2.99", "event_minimum": "1.75", "event_maximum": "12"}
    priced(api, model)
    use(
        api,
        ("1", "10", "2026-10-05T10:00:00Z"),
        ("2", "80", "2026-10-05T10:10:00Z"),
        ("3", "10000", "2026-10-06T10:00:00Z"),
    )
    assert pieces(october(api)) == [
        ("percentage", "80", "0.0299", "2.39"),
        ("event at the minimum", "1", "1.75", "1.75"),
        ("event at the maximum", "1", "12.00", "12.00"),
    ]
    use(api, ("4", "10", "2026-10-07T10:00:00Z"))
    assert late(api) == [("difference", "10", "1.75")]


CELLS = {
    "type": "matrix",
    "cells": [
        {"when": {"station": "12"}, "unit_price": "0.30"},
        {"when": {"station": "12", "connector": "dc"}, "unit_price": "0.50"},
    ],
}  # fmt: skip
BY_STATION = {
    "event_type": "charging.session.ended", "aggregation": "sum", "property": "$.kwh", "unit": "kWh",
    "dimensions": {"station": "$.station", "connector": "$.connector", "driver": "$.driver"},
}  # fmt: skip


def sessions(api: Api, *rows: dict[str, str], first: int = 1) -> None:
    sent = [
        event(str(number), time=f"2026-10-0{number}T10:00:00Z", data=data) for number, data in enumerate(rows, first)
    ]
    assert api.post("/v1/events", sent)["accepted"] == len(rows)


def test_the_cell_that_names_most_dimensions_prices_the_use(api: Api) -> None:
    """10 kWh at station 12: 3.00; 4 of direct current there: 2.00; 7 elsewhere have no price,
    which the line says and the billing run lists."""
    priced(api, CELLS, meter=BY_STATION)
    sessions(
        api,
        {"kwh": "10", "station": "12", "driver": "a"},
        {"kwh": "4", "station": "12", "connector": "dc", "driver": "b"},
        {"kwh": "7", "station": "13", "driver": "c"},
    )
    line = october(api)
    assert (line["quantity"], line["amount"]) == ("21", "5.00")
    assert pieces(line) == [
        ("station 12", "10", "0.30", "3.00"),
        ("connector dc, station 12", "4", "0.50", "2.00"),
        ("no price", "7", "0.00", "0.00"),
    ]
    listed = api.bill("2026-11-01T00:00:00Z")["unpriced"]
    [unpriced] = [item for item in listed if item["meter"] == "energy"]
    assert (unpriced["quantity"], unpriced["events"]) == ("7", 1)
    assert unpriced["group"] == {"connector": None, "station": "13"}


def test_what_no_cell_prices_has_the_default_price_where_there_is_one(api: Api) -> None:
    """10 x 0.30 and 7 x 0.40; 2 more late at station 13: 0.80."""
    priced(api, CELLS | {"default_unit_price": "0.40"}, meter=BY_STATION)
    sessions(api, {"kwh": "10", "station": "12"}, {"kwh": "7", "station": "13"})
    assert pieces(october(api)) == [("station 12", "10", "0.30", "3.00"), ("other use", "7", "0.40", "2.80")]
    sessions(api, {"kwh": "2", "station": "13"}, first=3)
    assert late(api) == [("difference", "2", "0.80")]


DAY = {
    "type": "time_of_use",
    "rates": [{"hours": ["08:00", "20:00"], "weekdays": ["mon", "tue", "wed", "thu", "fri"], "unit_price": "0.50"}],
    "default_unit_price": "0.20",
    "holidays": ["2026-10-20"],
}  # fmt: skip


def test_the_local_time_of_use_decides_over_its_price(api: Api) -> None:
    """Paris is at +02:00 in early October. On Thursday 1 October 07:59:59 is night and 08:00 day, 19:59:59 day and
    20:00 night; Saturday the 3rd and the holiday on Tuesday the 20th have no day. After the clocks changed on the 25th
    08:00 is 07:00 UTC. Day: 1 + 2 + 8 = 11 x 0.50; other: 4 + 16 + 32 + 64 = 116 x 0.20.
    """
    priced(api, DAY)
    use(
        api,
        ("1", "4", "2026-10-01T05:59:59Z"),
        ("2", "1", "2026-10-01T06:00:00Z"),
        ("3", "2", "2026-10-01T17:59:59Z"),
        ("4", "16", "2026-10-01T18:00:00Z"),
        ("5", "32", "2026-10-03T10:00:00Z"),
        ("6", "64", "2026-10-20T10:00:00Z"),
        ("7", "8", "2026-10-26T07:00:00Z"),
    )
    assert pieces(october(api)) == [
        ("rate 1, 08:00\u201320:00", "11", "0.50", "5.50"),
        ("other use", "116", "0.20", "23.20"),
    ]
    use(api, ("8", "1", "2026-10-26T18:59:59Z"), ("9", "1", "2026-10-26T19:00:00Z"))
    assert late(api) == [("difference", "2", "0.70")]


def test_an_hour_with_two_rates_is_told_apart_event_by_event(api: Api) -> None:
    """Nepal is at +05:45: its 08:00 is 02:15 UTC. Of one hour of UTC, 1 kWh lies before it and 2 after."""
    priced(api, DAY)
    api.call("PATCH", "/v1/tenants/acme", {"time_zone": "Asia/Kathmandu"})
    api.put("/v1/subscriptions/acme-1", {"tenant": "acme", "plan": "standard", "start": "2026-10-01"})
    use(api, ("1", "1", "2026-10-05T02:14:59.999999Z"), ("2", "2", "2026-10-05T02:15:00Z"))
    api.bill("2026-11-01T00:00:00Z")
    [invoice] = api.invoices()
    assert pieces(invoice["lines"][0]) == [
        ("rate 1, 08:00\u201320:00", "2", "0.50", "1.00"),
        ("other use", "1", "0.20", "0.20"),
    ]


@pytest.mark.parametrize(
    ("model", "pointer"),
    [
        ({"type": "percentage", "rate": "1", "event_minimum": "1"}, "#/charges/0/model"),
        ({"type": "matrix", "cells": [{"when": {"stations": "12"}, "unit_price": "1"}]}, "#/charges/0/model/cells"),
        ({"type": "matrix", "cells": [{"when": {}, "unit_price": "1"}]}, "#/charges/0/model/cells/0/when"),
        ({"type": "dynamic", "multiplier": "-1"}, "#/charges/0/model/multiplier"),
        ({"type": "reservation", "reserved": "0", "unit_price": "1", "overage_unit_price": "1"},
         "#/charges/0/model/reserved"),
        ({"type": "capacity", "tiers": [{"up_to": None, "unit_price": "1", "flat": "2"}]},
         "#/charges/0/model/tiers/0/flat"),
        ({"type": "capacity", "tiers": [{"up_to": None}]}, "#/charges/0/model/tiers/0/unit_price"),
        ({"type": "time_of_use", "default_unit_price": "1", "rates": [{"hours": ["8:00", "20:00"], "unit_price": "1"}]},
         "#/charges/0/model/rates/0/hours"),
        ({"type": "time_of_use", "default_unit_price": "1", "rates": [
            {"hours": ["08:00", "20:00"], "weekdays": ["mon", "day"], "unit_price": "1"}]},
         "#/charges/0/model/rates/0/weekdays/1"),
    ],
)  # fmt: skip
def test_a_model_that_cannot_be_is_refused_at_its_place(api: Api, model: dict[str, Any], pointer: str) -> None:
    set_up(api)
    api.put("/v1/meters/energy", PEAK | {"dimensions": {"station": "$.station"}})
    charges = [{"key": "energy", "meter": "energy", "model": model}]
    body = {"name": "S", "currency": "EUR", "interval": "month", "anchor": "calendar", "charges": charges}
    answer = api.call("PUT", "/v1/plans/standard", body)
    assert answer.status_code == 422
    assert [item["pointer"] for item in answer.json()["errors"]] == [pointer]


def test_a_subscription_may_have_another_model_that_fits_its_meter(api: Api) -> None:
    """In place of 0.30 each of 10 kWh, 10 at a multiplier of 2; a matrix of an unknown dimension is refused."""
    priced(api, {"type": "per_unit", "unit_price": "0.30"})
    body = {"tenant": "acme", "plan": "standard", "start": "2026-10-01"}
    wrong = {"type": "matrix", "cells": [{"when": {"day": "mon"}, "unit_price": "1"}]}
    answer = api.call(
        "PUT", "/v1/subscriptions/acme-1", body | {"overrides": {"charges": {"energy": {"model": wrong}}}}
    )
    assert answer.json()["errors"][0]["pointer"] == "#/overrides/charges/energy/model/cells"
    right = {"type": "dynamic", "multiplier": "2"}
    api.put("/v1/subscriptions/acme-1", body | {"overrides": {"charges": {"energy": {"model": right}}}})
    use(api, ("1", "10", "2026-10-05T10:00:00Z"))
    assert pieces(october(api)) == [("amount passed on", "10", "2.00", "20.00")]
