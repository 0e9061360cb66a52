"""Why is a line what it is? Whole stories through HTTP: every number in words, every event, and what changed."""

from __future__ import annotations

from io import BytesIO
from itertools import pairwise
from typing import Any

import pytest
from pypdf import PdfReader

from tests.service import PER_UNIT, SESSIONS, Api, event, set_up

DEAR = {
    "key": "energy", "description": "Charging", "meter": "energy", "allowance": "10", "minimum": "40.00",
    "discount": {"percent": "10"},
    "model": {
        "type": "graduated",
        "tiers": [{"up_to": "100", "unit_price": "0.30"}, {"up_to": None, "unit_price": "0.25", "flat": "2.00"}],
    },
}  # fmt: skip


def use(api: Api, id: str, kwh: str, time: str) -> None:
    answer = api.post("/v1/events", [event(id, time=time, data={"kwh": kwh, "station": "12"})])
    assert answer["accepted"] == 1


def cancel(api: Api, id: str) -> None:
    api.post("/v1/events/cancellations", {"tenant": "acme", "source": "/chargers/12", "id": id, "reason": "a fault"})


def path_of(invoice: Any, charge: str = "energy", kind: str | None = None) -> str:
    line = next(item for item in invoice["lines"] if item["charge"] == charge and kind in (None, item["kind"]))
    return f"/v1/invoices/{invoice['id']}/lines/{line['id']}"


def explained(api: Api, path: str, **query: str) -> list[str]:
    answer = api.call("GET", f"{path}/explanation", params=query, headers={"Accept": "text/plain"})
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-language"] == query.get("language", "fr")
    lines: list[str] = answer.text.splitlines()
    return lines


def all_events(api: Api, path: str, limit: int) -> list[Any]:
    """Every event behind a line, read page by page; each page must be verified."""
    rows: list[Any] = []
    cursor = ""
    while True:
        page = api.get(f"{path}/events", limit=limit, cursor=cursor)
        assert page["verified"] is True
        assert len(page["data"]) <= limit
        rows += page["data"]
        cursor = page["next_cursor"]
        if cursor is None:
            return rows


def test_every_step_of_a_line_is_told_in_words_with_its_numbers(api: Api) -> None:
    """130 kWh less 10; 100 x 0.30 = 30.00, 20 x 0.25 = 5.00 and 2.00 on entry are 37.00; 10 % off is 33.30, and 6.70
    are missing to 40.00."""
    set_up(api, [DEAR], start="2026-10-01")
    use(api, "1", "70", "2026-10-05T10:00:00Z")
    use(api, "2", "60", "2026-10-05T23:30:00Z")
    api.bill("2026-11-01T00:00:00Z")
    assert explained(api, path_of(api.invoices()[0]), language="en") == [
        "Charging, 1 – 31 October 2026",
        "Plan standard, version 1",
        "Measured: 130 kWh from 2 events",
        "Price: each tier prices its own part: up to 100 kWh €0.30 per kWh; "
        "beyond that €0.25 per kWh and €2.00 on entry",
        "Included, free of charge: 130 kWh − 10 kWh = 120 kWh",
        "Tier 1: 100 kWh × €0.30 = €30.00",
        "Tier 2: 20 kWh × €0.25 = €5.00",
        "Tier 2, entry fee: €2.00",
        "Discount 10%: €37.00 − €3.70 = €33.30",
        "Supplement to the minimum of €40.00: €33.30 + €6.70 = €40.00",
        "Amount without VAT: €40.00",
        "Outside the scope of VAT (O): €0.00 · the seller has no VAT number and names no rate",
        "Use by day:",
        "  5 October 2026: 70 kWh from 1 event",
        "  6 October 2026: 60 kWh from 1 event",
        "Computed again from what was recorded: the same amount.",
    ]


def test_the_annex_says_the_same_of_every_line(api: Api) -> None:
    """A PDF with each line's heading and amount, and under it the text of its explanation."""
    access = {"key": "access", "description": "Access", "model": {"type": "flat", "amount": "19.00"}}
    set_up(api, [DEAR, access], start="2026-10-01")
    use(api, "1", "130", "2026-10-05T10:00:00Z")
    api.bill("2026-11-01T00:00:00Z")
    invoice = api.invoices()[0]

    answer = api.call("GET", f"/v1/invoices/{invoice['id']}/annex.pdf", params={"language": "en"})

    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/pdf")
    assert answer.headers["content-disposition"] == 'inline; filename="2026-000001-annex.pdf"'
    words = " ".join("".join(page.extract_text() for page in PdfReader(BytesIO(answer.content)).pages).split())
    assert words.startswith("Annex: Invoice 2026-000001 How each amount comes about")
    for charge, amount in (("energy", "€40.00"), ("access", "€19.00")):
        heading, *texts = explained(api, path_of(invoice, charge), language="en")
        place = words.index(f"{heading} {amount}")
        for text in texts:
            place = words.index(" ".join(text.split()), place)


def test_the_words_are_those_of_the_documents_language_unless_another_is_asked_for(api: Api) -> None:
    set_up(api, [PER_UNIT], start="2026-10-01")
    use(api, "1", "1234.5", "2026-10-05T10:00:00Z")
    api.bill("2026-11-01T00:00:00Z")
    path = path_of(api.invoices()[0])
    thin = "\u202f"
    assert explained(api, path)[2:5] == [
        f"Mesuré : 1{thin}234,5 kWh, soit 1 événement",
        f"Prix : 0,30{thin}€ par kWh",
        f"Prix à l’unité : 1{thin}234,5 kWh × 0,30{thin}€ = 370,35{thin}€",
    ]
    assert explained(api, path, language="en")[2] == "Measured: 1,234.5 kWh from 1 event"
    assert api.get(f"{path}/explanation", language="en")["language"] == "en"
    assert api.call("GET", f"{path}/explanation", params={"language": "de"}).status_code == 422


def test_a_part_of_a_period_is_told_with_its_days(api: Api) -> None:
    """From 16 October: 16 of 31 days of 31.00 are 16.00."""
    set_up(api, [{"key": "base", "model": {"type": "flat", "amount": "31.00"}}], start="2026-10-16")
    api.bill("2026-11-01T00:00:00Z")
    lines = explained(api, path_of(api.invoices()[0], "base"), language="en")
    assert lines[2:4] == [
        "Price: €31.00 for a whole period",
        "Flat amount: €31.00 for 16 of 31 days = €16.00",
    ]
    assert not any(line.startswith(("Measured", "Use by")) for line in lines)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "application/json"), ("application/json", "application/json"), ("text/plain", "text/plain"),
        ("text/*;q=0.9, application/json;q=0.5", "text/plain"), ("text/plain;q=0.5, */*;q=0.1", "text/plain"),
        ("text/plain, application/json", "application/json"), ("text/plain;q=x", "application/json"),
        ("", "application/json"),
    ],
)  # fmt: skip
def test_the_explanation_comes_in_the_form_that_is_asked_for(api: Api, accept: str, kind: str) -> None:
    set_up(api, [PER_UNIT], start="2026-10-01")
    api.bill("2026-11-01T00:00:00Z")
    answer = api.call("GET", f"{path_of(api.invoices()[0])}/explanation", headers={"Accept": accept})
    assert answer.headers["content-type"].split(";")[0] == kind
    assert answer.headers["vary"] == "Accept"


def test_late_use_is_explained_by_what_it_was_what_it_is_and_the_events_between(api: Api) -> None:
    """September billed 100 kWh at 0.30; 50 more come: 45.00 − 30.00 = 15.00, and the events behind it are the one."""
    set_up(api, [PER_UNIT], start="2026-09-01")
    use(api, "1", "100", "2026-09-10T10:00:00Z")
    api.clock.set("2026-10-01T06:00:00+00:00")
    api.bill("2026-10-01T00:00:00Z")
    api.clock.set("2026-11-01T06:00:00+00:00")
    use(api, "2", "50", "2026-09-20T10:00:00Z")
    api.bill("2026-11-01T00:00:00Z")
    first, second = api.invoices()
    path = path_of(second, kind="difference")
    assert explained(api, path, language="en")[:9] == [
        "energy, 1 – 30 September 2026",
        "Plan standard, version 1",
        "Billed before: €30.00 for 100 kWh from 1 event (invoice 2026-000001 of 1 October 2026)",
        "As measured now: €45.00 for 150 kWh from 2 events",
        "Difference: €45.00 − €30.00 = €15.00",
        "What changed:",
        "  counted since: 20 September 2026 12:00 (UTC+02:00), 50 kWh, event 2 of /chargers/12",
        "How it is computed now:",
        "Measured: 150 kWh from 2 events",
    ]
    correction = api.get(f"{path}/explanation")["correction"]
    assert (correction["invoice"], correction["number"], correction["difference"]) == (
        first["id"],
        "2026-000001",
        "15.00",
    )
    assert [(row["id"], row["change"]) for row in all_events(api, path, 10)] == [("2", "added")]
    assert [row["id"] for row in all_events(api, path_of(first), 10)] == ["1"]


def test_a_credit_is_explained_by_the_events_that_count_no_more(api: Api) -> None:
    set_up(api, [PER_UNIT], start="2026-10-01")
    use(api, "1", "60", "2026-10-05T10:00:00Z")
    use(api, "2", "40", "2026-10-05T10:30:00Z")
    api.bill("2026-11-01T00:00:00Z")
    api.clock.set("2026-11-24T06:00:00+00:00")
    cancel(api, "2")
    use(api, "3", "10", "2026-10-05T10:45:00Z")
    api.bill("2026-11-01T00:00:00Z")
    invoice, note = api.invoices()
    path = path_of(note)
    assert explained(api, path, language="en")[2:8] == [
        "Billed before: €30.00 for 100 kWh from 2 events (invoice 2026-000001 of 23 November 2026)",
        "As measured now: €21.00 for 70 kWh from 2 events",
        "Difference: €21.00 − €30.00 = −€9.00",
        "What changed:",
        "  counts no more: 5 October 2026 12:30 (UTC+02:00), 40 kWh, event 2 of /chargers/12",
        "  counted since: 5 October 2026 12:45 (UTC+02:00), 10 kWh, event 3 of /chargers/12",
    ]
    changes = [(row["id"], row["change"], "cancelled_at" in row) for row in all_events(api, path, 1)]
    assert changes == [("2", "removed", True), ("3", "added", False)]
    assert [row["id"] for row in all_events(api, path_of(invoice), 1)] == ["1", "2"]


def test_a_difference_that_two_documents_give_back_says_what_falls_on_each(api: Api) -> None:
    """50.00 and then 10.00 were billed; 20.00 is cancelled: each note gives back 10.00 of one difference of 20.00."""
    set_up(api, [{**PER_UNIT, "model": {"type": "per_unit", "unit_price": "1"}}], start="2026-09-01")
    use(api, "1", "30", "2026-09-05T10:00:00Z")
    use(api, "2", "20", "2026-09-06T10:00:00Z")
    api.bill("2026-10-01T00:00:00Z")
    use(api, "3", "10", "2026-09-07T10:00:00Z")
    api.bill("2026-11-01T00:00:00Z")
    cancel(api, "2")
    api.bill("2026-11-01T00:00:00Z")
    for note in api.invoices(type="credit_note"):
        lines = explained(api, path_of(note), language="en")
        assert lines[2].startswith("Billed before: €60.00 for 60 kWh from 3 events (invoice 2026-000002 of")
        assert lines[4:6] == ["Difference: €40.00 − €60.00 = −€20.00", "Of it on this document: −€10.00"]
        assert [(row["id"], row["change"]) for row in all_events(api, path_of(note), 5)] == [("2", "removed")]


def test_a_subscription_that_ends_early_gives_back_what_was_paid_in_advance(api: Api) -> None:
    """30.00 for November, ended on the 11th: 10 of 30 days are 10.00, and 20.00 are given back."""
    set_up(
        api, [{"key": "access", "model": {"type": "flat", "amount": "30.00"}, "timing": "advance"}], start="2026-11-01"
    )
    api.bill("2026-11-01T00:00:00Z")
    ended = {"tenant": "acme", "plan": "standard", "start": "2026-11-01", "end": "2026-11-11"}
    api.put("/v1/subscriptions/acme-1", ended)
    api.bill("2026-11-12T00:00:00Z")
    path = path_of(api.invoices(type="credit_note")[0], "access")
    assert explained(api, path, language="en")[2:9] == [
        "Billed before: €30.00 (invoice 2026-000001 of 23 November 2026)",
        "As measured now: €10.00",
        "Difference: €10.00 − €30.00 = −€20.00",
        "What changed:",
        "  the subscription ended: what lies after 11 November 2026 00:00 (UTC+01:00) is owed back",
        "How it is computed now:",
        "Price: €30.00 for a whole period",
    ]
    assert all_events(api, path, 5) == []


def test_at_the_very_instant_of_issue_the_events_are_told_apart(api: Api) -> None:
    """The clock stands still: events before the issue, a cancellation and late events all have its instant."""
    set_up(api, [PER_UNIT], start="2026-10-01")
    for number in range(5):
        use(api, f"early-{number}", "1", "2026-10-05T10:00:00Z")
    api.bill("2026-11-01T00:00:00Z")
    for number in range(4):
        use(api, f"late-{number}", "1", "2026-10-05T10:00:00Z")
    cancel(api, "early-2")
    rows = all_events(api, path_of(api.invoices()[0]), 2)
    assert sorted(row["id"] for row in rows) == [f"early-{number}" for number in range(5)]


def test_pages_go_on_where_they_ended_whatever_comes_meanwhile(api: Api) -> None:
    """25 events in three hours, read by sevens while late ones come: each is listed once, by time."""
    set_up(api, [PER_UNIT], start="2026-10-01")
    times = [f"2026-10-05T{10 + number // 10}:{number % 10:02}:00Z" for number in range(25)]
    for number, time in enumerate(times):
        use(api, f"e-{number}", "1", time)
    api.bill("2026-11-01T00:00:00Z")
    api.clock.set("2026-11-23T13:00:00+00:00")
    path = path_of(api.invoices()[0])
    rows: list[Any] = []
    cursor: Any = ""
    for number in range(4):
        page = api.get(f"{path}/events", limit=7, cursor=cursor)
        assert page["verified"] is True
        assert page["frozen"]["events"] == 25
        rows += page["data"]
        cursor = page["next_cursor"]
        use(api, f"late-{number}", "1", times[3 + number * 7])
    assert cursor is None
    assert [row["id"] for row in rows] == [f"e-{number}" for number in range(25)]
    assert all(first["time"] < second["time"] for first, second in pairwise(rows))


def test_a_row_that_somebody_took_away_is_noticed(api: Api) -> None:
    """Past the service, in the database itself."""
    set_up(api, [PER_UNIT], start="2026-10-01")
    use(api, "1", "60", "2026-10-05T10:00:00Z")
    use(api, "2", "40", "2026-10-06T10:00:00Z")
    api.bill("2026-11-01T00:00:00Z")
    database = api.client.app.state.database  # type: ignore[attr-defined]
    database.write(lambda connection: connection.exec_driver_sql("DELETE FROM events WHERE id = '2'"))
    database.write(lambda connection: connection.exec_driver_sql("DELETE FROM buckets WHERE count = 1"))
    path = path_of(api.invoices()[0])
    assert api.get(f"{path}/events")["verified"] is False
    explanation = api.get(f"{path}/explanation")
    assert (explanation["holds"], explanation["use"]["verified"]) == (True, False)


def test_a_meter_that_changed_since_is_explained_by_the_one_that_measured(api: Api) -> None:
    """Billed by sessions of every station; the meter then counts those of station 9 only."""
    charge = {"key": "sessions", "meter": "sessions", "model": {"type": "per_unit", "unit_price": "2"}}
    set_up(api, [charge], start="2026-10-01")
    use(api, "1", "60", "2026-10-05T10:00:00Z")
    use(api, "2", "40", "2026-10-06T10:00:00Z")
    api.bill("2026-11-01T00:00:00Z")
    only = {"filter": [{"property": "$.station", "operator": "eq", "value": "9"}]}
    api.put("/v1/meters/sessions", SESSIONS | only)
    api.clock.set("2026-11-23T13:00:00+00:00")
    use(api, "3", "1", "2026-10-06T10:00:00Z")
    path = path_of(api.invoices()[0], "sessions")
    assert [row["id"] for row in all_events(api, path, 1)] == ["1", "2"]
    explanation = api.get(f"{path}/explanation")
    assert [(row["quantity"], row["events"]) for row in explanation["use"]["data"]] == [("1", 1), ("1", 1)]
    assert explanation["use"]["verified"] is True


def test_use_by_hour_stops_at_the_ends_of_the_stretch(api: Api) -> None:
    """A plan changes at 10:17: of one hour's two events each stretch has its own."""
    set_up(api, [PER_UNIT], start="2026-10-01")
    dearer = {**PER_UNIT, "model": {"type": "per_unit", "unit_price": "1"}}
    body = {"name": "Standard", "currency": "EUR", "interval": "month", "anchor": "calendar", "charges": [dearer]}
    api.put("/v1/plans/standard", body)
    api.post("/v1/plans/standard/publish", {"effective_at": "2026-10-05T10:17:00Z"})
    use(api, "1", "3", "2026-10-05T10:05:00Z")
    use(api, "2", "4", "2026-10-05T10:20:00Z")
    api.bill("2026-11-01T00:00:00Z")
    invoice = api.invoices()[0]
    found = []
    for line in invoice["lines"]:
        explanation = api.get(f"/v1/invoices/{invoice['id']}/lines/{line['id']}/explanation", window="hour")
        found += explanation["use"]["data"]
        assert explanation["use"]["verified"] is True
    assert found == [
        {"start": "2026-10-05T10:00:00Z", "end": "2026-10-05T10:17:00Z", "quantity": "3", "events": 1},
        {"start": "2026-10-05T10:17:00Z", "end": "2026-10-05T11:00:00Z", "quantity": "4", "events": 1},
    ]


def test_a_draft_is_explained_by_what_it_was_computed_from(api: Api) -> None:
    set_up(api, [PER_UNIT], start="2026-10-01")
    use(api, "1", "60", "2026-10-05T10:00:00Z")
    api.bill("2026-11-01T00:00:00Z", issue=False)
    use(api, "2", "40", "2026-10-05T10:00:00Z")
    path = path_of(api.invoices(status="draft")[0])
    assert [row["id"] for row in all_events(api, path, 5)] == ["1"]
    assert "Measured: 60 kWh from 1 event" in explained(api, path, language="en")
