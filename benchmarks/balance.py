"""How long does a producer wait for the balance of a busy tenant, over HTTP?

The tenant's month holds a million events in four regions. They are put there as the buckets that they make, for an
answer reads nothing else: the period of the benchmark begins and ends on the hour.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import quantiles
from time import perf_counter

import httpx
from sqlalchemy.engine import Connection

from app.domain.aggregation import Bucket, BucketKey, Fold, cell_of
from app.operations.read_usage import find_meter
from app.storage import tenant_store, usage_store
from app.storage.database import Database
from benchmarks.places import ADMIN_KEY, service
from benchmarks.stream import tenant_keys

EVENTS = 1_000_000
_REGIONS = 4


@dataclass(frozen=True)
class Waited:
    p50_ms: float
    p99_ms: float


def ask_balance(database_url: str, directory: Path, *, requests: int) -> Waited:
    database, tenant = Database.open(database_url), tenant_keys(1)[0]
    try:
        database.write(lambda connection: _fill(connection, tenant))
    finally:
        database.close()
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    path = f"/v1/tenants/{tenant}/balance?meter=tokens"
    seconds: list[float] = []
    with service(database_url, directory) as running:
        address = f"http://127.0.0.1:{running.port}"
        with httpx.Client(base_url=address, headers=headers) as client:
            for number in range(requests + 20):
                began = perf_counter()
                answer = client.get(path)
                if number >= 20:  # what is done once per connection and per process is not a producer's daily wait
                    seconds.append(perf_counter() - began)
            found = answer.json()
    if Decimal(found["used"]) != EVENTS * 1000 or not found["has_access"]:
        raise AssertionError(f"the balance is not that of {EVENTS} events: {found}")
    parts = quantiles(seconds, n=100)
    return Waited(parts[49] * 1000, parts[98] * 1000)


def _fill(connection: Connection, key: str) -> None:
    """A thousand tokens an event, spread over the hours of this month so far."""
    meter, tenant = find_meter(connection, "tokens"), tenant_store.find(connection, key)
    assert tenant is not None
    now = datetime.now(UTC)
    start = datetime(now.year, now.month, 1, tzinfo=UTC)
    hours = max(1, (now - start) // timedelta(hours=1))
    cells = [(hour, region) for hour in range(hours) for region in range(_REGIONS)]
    each, more = divmod(EVENTS, len(cells))
    made = []
    for number, (hour, region) in enumerate(cells):
        count, dimensions = each + (number < more), f'{{"region":"region-{region}"}}'
        bucket_key = BucketKey(tenant.tenant_id, meter.meter_id, start + timedelta(hours=hour), cell_of("", dimensions))
        made.append(Bucket(bucket_key, "", dimensions, Fold(count, 0, Decimal(count * 1000))))
    usage_store.add(connection, made)
