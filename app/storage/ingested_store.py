"""The latest of what came in, kept events and open copies of the quarantine alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.domain.events import UsageEvent
from app.storage.event_store import usage_event
from app.storage.tables import events, quarantine


@dataclass(frozen=True, slots=True)
class IngestedFilter:
    """Of `tenant_ids` any, None for all; `id` and `subject` may be parts; all stretches are half-open."""

    tenant_ids: Sequence[UUID] | None = None
    id: str = ""
    subject: str = ""
    start: datetime | None = None
    end: datetime | None = None
    received_start: datetime | None = None
    received_end: datetime | None = None


@dataclass(frozen=True, slots=True)
class Ingested:
    """An event that is kept, and why it does not count: '' where it does."""

    tenant_id: UUID
    event: UsageEvent
    at: datetime
    received_at: datetime
    fault: str


def latest(connection: Connection, wanted: IngestedFilter, *, limit: int) -> list[Ingested]:
    """At most `limit` of each kind, the latest by time first."""
    kept = _latest(events, wanted, limit)
    aside = _latest(quarantine, wanted, limit).where(quarantine.c.status == "open")
    found = [
        Ingested(
            row["tenant_id"], usage_event(row), row["time"], row["received_at"],
            "" if row["cancelled_at"] is None else "cancelled: it counts no more",
        )
        for row in connection.execute(kept).mappings()
    ]  # fmt: skip
    found += [
        Ingested(row["tenant_id"], usage_event(row), row["time"], row["received_at"], row["detail"])
        for row in connection.execute(aside).mappings()
    ]
    return sorted(found, key=lambda item: (item.at, item.event.source, item.event.id), reverse=True)[:limit]


def _latest(table: sa.Table, wanted: IngestedFilter, limit: int) -> sa.Select[Any]:
    column = table.c
    query = sa.select(table)
    if wanted.tenant_ids is not None:
        query = query.where(column.tenant_id.in_(wanted.tenant_ids))
    for name, part in (("id", wanted.id), ("subject", wanted.subject)):
        if part:
            # Not LIKE: on SQLite it takes a for A, and everywhere % for anything.
            query = query.where(sa.func.replace(column[name], part, "") != column[name])
    for name, start, end in (
        ("time", wanted.start, wanted.end), ("received_at", wanted.received_start, wanted.received_end),
    ):  # fmt: skip
        if start is not None:
            query = query.where(column[name] >= start)
        if end is not None:
            query = query.where(column[name] < end)
    return query.order_by(column.time.desc(), column.source.desc(), column.id.desc()).limit(limit)
