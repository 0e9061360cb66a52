"""The tenant that a caller names, if it may see it."""

from __future__ import annotations

from app.domain.callers import Caller
from app.domain.errors import NotFound
from app.domain.tenants import Tenant
from app.storage import tenant_store
from app.storage.database import Database
from app.wire.parsing import key_problem


def resolve_tenant(database: Database, key: str, caller: Caller) -> Tenant:
    """Raises NotFound for an unknown tenant, and just so for one that the caller's key is not bound to."""
    found = None
    if caller.tenant_key in (None, key) and key_problem(key) is None:
        found = database.read(lambda connection: tenant_store.find(connection, key))
    if found is None:
        raise NotFound(f"There is no tenant {key!r}.", tenant=key)
    return found
