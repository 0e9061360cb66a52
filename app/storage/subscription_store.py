"""Subscriptions by key, tenant and plan. Their billing instants are `billing_store`'s."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from app.domain.kept_parties import keep_references, read_references
from app.domain.kept_terms import keep_overrides, read_overrides
from app.domain.parties import NO_REFERENCES, BuyerReferences
from app.domain.subscriptions import LateUsage, Overrides, PlanChange, Subscription
from app.storage import invoice_store
from app.storage.tables import billing_instants, subscription_changes, subscription_keys, subscriptions, tenants

SubscriptionId = tuple[UUID, UUID]
"""(tenant_id, subscription_id)"""


def _query() -> sa.Select[Any]:
    return sa.select(subscriptions, tenants.c.key.label("tenant")).join(
        tenants, tenants.c.tenant_id == subscriptions.c.tenant_id
    )


def _of(key: SubscriptionId) -> sa.ColumnElement[bool]:
    return sa.and_(subscriptions.c.tenant_id == key[0], subscriptions.c.subscription_id == key[1])


def find(connection: Connection, key: str) -> Subscription | None:
    found = connection.execute(sa.select(subscription_keys).where(subscription_keys.c.key == key)).first()
    return None if found is None else find_by_id(connection, found.tenant_id, found.subscription_id)


def find_by_id(connection: Connection, tenant_id: UUID, subscription_id: UUID) -> Subscription | None:
    return next(iter(_found(connection, _query().where(_of((tenant_id, subscription_id))))), None)


def all_subscriptions(connection: Connection) -> list[Subscription]:
    """Every subscription, by key."""
    return _found(connection, _query().order_by(subscriptions.c.key))


def list_subscriptions(
    connection: Connection, *, after: str | None, limit: int, tenant_id: UUID | None = None, plan: str | None = None
) -> list[Subscription]:
    """The subscriptions after the key, by key; of one tenant or plan where they are named."""
    query = _query().order_by(subscriptions.c.key).limit(limit)
    if tenant_id is not None:
        query = query.where(subscriptions.c.tenant_id == tenant_id)
    if plan is not None:
        query = query.where(on_plan(plan))
    if after is not None:
        query = query.where(subscriptions.c.key > after)
    return _found(connection, query)


def on_plan(plan: str) -> sa.ColumnElement[bool]:
    """True of the subscriptions that are on the plan at some time."""
    changes = subscription_changes.c
    changed = sa.exists().where(
        changes.tenant_id == subscriptions.c.tenant_id, changes.subscription_id == subscriptions.c.subscription_id,
        changes.plan == plan,
    )  # fmt: skip
    return sa.or_(subscriptions.c.plan == plan, changed)


def of_tenants(connection: Connection, tenant_ids: Sequence[UUID]) -> list[Subscription]:
    """Every subscription of these tenants."""
    found: list[Subscription] = []
    for start in range(0, len(tenant_ids), 500):
        query = _query().where(subscriptions.c.tenant_id.in_(tenant_ids[start : start + 500]))
        found += _found(connection, query.order_by(subscriptions.c.key))
    return found


def lock_of_plan(connection: Connection, plan: str) -> list[Subscription]:
    """The subscriptions that are on the plan at some time, with their rows locked in one order for everybody."""
    query = (
        sa.select(subscriptions.c.tenant_id, subscriptions.c.subscription_id)
        .where(on_plan(plan))
        .order_by(subscriptions.c.tenant_id, subscriptions.c.subscription_id)
        .with_for_update()
    )
    locked = {(row.tenant_id, row.subscription_id) for row in connection.execute(query)}
    found = _found(connection, _query().where(on_plan(plan)).order_by(subscriptions.c.key))
    return [item for item in found if (item.tenant_id, item.subscription_id) in locked]


def lock(connection: Connection, key: SubscriptionId) -> None:
    """Locks the row, as every close, correction and issue of the subscription does first."""
    connection.execute(sa.select(subscriptions.c.subscription_id).where(_of(key)).with_for_update()).first()


def save(connection: Connection, subscription: Subscription) -> None:
    """Writes the subscription under its id, whether it was there or not, and its key over all tenants."""
    values = {
        "key": subscription.key, "plan": subscription.plan, "start": subscription.start, "end": subscription.end,
        "start_date": subscription.start_date, "pinned_version": subscription.pinned_version,
        "overrides": _overrides_text(subscription.overrides), "trial_days": subscription.trial_days,
        "trial_end": subscription.trial_end, "trial_end_date": subscription.trial_end_date,
        "references": _references_text(subscription.references),
        "late_policy": subscription.late_usage.policy, "late_horizon_days": subscription.late_usage.horizon_days,
    }  # fmt: skip
    key = (subscription.tenant_id, subscription.subscription_id)
    if not connection.execute(subscriptions.update().where(_of(key)).values(**values)).rowcount:
        connection.execute(subscriptions.insert().values(tenant_id=key[0], subscription_id=key[1], **values))
        connection.execute(
            subscription_keys.insert().values(key=subscription.key, tenant_id=key[0], subscription_id=key[1])
        )
    _forget_changes(connection, key)
    rows = [
        {
            "tenant_id": key[0], "subscription_id": key[1], "at": item.at, "local_date": item.local_date,
            "plan": item.plan, "anchor_date": item.anchor_date, "pinned_version": item.pinned_version,
            "overrides": _overrides_text(item.overrides),
        }
        for item in subscription.changes
    ]  # fmt: skip
    if rows:
        connection.execute(subscription_changes.insert(), rows)


def _overrides_text(overrides: Overrides) -> str:
    return json.dumps(keep_overrides(overrides), ensure_ascii=False)


def _references_text(references: BuyerReferences) -> str:
    return "" if references == NO_REFERENCES else json.dumps(keep_references(references), ensure_ascii=False)


def _forget_changes(connection: Connection, key: SubscriptionId) -> None:
    changes = subscription_changes.c
    connection.execute(
        subscription_changes.delete().where(changes.tenant_id == key[0], changes.subscription_id == key[1])
    )


def delete(connection: Connection, subscription: Subscription) -> None:
    """Takes away a subscription that nothing was ever billed for."""
    key = (subscription.tenant_id, subscription.subscription_id)
    connection.execute(
        billing_instants.delete().where(
            billing_instants.c.tenant_id == key[0], billing_instants.c.subscription_id == key[1]
        )
    )
    _forget_changes(connection, key)
    connection.execute(subscription_keys.delete().where(subscription_keys.c.key == subscription.key))
    connection.execute(subscriptions.delete().where(_of(key)))


def settled_until(connection: Connection, key: SubscriptionId) -> datetime | None:
    """The latest billing instant that is closed: billed, or passed because nothing was due. None where none is."""
    instant = billing_instants.c.at
    query = sa.select(sa.func.max(instant, type_=instant.type)).where(
        billing_instants.c.tenant_id == key[0],
        billing_instants.c.subscription_id == key[1],
        billing_instants.c.status != "open",
    )
    latest: datetime | None = connection.execute(query).scalar()
    return latest


def forget_open_instants(connection: Connection, key: SubscriptionId, *, keep: Collection[datetime] = ()) -> None:
    """Drops the instants that are not closed yet, but for those to be kept, and all drafts: both are made anew from the
    subscription."""
    invoice_store.delete_drafts(connection, key[0], of=key[1])
    connection.execute(
        billing_instants.delete().where(
            billing_instants.c.tenant_id == key[0],
            billing_instants.c.subscription_id == key[1],
            billing_instants.c.status == "open",
            billing_instants.c.at.not_in(sorted(keep)),
        )
    )


def _found(connection: Connection, query: sa.Select[Any]) -> list[Subscription]:
    """What the query finds, with the changes of each."""
    rows = list(connection.execute(query))
    changes = _changes(connection, [(row.tenant_id, row.subscription_id) for row in rows])
    return [_subscription(row, tuple(changes.get((row.tenant_id, row.subscription_id), ()))) for row in rows]


def _changes(connection: Connection, keys: Sequence[SubscriptionId]) -> dict[SubscriptionId, list[PlanChange]]:
    """The changes of these subscriptions, in order of time."""
    table = subscription_changes.c
    wanted, found = set(keys), dict[SubscriptionId, list[PlanChange]]()
    tenant_ids = sorted({key[0] for key in keys})
    for start in range(0, len(tenant_ids), 500):
        query = sa.select(subscription_changes).where(table.tenant_id.in_(tenant_ids[start : start + 500]))
        for row in connection.execute(query.order_by(table.at)):
            key = (row.tenant_id, row.subscription_id)
            if key in wanted:
                change = PlanChange(
                    row.at, row.local_date, row.plan, row.anchor_date, row.pinned_version, _overrides(row.overrides)
                )
                found.setdefault(key, []).append(change)
    return found


def _overrides(text: str) -> Overrides:
    return read_overrides(json.loads(text or "{}"))


def _subscription(row: Row[Any], changes: tuple[PlanChange, ...]) -> Subscription:
    return Subscription(
        row.tenant_id, row.subscription_id, row.key, row.tenant, row.plan, row.start, row.end, row.start_date,
        row.pinned_version, _overrides(row.overrides), changes, row.trial_days, row.trial_end, row.trial_end_date,
        LateUsage(row.late_policy, row.late_horizon_days), read_references(json.loads(row.references or "{}")),
    )  # fmt: skip
