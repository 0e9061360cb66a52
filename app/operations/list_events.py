"""Events and quarantined copies as they were sent, a page at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.engine import Connection

from app.domain.errors import NotFound
from app.storage import event_lists, ingested_store, quarantine_store, tenant_store
from app.storage.database import Database
from app.storage.event_lists import Place, Wanted
from app.storage.event_store import StoredEvent
from app.storage.ingested_store import Ingested, IngestedFilter
from app.storage.quarantine_store import Quarantined


@dataclass(frozen=True, slots=True)
class EventFilter:
    """None and absent mean any. `tenant` is a tenant's key."""

    tenant: str | None = None
    type: str | None = None
    resource: str | None = None
    start: datetime | None = None
    end: datetime | None = None


def list_events(
    database: Database, wanted: EventFilter, *, after: Place | None, limit: int
) -> tuple[Sequence[tuple[StoredEvent, str]], Place | None]:
    """Events with their tenant's key, tenant by tenant, each by time; and the place after which the next page goes on,
    None at the end. Raises NotFound for an unknown tenant."""

    def work(connection: Connection) -> tuple[list[tuple[StoredEvent, str]], Place | None]:
        tenant_id = None if wanted.tenant is None else _tenant_id(connection, wanted.tenant)
        own = Wanted(tenant_id, wanted.type, wanted.resource, wanted.start, wanted.end)
        listed = event_lists.page(connection, own, after=after, limit=limit)
        keys = tenant_store.keys_of(connection, {row.tenant_id for row in listed.rows})
        return [(row, keys[row.tenant_id]) for row in listed.rows], listed.next

    return database.read(work)


def _tenant_id(connection: Connection, key: str) -> UUID:
    tenant = tenant_store.find(connection, key)
    if tenant is None:
        raise NotFound(f"There is no tenant {key!r}.", tenant=key)
    return tenant.tenant_id


def list_ingested(
    database: Database, wanted: IngestedFilter, *, tenants: Sequence[str], limit: int
) -> tuple[list[Ingested], Mapping[UUID, str]]:
    """Kept events and open copies, the latest first, and the keys of their tenants by id; of the tenants where some are
    named. Raises NotFound for an unknown tenant."""

    def work(connection: Connection) -> tuple[list[Ingested], Mapping[UUID, str]]:
        tenant_ids = [_tenant_id(connection, key) for key in tenants] or None
        found = ingested_store.latest(connection, replace(wanted, tenant_ids=tenant_ids), limit=limit)
        return found, tenant_store.keys_of(connection, {item.tenant_id for item in found})

    return database.read(work)


def list_quarantine(
    database: Database, *, reason: str | None, tenant_id: UUID | None, after: tuple[datetime, UUID] | None, limit: int
) -> list[Quarantined]:
    """Open copies in order of arrival; those of one tenant for a key bound to it."""
    matching = {} if reason is None else {"reason": reason}
    return database.read(
        lambda connection: quarantine_store.page(connection, matching, limit=limit, after=after, tenant_id=tenant_id)
    )
