"""Which billing instants have passed and are not settled, and whose past may need correction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
    """A billing instant that is to be closed, and `beside` it those of the tenant's other subscriptions at the same
    instant that are closed with it, where the tenant collects its invoices."""

    tenant_id: UUID
    subscription_id: UUID
    subscription: str
    tenant: str
    at: datetime
    is_collected: bool = False
    beside: tuple[Due, ...] = ()

    @property
    def all(self) -> tuple[Due, ...]:
        """Itself and those beside it."""
        return (self, *self.beside)


@dataclass(frozen=True, slots=True)
class Work:
    """What one run has before it: the due instants in order, and the subscriptions whose past may need correction."""

    due: tuple[Due, ...]
    subscriptions: tuple[Subscription, ...]

    @property
    def periods_due(self) -> int:
        """How many instants of subscriptions are due, each for itself."""
        return sum(len(one.all) for one in self.due)


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
    tenants = {item.tenant_id: item for item in tenant_store.all_tenants(connection)}
    zones = {item.tenant_id: ZoneInfo(item.time_zone) for item in tenants.values()}
    due: list[Due] = []
    for item in chosen:
        known = rows.get((item.tenant_id, item.subscription_id), [])
        due += [
            Due(item.tenant_id, item.subscription_id, item.key, item.tenant, at, tenants[item.tenant_id].collects)
            for at in due_instants(known, item, versions, zone=zones[item.tenant_id], through=run.through)
        ]
    due.sort(key=lambda one: (one.at, one.tenant, one.subscription))
    billed = {key for key, known in rows.items() if any(row.status == "billed" for row in known)}
    return Work(
        tuple(_collected(due)), tuple(item for item in chosen if (item.tenant_id, item.subscription_id) in billed)
    )


def _collected(due: Sequence[Due]) -> list[Due]:
    """The same, in order by instant and tenant, with those that are closed together as one."""
    found: list[Due] = []
    for one in due:
        first = found[-1] if found else None
        if first is not None and one.is_collected and (first.tenant_id, first.at) == (one.tenant_id, one.at):
            found[-1] = replace(first, beside=(*first.beside, one))
        else:
            found.append(one)
    return found


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
