"""Whose subscription has a key?"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.storage.tables import subscription_keys, tenants

_CHUNK = 500


def tenant_keys_of(connection: Connection, keys: Iterable[str], *, tenant_id: UUID | None) -> dict[str, str]:
    """The key of the tenant by the subscription's; of one tenant's subscriptions only where it is named."""
    query = sa.select(subscription_keys.c.key, tenants.c.key.label("tenant")).join(
        tenants, tenants.c.tenant_id == subscription_keys.c.tenant_id
    )
    if tenant_id is not None:
        query = query.where(subscription_keys.c.tenant_id == tenant_id)
    ordered = sorted(set(keys))
    found: dict[str, str] = {}
    for start in range(0, len(ordered), _CHUNK):
        rows = connection.execute(query.where(subscription_keys.c.key.in_(ordered[start : start + _CHUNK])))
        found |= {row.key: row.tenant for row in rows}
    return found
