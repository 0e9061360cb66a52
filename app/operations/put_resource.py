"""Make or change a resource: a shared thing that use is measured on, and who owns it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.engine import Connection

from app.domain.errors import InvalidInput
from app.domain.tenants import Resource
from app.operations.catalog_change import Saved, check_precondition, queue_releases, write_catalog
from app.operations.show_catalog import show_resource
from app.storage import tenant_store
from app.storage.catalog_snapshot import lock_for_change, raise_version
from app.storage.database import Database


def put_resource(database: Database, wish: Resource, *, now: datetime, if_match: str | None = None) -> Saved:
    """Raises InvalidInput for an unknown owner, or PreconditionFailed; then nothing has changed."""
    return write_catalog(database, lambda connection: save_resource(connection, wish, now=now, if_match=if_match))


def save_resource(connection: Connection, wish: Resource, *, now: datetime, if_match: str | None = None) -> Saved:
    lock_for_change(connection)
    shown = show_resource(connection, wish.key)
    check_precondition(if_match, shown)
    owner = tenant_store.find(connection, wish.owner)
    if owner is None:
        raise InvalidInput.at("#/owner", f"There is no tenant {wish.owner!r}.")

    tenant_store.save_resource(connection, wish, owner_id=owner.tenant_id)
    left_jobs = False
    if shown is None:  # its name and owner say nothing about which events can be counted; that it is there does
        raise_version(connection)
        left_jobs = queue_releases(connection, [{"reason": "unknown_resource", "resource": wish.key}], now)
    after = show_resource(connection, wish.key)
    assert after is not None
    return Saved(shown, after, left_jobs)
