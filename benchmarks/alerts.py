"""What do alerts cost: at rest, when many tenants have used something, and while usage streams in?

Every tenant is on one plan, and alerts watch that plan: so all of them are watched.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from uuid import UUID

from app.operations.check_alerts import check_alerts
from app.operations.ingest_events import Post, ingest_events
from app.operations.put_alert import put_alert
from app.operations.watch_alerts import AlertWatch
from app.storage import alert_store
from app.storage.catalog_snapshot import CatalogCache
from app.storage.database import Database
from app.wire.alerts import alert_from_wire
from app.wire.events import BATCH, decode_events
from benchmarks.ingestion import Rate, over_http
from benchmarks.places import FUTURE, service, utc_now
from benchmarks.stream import Stream

QUANTITY = {"plan": "standard", "measure": "quantity", "meter": "tokens", "thresholds": ["1000000000"]}
AMOUNT = {"plan": "standard", "measure": "amount", "thresholds": ["1000000"]}
_AT_ONCE = 200


@dataclass(frozen=True)
class Looking:
    """Seconds: of a look when there is nothing to do, and per tenant whose quantity, or amount, is looked at."""

    at_rest: float
    per_quantity: float
    per_amount: float


def look_at_tenants(database_url: str, stream: Stream, *, amounts: int = 50) -> Looking:
    """Keeps the stream, then looks at all tenants by a quantity, and at some by an amount. No threshold is reached."""
    database, cache = Database.open(database_url), CatalogCache()
    try:
        for body in stream.bodies(1_000):
            sent, _ = decode_events(body, BATCH, max_events=1_000)
            ingest_events(database, cache, [Post(sent, utc_now())], future=FUTURE)
        put_alert(database, alert_from_wire("quantity", QUANTITY), now=utc_now())
        watch = AlertWatch(database, cache, holder="bench", lease_seconds=20)
        watch.note(utc_now())
        watch.look(utc_now())
        ids = database.read(lambda connection: alert_store.watched_after(connection, None, limit=100_000))
        while database.read(alert_store.waiting_since) is not None:
            watch.look(utc_now())
        at_rest = median(_seconds(lambda: watch.look(utc_now())) for _ in range(50))
        per_quantity = _check(database, ids) / len(ids)
        put_alert(database, alert_from_wire("quantity", QUANTITY | {"enabled": False}), now=utc_now())
        put_alert(database, alert_from_wire("amount", AMOUNT), now=utc_now())
        return Looking(at_rest, per_quantity, _check(database, ids[:amounts]) / amounts)
    finally:
        database.close()


def _check(database: Database, ids: list[UUID]) -> float:
    chunks = [ids[start : start + _AT_ONCE] for start in range(0, len(ids), _AT_ONCE)]
    return _seconds(lambda: [check_alerts(database, chunk, now=utc_now()) for chunk in chunks])


def _seconds(work: Callable[[], object]) -> float:
    began = perf_counter()
    work()
    return perf_counter() - began


def ingest_watched(database_url: str, directory: Path, stream: Stream, *, watched: bool, connections: int) -> Rate:
    """The stream over HTTP to a service that watches every tenant, or none."""
    database = Database.open(database_url)
    try:
        if watched:
            put_alert(database, alert_from_wire("quantity", QUANTITY), now=utc_now())
    finally:
        database.close()
    with service(database_url, directory) as running:
        return over_http(database_url, running.port, stream, size=1000, connections=connections)
