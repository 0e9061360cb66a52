"""Endpoints and their deliveries as a caller may see them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy.engine import Connection

from app.domain.callers import Caller
from app.domain.errors import NotFound
from app.domain.ids import parse_public_id
from app.storage import outbox_store, tenant_store, webhook_store
from app.storage.database import Database
from app.storage.outbox_store import Delivery, DeliveryFilter
from app.storage.webhook_store import StoredEndpoint
from app.wire.parsing import key_problem
from app.wire.webhooks import delivery_to_wire


def find_endpoint(database: Database, key: str, caller: Caller) -> StoredEndpoint:
    """Raises NotFound, and just so for an endpoint that is not of the tenant that the caller's key is bound to."""
    return database.read(lambda connection: _endpoint(connection, key, caller))


def _endpoint(connection: Connection, key: str, caller: Caller) -> StoredEndpoint:
    found = None if key_problem(key) is not None else webhook_store.find(connection, key)
    if found is None or not _may_see(found, caller):
        raise NotFound(f"There is no webhook endpoint {key!r}.", key=key)
    return found


def _may_see(stored: StoredEndpoint, caller: Caller) -> bool:
    return caller.tenant_key is None or (caller.tenant_id is not None and stored.tenant_id == caller.tenant_id)


def list_endpoints(database: Database, caller: Caller, *, after: str | None, limit: int) -> list[StoredEndpoint]:
    return database.read(
        lambda connection: webhook_store.listing(connection, after=after, limit=limit, tenant_id=caller.tenant_id)
    )


def list_deliveries(
    database: Database, caller: Caller, wanted: DeliveryFilter, *, endpoint: str | None,
    before: tuple[UUID, UUID] | None, limit: int,
) -> list[dict[str, Any]]:  # fmt: skip
    """Deliveries to endpoints that the caller may see, the newest first. Raises NotFound for an unknown endpoint."""

    def work(connection: Connection) -> list[dict[str, Any]]:
        narrowed = replace(wanted, endpoint_ids=_endpoint_ids(connection, caller, endpoint))
        return show_deliveries(connection, outbox_store.listing(connection, narrowed, before=before, limit=limit))

    return database.read(work)


def _endpoint_ids(connection: Connection, caller: Caller, endpoint: str | None) -> tuple[UUID, ...] | None:
    if endpoint is not None:
        return (_endpoint(connection, endpoint, caller).endpoint_id,)
    if caller.tenant_id is None:
        return None
    own = [each for each in webhook_store.listeners(connection) if each.tenant_id == caller.tenant_id]
    return tuple(each.endpoint_id for each in own)


def find_delivery(database: Database, public: str, caller: Caller) -> tuple[dict[str, Any], str]:
    """One delivery, and the payload that it sends. Raises NotFound."""

    def work(connection: Connection) -> tuple[dict[str, Any], str]:
        key = parse_public_id("dlv", public)
        found = None if key is None else outbox_store.find(connection, "webhook", *key)
        stored = found and webhook_store.find_many(connection, [found.receiver.endpoint_id])
        if found is None or not stored or not _may_see(stored[found.receiver.endpoint_id], caller):
            raise NotFound("There is no such delivery.", id=public)
        return show_deliveries(connection, [found])[0], found.message.payload

    return database.read(work)


def show_deliveries(connection: Connection, deliveries: list[Delivery]) -> list[dict[str, Any]]:
    """Each with the keys of its endpoint and of the tenant that its message concerns."""
    endpoints = webhook_store.find_many(connection, {item.receiver.endpoint_id for item in deliveries})
    tenants = tenant_store.keys_of(connection, {item.message.tenant_id for item in deliveries})
    return [
        delivery_to_wire(
            item, tenant=tenants.get(item.message.tenant_id),
            endpoint=endpoints[item.receiver.endpoint_id].endpoint.key
            if item.receiver.endpoint_id in endpoints
            else None,
        )
        for item in deliveries
    ]  # fmt: skip
