"""How long does closing a month of many tenants take, beside the bare SQL sum over the buckets that it bills?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from time import perf_counter
from uuid import UUID

import sqlalchemy as sa

from app.operations.ingest_events import Post, ingest_events
from app.operations.run_billing import run_billing, start_billing_run
from app.storage.catalog_snapshot import CatalogCache
from app.storage.database import Database
from app.storage.tables import buckets, invoices
from app.wire.events import BATCH, decode_events
from benchmarks.places import FUTURE, utc_now
from benchmarks.stream import MONTH_START, Stream

_MONTH_END = datetime(MONTH_START.year, MONTH_START.month + 1, 1, tzinfo=MONTH_START.tzinfo)


@dataclass(frozen=True)
class Closing:
    """Seconds for all periods, from the run's start to the last issued invoice; and for the bare sum."""

    periods: int
    seconds: float
    sum_seconds: float


def close_month(database_url: str, stream: Stream, *, periods: int) -> Closing:
    """Keeps the stream, then closes the month of every tenant in this process, invoices issued."""
    database, cache = Database.open(database_url), CatalogCache()
    try:
        for body in stream.bodies(1_000):
            sent, _ = decode_events(body, BATCH, max_events=1_000)
            ingest_events(database, cache, [Post(sent, utc_now())], future=FUTURE)
        sum_seconds = min(_bare_sum(database) for _ in range(3))
        began = perf_counter()
        run, _ = start_billing_run(database, through=_MONTH_END, issue=True, dry_run=False, now=utc_now())
        _finish(database, run.run_id)
        seconds = perf_counter() - began
        issued = database.read(
            lambda connection: connection.execute(sa.select(sa.func.count()).select_from(invoices)).scalar_one()
        )
        if issued != periods:
            raise AssertionError(f"{periods} invoices were to be issued, {issued} are")
        return Closing(periods, seconds, sum_seconds)
    finally:
        database.close()


def _finish(database: Database, run_id: UUID) -> None:
    done = run_billing(database, run_id, clock=utc_now, terms_days=30, keep_going=lambda: True)
    if done is None or done.failed:
        raise AssertionError(f"the run did not come to its end: {done}")


def _bare_sum(database: Database) -> float:
    """The month's buckets summed by tenant and meter, in one statement. SQLite sums floats here: it is only the time
    that is of interest."""
    query = (
        sa.select(
            buckets.c.tenant_id, buckets.c.meter_id, sa.func.sum(buckets.c.count),
            sa.func.sum(buckets.c.sum, type_=sa.Float),
        )
        .where(buckets.c.start >= MONTH_START, buckets.c.start < _MONTH_END)
        .group_by(buckets.c.tenant_id, buckets.c.meter_id)
    )  # fmt: skip
    began = perf_counter()
    database.read(lambda connection: connection.execute(query).all())
    return perf_counter() - began
