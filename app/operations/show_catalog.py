"""Read the catalog: one object by its key, or a page of them by key, in the shape of the HTTP contract."""

from __future__ import annotations

from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.engine import Connection

from app.domain.errors import NotFound
from app.domain.tenants import Tenant
from app.storage import alert_store, catalog_store, coupon_store, subscription_store, tenant_store
from app.wire.alerts import alert_to_wire
from app.wire.coupons import coupon_to_wire
from app.wire.exchange_rates import exchange_rate_to_wire
from app.wire.meters import meter_to_wire
from app.wire.parsing import key_problem
from app.wire.plans import plan_to_wire, version_to_wire
from app.wire.resources import resource_to_wire
from app.wire.shown import Shown
from app.wire.subscriptions import subscription_to_wire
from app.wire.tax_rates import tax_rate_to_wire
from app.wire.tenants import tenant_to_wire

# --- one ---


def show_tenant(connection: Connection, key: str) -> Shown | None:
    tenant = tenant_store.find(connection, key)
    return None if tenant is None else _tenants(connection, [tenant])[0]


def show_resource(connection: Connection, key: str) -> Shown | None:
    resource = tenant_store.find_resource(connection, key)
    return None if resource is None else resource_to_wire(resource)


def show_meter(connection: Connection, key: str) -> Shown | None:
    entry = catalog_store.find_meter(connection, key)
    return None if entry is None else meter_to_wire(entry)


def show_tax_rate(connection: Connection, key: str) -> Shown | None:
    rate = catalog_store.find_tax_rate(connection, key)
    return None if rate is None else tax_rate_to_wire(rate)


def show_exchange_rate(connection: Connection, key: str) -> Shown | None:
    rate = catalog_store.find_exchange_rate(connection, key)
    return None if rate is None else exchange_rate_to_wire(rate)


def show_coupon(connection: Connection, key: str) -> Shown | None:
    coupon = coupon_store.find(connection, key)
    return None if coupon is None else coupon_to_wire(coupon)


def show_plan(connection: Connection, key: str, *, published_only: bool = False) -> Shown | None:
    plan = catalog_store.find_plan(connection, key)
    if plan is None or (published_only and not plan.versions):
        return None
    return plan_to_wire(plan, published_only=published_only)


def show_versions(connection: Connection, key: str) -> list[Shown] | None:
    """The published versions of the plan with their terms, oldest first; None where there is no such plan."""
    plan = catalog_store.find_plan(connection, key)
    return None if plan is None else [version_to_wire(version) for version in plan.versions]


def show_subscription(connection: Connection, key: str, *, tenant_id: UUID | None = None) -> Shown | None:
    """The subscription; None where it is another tenant's than the one named."""
    subscription = subscription_store.find(connection, key)
    if subscription is None or tenant_id not in (None, subscription.tenant_id):
        return None
    tenant = tenant_store.find_by_id(connection, subscription.tenant_id)
    assert tenant is not None
    return subscription_to_wire(subscription, ZoneInfo(tenant.time_zone))


def show_alert(connection: Connection, key: str, *, tenant_id: UUID | None = None) -> Shown | None:
    """The alert; None where it does not watch the tenant named, and it alone."""
    stored = alert_store.find(connection, key)
    if stored is None or tenant_id not in (None, stored.tenant_id):
        return None
    return alert_to_wire(stored.alert)


def tenant_id_of(connection: Connection, key: str) -> UUID:
    """Raises NotFound."""
    tenant = tenant_store.find(connection, key) if key_problem(key) is None else None
    if tenant is None:
        raise NotFound(f"There is no tenant {key!r}.", key=key)
    return tenant.tenant_id


# --- many ---


def list_tenants(connection: Connection, *, after: str | None, limit: int, only: str | None = None) -> list[Shown]:
    """The tenants after the key, by key; `only` that one where it is named."""
    if only is not None:
        shown = show_tenant(connection, only)
        return [shown] if shown is not None and (after is None or only > after) else []
    return _tenants(connection, tenant_store.list_tenants(connection, after=after, limit=limit))


def _tenants(connection: Connection, tenants: list[Tenant]) -> list[Shown]:
    claims = tenant_store.claims_of(connection, [tenant.tenant_id for tenant in tenants])
    return [
        tenant_to_wire(tenant, [claim for claim in claims[tenant.tenant_id] if claim.subject != tenant.key])
        for tenant in tenants
    ]


def list_resources(
    connection: Connection, *, after: str | None, limit: int, owner_id: UUID | None = None
) -> list[Shown]:
    found = tenant_store.list_resources(connection, after=after, limit=limit, owner_id=owner_id)
    return [resource_to_wire(resource) for resource in found]


def list_meters(connection: Connection, *, after: str | None, limit: int) -> list[Shown]:
    return [meter_to_wire(entry) for entry in catalog_store.list_meters(connection, after=after, limit=limit)]


def list_tax_rates(connection: Connection, *, after: str | None, limit: int) -> list[Shown]:
    return [tax_rate_to_wire(rate) for rate in catalog_store.list_tax_rates(connection, after=after, limit=limit)]


def list_exchange_rates(connection: Connection, *, after: str | None, limit: int) -> list[Shown]:
    found = catalog_store.list_exchange_rates(connection, after=after, limit=limit)
    return [exchange_rate_to_wire(rate) for rate in found]


def list_coupons(connection: Connection, *, after: str | None, limit: int) -> list[Shown]:
    return [coupon_to_wire(coupon) for coupon in coupon_store.listing(connection, after=after, limit=limit)]


def list_plans(connection: Connection, *, after: str | None, limit: int, published_only: bool = False) -> list[Shown]:
    plans = catalog_store.list_plans(connection, after=after, limit=limit, published_only=published_only)
    return [plan_to_wire(plan, published_only=published_only) for plan in plans]


def list_alerts(
    connection: Connection, *, after: str | None, limit: int, tenant_id: UUID | None = None, plan: str | None = None
) -> list[Shown]:
    found = alert_store.list_alerts(connection, after=after, limit=limit, tenant_id=tenant_id, plan=plan)
    return [alert_to_wire(stored.alert) for stored in found]


def list_subscriptions(
    connection: Connection, *, after: str | None, limit: int, tenant_id: UUID | None = None, plan: str | None = None
) -> list[Shown]:
    found = subscription_store.list_subscriptions(connection, after=after, limit=limit, tenant_id=tenant_id, plan=plan)
    zones = {
        tenant.tenant_id: ZoneInfo(tenant.time_zone)
        for tenant in tenant_store.find_many(connection, [item.tenant_id for item in found])
    }
    return [subscription_to_wire(item, zones[item.tenant_id]) for item in found]
