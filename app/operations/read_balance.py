"""Where a tenant stands in one meter: what it used in its billing period, what is free, what its limit leaves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from sqlalchemy.engine import Connection

from app.domain.callers import Caller
from app.domain.entitlement import Balance, ChargeBalance
from app.domain.meters import Meter, apply_rounding, convert
from app.domain.money import ZERO
from app.domain.periods import Period, window_at
from app.domain.subscriptions import Subscription, terms_in_force
from app.domain.tenants import Tenant
from app.operations.billing_books import period_at
from app.operations.read_usage import find_meter, quantities
from app.operations.resolve_tenant import tenant_seen_by
from app.storage import catalog_store, subscription_store
from app.storage.database import Database


@dataclass(frozen=True, slots=True)
class Standing:
    """A tenant's balance in a meter."""

    tenant: Tenant
    meter: Meter
    balance: Balance


def read_balance(database: Database, caller: Caller, *, tenant: str, meter: str, now: datetime) -> Standing:
    """Every event acknowledged before is in it. Raises NotFound, or CatchingUp while the meter is being built."""

    def work(connection: Connection) -> Standing:
        found = tenant_seen_by(connection, caller, tenant)
        measured = find_meter(connection, meter)
        return Standing(found, measured, balance_of(connection, found, measured, now=now))

    return database.read(work)


def balance_of(connection: Connection, tenant: Tenant, meter: Meter, *, now: datetime) -> Balance:
    """The tenant's balance in its running billing period, as the database stands."""
    period: Period | None = None
    charges: list[ChargeBalance] = []
    for subscription in subscription_store.of_tenants(connection, [tenant.tenant_id]):
        if subscription.start <= now and (subscription.end is None or now < subscription.end):
            for own, charge in _charges(connection, tenant, meter, subscription, now):
                period = own
                charges.append(charge)
    if period is None:
        month = window_at(now, "month", ZoneInfo(tenant.time_zone))
        return Balance(month, _used(connection, tenant, meter, month), ())
    return Balance(period, charges[-1].used, tuple(charges))


def _charges(
    connection: Connection, tenant: Tenant, meter: Meter, subscription: Subscription, now: datetime
) -> Iterator[tuple[Period, ChargeBalance]]:
    """Every charge on the meter by the terms in force now, and its billing period."""
    published = catalog_store.versions_by_plan(connection, sorted(subscription.plans))
    phase, zone = subscription.phase_at(now), ZoneInfo(tenant.time_zone)
    versions = published[phase.plan]
    moment = Period(now, datetime.max.replace(tzinfo=now.tzinfo))
    present = terms_in_force(moment, versions, phase.pinned_version, phase.overrides)[0][2]
    on_meter = [item for item in present.charges if item.meter == meter.key]
    if not on_meter:
        return
    period = period_at(connection, subscription, published, zone=zone, at=now).period
    stretches = terms_in_force(period, versions, phase.pinned_version, phase.overrides)
    stretch = next(item for item, _, _ in stretches if item.start <= now < item.end)
    used = _used(connection, tenant, meter, period)
    in_stretch = used if stretch == period else _used(connection, tenant, meter, stretch)
    for charge in on_meter:
        yield (
            period,
            ChargeBalance(
                subscription.key, charge.key, stretch, used, in_stretch, charge.allowance or ZERO, charge.limit
            ),
        )


def _used(connection: Connection, tenant: Tenant, meter: Meter, period: Period) -> Decimal:
    """The quantity as it would be billed: in the unit that is billed, rounded as the meter says."""
    found = quantities(connection, meter, period, tenant_ids=[tenant.tenant_id]).get(tenant.tenant_id, ZERO)
    converted = found if meter.conversion is None else convert(meter.conversion, found)
    return converted if meter.rounding is None else apply_rounding(meter.rounding, converted)
