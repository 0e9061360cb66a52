"""Running totals and sessions of made-up sources, billed over a period's end, against the truth that made them.

A source uses something every minute. Its meter shows a total, which goes back to 0 when the source restarts; readings
are sent now and then, some never arrive, and what ran between the last reading and a restart is lost with it. Sessions
have ends that never come, and starts that come again. The truth is kept minute by minute beside them.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.operations.audit_books import audit_books
from app.storage.database import Database
from tests.service import ACME, Api, event, service, set_up

MINUTE = timedelta(minutes=1)
START = datetime(2026, 9, 28, tzinfo=UTC)
MINUTES = 6 * 24 * 60
LONGEST = 10 * 60
METERS: dict[str, dict[str, Any]] = {
    "total": {"aggregation": "counter", "property": "$.total", "unit": "Wh", "dimensions": {"site": "$.site"}},
    "open": {"aggregation": "duration", "property": "$.what", "start_value": "on", "end_value": "off",
             "session": "$.session", "longest": "10h", "per": "minute", "unit": "min"},
}  # fmt: skip


@pytest.fixture
def api(database_url: str) -> Iterator[Api]:
    with service(database_url, now="2026-09-01T00:00:00+00:00") as running:
        set_up(running)
        running.put("/v1/tenants/acme", ACME | {"time_zone": "UTC"})
        for key, fields in METERS.items():
            running.put(f"/v1/meters/{key}", {"event_type": key} | fields)
        charges = [{"key": key, "meter": key, "model": {"type": "per_unit", "unit_price": "0.01"}} for key in METERS]
        running.put("/v1/plans/one", {"name": "One", "currency": "EUR", "interval": "month", "charges": charges})
        running.post("/v1/plans/one/publish", {"effective_at": "2020-01-01T00:00:00Z"})
        running.put("/v1/subscriptions/acme-1", {"tenant": "acme", "plan": "one", "start": "2026-09-01"})
        running.clock.set("2026-12-05T00:00:00+00:00")
        yield running


Truth = Counter[tuple[str, int]]
"""By meter and month of 2026."""


def readings(rng: random.Random, source: str, truth: Truth) -> list[Any]:
    """Of a source that uses 0 to 9 a minute, restarts about twice a day and is read about once an hour."""
    sent: list[Any] = []
    total, since_reading, was_read = rng.randrange(1000), 0, False
    for minute in range(MINUTES):
        at = START + minute * MINUTE
        used = rng.randrange(10)
        total += used
        since_reading += used
        if rng.random() < 1 / 700:
            total, since_reading = 0, 0
        elif rng.random() < (1 / 60 if 2000 < minute < 2500 or minute % 3000 > 500 else 1 / 2000):
            # After a restart the total must have stayed below the reading before, or nobody sees that there was one.
            if sent and since_reading == total and total >= sent[-1]["data"]["total"]:
                continue
            data = {"total": total, "site": rng.choice(["north", "south"]) if source == "/moving" else "north"}
            sent.append(event(f"{source}-{minute}", type="total", source=source, time=at.isoformat(), data=data))
            if was_read:
                truth["total", at.month] += since_reading
            since_reading, was_read = 0, True
    return sent


def switches(rng: random.Random, machine: int, truth: Truth) -> list[Any]:
    """Of a machine that is on and off for some hours; every fifth end never comes, and some starts come again."""
    sent: list[Any] = []

    def send(minute: int, what: str, session: str) -> None:
        at = (START + minute * MINUTE).isoformat()
        data = {"what": what, "session": session}
        sent.append(event(f"{session}-{what}-{minute}", type="open", source="/m", time=at, data=data))

    minute = rng.randrange(300)
    while minute < MINUTES:
        session, lasts = f"m{machine}-{minute}", rng.randrange(1, LONGEST - 1)
        send(minute, "on", session)
        last_start = minute
        if rng.random() < 0.3:
            last_start = minute + rng.randrange(lasts)
            if last_start > minute:
                send(last_start, "on", session)
        if rng.random() < 0.2:
            lasts = last_start - minute + LONGEST
        else:
            send(minute + lasts, "off", session)
        for passed in range(minute, minute + lasts):
            truth["open", (START + passed * MINUTE).month] += 1
        minute += lasts + rng.randrange(1, 500)
    return sent


def billed(api: Api) -> Counter[tuple[str, int]]:
    found: Counter[tuple[str, int]] = Counter()
    for document in api.invoices(buyer="acme", limit=1000):
        sign = -1 if document["type"] == "credit_note" else 1
        for line in document["lines"]:
            found[line["charge"], int(line["period"]["start"][5:7])] += sign * int(line["quantity"])
    return +found


@pytest.mark.parametrize("seed", range(3))
def test_what_is_billed_is_the_truth_at_once_and_in_portions(api: Api, seed: int) -> None:
    """A part of the events comes before September and October are billed, the rest after: in all it is the truth."""
    rng, truth = random.Random(seed), Truth()
    events: list[Any] = []
    for source in ("/a", "/b", "/c"):
        events += readings(rng, source, truth)
    for machine in range(3):
        events += switches(rng, machine, truth)
    assert truth["total", 9] and truth["total", 10] and truth["open", 9] and truth["open", 10]
    rng.shuffle(events)
    first = events[: len(events) * 2 // 3] if seed else events
    for some in (first, events[len(first) :]):
        if some:
            assert api.post("/v1/events", some)["accepted"] == len(some)
        api.bill("2026-11-01T00:00:00Z")
        if some is first and not seed:
            assert billed(api) == truth
    # What is still owed more waits for November's invoice.
    api.bill("2026-12-01T00:00:00Z")

    assert billed(api) == truth
    database: Database = api.client.app.state.database  # type: ignore[attr-defined]
    assert audit_books(database, now=api.clock()).differences == []
