"""Events: kept once per (tenant, source, id), and read back by key or by window."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from app.domain.acceptance import Judged
from app.domain.events import UsageEvent, microseconds, parse_data
from app.domain.ids import name_of
from app.storage import packed_arrays
from app.storage.planning import plan_for_values
from app.storage.tables import events, tenants
from app.storage.types import Id, Instant, Name16

EventKey = tuple[UUID, bytes]
"""(tenant_id, identity)"""


class StoredEvent(msgspec.Struct, frozen=True, eq=False, gc=False):
    """An event as kept. `at` is its time, or when it was received where it came without one."""

    tenant_id: UUID
    identity: bytes
    event: UsageEvent
    at: datetime
    received_at: datetime
    digest: bytes
    catalog_version: int = 0
    cancelled_at: datetime | None = None

    @property
    def key(self) -> EventKey:
        return self.tenant_id, self.identity


COLUMNS = (
    "tenant_id", "identity", "source", "id", "type", "subject", "resource", "time", "time_sent", "data", "attributes",
    "received_at", "digest", "catalog_version",
)  # fmt: skip
SENT_TYPES = (
    "uuid", "uuid", "text", "text", "text", "text", "text", "timestamptz", "bool", "text", "text", "timestamptz",
    "bytea",
)  # fmt: skip
_NAMES = ", ".join(f'"{name}"' for name in COLUMNS)
_SENT_NAMES = ", ".join(f'"{name}"' for name in COLUMNS[:-1])
# The answer names the few that were there already, not the many that were not.
_INSERT_PG = (
    f"WITH sent AS MATERIALIZED (SELECT * FROM unnest({', '.join(f'%b::{kind}[]' for kind in SENT_TYPES)}) "
    f"WITH ORDINALITY AS sent ({_SENT_NAMES}, n)), "
    f"kept AS (INSERT INTO events ({_NAMES}) SELECT {_SENT_NAMES}, %b::bigint FROM sent ORDER BY n "
    "ON CONFLICT (tenant_id, identity) DO NOTHING RETURNING tenant_id, identity) "
    "SELECT n FROM sent WHERE (SELECT count(*) FROM kept) < %b "
    "AND NOT EXISTS (SELECT FROM kept WHERE kept.tenant_id = sent.tenant_id AND kept.identity = sent.identity)"
)
_INSERT_SQLITE = (
    f"INSERT INTO events ({_NAMES}) VALUES ({', '.join('?' * len(COLUMNS))}) "
    "ON CONFLICT (tenant_id, identity) DO NOTHING"
)


def insert_new(
    connection: Connection, judged: Sequence[Judged], received_at: Sequence[datetime], version: int
) -> list[int]:
    """Inserts those that were not there, in the order given; the positions of the others. They are distinct by key,
    and were measured under the catalog's `version`."""
    if not judged:
        return []
    if connection.dialect.name == "sqlite":
        return _insert_sqlite(connection, judged, received_at, version)
    parameters = (*packed(judged, received_at), version, len(judged))
    return [number - 1 for number in connection.exec_driver_sql(_INSERT_PG, parameters).scalars()]


def packed(judged: Sequence[Judged], received_at: Sequence[datetime]) -> tuple[packed_arrays.Packed, ...]:
    """The columns in the order of COLUMNS, but for the version."""
    sent = [item.event for item in judged]
    return (
        packed_arrays.ids([name_of(item.tenant_id) for item in judged]),
        packed_arrays.ids([item.identity for item in judged]),
        packed_arrays.names([event.source for event in sent]), packed_arrays.texts([event.id for event in sent]),
        packed_arrays.names([event.type for event in sent]), packed_arrays.names([event.subject for event in sent]),
        packed_arrays.names([event.resource for event in sent]),
        packed_arrays.moments([item.moment for item in judged]),
        packed_arrays.flags([event.time is not None for event in sent]),
        packed_arrays.texts([event.data_text for event in sent]),
        packed_arrays.names([event.attributes for event in sent]), packed_arrays.instants(received_at),
        packed_arrays.digests([item.digest for item in judged]),
    )  # fmt: skip


def _insert_sqlite(
    connection: Connection, judged: Sequence[Judged], received_at: Sequence[datetime], version: int
) -> list[int]:
    before = connection.exec_driver_sql("SELECT coalesce(max(rowid), 0) FROM events").scalar_one()
    parameters = [
        (
            item.tenant_id.bytes, item.identity, event.source, event.id, event.type, event.subject, event.resource,
            item.moment, event.time is not None, event.data_text, event.attributes, arrived, item.digest, version,
        )
        for item, arrived in zip(judged, map(microseconds, received_at), strict=True)
        for event in (item.event,)
    ]  # fmt: skip
    inserted = connection.exec_driver_sql(_INSERT_SQLITE, parameters).rowcount
    if inserted == len(judged):
        return []
    added = connection.exec_driver_sql("SELECT tenant_id, identity FROM events WHERE rowid > ?", (before,))
    new = {(row[0], row[1]) for row in added}
    return [number for number, row in enumerate(parameters) if (row[0], row[1]) not in new]


def find(connection: Connection, keys: Sequence[EventKey]) -> list[StoredEvent]:
    """The kept events among the keys."""
    if not keys:
        return []
    if connection.dialect.name == "sqlite":
        return [stored for key in keys if (stored := _find_one(connection, key)) is not None]
    tenants, identities = [key[0] for key in keys], [UUID(bytes=key[1]) for key in keys]
    rows = connection.execute(_FIND_PG, {"tenants": tenants, "identities": identities}).mappings()
    return [stored_event(row) for row in rows]


def _wanted() -> sa.TableValuedAlias:
    arrays = [sa.bindparam(name, type_=sa.ARRAY(sa.Uuid)) for name in ("tenants", "identities")]
    return sa.func.unnest(*arrays).table_valued("tenant_id", "identity", name="wanted").render_derived()


def _select_found() -> sa.Select[Any]:
    wanted = _wanted()
    own = sa.and_(events.c.tenant_id == wanted.c.tenant_id, events.c.identity == wanted.c.identity)
    return sa.select(events).join(wanted, own)


_FIND_PG = _select_found()
_FIND_ONE = sa.select(events).where(
    events.c.tenant_id == sa.bindparam("tenant"), events.c.identity == sa.bindparam("name")
)


def _find_one(connection: Connection, key: EventKey) -> StoredEvent | None:
    row = connection.execute(_FIND_ONE, {"tenant": key[0], "name": key[1]}).mappings().first()
    return None if row is None else stored_event(row)


def lock(connection: Connection, key: EventKey) -> StoredEvent | None:
    """The event with its row locked until the transaction ends."""
    query = sa.select(events).where(events.c.tenant_id == key[0], events.c.identity == key[1]).with_for_update()
    row = connection.execute(query).mappings().first()
    return None if row is None else stored_event(row)


def mark_cancelled(connection: Connection, key: EventKey, *, at: datetime, reason: str) -> None:
    connection.execute(
        events.update()
        .where(events.c.tenant_id == key[0], events.c.identity == key[1])
        .values(cancelled_at=at, cancel_reason=reason)
    )


def cancel_reason(connection: Connection, key: EventKey) -> str:
    """Why the event was cancelled, as it was told; '' where nothing was."""
    query = sa.select(events.c.cancel_reason).where(events.c.tenant_id == key[0], events.c.identity == key[1])
    found: str = connection.execute(query).scalar_one()
    return found


def in_window(
    connection: Connection, *, type: str, start: datetime, end: datetime, tenant_ids: Sequence[UUID] | None = None,
    resource: str | None = None, cancelled_after: datetime | None = None, in_order: bool = False,
) -> Iterator[StoredEvent]:  # fmt: skip
    """Events of the type that happened in [start, end) and are not cancelled, or were only after the instant given; of
    all tenants where none is named; by tenant, time, source and id where the order matters."""
    counts: sa.ColumnElement[bool] = events.c.cancelled_at.is_(None)
    if cancelled_after is not None:
        counts = sa.or_(counts, events.c.cancelled_at > cancelled_after)
    query = sa.select(events).where(events.c.type == type, events.c.time >= start, events.c.time < end, counts)
    if tenant_ids is not None:
        query = query.where(events.c.tenant_id.in_(tenant_ids))
    if resource is not None:
        query = query.where(events.c.resource == resource)
    if in_order:
        query = query.order_by(events.c.tenant_id, events.c.time, events.c.source, events.c.id)
    for row in connection.execute(query.execution_options(yield_per=2000)).mappings():
        yield stored_event(row)


def of_type(
    connection: Connection, *, tenant_id: UUID, type: str, start: datetime, end: datetime,
    after: tuple[datetime, bytes] | None, limit: int,
) -> list[StoredEvent]:  # fmt: skip
    """The tenant's next events of the type that happened in [start, end), cancelled ones too, by (time, identity): from
    one index, wherever the list goes on."""
    plan_for_values(connection)
    query = sa.select(events).where(
        events.c.tenant_id == tenant_id, events.c.type == type, events.c.time >= start, events.c.time < end
    )
    if after is not None:
        kinds: list[Any] = [Instant(), Name16()]
        query = query.where(sa.tuple_(events.c.time, events.c.identity, types=kinds) > sa.tuple_(*after, types=kinds))
    query = query.order_by(events.c.time, events.c.identity).limit(limit)
    return [stored_event(row) for row in connection.execute(query).mappings()]


def first_time(connection: Connection, type: str) -> datetime | None:
    """When the first event of the type happened; None where there is none."""
    # Tenant by tenant: no index leads with the type.
    own = sa.select(sa.func.min(events.c.time)).where(events.c.tenant_id == tenants.c.tenant_id, events.c.type == type)
    each = sa.select(own.scalar_subquery().label("first")).select_from(tenants).subquery()
    found: datetime | None = connection.execute(sa.select(sa.func.min(each.c.first))).scalar_one()
    return found


def after_key(connection: Connection, *, after: EventKey | None, limit: int) -> list[StoredEvent]:
    """The next events in key order."""
    query = sa.select(events)
    if after is not None:
        position = sa.tuple_(events.c.tenant_id, events.c.identity, types=[Id(), Name16()])
        query = query.where(position > sa.tuple_(*after, types=[Id(), Name16()]))
    query = query.order_by(events.c.tenant_id, events.c.identity).limit(limit)
    return [stored_event(row) for row in connection.execute(query).mappings()]


def stored_event(row: RowMapping) -> StoredEvent:
    return StoredEvent(
        row["tenant_id"], row["identity"], usage_event(row), row["time"], row["received_at"], row["digest"],
        row["catalog_version"], row["cancelled_at"],
    )  # fmt: skip


def usage_event(row: Mapping[str, Any] | RowMapping) -> UsageEvent:
    """The event as it was sent, from a row of events or of quarantine."""
    return UsageEvent(
        row["source"], row["id"], row["type"], row["subject"], row["resource"],
        row["time"] if row["time_sent"] else None, row["data"], _data(row["data"]), row["attributes"],
    )  # fmt: skip


def _data(text: str) -> dict[str, Any]:
    """The kept data; empty where somebody has made the text unreadable since: the audit names such a row by its
    digest."""
    try:
        return parse_data(text)
    except ValueError:
        return {}
