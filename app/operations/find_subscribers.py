"""The tenants behind subscriptions."""

from __future__ import annotations

from collections.abc import Collection

from app.domain.callers import Caller
from app.storage import subscriber_store
from app.storage.database import Database


def find_subscribers(database: Database, subscriptions: Collection[str], caller: Caller) -> dict[str, str]:
    """The tenant's key by the subscription's, where the caller may know it; others are not in it."""
    return database.read(
        lambda connection: subscriber_store.tenant_keys_of(connection, subscriptions, tenant_id=caller.tenant_id)
    )
