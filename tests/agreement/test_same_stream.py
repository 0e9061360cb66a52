"""The same events make the same buckets and the same invoices, however they are sent.

Two tenants with the same plan use the same: one's events are sent in order, in one batch a month; the other's twice,
shuffled, in pieces of any size, each piece in a way of its own. September is billed first; then come October and what
was late; then some are cancelled, in one order or the other; then all is billed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.operations.audit_books import audit_books
from app.storage.database import Database
from app.storage.tables import buckets, tenants
from tests.agreement.senders import SENDERS, Event, in_a_batch
from tests.service import ACME, OPERATOR, Api, service

TYPE = "work.done"
SITE = {"site": "$.site"}
METERS: dict[str, dict[str, Any]] = {
    "count": {}, "sum": {"dimensions": SITE}, "min": {}, "max": {"dimensions": SITE}, "last": {}, "unique": {},
    "avg": {}, "level": {"aggregation": "time_weighted", "dimensions": SITE},
    "total": {"aggregation": "counter", "property": None, "expression": "max($.v, 0)"},
    "p90": {"aggregation": "percentile", "percentile": "90", "interval": "6h"},
    "peaks": {"aggregation": "sum", "window": {"aggregation": "max", "per": "day"}},
    "members": {"aggregation": "unique", "operation": "$.op"},
}  # fmt: skip
TIERS = [{"up_to": "10", "unit_price": "0.30", "flat": "1.00"}, {"up_to": None, "unit_price": "0.07"}]
CHARGES = [
    {"key": "sum", "meter": "sum", "allowance": "3", "model": {"type": "graduated", "tiers": TIERS}},
    *[
        {"key": key, "meter": key, "model": {"type": "per_unit", "unit_price": "0.11"}}
        for key in ("count", "max", "last", "unique", "avg", "level", "total", "p90", "peaks", "members")
    ],
]  # fmt: skip
OWN = {"id", "number", "hash", "previous_hash", "buyer", "subscription"}
"""What two documents that say the same do not share."""


@pytest.fixture
def api(database_url: str) -> Iterator[Api]:
    with service(database_url) as running:
        running.put("/v1/tenants/garage", OPERATOR)
        running.put("/v1/resources/lathe", {"name": "Lathe", "kind": "equipment", "owner": "garage"})
        for key, rest in METERS.items():
            value = {} if key == "count" else {"property": "$.v"}
            running.put(f"/v1/meters/{key}", {"event_type": TYPE, "aggregation": key, "unit": "h"} | value | rest)
        plan = {"name": "Standard", "currency": "EUR", "interval": "month", "charges": CHARGES}
        running.put("/v1/plans/standard", plan)
        running.post("/v1/plans/standard/publish", {"effective_at": "2020-01-01T00:00:00Z"})
        yield running


def new_tenant(api: Api, key: str) -> None:
    api.put(f"/v1/tenants/{key}", ACME | {"subjects": []})
    api.put(f"/v1/subscriptions/{key}-1", {"tenant": key, "plan": "standard", "start": "2026-09-01"})


numbers = st.one_of(
    st.integers(-3, 9).map(Decimal),
    st.decimals(min_value=-10, max_value=1000, places=6, allow_nan=False, allow_infinity=False),
).map(lambda number: format(number, "f"))
# Few hours and minutes, so that many events share a bucket, and some a time.
times = st.builds(
    lambda month, day, minute: datetime(2026, month, day, 10, tzinfo=UTC) + timedelta(minutes=minute * 20),
    st.sampled_from([9, 10]), st.integers(2, 4), st.integers(0, 9),
)  # fmt: skip
uses = st.lists(
    st.tuples(times, numbers, st.sampled_from(["north", "süd", None]), st.sampled_from([None, "lathe"])),
    min_size=1, max_size=20,
)  # fmt: skip


def events_of(made: list[Any], *, phase: str) -> list[Event]:
    """Without a subject: it is the tenant."""
    return [
        {
            "specversion": "1.0", "id": f"{phase}-{number}", "source": f"/floor/{number % 2}", "type": TYPE,
            "time": at.isoformat(), "data": {"v": value} | ({"site": site} if site else {}),
        } | ({"resource": resource} if resource else {})
        for number, (at, value, site, resource) in enumerate(made)
    ]  # fmt: skip


def send_mixed(api: Api, events: list[Event], rng: random.Random) -> None:
    """All twice, in any order, in pieces of 1 to 7, each in a way of its own."""
    twice = events + events
    rng.shuffle(twice)
    while twice:
        size = rng.randrange(1, 8)
        rng.choice(SENDERS)(api, twice[:size])
        del twice[:size]


def for_tenant(key: str, events: list[Event]) -> list[Event]:
    return [event | {"subject": key} for event in events]


def cancel(api: Api, key: str, events: list[Event]) -> None:
    for event in events:
        named = {"tenant": key, "source": event["source"], "id": event["id"], "reason": "by mistake"}
        api.post("/v1/events/cancellations", named)


def buckets_of(database: Database, key: str) -> list[Any]:
    """Every column but the tenant's, who is also the subject of levels and totals; the cell is a name of what stands
    beside it."""
    columns = [column for column in buckets.c if column.name not in ("tenant_id", "cell")]
    query = sa.select(*columns).join(tenants, tenants.c.tenant_id == buckets.c.tenant_id).where(tenants.c.key == key)
    return database.read(
        lambda connection: sorted(repr(row).replace(key, "") for row in connection.execute(query).all())
    )


def documents_of(api: Api, key: str) -> list[Any]:
    return sorted((without_own(item) for item in api.invoices(buyer=key, limit=1000)), key=repr)


def without_own(document: Any) -> Any:
    """The document without its names, and with how many others it refers to."""
    if isinstance(document, dict):
        return {name: without_own(value) for name, value in document.items() if name not in OWN}
    return [without_own(item) for item in document] if isinstance(document, list) else document


def test_however_events_are_sent_buckets_and_invoices_are_the_same(api: Api, database: Database) -> None:
    turn = 0

    @settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
    @given(first=uses, late=uses, rng=st.randoms(use_true_random=False), share=st.sampled_from([0, 3, 10]))
    def send(first: list[Any], late: list[Any], rng: random.Random, share: int) -> None:
        nonlocal turn
        turn += 1
        plain, mixed = f"plain-{turn}", f"mixed-{turn}"
        phases = [events_of(first, phase="first"), events_of(late, phase="late")]
        everything = phases[0] + phases[1]
        cancelled = rng.sample(everything, len(everything) * share // 10)
        for key in (plain, mixed):
            new_tenant(api, key)

        def compare(events: list[Event]) -> None:
            in_a_batch(api, for_tenant(plain, events))
            send_mixed(api, for_tenant(mixed, events), rng)
            assert buckets_of(database, plain) == buckets_of(database, mixed)

        compare(phases[0])
        assert api.bill("2026-10-01T00:00:00Z", tenants=[plain, mixed])["failed"] == 0
        compare(phases[1])
        cancel(api, plain, cancelled)
        cancel(api, mixed, cancelled[::-1])
        assert buckets_of(database, plain) == buckets_of(database, mixed)

        assert api.bill("2026-11-01T00:00:00Z", tenants=[plain, mixed])["failed"] == 0
        documents = documents_of(api, plain)
        assert len(documents) >= 2
        assert documents == documents_of(api, mixed)

    send()
    assert audit_books(database, now=api.clock()).differences == []
