"""What the alerts have noticed, in the order in which it was noticed."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from sqlalchemy.engine import Connection

from app.domain.alerts import Crossing
from app.domain.callers import Caller
from app.operations.resolve_tenant import tenant_seen_by
from app.storage import alert_store
from app.storage.alert_store import CrossingFilter
from app.storage.database import Database


def list_crossings(
    database: Database, caller: Caller, wanted: CrossingFilter, *, tenant: str | None, after: UUID | None, limit: int
) -> list[tuple[Crossing, str]]:
    """Each with its tenant's key; of one tenant where it is named, or where the caller's key is bound to one. Raises
    NotFound."""

    def work(connection: Connection) -> list[tuple[Crossing, str]]:
        tenant_id = caller.tenant_id if tenant is None else tenant_seen_by(connection, caller, tenant).tenant_id
        narrowed = replace(wanted, tenant_id=tenant_id)
        return alert_store.list_crossings(connection, narrowed, after=after, limit=limit)

    return database.read(work)
