"""API keys: only the SHA-256 of a key's secret is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.storage.tables import api_keys, tenants
from app.storage.upserts import insert_missing


@dataclass(frozen=True, slots=True)
class StoredKey:
    """`scopes` are joined by commas; `tenant_key` is '' for a key that is not bound to one tenant."""

    key_id: str
    secret_hash: bytes
    scopes: str
    tenant_key: str
    name: str


def add_key(connection: Connection, key: StoredKey, now: datetime) -> None:
    """Keeps the key; one that is there already stays as it is."""
    insert_missing(
        connection, api_keys,
        [{
            "key_id": key.key_id, "secret_hash": key.secret_hash, "scopes": key.scopes, "tenant_key": key.tenant_key,
            "name": key.name, "created_at": now, "revoked_at": None,
        }],
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class ListedKey:
    """What may be told of a key: everything but its secret."""

    key_id: str
    name: str
    scopes: str
    tenant_key: str
    created_at: datetime
    revoked_at: datetime | None


def list_keys(connection: Connection) -> list[ListedKey]:
    """Every key there ever was, oldest first."""
    columns = [api_keys.c[name] for name in ListedKey.__dataclass_fields__]
    rows = connection.execute(sa.select(*columns).order_by(api_keys.c.created_at, api_keys.c.key_id))
    return [ListedKey(*row) for row in rows]


def find_key(connection: Connection, key_id: str) -> StoredKey | None:
    """The key, unless it was revoked."""
    row = connection.execute(
        sa.select(api_keys).where(api_keys.c.key_id == key_id, api_keys.c.revoked_at.is_(None))
    ).first()
    return None if row is None else StoredKey(row.key_id, row.secret_hash, row.scopes, row.tenant_key, row.name)


def tenant_of_key(connection: Connection, tenant_key: str) -> UUID | None:
    found: UUID | None = connection.execute(sa.select(tenants.c.tenant_id).where(tenants.c.key == tenant_key)).scalar()
    return found


def revoke_key(connection: Connection, key_id: str, now: datetime) -> bool:
    changed = connection.execute(
        api_keys.update().where(api_keys.c.key_id == key_id, api_keys.c.revoked_at.is_(None)).values(revoked_at=now)
    )
    return bool(changed.rowcount)
