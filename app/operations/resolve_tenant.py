"""The tenant that a caller names, if it may see it."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from app.domain.callers import Caller
from app.domain.errors import NotFound
from app.domain.tenants import Tenant
from app.storage import tenant_store
from app.storage.database import Database
from app.wire.parsing import key_problem


def resolve_tenant(database: Database, key: str, caller: Caller) -> Tenant:
    """Raises NotFound for an unknown tenant, and just so for one that the caller's key is not bound to."""
    return database.read(lambda connection: tenant_seen_by(connection, caller, key))


def tenant_seen_by(connection: Connection, caller: Caller, key: str) -> Tenant:
    """The same inside a transaction that reads more of it."""
    found = None
    if caller.tenant_key in (None, key) and key_problem(key) is None:
        found = tenant_store.find(connection, key)
    if found is None:
        raise NotFound(f"There is no tenant {key!r}.", tenant=key)
    return found
