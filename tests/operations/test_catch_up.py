"""A new meter counts what was kept before it, while more comes in: seen, bounded, stopped and taken up again."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.domain.events import UsageEvent
from app.operations import catch_up_meters
from app.operations.audit_books import audit_books
from app.operations.ingest_events import Outcomes, Post, ingest_events
from app.operations.list_jobs import find_job, job_to_wire
from app.operations.put_meter import put_meter
from app.operations.put_tenant import put_tenant
from app.operations.run_catalog_jobs import run_catalog_jobs
from app.storage import job_store
from app.storage.catalog_snapshot import CatalogCache
from app.storage.database import Database
from app.wire.meters import meter_from_wire
from app.wire.tenants import tenant_from_wire
from app.workers.runner import Runner
from tests.service import ACME, ENERGY, SESSIONS

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)
TYPE = "charging.session.ended"


def send(database: Database, cache: CatalogCache, ids: range, *, type: str = TYPE) -> None:
    """Events of three tenants, each at an hour of its own, later ones often before earlier ones."""
    sent = [
        UsageEvent(
            "/c", f"{type}-{n}", type, f"tenant-{n % 3}", "", NOW - timedelta(hours=n * 7 % 50),
            '{"kwh": 2, "station": "1"}', {"kwh": 2, "station": "1"},
        )
        for n in ids
    ]  # fmt: skip
    (outcomes,) = ingest_events(database, cache, [Post(sent, NOW)], future=DAY)
    assert isinstance(outcomes, Outcomes) and outcomes.exceptions == {}


@pytest.fixture
def cache() -> CatalogCache:
    return CatalogCache()


@pytest.fixture
def job_id(database: Database, cache: CatalogCache, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The job of a meter of energy that is made after 60 events, ten of them counted at a time; 30 are of another
    type."""
    for number in range(3):
        put_tenant(database, tenant_from_wire(f"tenant-{number}", ACME | {"subjects": []}), now=NOW)
    put_meter(database, meter_from_wire("sessions", SESSIONS), now=NOW)
    put_meter(database, meter_from_wire("parkings", SESSIONS | {"event_type": "parking.ended"}), now=NOW)
    run_catalog_jobs(database, cache, clock=lambda: NOW, future=DAY, lease_seconds=20)
    send(database, cache, range(60))
    send(database, cache, range(30), type="parking.ended")
    put_meter(database, meter_from_wire("energy", ENERGY), now=NOW)
    monkeypatch.setattr(catch_up_meters, "_BATCH", 10)
    [job] = database.read(lambda connection: job_store.unfinished(connection, (catch_up_meters.JOB_KIND,)))
    return job.job_id


def shown(database: Database, job_id: Any) -> tuple[Any, Any]:
    job = find_job(database, job_id)
    assert job is not None
    told = job_to_wire(job)
    return told["status"], told.get("events", 0)


def test_every_event_is_counted_once_while_more_come_in(database: Database, cache: CatalogCache, job_id: Any) -> None:
    """After each batch three more events come, one for each tenant, at hours that were walked already and at others;
    none of them is walked. How far it is can be seen all the time."""
    seen: list[tuple[Any, Any]] = []

    def keep_going() -> bool:
        seen.append(shown(database, job_id))
        send(database, cache, range(100 + 3 * len(seen), 103 + 3 * len(seen)))
        return True

    job = database.read(lambda connection: job_store.find(connection, job_id))
    assert job is not None and catch_up_meters.catch_up_meter(database, job, keep_going=keep_going)
    counted = [number for _, number in seen]
    assert counted == sorted(counted) and max(b - a for a, b in itertools.pairwise(counted)) <= 10
    assert shown(database, job_id)[1] == 60
    audit = audit_books(database, now=NOW)
    assert (audit.differences, audit.building, audit.events) == ([], [], 90 + 3 * len(seen))


def test_a_worker_that_is_told_to_stop_gives_the_job_back(database: Database, cache: CatalogCache, job_id: Any) -> None:
    """It is told so after the third sign of life, lets the batch in hand finish, and another goes on from there."""
    signs: list[datetime] = []

    def clock() -> datetime:
        signs.append(NOW)
        if len(signs) == 3:
            runner.stop()
        return NOW

    def worker(clock: Any) -> Runner:
        return Runner(database, cache, clock=clock, future=DAY, lease_seconds=20, terms_days=30)

    runner = worker(clock)
    assert runner.run_one()
    job = database.read(lambda connection: job_store.find(connection, job_id))
    assert job is not None and (job.status, job.problem) == ("waiting", "")
    assert 0 < job.progress["events"] < 60
    assert worker(lambda: NOW).run_one()
    assert shown(database, job_id) == ("done", 60)
    assert audit_books(database, now=NOW).differences == []
