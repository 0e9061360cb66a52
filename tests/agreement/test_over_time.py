"""What looks beyond single events, against its definition, minute by minute, on generated events.

Levels, sessions, running totals, values added and removed, percentiles and windowed forms: every window of every zone,
by site, from buckets and from events.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.acceptance import Rejected
from app.domain.ids import new_id
from app.domain.kept_meters import keep_meter
from app.domain.meters import Intervals, Meter, Sessions
from app.domain.periods import Period, window_at, windows_between
from app.operations.audit_books import audit_books
from app.operations.ingest_events import Outcomes, Post, ingest_events
from app.operations.read_usage import find_meter, gather, pieces, zones_of
from app.operations.usage_report import UsageQuery, usage_report
from app.storage.catalog_snapshot import CatalogCache
from app.storage.database import Database
from app.storage.tables import meter_revisions, meters, tenant_subjects, tenants
from app.wire.events import decode_events

NOW = datetime(2026, 11, 23, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LONGEST = timedelta(hours=10)
PARIS = ZoneInfo("Europe/Paris")

METERS: dict[str, dict[str, Any]] = {
    "level": {"aggregation": "time_weighted", "property": "$.v", "per": "minute"},
    "open": {"aggregation": "duration", "property": "$.what", "per": "minute",
             "sessions": Sessions("$.x", "start", "end", LONGEST)},
    "total": {"aggregation": "counter", "property": "$.t"},
    "members": {"aggregation": "unique", "property": "$.s", "operation": "$.op"},
    "p90": {"aggregation": "percentile", "property": "$.v", "percentile": Decimal(90),
            "intervals": Intervals("sum", "5m")},
    "hours": {"aggregation": "sum", "property": "$.v", "intervals": Intervals("max", "hour")},
    "days": {"aggregation": "max", "property": "$.s", "intervals": Intervals("unique", "day")},
}  # fmt: skip


def new_tenant(database: Database) -> str:
    """A tenant in Paris that no other example knows, with a meter of each kind over its own event type."""
    key, tenant_id = new_id().hex, new_id()

    def work(connection: Any) -> None:
        connection.execute(
            tenants.insert().values(
                tenant_id=tenant_id, key=key, name=key, currency="EUR", time_zone="Europe/Paris", language="en",
                operator=False, legal="",
            )
        )  # fmt: skip
        first = datetime(1970, 1, 1, tzinfo=UTC)
        connection.execute(tenant_subjects.insert().values(subject=key, from_at=first, tenant_id=tenant_id))
        for name, fields in METERS.items():
            meter = Meter(f"{key}-{name}", new_id(), key, dimensions=(("site", "$.site"),), **fields)
            connection.execute(meters.insert().values(key=meter.key, name="", unit="x", unit_code=""))
            connection.execute(
                meter_revisions.insert().values(
                    meter_id=meter.meter_id, key=meter.key, revision=1, event_type=key, since_version=1,
                    definition=json.dumps(keep_meter(meter)), state="active",
                )
            )  # fmt: skip

    database.write(work)
    return key


# --- the definitions --------------------------------------------------------------------------------------------------

Events = list[dict[str, Any]]


def in_order(events: Events) -> Events:
    return sorted(events, key=lambda event: (event["at"], event["source"], event["id"]))


def inside(events: Events, tile: Period) -> Events:
    return [event for event in in_order(events) if tile.start <= event["at"] < tile.end]


def minutes_of(tile: Period) -> list[datetime]:
    return [tile.start + n * MINUTE for n in range((tile.end - tile.start) // MINUTE)]


def level(events: Events, tile: Period) -> Decimal:
    """The level of every minute: what the latest event up to its beginning said."""
    told, total, position, now = in_order(events), Decimal(0), 0, Decimal(0)
    for minute in minutes_of(tile):
        while position < len(told) and told[position]["at"] <= minute:
            now = Decimal(told[position]["data"]["v"])
            position += 1
        total += now
    return total


def open_minutes(events: Events, tile: Period) -> Decimal:
    """The minutes before which, by 10 hours at most, a session began that has not ended since; what begins and ends in
    one minute does neither."""
    total = 0
    for session in {event["data"]["x"] for event in events}:
        told: dict[datetime, set[str]] = {}
        for event in events:
            if event["data"]["x"] == session and event["at"] < tile.end:
                told.setdefault(event["at"], set()).add(event["data"]["what"])
        latest: datetime | None = None
        instants = sorted(told.items())
        for minute in minutes_of(tile):
            while instants and instants[0][0] <= minute:
                at, said = instants.pop(0)
                if len(said) == 1:
                    latest = at if said == {"start"} else None
            total += latest is not None and minute < latest + LONGEST
    return Decimal(total)


def increase(events: Events, tile: Period) -> Decimal:
    """By how much each reading is more than its source's last; all of it where it is less."""
    total = Decimal(0)
    for source in ("/a", "/b"):
        own = [event for event in in_order(events) if event["source"] == source]
        for before, event in pairwise(own):
            if tile.start <= event["at"] < tile.end:
                first, second = (Decimal(item["data"]["t"]) for item in (before, event))
                total += second - first if second >= first else second
    return total


def members(events: Events, tile: Period) -> Decimal:
    present: set[str] = set()
    for event in in_order(events):
        if event["at"] < tile.end:
            (present.discard if event["data"]["op"] == "remove" else present.add)(event["data"]["s"])
    return Decimal(len(present))


def p90(events: Events, tile: Period) -> Decimal:
    """Every five minutes have a sum; nine tenths of them are at most the answer."""
    start = tile.start - timedelta(minutes=tile.start.minute % 5)
    sums = []
    while start < tile.end:
        own = [event for event in inside(events, tile) if start <= event["at"] < start + 5 * MINUTE]
        sums.append(sum((Decimal(event["data"]["v"]) for event in own), Decimal(0)))
        start += 5 * MINUTE
    return sorted(sums)[math.ceil(len(sums) * 0.9 - 1e-9) - 1]


def hours(events: Events, tile: Period) -> Decimal:
    greatest: dict[datetime, Decimal] = {}
    for event in inside(events, tile):
        hour, value = event["at"].replace(minute=0), Decimal(event["data"]["v"])
        greatest[hour] = max(greatest.get(hour, value), value)
    return sum(greatest.values(), Decimal(0))


def days(events: Events, tile: Period) -> Decimal:
    seen: dict[datetime, set[str]] = {}
    for event in inside(events, tile):
        seen.setdefault(window_at(event["at"], "day", PARIS).start, set()).add(event["data"]["s"])
    return Decimal(max(map(len, seen.values()), default=0))


DEFINITIONS: dict[str, Callable[[Events, Period], Decimal]] = {
    "level": level, "open": open_minutes, "total": increase, "members": members, "p90": p90, "hours": hours,
    "days": days,
}  # fmt: skip


def expected(name: str, events: Events, period: Period, zone: ZoneInfo, window: Any) -> Any:
    """By window and site, where there was an event or any use."""
    tiles = [period] if window is None else list(windows_between(period, window, zone))
    found = {}
    for site in {event["data"].get("site") for event in events}:
        own = [event for event in events if event["data"].get("site") == site]
        for tile in tiles:
            quantity = DEFINITIONS[name](own, tile)
            if inside(own, tile) or (quantity and name in ("level", "open", "total", "members")):
                found[tile, site] = quantity
    return found


# --- generated events -------------------------------------------------------------------------------------------------

minutes = st.integers(0, 2 * 24 * 60).map(lambda n: datetime(2026, 10, 24, tzinfo=UTC) + timedelta(minutes=n))
numbers = st.one_of(st.decimals("-9", "9", places=3), st.integers(-2, 3).map(Decimal)).map(lambda n: format(n, "f"))
events_strategy = st.lists(
    st.tuples(
        minutes, numbers, st.integers(0, 50), st.sampled_from(["s1", "s2", "s3"]), st.sampled_from(["start", "end"]),
        st.sampled_from([None, "add", "remove"]), st.sampled_from(["north", None]), st.sampled_from(["/a", "/b"]),
    ),
    min_size=1, max_size=25,
)  # fmt: skip


@pytest.mark.parametrize("zone_name", ["Asia/Kathmandu", "Europe/Paris"])
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    made=events_strategy, order=st.randoms(use_true_random=False), size=st.integers(1, 7), start=minutes,
    length=st.integers(1, 2000), window=st.sampled_from(["hour", "day", None]),
)  # fmt: skip
def test_usage_is_what_the_definition_says_whatever_the_order_and_the_batches(
    database: Database, zone_name: str, made: Any, order: Any, size: int, start: datetime, length: int, window: Any
) -> None:
    key = new_tenant(database)
    events = [
        {
            "specversion": "1.0", "id": str(number), "source": source, "type": key, "subject": key,
            "time": at.isoformat(),
            "data": {"v": v, "t": t, "s": s, "what": what, "op": op, "x": f"{s} {site}"}
            | ({"site": site} if site else {}),
        }
        for number, (at, v, t, s, what, op, site, source) in enumerate(made)
    ]  # fmt: skip
    sent = events + order.sample(events, k=len(events) // 2)
    order.shuffle(sent)
    cache, accepted = CatalogCache(), 0
    for first in range(0, len(sent), size):
        accepted += post(database, cache, sent[first : first + size])
    assert accepted == len(events)
    told = [event | {"at": datetime.fromisoformat(event["time"])} for event in events]

    zone, period = ZoneInfo(zone_name), Period(start, start + timedelta(minutes=length))
    for name in METERS:
        query = UsageQuery(f"{key}-{name}", period, zone, (key,), None, window, ("site",), until=NOW)
        found = {(row.period, row.group["site"]): row.quantity for row in usage_report(database, query)[1]}
        assert found == expected(name, told, period, zone, window), name
        by_subject = usage_report(database, replace(query, group_by=("site", "subject")))[1]
        assert {(row.period, row.group["site"]): row.quantity for row in by_subject} == found, name
        whole = usage_report(database, replace(query, window=None))[1]
        assert database.read(partial(from_events, f"{key}-{name}", period)) == {
            row.group["site"]: row.quantity for row in whole
        }, name


def from_events(key: str, period: Period, connection: Any) -> dict[str | None, Decimal]:
    """By site, of a revision whose buckets are gone."""
    meter = find_meter(connection, key)
    zones = zones_of(connection, meter, None)
    found = pieces(connection, meter, period, from_events=True, zones=zones, until=NOW)
    uses = gather(found, lambda piece: json.loads(piece.bucket.dimensions)["site"], meter=meter, zones=zones)
    return {
        site: use.quantity(meter, period, zone=PARIS)
        for site, use in uses.items()
        if use.fold.count or use.amount or use.present()
    }


def post(database: Database, cache: CatalogCache, events: list[dict[str, Any]]) -> int:
    sent, _ = decode_events(json.dumps(events).encode(), "application/json", max_events=1000)
    assert not any(isinstance(item, Rejected) for item in sent)
    (outcomes,) = ingest_events(database, cache, [Post(sent, NOW)], future=timedelta(days=1))
    assert isinstance(outcomes, Outcomes)
    assert {outcome.status for outcome in outcomes.exceptions.values()} <= {"duplicate"}
    return outcomes.counts()["accepted"]


def test_the_audit_of_all_that_is_clean(database: Database) -> None:
    key = new_tenant(database)
    data = {"v": "1.5", "t": 4, "s": "s1", "what": "start", "op": "add", "x": "s1"}
    events = [
        {
            "specversion": "1.0", "id": str(n), "source": f"/{n % 2}", "type": key, "subject": key,
            "time": f"2026-10-0{n % 9 + 1}T10:{n:02}:00Z", "data": data,
        }
        for n in range(30)
    ]  # fmt: skip
    post(database, CatalogCache(), events)
    audit = audit_books(database, now=NOW)
    assert (audit.events, audit.differences) == (30, [])
