"""Endpoints of webhooks: where messages are posted, and with what they are signed."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from app.domain.webhooks import Endpoint, Listener, Secrets, Standing
from app.storage.tables import outbox_deliveries, tenants, webhook_endpoints


@dataclass(frozen=True, slots=True)
class StoredEndpoint:
    endpoint: Endpoint
    endpoint_id: UUID
    tenant_id: UUID | None
    secrets: Secrets
    standing: Standing
    created_at: datetime


def listeners(connection: Connection) -> list[Listener]:
    """Every endpoint there is, disabled ones too."""
    columns = (
        webhook_endpoints.c.endpoint_id, webhook_endpoints.c.events, webhook_endpoints.c.enabled,
        webhook_endpoints.c.tenant_id,
    )  # fmt: skip
    rows = connection.execute(sa.select(*columns))
    return [Listener(row.endpoint_id, tuple(json.loads(row.events)), bool(row.enabled), row.tenant_id) for row in rows]


def find(connection: Connection, key: str, *, lock: bool = False) -> StoredEndpoint | None:
    query = _select().where(webhook_endpoints.c.key == key)
    row = connection.execute(query.with_for_update(of=webhook_endpoints) if lock else query).first()
    return None if row is None else _endpoint(row)


def find_many(connection: Connection, endpoint_ids: Collection[UUID]) -> dict[UUID, StoredEndpoint]:
    query = _select().where(webhook_endpoints.c.endpoint_id.in_(sorted(endpoint_ids)))
    return {row.endpoint_id: _endpoint(row) for row in connection.execute(query)}


def listing(connection: Connection, *, after: str | None, limit: int, tenant_id: UUID | None) -> list[StoredEndpoint]:
    """The endpoints after the key, by key; of one tenant where it is named."""
    query = _select().order_by(webhook_endpoints.c.key).limit(limit)
    if after is not None:
        query = query.where(webhook_endpoints.c.key > after)
    if tenant_id is not None:
        query = query.where(webhook_endpoints.c.tenant_id == tenant_id)
    return [_endpoint(row) for row in connection.execute(query)]


def save(connection: Connection, stored: StoredEndpoint, *, is_new: bool) -> None:
    endpoint, secrets, standing = stored.endpoint, stored.secrets, stored.standing
    values = {
        "url": endpoint.url, "events": json.dumps(endpoint.events), "enabled": endpoint.enabled,
        "description": endpoint.description, "tenant_id": stored.tenant_id, "secret": secrets.current,
        "previous_secret": secrets.previous, "previous_until": secrets.previous_until,
        "disabled_at": standing.disabled_at, "disabled_reason": standing.disabled_reason,
        "failing_since": standing.failing_since,
    }  # fmt: skip
    if is_new:
        connection.execute(
            webhook_endpoints.insert().values(
                key=endpoint.key, endpoint_id=stored.endpoint_id, created_at=stored.created_at, **values
            )
        )
    else:
        connection.execute(webhook_endpoints.update().where(_is(stored.endpoint_id)).values(**values))


def delete(connection: Connection, stored: StoredEndpoint) -> None:
    """Takes the endpoint away, and with it what was or is to be delivered to it."""
    connection.execute(webhook_endpoints.delete().where(_is(stored.endpoint_id)))
    connection.execute(outbox_deliveries.delete().where(outbox_deliveries.c.endpoint_id == stored.endpoint_id))


def note_success(connection: Connection, endpoint_id: UUID) -> None:
    """The endpoint fails no longer."""
    connection.execute(
        webhook_endpoints.update()
        .where(_is(endpoint_id), webhook_endpoints.c.failing_since.is_not(None))
        .values(failing_since=None)
    )


def note_failure(connection: Connection, endpoint_id: UUID, now: datetime) -> datetime | None:
    """Since when every try at the endpoint has failed; None where there is no such endpoint."""
    connection.execute(
        webhook_endpoints.update()
        .where(_is(endpoint_id), webhook_endpoints.c.failing_since.is_(None))
        .values(failing_since=now)
    )
    query = sa.select(webhook_endpoints.c.failing_since).where(_is(endpoint_id))
    found: datetime | None = connection.execute(query).scalar()
    return found


def disable(connection: Connection, endpoint_id: UUID, *, reason: str, now: datetime) -> bool:
    """True where it was enabled until now."""
    changed = connection.execute(
        webhook_endpoints.update()
        .where(_is(endpoint_id), webhook_endpoints.c.enabled.is_(True))
        .values(enabled=False, disabled_at=now, disabled_reason=reason)
    )
    return bool(changed.rowcount)


def count_disabled(connection: Connection) -> int:
    """How many endpoints the service has disabled by itself and nobody has enabled again."""
    query = sa.select(sa.func.count()).select_from(webhook_endpoints)
    disabled = webhook_endpoints.c.enabled.is_(False), webhook_endpoints.c.disabled_reason != ""
    return int(connection.execute(query.where(*disabled)).scalar_one())


def _is(endpoint_id: UUID) -> Any:
    return webhook_endpoints.c.endpoint_id == endpoint_id


def _select() -> sa.Select[Any]:
    return sa.select(webhook_endpoints, tenants.c.key.label("tenant")).outerjoin(
        tenants, tenants.c.tenant_id == webhook_endpoints.c.tenant_id
    )


def _endpoint(row: Row[Any]) -> StoredEndpoint:
    endpoint = Endpoint(row.key, row.url, tuple(json.loads(row.events)), bool(row.enabled), row.description, row.tenant)
    return StoredEndpoint(
        endpoint, row.endpoint_id, row.tenant_id, Secrets(row.secret, row.previous_secret, row.previous_until),
        Standing(row.disabled_at, row.disabled_reason, row.failing_since), row.created_at,
    )  # fmt: skip
