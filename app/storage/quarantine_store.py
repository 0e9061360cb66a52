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
from app.domain.events import UsageEvent
from app.storage.event_store import EventKey, usage_event
from app.storage.tables import quarantine
from app.storage.types import Id, Name16

Closing = Literal["released", "duplicate", "conflict", "superseded"]


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
    is_open = quarantine.c.status == "open"
    if connection.execute(sa.select(sa.literal(1)).where(is_open).limit(1)).first() is None:
        return  # what is most often so takes one look
    all_keys = list(accepted)
    tenants = sorted({key[0] for key in all_keys}, key=lambda tenant: tenant.int)
    waiting = sa.select(quarantine.c.tenant_id).distinct().where(quarantine.c.tenant_id.in_(tenants), is_open)
    affected = set(connection.execute(waiting).scalars())
    keys = [key for key in all_keys if key[0] in affected]
    pair = sa.tuple_(quarantine.c.tenant_id, quarantine.c.identity, types=[Id(), Name16()])
    for start in range(0, len(keys), 500):
        chunk = keys[start : start + 500]
        connection.execute(quarantine.update().where(pair.in_(chunk), is_open).values(status="superseded"))


def close(connection: Connection, row: Quarantined, status: Closing) -> None:
    connection.execute(quarantine.update().where(*_is(row)).values(status=status))


def keep_open(connection: Connection, row: Quarantined, reason: str, detail: str) -> None:
    connection.execute(quarantine.update().where(*_is(row)).values(reason=reason, detail=detail))


def _is(row: Quarantined) -> tuple[sa.ColumnElement[bool], ...]:
    return quarantine.c.tenant_id == row.tenant_id, quarantine.c.quarantine_id == row.quarantine_id


def page(
    connection: Connection, matching: Mapping[str, str], *, limit: int, after: tuple[datetime, UUID] | None = None,
    tenant_id: UUID | None = None, status: str = "open", lock: bool = False,
) -> list[Quarantined]:  # fmt: skip
    """The next copies in order of arrival, with this status and these values (`reason`, `type`, `subject`, ..)."""
    query = sa.select(quarantine).where(quarantine.c.status == status)
    for name, value in matching.items():
        query = query.where(quarantine.c[name] == value)
    if tenant_id is not None:
        query = query.where(quarantine.c.tenant_id == tenant_id)
    if after is not None:
        received_at, key = after
        query = query.where(
            sa.or_(
                quarantine.c.received_at > received_at,
                sa.and_(quarantine.c.received_at == received_at, quarantine.c.quarantine_id > key),
            )
        )
    query = query.order_by(quarantine.c.received_at, quarantine.c.quarantine_id).limit(limit)
    if lock:
        query = query.with_for_update()
    return [_quarantined(row) for row in connection.execute(query).mappings()]


def count_by_reason(connection: Connection) -> dict[str, int]:
    query = sa.select(quarantine.c.reason, sa.func.count()).where(quarantine.c.status == "open")
    return {row[0]: row[1] for row in connection.execute(query.group_by(quarantine.c.reason))}


def _quarantined(row: RowMapping) -> Quarantined:
    return Quarantined(
        row["tenant_id"], row["quarantine_id"], usage_event(row), row["time"], row["received_at"], row["reason"],
        row["detail"], row["status"],
    )  # fmt: skip
