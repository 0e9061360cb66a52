"""Buckets, windows and quantities against their definition over the plain list of events, on generated events."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.acceptance import Rejected
from app.domain.ids import new_id
from app.domain.periods import Period, windows_between
from app.operations.audit_books import audit_books
from app.operations.ingest_events import Outcomes, Post, ingest_events
from app.operations.usage_report import UsageQuery, usage_report
from app.storage.catalog_snapshot import CatalogCache
from app.storage.database import Database
from app.storage.tables import meter_revisions, meters, tenant_subjects, tenants
from app.wire.events import decode_events

NOW = datetime(2026, 11, 23, tzinfo=UTC)
FUTURE = timedelta(days=1)
AGGREGATIONS = ("count", "sum", "min", "max", "avg", "last", "unique")


def new_tenant(database: Database) -> str:
    """A tenant that no other example knows, with a meter of each aggregation over its own event type."""
    key, tenant_id = new_id().hex, new_id()

    def work(connection: Any) -> None:
        connection.execute(
            tenants.insert().values(
                tenant_id=tenant_id, key=key, name=key, currency="EUR", time_zone="UTC", language="en", operator=False,
                legal="",
            )
        )  # fmt: skip
        first = datetime(1970, 1, 1, tzinfo=UTC)
        connection.execute(tenant_subjects.insert().values(subject=key, from_at=first, tenant_id=tenant_id))
        for aggregation in AGGREGATIONS:
            connection.execute(meters.insert().values(key=f"{key}-{aggregation}", name="", unit="kWh", unit_code=""))
            definition = '{"aggregation": "%s", "property": "$.v", "dimensions": {"site": "$.site"}, "filter": []}'
            connection.execute(
                meter_revisions.insert().values(
                    meter_id=new_id(), key=f"{key}-{aggregation}", revision=1, event_type=key, since_version=1,
                    definition=definition % aggregation, state="active",
                )
            )  # fmt: skip

    database.write(work)
    return key


def quantity(aggregation: str, events: list[dict[str, Any]]) -> Decimal:
    """The definition: what the aggregation says of these events."""
    values = [Decimal(event["data"]["v"]) for event in events]
    match aggregation:
        case "count":
            return Decimal(len(values))
        case "sum":
            return sum(values, Decimal(0))
        case "min":
            return min(values)
        case "max":
            return max(values)
        case "avg":
            mean = sum(map(Fraction, values), Fraction(0)) / len(values)
            return Decimal(round(mean * 10**18)).scaleb(-18)  # no tie: 25 events make no 19 decimals
        case "unique":
            return Decimal(len({event["data"]["v"] for event in events}))
        case _:
            latest = max(events, key=lambda event: (event["time"], event["source"], event["id"]))
            return Decimal(latest["data"]["v"])


# Around Lord Howe's change of half an hour on 2026-10-04 and Kathmandu's odd offset; times are few, so ties happen.
minutes = st.integers(0, 3 * 24 * 60).map(lambda n: datetime(2026, 10, 3, tzinfo=UTC) + timedelta(minutes=n))
numbers = st.one_of(
    st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=-1000, max_value=1000),
    st.integers(-5, 5).map(Decimal),
).map(lambda number: format(number, "f"))
events_strategy = st.lists(
    st.tuples(minutes, numbers, st.sampled_from(["north", "süd", None]), st.sampled_from(["/a", "/b"])),
    min_size=1, max_size=25,
)  # fmt: skip


@pytest.mark.parametrize("zone_name", ["Australia/Lord_Howe", "Asia/Kathmandu", "Europe/Paris"])
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    made=events_strategy, order=st.randoms(use_true_random=False), size=st.integers(1, 7),
    start=minutes, length=st.integers(1, 4000), window=st.sampled_from(["minute", "hour", "day", "week", None]),
)  # fmt: skip
def test_usage_is_the_fold_of_the_events_whatever_their_order_batches_and_repeats(
    database: Database, zone_name: str, made: Any, order: Any, size: int, start: datetime, length: int, window: Any
) -> None:
    key = new_tenant(database)
    events = [
        {
            "specversion": "1.0", "id": str(number), "source": source, "type": key, "subject": key,
            "time": at.isoformat(), "data": {"v": value} | ({"site": site} if site else {}),
        }
        for number, (at, value, site, source) in enumerate(made)
    ]  # fmt: skip
    sent = events + order.sample(events, k=len(events) // 2)
    order.shuffle(sent)
    cache, accepted = CatalogCache(), 0
    for first in range(0, len(sent), size):
        accepted += post(database, cache, sent[first : first + size])
    assert accepted == len(events)

    zone, period = ZoneInfo(zone_name), Period(start, start + timedelta(minutes=length))
    for aggregation in AGGREGATIONS:
        query = UsageQuery(f"{key}-{aggregation}", period, zone, (key,), None, window, ("site",))
        found = {(row.period, row.group["site"]): row.quantity for row in usage_report(database, query)[1]}
        assert found == expected(aggregation, events, period, zone, window)
        by_subject = replace(query, group_by=("site", "subject"))
        rows = usage_report(database, by_subject)[1]
        assert {(row.period, row.group["site"]): row.quantity for row in rows} == found
        assert {row.group["subject"] for row in rows} <= {key}


def post(database: Database, cache: CatalogCache, events: list[dict[str, Any]]) -> int:

    sent, _ = decode_events(json.dumps(events).encode(), "application/json", max_events=1000)
    assert not any(isinstance(item, Rejected) for item in sent)
    (outcomes,) = ingest_events(database, cache, [Post(sent, NOW)], future=FUTURE)
    assert isinstance(outcomes, Outcomes)
    assert {outcome.status for outcome in outcomes.exceptions.values()} <= {"duplicate"}
    return outcomes.counts()["accepted"]


def expected(aggregation: str, events: list[dict[str, Any]], period: Period, zone: ZoneInfo, window: Any) -> Any:
    groups: dict[Any, list[dict[str, Any]]] = {}
    tiles = [period] if window is None else list(windows_between(period, window, zone))
    for event in events:
        at = datetime.fromisoformat(event["time"])
        for tile in tiles:
            if tile.start <= at < tile.end:
                groups.setdefault((tile, event["data"].get("site")), []).append(event)
    return {group: quantity(aggregation, members) for group, members in groups.items()}


def test_the_audit_of_all_that_is_clean(database: Database) -> None:
    key = new_tenant(database)
    events = [
        {
            "specversion": "1.0", "id": str(n), "source": "/x", "type": key, "subject": key,
            "time": f"2026-10-0{n % 9 + 1}T10:{n:02}:00Z", "data": {"v": f"{n}.5"},
        }
        for n in range(50)
    ]  # fmt: skip
    post(database, CatalogCache(), events)
    audit = audit_books(database, now=NOW)
    assert (audit.events, audit.differences) == (50, [])
