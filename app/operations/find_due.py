"""Which billing instants have passed and are not settled, and whose past may need correction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.engine import Connection

from app.domain.billing import Versions, extend_instants
from app.domain.subscriptions import Subscription, terms_at
from app.storage import billing_store, catalog_store, subscription_store, tenant_store
from app.storage.billing_store import BillingRun, InstantRow


@dataclass(frozen=True, slots=True)
class Due:
    """One billing instant that is to be closed."""

    tenant_id: UUID
    subscription_id: UUID
    subscription: str
    tenant: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Work:
    """What one run has before it: the due instants in order, and the subscriptions whose past may need correction."""

    due: tuple[Due, ...]
    subscriptions: tuple[Subscription, ...]


def work_of(connection: Connection, run: BillingRun) -> Work:
    """What is due at or before the run's `through`, as the database stands."""
    operator = tenant_store.operator(connection)
    if run.sellers and (operator is None or operator.key not in run.sellers):
        return Work((), ())
    chosen = [
        item
        for item in subscription_store.all_subscriptions(connection)
        if (not run.tenants or item.tenant in run.tenants) and (not run.plans or item.plans & set(run.plans))
    ]
    rows = billing_store.instants_by_subscription(
        connection, [(item.tenant_id, item.subscription_id) for item in chosen]
    )
    versions = catalog_store.versions_by_plan(connection, sorted({plan for item in chosen for plan in item.plans}))
    zones = {item.tenant_id: ZoneInfo(item.time_zone) for item in tenant_store.all_tenants(connection)}
    due: list[Due] = []
    for item in chosen:
        known = rows.get((item.tenant_id, item.subscription_id), [])
        due += [
            Due(item.tenant_id, item.subscription_id, item.key, item.tenant, at)
            for at in due_instants(known, item, versions, zone=zones[item.tenant_id], through=run.through)
        ]
    due.sort(key=lambda one: (one.at, one.tenant, one.subscription))
    billed = {key for key, known in rows.items() if any(row.status == "billed" for row in known)}
    return Work(tuple(due), tuple(item for item in chosen if (item.tenant_id, item.subscription_id) in billed))


def due_instants(
    known: Sequence[InstantRow], subscription: Subscription, versions: Versions, *, zone: ZoneInfo,
    through: datetime,
) -> list[datetime]:  # fmt: skip
    """The billing instants at or before `through` that are not settled, oldest first."""
    instants = extend_instants([row.instant for row in known], subscription, versions, zone=zone, until=through)
    settled = {row.at for row in known if row.status != "open"}
    due = [item.at for item in instants if item.at <= through and item.at not in settled]
    start_is_due = charges_at_start(subscription, versions)
    return [at for at in due if at != subscription.start or start_is_due]


def charges_at_start(subscription: Subscription, versions: Versions) -> bool:
    """True when something is charged in advance at the subscription's start: only then is that instant due."""
    phase = subscription.phases[0]
    if phase.in_trial:
        return False
    terms = terms_at(versions[phase.plan], phase.start, phase.pinned_version)
    return any(charge.timing == "advance" for charge in terms.charges)
