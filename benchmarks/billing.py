"""How long does it take to close many subscriptions of five charges each, and to simulate a plan over them?

Beside two bare aggregates of SQL, each in one statement: the sum over the buckets that closing reads, and the count and
sum over the events behind them. The work is done by a process of its own, whose memory is measured.

    python -m benchmarks.billing URL close|simulate      what that process does

Of the size of a large house, ten million events (it takes long):

    python -m benchmarks --part billing --database sqlite --subscriptions 10000 --events-each 1000
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from time import perf_counter

import sqlalchemy as sa

from app.domain.simulations import SimulatedPlan, SimulationRequest, Totals, with_changes
from app.garbage import collect_less_often
from app.operations.ingest_events import Post, ingest_events
from app.operations.publish_plan import publish_plan
from app.operations.put_meter import put_meter
from app.operations.put_plan import put_plan
from app.operations.put_subscription import put_subscription
from app.operations.put_tenant import put_tenant
from app.operations.run_billing import run_billing, start_billing_run
from app.operations.run_catalog_jobs import run_catalog_jobs
from app.operations.simulate_plan import plan_of_catalog, simulate_plan, tenants_due
from app.storage import migrate
from app.storage.catalog_snapshot import CatalogCache
from app.storage.database import Database
from app.storage.tables import buckets, events, invoices
from app.wire.events import BATCH, decode_events
from app.wire.meters import meter_from_wire
from app.wire.plans import plan_from_wire
from app.wire.subscriptions import subscription_from_wire
from app.wire.tenants import tenant_from_wire
from benchmarks.places import FUTURE, utc_now
from benchmarks.stream import MONTH_START, tenant_keys

_ROOT = Path(__file__).resolve().parents[1]
_MONTH_END = datetime(MONTH_START.year, MONTH_START.month + 1, 1, tzinfo=UTC)
_HOURS = 30 * 24
_TENANT = {"name": "Tenant", "currency": "EUR", "time_zone": "UTC", "language": "en"}
_KINDS = ("compute", "storage", "traffic", "request", "support")
_TIERS = [{"up_to": "1000", "unit_price": "0.04"}, {"up_to": None, "unit_price": "0.03"}]
_MODELS = {
    "compute": {"type": "graduated", "tiers": _TIERS}, "storage": {"type": "per_unit", "unit_price": "0.02"},
    "traffic": {"type": "volume", "tiers": _TIERS}, "request": {"type": "package", "size": "100", "price": "0.50"},
    "support": {"type": "per_unit", "unit_price": "1.50"},
}  # fmt: skip
_CHARGES = [{"key": kind, "meter": kind, "allowance": "10", "model": model} for kind, model in _MODELS.items()]
PLAN = {"name": "Five", "currency": "EUR", "interval": "month", "anchor": "calendar", "charges": _CHARGES}


@dataclass(frozen=True)
class Billed:
    """Seconds, most bytes held by the process, and the seconds of the two aggregates."""

    seconds: float
    memory_bytes: int
    buckets_seconds: float
    events_seconds: float


def fill(database_url: str, *, subscriptions: int, events_each: int) -> None:
    """So many tenants on the plan of five charges, each with so many events of the month, of five meters in turn."""
    migrate.upgrade(database_url)
    database, cache = Database.open(database_url), CatalogCache()
    try:
        _fill_catalog(database, subscriptions)
        for body in _bodies(subscriptions, events_each):
            sent, _ = decode_events(body, BATCH, max_events=5_000)
            ingest_events(database, cache, [Post(sent, utc_now())], future=FUTURE)
    finally:
        database.close()


def _fill_catalog(database: Database, subscriptions: int) -> None:
    now = utc_now()
    put_tenant(database, tenant_from_wire("operator", _TENANT | {"operator": True}), now=now)
    for kind in _KINDS:
        meter = {"event_type": kind, "aggregation": "sum", "property": "$.amount", "unit": "unit"}
        put_meter(database, meter_from_wire(kind, meter), now=now)
    run_catalog_jobs(database, CatalogCache(), clock=utc_now, future=FUTURE, lease_seconds=20)
    put_plan(database, plan_from_wire("five", PLAN))
    publish_plan(database, "five", datetime(2020, 1, 1, tzinfo=UTC))
    for key in tenant_keys(subscriptions):
        put_tenant(database, tenant_from_wire(key, _TENANT), now=now)
        wish = {"tenant": key, "plan": "five", "start": MONTH_START.date().isoformat()}
        put_subscription(database, subscription_from_wire(f"{key}-1", wish))


def _bodies(subscriptions: int, events_each: int) -> Iterator[bytes]:
    """Bodies of 5,000 events: the month passes for all tenants alike."""
    rng = random.Random(1)
    keys, waiting = tenant_keys(subscriptions), []
    for number in range(events_each):
        at = MONTH_START + timedelta(hours=_HOURS) * (number / events_each)
        for key in keys:
            moment = at + timedelta(seconds=rng.randrange(60))
            waiting.append(
                f'{{"specversion":"1.0","id":"{key}-{number}","source":"/meter","type":"{_KINDS[number % 5]}",'
                f'"subject":"{key}","time":"{moment:%Y-%m-%dT%H:%M:%SZ}",'
                f'"data":{{"amount":"{rng.randrange(1, 999)}"}}}}'
            )
            if len(waiting) == 5_000:
                yield f"[{','.join(waiting)}]".encode()
                waiting = []
    if waiting:
        yield f"[{','.join(waiting)}]".encode()


def measure(database_url: str, what: str) -> Billed:
    """Closes the month of all subscriptions, or simulates a plan over it, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.billing", database_url, what], cwd=_ROOT, check=True, capture_output=True,
        text=True,
    )  # fmt: skip
    found = json.loads(done.stdout.splitlines()[-1])
    database = Database.open(database_url)
    try:
        return Billed(found["seconds"], found["memory"], _of_buckets(database), _of_events(database))
    finally:
        database.close()


def _close(database: Database) -> None:
    run, _ = start_billing_run(database, through=_MONTH_END, issue=True, dry_run=False, now=utc_now())
    done = run_billing(database, run.run_id, clock=utc_now, terms_days=30, keep_going=lambda: True)
    if done is None or done.failed:
        raise AssertionError(f"the run did not come to its end: {done}")
    issued = database.read(
        lambda connection: connection.execute(sa.select(sa.func.count()).select_from(invoices)).scalar_one()
    )
    if issued != done.closed:
        raise AssertionError(f"{done.closed} periods are closed and {issued} invoices issued")


def _simulate(database: Database) -> None:
    """A dearer plan beside what is in force: each tenant is rated twice."""
    own = plan_of_catalog(database, "five")
    assert own is not None
    request = SimulationRequest(SimulatedPlan("", "", own.terms), date(2026, 9, 1), date(2026, 10, 1))
    totals, tenants = Totals(), tenants_due(database, request)
    for batch in simulate_plan(database, request, tenants):
        totals = with_changes(totals, batch.changes, batch.skipped)
    if totals.tenants != len(tenants) or totals.difference:
        raise AssertionError(f"the same plan has another result: {totals}")


def _of_buckets(database: Database) -> float:
    """The month's buckets summed by tenant and meter. SQLite sums floats: only the time is of interest."""
    query = (
        sa.select(
            buckets.c.tenant_id, buckets.c.meter_id, sa.func.sum(buckets.c.count),
            sa.func.sum(buckets.c.sum, type_=sa.Float),
        )
        .where(buckets.c.start >= MONTH_START, buckets.c.start < _MONTH_END)
        .group_by(buckets.c.tenant_id, buckets.c.meter_id)
    )  # fmt: skip
    return min(_seconds(database, query) for _ in range(2))


def _of_events(database: Database) -> float:
    """The month's events counted and summed by tenant and type, from their data."""
    is_sqlite = database.is_sqlite
    amount = "json_extract(data, '$.amount')" if is_sqlite else "(data::jsonb ->> 'amount')::numeric"
    query = (
        sa.select(
            events.c.tenant_id, events.c.type, sa.func.count(), sa.func.sum(sa.literal_column(amount), type_=sa.Float)
        )
        .where(events.c.time >= MONTH_START, events.c.time < _MONTH_END, events.c.cancelled_at.is_(None))
        .group_by(events.c.tenant_id, events.c.type)
    )
    return _seconds(database, query)


def _seconds(database: Database, query: sa.Select[tuple[object, ...]]) -> float:
    began = perf_counter()
    database.read(lambda connection: connection.execute(query).all())
    return perf_counter() - began


def main() -> None:
    url, what = sys.argv[1:]
    collect_less_often()
    database = Database.open(url)
    began = perf_counter()
    (_close if what == "close" else _simulate)(database)
    seconds = perf_counter() - began
    database.close()
    print(json.dumps({"seconds": seconds, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))


if __name__ == "__main__":
    main()
