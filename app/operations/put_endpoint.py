"""Make, change or remove the endpoint of a webhook, or rotate its secret, which is told then and at no other time."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from sqlalchemy.engine import Connection

from app.domain.errors import InvalidInput, NotFound
from app.domain.ids import new_id
from app.domain.webhooks import Endpoint, Secrets, Standing
from app.operations.catalog_change import check_precondition, write_catalog
from app.storage import outbox_store, tenant_store, webhook_store
from app.storage.database import Database
from app.storage.webhook_store import StoredEndpoint
from app.wire.parsing import key_problem
from app.wire.webhooks import definition, endpoint_to_wire

T = TypeVar("T")
_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class PutEndpoint:
    """The endpoint as it is; `secret` is told where it is new."""

    stored: StoredEndpoint
    secret: str | None = field(default=None, repr=False)


def put_endpoint(database: Database, wish: Endpoint, *, now: datetime, if_match: str | None = None) -> PutEndpoint:
    """Raises InvalidInput or PreconditionFailed; then nothing has changed."""

    def work(connection: Connection) -> PutEndpoint:
        before = webhook_store.find(connection, wish.key, lock=True)
        check_precondition(if_match, None if before is None else definition(endpoint_to_wire(before)))
        tenant_id = _tenant_id(connection, wish.tenant)
        if before is None:
            made = StoredEndpoint(
                wish, new_id(), tenant_id, Secrets(_new_secret()), _standing(Standing(), wish, True, now), now
            )
            webhook_store.save(connection, made, is_new=True)
            return PutEndpoint(made, made.secrets.current)
        standing = _standing(before.standing, wish, before.endpoint.enabled, now)
        after = replace(before, endpoint=wish, tenant_id=tenant_id, standing=standing)
        if after != before:
            webhook_store.save(connection, after, is_new=False)
        if wish.enabled and not before.endpoint.enabled:
            outbox_store.go_on(connection, after.endpoint_id, now)
        return PutEndpoint(after)

    return write_catalog(database, work)


def _standing(before: Standing, wish: Endpoint, was_enabled: bool, now: datetime) -> Standing:
    """One that is enabled again begins anew; of one that somebody disables there is nothing to explain."""
    if wish.enabled:
        return before if was_enabled else Standing()
    return replace(before, disabled_at=now) if was_enabled else before


def _tenant_id(connection: Connection, key: str | None) -> UUID | None:
    if key is None:
        return None
    tenant = tenant_store.find(connection, key)
    if tenant is None:
        raise InvalidInput.at("#/tenant", f"there is no tenant {key!r}")
    return tenant.tenant_id


def _new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def rotate_secret(database: Database, key: str, *, now: datetime) -> PutEndpoint:
    """A new secret; the one until now signs too, for a day. Raises NotFound."""

    def work(connection: Connection, stored: StoredEndpoint) -> PutEndpoint:
        after = replace(stored, secrets=stored.secrets.rotated(_new_secret(), now))
        webhook_store.save(connection, after, is_new=False)
        return PutEndpoint(after, after.secrets.current)

    return _with_locked(database, key, work)


def delete_endpoint(database: Database, key: str) -> None:
    """Takes the endpoint away with its deliveries: nothing is sent to it any more. Raises NotFound."""
    _with_locked(database, key, webhook_store.delete)


def _with_locked(database: Database, key: str, work: Callable[[Connection, StoredEndpoint], T]) -> T:
    def locked(connection: Connection) -> T:
        stored = None if key_problem(key) is not None else webhook_store.find(connection, key, lock=True)
        if stored is None:
            raise NotFound(f"There is no webhook endpoint {key!r}.", key=key)
        return work(connection, stored)

    return database.write(locked)
