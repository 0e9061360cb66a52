"""How many events a second are kept and counted, beside how many rows a second the database takes in bulk?

The reference writes the stream's distinct events into the same table with the same key and index: on SQLite by
executemany under the service's own settings, on PostgreSQL by one connection's binary COPY; 1,000 rows a commit, rows
prepared beforehand. It decodes nothing, compares nothing and counts nothing, so it is what no service can reach.
"""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter
from typing import Any
from unittest.mock import patch
from uuid import UUID

import msgspec
import psycopg
import sqlalchemy as sa

from app.domain.acceptance import Judged, Rejected, judge
from app.domain.events import UsageEvent
from app.operations import ingest_events as ingestion
from app.operations.ingest_events import Outcomes, Post, ingest_events
from app.storage import meter_store
from app.storage.catalog_snapshot import CatalogCache, Snapshot
from app.storage.database import Database
from app.storage.tables import buckets, events, meter_revisions
from app.wire.events import BATCH, SINGLE, decode_events
from benchmarks.places import ADMIN_KEY, FUTURE, utc_now
from benchmarks.stream import Stream, chunks

BULK = 1_000


@dataclass(frozen=True)
class Rate:
    """Events a second, and how long requests took in milliseconds (0 where none were made)."""

    per_second: float
    p50_ms: float = 0
    p99_ms: float = 0


# --- the reference ----------------------------------------------------------------------------------------------------


def bulk_insert(database_url: str, stream: Stream, *, size: int = BULK) -> Rate:
    """The reference: the stream's distinct events into the bare table, `size` rows a commit."""
    database = Database.open(database_url)
    try:
        rows = database.read(lambda connection: _rows(connection, stream))
        insert = _executemany if database.is_sqlite else _copy
        return Rate(len(rows) / insert(database, rows, size))
    finally:
        database.close()


def _rows(connection: sa.Connection, stream: Stream) -> list[dict[str, Any]]:
    """A row for each distinct event, as ingestion would store it."""
    snapshot = Snapshot(1, meter_store.load(connection))
    sent, _ = decode_events(b"[" + b",".join(dict.fromkeys(stream.events)) + b"]", BATCH, max_events=len(stream.events))
    found = [item for item in sent if isinstance(item, UsageEvent)]
    snapshot.look_up(connection, {item.subject for item in found}, set())
    now = utc_now()
    judged = [judge(item, snapshot, received_at=now, latest=now + FUTURE) for item in found]
    rows = []
    seen: set[tuple[UUID, bytes]] = set()
    for item in judged:
        assert isinstance(item, Judged) and item.reason is None
        if (item.tenant_id, item.identity) in seen:  # a conflict: the first stays
            continue
        seen.add((item.tenant_id, item.identity))
        event = item.event
        rows.append({
            "tenant_id": item.tenant_id, "identity": UUID(bytes=item.identity), "source": event.source, "id": event.id,
            "type": event.type, "subject": event.subject, "resource": event.resource, "time": item.at,
            "time_sent": True, "data": event.data_text, "attributes": "", "received_at": now, "digest": item.digest,
            "catalog_version": 1,
        })  # fmt: skip
    return rows


def _executemany(database: Database, rows: list[dict[str, Any]], size: int) -> float:
    dialect = database.engine.dialect
    rows = [row | {"identity": row["identity"].bytes} for row in rows]
    encoders = {name: events.c[name].type.dialect_impl(dialect).bind_processor(dialect) for name in rows[0]}
    prepared = [
        tuple(encoders[name](value) if encoders[name] else value for name, value in row.items())  # type: ignore[misc]
        for row in rows
    ]
    statement = f"INSERT INTO events ({', '.join(rows[0])}) VALUES ({', '.join('?' * len(rows[0]))})"
    pooled = database.engine.raw_connection()
    raw: Any = pooled.driver_connection
    began = perf_counter()
    for chunk in chunks(prepared, size):
        raw.execute("BEGIN IMMEDIATE")
        raw.executemany(statement, chunk)
        raw.execute("COMMIT")
    seconds = perf_counter() - began
    pooled.close()
    return seconds


def _copy(database: Database, rows: list[dict[str, Any]], size: int) -> float:
    names = ", ".join(rows[0])
    with psycopg.connect(database.engine.url.set(drivername="postgresql").render_as_string(False)) as connection:
        prepared = list(_binary_chunks(connection, rows, names, size))
        connection.commit()
        began = perf_counter()
        for chunk in prepared:
            with connection.cursor().copy(f"COPY events ({names}) FROM STDIN (FORMAT BINARY)") as copy:
                copy.write(chunk)
            connection.commit()
        return perf_counter() - began


def _binary_chunks(
    connection: psycopg.Connection[Any], rows: list[dict[str, Any]], names: str, size: int
) -> Iterator[bytes]:
    """The rows in PostgreSQL's own binary form, by letting it write what it is to read."""
    connection.execute("CREATE TEMPORARY TABLE prepared (LIKE events INCLUDING DEFAULTS)")
    connection.execute("ALTER TABLE prepared ADD COLUMN n int")
    with connection.cursor().copy(f"COPY prepared ({names}, n) FROM STDIN") as copy:
        for n, row in enumerate(rows):
            copy.write_row((*row.values(), n))
    connection.execute("CREATE INDEX ON prepared (n)")
    for start in range(0, len(rows), size):
        query = f"SELECT {names} FROM prepared WHERE n >= {start} AND n < {start + size} ORDER BY n"
        with connection.cursor().copy(f"COPY ({query}) TO STDOUT (FORMAT BINARY)") as copy:
            yield b"".join(bytes(part) for part in copy)


# --- the service ------------------------------------------------------------------------------------------------------


def in_process(database_url: str, stream: Stream, *, size: int, writers: int, meters: int = 2) -> Rate:
    """Decoded and ingested by threads of this process: the operation without HTTP. Raises what any transaction raised
    in the end, a deadlock too; so many `meters` must have counted everything."""
    database, cache = Database.open(database_url), CatalogCache()
    media_type = SINGLE if size == 1 else BATCH

    def ingest(body: bytes) -> None:
        sent, _ = decode_events(body, media_type, max_events=size)
        (outcomes,) = ingest_events(database, cache, [Post(sent, utc_now())], future=FUTURE)
        assert isinstance(outcomes, Outcomes)
        assert outcomes.sent == (1 if size == 1 else body.count(b'"specversion"'))

    try:
        rate = _timed(stream, size, [ingest] * writers)
        check(database, stream, meters=meters)
        return rate
    finally:
        database.close()


def uncounted(database_url: str, stream: Stream, *, size: int, writers: int) -> Rate:
    """`in_process`, but what the meters measured is dropped before anything is written: the events are judged and kept,
    and there is no bucket."""

    def judge_only(*arguments: Any, **named: Any) -> Judged | Rejected:
        found = judge(*arguments, **named)
        return msgspec.structs.replace(found, measured=()) if isinstance(found, Judged) else found

    with patch.object(ingestion, "judge", judge_only):
        return in_process(database_url, stream, size=size, writers=writers, meters=0)


def over_http(database_url: str, port: int, stream: Stream, *, size: int, connections: int) -> Rate:
    """Posted to a running service over so many connections of their own."""
    rate = post_over_http(port, stream, size=size, connections=connections)
    database = Database.open(database_url)
    try:
        check(database, stream)
    finally:
        database.close()
    return rate


def post_over_http(port: int, stream: Stream, *, size: int, connections: int) -> Rate:
    """Raises where anything is answered but 200."""
    headers = {"Authorization": f"Bearer {ADMIN_KEY}", "Content-Type": SINGLE if size == 1 else BATCH}

    def sender() -> Callable[[bytes], None]:
        connection = http.client.HTTPConnection("127.0.0.1", port)

        def send(body: bytes) -> None:
            connection.request("POST", "/v1/events", body, headers)
            answer = connection.getresponse()
            text = answer.read()
            assert answer.status == 200, text

        return send

    return _timed(stream, size, [sender() for _ in range(connections)])


def _timed(stream: Stream, size: int, senders: list[Callable[[bytes], None]]) -> Rate:
    """Distinct events a second; each sender takes the next body as soon as it is done with the last."""
    bodies: Iterable[bytes] = iter(list(stream.bodies(size)))
    taking, taken = threading.Lock(), []

    def run(send: Callable[[bytes], None]) -> None:
        while True:
            with taking:
                body = next(bodies, None)  # type: ignore[call-overload]
            if body is None:
                return
            began = perf_counter()
            send(body)
            taken.append(perf_counter() - began)

    with ThreadPoolExecutor(len(senders)) as pool:
        began = perf_counter()
        for done in [pool.submit(run, send) for send in senders]:
            done.result()
        seconds = perf_counter() - began
    taken.sort()
    return Rate(stream.distinct / seconds, taken[len(taken) // 2] * 1000, taken[int(len(taken) * 0.99)] * 1000)


def check(database: Database, stream: Stream, *, meters: int = 2) -> None:
    """Raises unless every distinct event is kept once and counted once by each of so many meters."""

    found = database.read(kept_and_counted)
    if found != (stream.distinct, [stream.distinct] * meters):
        raise AssertionError(f"{stream.distinct} distinct events were sent; kept and counted: {found}")


def kept_and_counted(connection: sa.Connection) -> tuple[int, list[int]]:
    """How many events are kept, and how many each meter counted."""
    kept = connection.execute(sa.select(sa.func.count()).select_from(events)).scalar_one()
    query = sa.select(sa.func.sum(buckets.c.count)).join(
        meter_revisions, meter_revisions.c.meter_id == buckets.c.meter_id
    )
    counted = connection.execute(query.group_by(meter_revisions.c.key)).scalars()
    return int(kept), [int(number) for number in counted]
