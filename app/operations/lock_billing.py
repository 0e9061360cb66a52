"""What billing locks, and in which order: the catalog's version, subscriptions by id, a document, the buyer's credit;
the series of the seller's numbers comes last, where something is issued.

Whoever bills a tenant that collects its invoices holds all of its subscriptions.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.engine import Connection

from app.domain.ids import NOBODY, SEVERAL
from app.domain.tenants import Tenant
from app.storage import billing_store, credit_store, invoice_store, tenant_store
from app.storage.catalog_snapshot import hold_version
from app.storage.invoice_store import Place


def lock_subscriptions(
    connection: Connection, keys: Sequence[tuple[UUID, UUID]]
) -> tuple[list[tuple[UUID, UUID]], list[Tenant]]:
    """The subscriptions (tenant, subscription) and all that share documents with them, locked for closing, and their
    tenants: whoever closes some of them waits before it has anything that another waits for."""
    # The first lock, as in a change of the catalog: a meter's next revision takes away the buckets of this one.
    hold_version(connection)
    tenants = tenant_store.find_many(connection, {tenant_id for tenant_id, _ in keys})
    shared = billing_store.subscriptions_of(connection, {one.tenant_id for one in tenants if one.collects})
    locked = list(dict.fromkeys([*(key for key in keys if key[1] != SEVERAL), *shared]))
    billing_store.lock_subscriptions(connection, locked)
    # Of two closes of one tenant one sees what the other leaves of its credit.
    credit_store.lock_accounts(connection, {one.tenant_id for one in tenants})
    return locked, tenants


def lock_document(connection: Connection, place: Place) -> None:
    """Locks what the document bills; one of no subscription stands for itself."""
    hold_version(connection)
    buyer = tenant_store.find_by_id(connection, place.tenant_id)
    assert buyer is not None, "a tenant stays"
    owner = SEVERAL if buyer.collects and place.subscription_id != NOBODY else place.subscription_id
    billing_store.lock_subscription(connection, place.tenant_id, owner)
    invoice_store.lock_document(connection, place.tenant_id, place.invoice_id)
    credit_store.lock_account(connection, place.tenant_id)
