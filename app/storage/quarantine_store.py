"""Events set aside with their reason: kept once per content, closed when something becomes of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, RowMapping

from app.domain.acceptance import Judged
from app.domain.events import QUARANTINE_REASONS, UsageEvent
from app.storage.event_store import EventKey, usage_event
from app.storage.planning import plan_for_values
from app.storage.tables import quarantine, tenants
from app.storage.types import Id, Instant, Name16

Closing = Literal["released", "duplicate", "conflict", "superseded"]

_IS_OPEN = quarantine.c.status == sa.literal_column("'open'")
"""As the indexes of open copies say it: of a bound value no planner knows that they hold all it asks for."""
_ORDER = (quarantine.c.received_at, quarantine.c.quarantine_id)


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A kept event that nobody can be billed for yet."""

    tenant_id: UUID
    quarantine_id: UUID
    event: UsageEvent
    at: datetime
    received_at: datetime
    reason: str
    detail: str
    status: str


def keep(connection: Connection, rows: Sequence[tuple[UUID, Judged, datetime]]) -> None:
    """Keeps each, received at its instant, under its quarantine id; a copy that is there stays, and is open again if it
    was closed."""
    if not rows:
        return
    insert = (sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert)(quarantine)
    reopened = {name: insert.excluded[name] for name in ("reason", "detail", "status")}
    statement = insert.on_conflict_do_update(
        index_elements=["tenant_id", "quarantine_id"], set_=reopened, where=quarantine.c.status != "open"
    )
    values = {(item.tenant_id, key): _values(key, item, received_at) for key, item, received_at in rows}
    ordered = [values[key] for key in sorted(values, key=lambda key: (key[0].bytes, key[1].bytes))]
    connection.execute(statement, ordered)


def _values(quarantine_id: UUID, item: Judged, received_at: datetime) -> dict[str, Any]:
    event = item.event
    return {
        "tenant_id": item.tenant_id, "quarantine_id": quarantine_id, "identity": item.identity, "reason": item.reason,
        "detail": item.detail, "source": event.source, "id": event.id, "type": event.type, "subject": event.subject,
        "resource": event.resource, "time": item.at, "time_sent": event.time is not None, "data": event.data_text,
        "attributes": event.attributes, "received_at": received_at, "digest": item.digest, "status": "open",
    }  # fmt: skip


def supersede(connection: Connection, accepted: Iterable[EventKey]) -> None:
    """Closes the open copies of identities that were accepted just now."""
    # In the order of an index of open copies: however many were closed, what is most often so takes one look.
    first = (
        sa.select(sa.literal(1)).where(_IS_OPEN).order_by(quarantine.c.reason, *_ORDER).limit(sa.literal_column("1"))
    )
    if connection.execute(first).first() is None:
        return
    own = first.where(quarantine.c.tenant_id == tenants.c.tenant_id).scalar_subquery()
    all_keys = list(accepted)
    claimed = sorted({key[0] for key in all_keys}, key=lambda tenant: tenant.int)
    waiting = sa.select(tenants.c.tenant_id).where(tenants.c.tenant_id.in_(claimed), own.is_not(None))
    affected = set(connection.execute(waiting).scalars())
    keys = [key for key in all_keys if key[0] in affected]
    for start in range(0, len(keys), 500):
        _supersede(connection, keys[start : start + 500])


def _supersede(connection: Connection, keys: Sequence[EventKey]) -> None:
    # A join: of `(tenant_id, identity) IN (..)` SQLite makes a walk through the whole table.
    names = (sa.column("tenant_id", Id()), sa.column("identity", Name16()))
    wanted = sa.values(*names, name="wanted").data(list(keys)).cte()
    found = sa.select(quarantine.c.tenant_id, quarantine.c.quarantine_id).join(
        wanted,
        sa.and_(quarantine.c.tenant_id == wanted.c.tenant_id, quarantine.c.identity == wanted.c.identity, _IS_OPEN),
    )
    for tenant_id, quarantine_id in connection.execute(found).all():
        copy = quarantine.update().where(
            quarantine.c.tenant_id == tenant_id, quarantine.c.quarantine_id == quarantine_id, _IS_OPEN
        )
        connection.execute(copy.values(status="superseded"))


def close(connection: Connection, row: Quarantined, status: Closing) -> None:
    connection.execute(quarantine.update().where(*_is(row)).values(status=status))


def keep_open(connection: Connection, row: Quarantined, reason: str, detail: str) -> None:
    connection.execute(quarantine.update().where(*_is(row)).values(reason=reason, detail=detail))


def _is(row: Quarantined) -> tuple[sa.ColumnElement[bool], ...]:
    return quarantine.c.tenant_id == row.tenant_id, quarantine.c.quarantine_id == row.quarantine_id


def page(
    connection: Connection, matching: Mapping[str, str], *, limit: int, after: tuple[datetime, UUID] | None = None,
    tenant_id: UUID | None = None, lock: bool = False,
) -> list[Quarantined]:  # fmt: skip
    """The next open copies in order of arrival, with these values (`reason`, `type`, `subject`, ..)."""
    plan_for_values(connection)
    query = sa.select(quarantine).where(_IS_OPEN, *(quarantine.c[name] == value for name, value in matching.items()))
    if tenant_id is not None:
        query = query.where(quarantine.c.tenant_id == tenant_id)
    if after is not None:
        kinds: list[Any] = [Instant(), Id()]
        query = query.where(sa.tuple_(*_ORDER, types=kinds) > sa.tuple_(*after, types=kinds))
    query = query.order_by(*_ORDER).limit(limit)
    if lock:
        query = query.with_for_update()
    # The copies of one reason lie in order; those of all are merged.
    reasons = (matching["reason"],) if "reason" in matching else QUARANTINE_REASONS
    found = [
        _quarantined(row)
        for reason in reasons
        for row in connection.execute(query.where(quarantine.c.reason == reason)).mappings()
    ]
    return sorted(found, key=lambda row: (row.received_at, row.quarantine_id.int))[:limit]


def count_by_reason(connection: Connection) -> dict[str, int]:
    query = sa.select(quarantine.c.reason, sa.func.count()).where(_IS_OPEN)
    return {row[0]: row[1] for row in connection.execute(query.group_by(quarantine.c.reason))}


def _quarantined(row: RowMapping) -> Quarantined:
    return Quarantined(
        row["tenant_id"], row["quarantine_id"], usage_event(row), row["time"], row["received_at"], row["reason"],
        row["detail"], row["status"],
    )  # fmt: skip
