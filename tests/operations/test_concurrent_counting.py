"""Moments in which two transactions meet in one bucket or one job, each brought about step by step."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from app.domain.aggregation import Bucket, BucketKey, Fold, cell_of
from app.domain.charge_models import TotalNeeded
from app.domain.events import UsageEvent
from app.domain.ids import new_id
from app.domain.periods import Period
from app.operations import catch_up_meters
from app.operations.audit_books import audit_books
from app.operations.close_period import open_desk
from app.operations.ingest_events import Post, ingest_events
from app.operations.put_meter import put_meter
from app.operations.put_tenant import put_tenant
from app.operations.rate_period import measure_stretch
from app.operations.run_catalog_jobs import run_catalog_jobs
from app.storage import job_store, meter_store, subscription_store, usage_store
from app.storage.catalog_snapshot import CatalogCache
from app.storage.database import Database
from app.storage.tables import buckets
from app.wire.meters import meter_from_wire
from app.wire.tenants import tenant_from_wire
from tests.service import ACME, ENERGY, PER_UNIT, SESSIONS, event, service, set_up

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR = datetime(2026, 10, 5, 10, tzinfo=UTC)


def bucket(key: BucketKey, *kwh: str) -> Bucket:
    return Bucket(key, "", "{}", Fold(len(kwh), len(kwh), sum=sum(map(Decimal, kwh), Decimal(0))))


def read(connection: sa.Connection, key: BucketKey) -> Any:
    query = sa.select(buckets.c.count, buckets.c.sum).where(buckets.c.cell == key.cell)
    row = connection.execute(query).first()
    return row and tuple(row)


def test_whoever_waited_for_a_bucket_holds_it(postgresql_database_url: str) -> None:
    """One cancellation makes the bucket of 1 and 2 kWh anew as 2 kWh while another waits for it. The other then has it
    for itself: 4 kWh that come meanwhile wait, and are not overwritten by what it read before."""
    database = Database.open(postgresql_database_url)
    key = BucketKey(new_id(), new_id(), HOUR, cell_of("", "{}"))
    database.write(lambda connection: usage_store.add(connection, [bucket(key, "1", "2")]))
    first_has_it, second_has_it, late_is_counted = (threading.Event() for _ in range(3))

    def second() -> None:
        with database.engine.begin() as connection:
            usage_store.lock(connection, [key])
            second_has_it.set()
            # Without a lock the late event is counted now; with one it waits for this transaction.
            late_is_counted.wait(0.5)
            usage_store.replace(connection, key, bucket(key, "2"))

    def late() -> None:
        second_has_it.wait()
        database.write(lambda connection: usage_store.add(connection, [bucket(key, "4")]))
        late_is_counted.set()

    threads = [threading.Thread(target=work) for work in (second, late)]
    with database.engine.begin() as connection:
        usage_store.lock(connection, [key])
        threads[0].start()
        first_has_it.wait(0.2)  # time for the other to come and wait
        usage_store.replace(connection, key, bucket(key, "2"))
    threads[1].start()
    for thread in threads:
        thread.join()

    assert database.read(lambda connection: read(connection, key)) == (2, Decimal(6))
    database.close()


def test_a_bucket_made_anew_of_nothing_is_gone(database: Database) -> None:
    key = BucketKey(new_id(), new_id(), HOUR, cell_of("", "{}"))
    database.write(lambda connection: usage_store.add(connection, [bucket(key, "1")]))
    database.write(lambda connection: usage_store.replace(connection, key, bucket(key, "3", "4")))
    assert database.read(lambda connection: read(connection, key)) == (2, Decimal(7))
    database.write(lambda connection: usage_store.replace(connection, key, None))
    assert database.read(lambda connection: read(connection, key)) is None
    database.write(lambda connection: usage_store.replace(connection, key, bucket(key, "5")))
    assert database.read(lambda connection: read(connection, key)) == (1, Decimal(5))


def test_two_workers_on_one_catch_up_count_every_event_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker stalls after its first batch for longer than its lease; a second one, that took the job over before
    that batch was saved, works it to the end. 25 events in batches of 10 are 25 in the end, not 35."""
    cache = CatalogCache()
    put_tenant(database, tenant_from_wire("acme", ACME), now=NOW)
    put_meter(database, meter_from_wire("sessions", SESSIONS), now=NOW)
    run_catalog_jobs(database, cache, clock=lambda: NOW, future=timedelta(days=1), lease_seconds=20)
    sent = [
        UsageEvent(
            "/c",
            f"e{n}",
            "charging.session.ended",
            "acme",
            "",
            HOUR,
            '{"kwh": 2, "station": "1"}',
            {"kwh": 2, "station": "1"},
        )
        for n in range(25)
    ]
    ingest_events(database, cache, [Post(sent, NOW)], future=timedelta(days=1))
    put_meter(database, meter_from_wire("energy", ENERGY), now=NOW)
    monkeypatch.setattr(catch_up_meters, "_BATCH", 10)
    [job] = database.read(lambda connection: job_store.unfinished(connection, (catch_up_meters.JOB_KIND,)))
    calls = []

    def stalls_after_the_first_batch() -> bool:
        calls.append(1)
        if len(calls) == 2:
            assert catch_up_meters.catch_up_meter(database, job, keep_going=lambda: True)
        return True

    assert catch_up_meters.catch_up_meter(database, job, keep_going=stalls_after_the_first_batch)

    audit = audit_books(database, now=NOW)
    assert (audit.differences, audit.building, audit.events) == ([], [], 25)


def test_a_meter_is_not_exchanged_while_a_period_is_closed_by_it(postgresql_database_url: str) -> None:
    """5 kWh are measured by the revision that answered when closing began, although the next one is ready meanwhile:
    the switch, which drops the old buckets, waits for the closing transaction."""
    with service(postgresql_database_url) as api:
        set_up(api, [PER_UNIT], start="2026-10-01")
        api.post("/v1/events", [event("1", data={"kwh": "5", "station": "12"})])
    database, cache = Database.open(postgresql_database_url), CatalogCache()
    [subscription] = database.read(subscription_store.all_subscriptions)
    put_meter(database, meter_from_wire("energy", ENERGY | {"dimensions": {}}), now=NOW)

    def catch_up() -> None:
        run_catalog_jobs(database, cache, clock=lambda: NOW, future=timedelta(days=1), lease_seconds=20)

    switching = threading.Thread(target=catch_up)
    with database.engine.begin() as connection:
        key = (subscription.tenant_id, subscription.subscription_id)
        books = open_desk(connection, [key]).books(*key)
        switching.start()
        switching.join(1)  # time for the switch to come, and to wait
        stretch = Period(subscription.start, NOW)
        measured = measure_stretch(
            connection,
            books.meters["energy"],
            tenant_id=subscription.tenant_id,
            stretch=stretch,
            need=TotalNeeded(),
            zone=ZoneInfo("UTC"),
        )
    switching.join()

    assert measured.total == Decimal(5)
    [active] = [meter for meter in database.read(meter_store.load) if meter.key == "energy"]
    assert active.meter_id != books.meters["energy"].meter_id
    database.close()
