"""Where two requests bring the same events at once, the one that comes second finds them kept, whenever it looked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from app.domain.acceptance import Judged
from app.domain.events import UsageEvent
from app.operations.audit_books import audit_books
from app.operations.ingest_events import Outcomes, Post, ingest_events
from app.operations.put_meter import put_meter
from app.operations.put_tenant import put_tenant
from app.operations.run_catalog_jobs import run_catalog_jobs
from app.storage import one_statement
from app.storage.catalog_snapshot import CatalogCache
from app.storage.database import Database
from app.wire.meters import meter_from_wire
from app.wire.tenants import tenant_from_wire
from tests.service import ACME, ENERGY

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def post(numbers: range, *, kwh: int = 2) -> Post:
    data = f'{{"kwh": {kwh}, "station": "1"}}'
    return Post(
        [
            UsageEvent("/c", f"s-{n}", "charging.session.ended", "acme", "", NOW - timedelta(hours=n), data,
                       {"kwh": kwh, "station": "1"})
            for n in numbers
        ], NOW,
    )  # fmt: skip


def statuses(database: Database, cache: CatalogCache, sent: Post) -> list[str]:
    (outcomes,) = ingest_events(database, cache, [sent], future=DAY)
    assert isinstance(outcomes, Outcomes)
    return [
        outcomes.exceptions[n].status if n in outcomes.exceptions else "accepted" for n in range(outcomes.sent)
    ]  # fmt: skip


@pytest.mark.parametrize("times_too_early", [1, 2, 3, 9])
def test_events_that_another_request_brings_meanwhile_count_once(
    database: Database, monkeypatch: pytest.MonkeyPatch, times_too_early: int
) -> None:
    """Four are kept. Six are sent of which two are those, one with another content; the look for what is kept comes too
    early once, twice, thrice or always."""
    cache = CatalogCache()
    put_tenant(database, tenant_from_wire("acme", ACME | {"subjects": []}), now=NOW)
    put_meter(database, meter_from_wire("energy", ENERGY), now=NOW)
    run_catalog_jobs(database, cache, clock=lambda: NOW, future=DAY, lease_seconds=20)
    assert statuses(database, cache, post(range(4))) == ["accepted"] * 4
    look, looks = one_statement.find_known, 0

    def too_early(database: Database, judged: Sequence[Judged]) -> dict[int, UsageEvent]:
        nonlocal looks
        looks += 1
        return {} if looks <= times_too_early else look(database, judged)

    monkeypatch.setattr(one_statement, "find_known", too_early)
    mixed = Post([*post(range(2, 3)).sent, *post(range(3, 4), kwh=5).sent, *post(range(4, 8)).sent], NOW)

    found = statuses(database, cache, mixed)

    assert found == ["duplicate", "conflict"] + ["accepted"] * 4
    assert looks == (0 if database.is_sqlite else min(times_too_early + 1, 3))
    report = audit_books(database, now=NOW)
    assert (report.events, report.differences) == (8, [])
