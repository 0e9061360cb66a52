"""What tenants are entitled to in meters, and what they used of it: shared by the balance and by alerts.

For many tenants at once the catalog is read once, and the use of all whose periods are the same in one query.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.engine import Connection

from app.domain.allowances import PoolUse
from app.domain.billing import extend_instants, period_between
from app.domain.entitlement import Balance, ChargeBalance
from app.domain.meters import Meter, apply_rounding, convert
from app.domain.money import ZERO
from app.domain.periods import Period, window_at
from app.domain.plan_totals import Commitment
from app.domain.plans import PlanCharge, PlanTerms
from app.domain.subscriptions import Subscription, terms_in_force
from app.domain.tenants import Tenant
from app.operations.billing_books import books_of
from app.operations.next_document import next_document
from app.operations.read_usage import quantities
from app.storage import billing_store, catalog_store, subscription_store


@dataclass(frozen=True, slots=True)
class Running:
    """A subscription that runs now: the plan that it is on, its billing period, and the stretch of that in which the
    present charges are in force."""

    subscription: Subscription
    plan: str
    period: Period
    stretch: Period
    terms: PlanTerms

    @property
    def commitment(self) -> Commitment | None:
        return self.terms.commitment

    def on(self, meter: Meter) -> list[PlanCharge]:
        return [charge for charge in self.terms.charges if charge.meter == meter.key]


def running_subscriptions(
    connection: Connection, tenants: Iterable[Tenant], *, now: datetime
) -> dict[UUID, list[Running]]:
    """The subscriptions of these tenants that run now, by tenant."""
    zones = {tenant.tenant_id: ZoneInfo(tenant.time_zone) for tenant in tenants}
    found = [
        item
        for item in subscription_store.of_tenants(connection, list(zones))
        if item.start <= now and (item.end is None or now < item.end)
    ]
    keys = [(item.tenant_id, item.subscription_id) for item in found]
    rows = billing_store.instants_by_subscription(connection, keys)
    versions = catalog_store.versions_by_plan(connection, sorted({plan for item in found for plan in item.plans}))
    running: dict[UUID, list[Running]] = {tenant_id: [] for tenant_id in zones}
    for item, key in zip(found, keys, strict=True):
        known = [row.instant for row in rows.get(key, [])]
        instants = extend_instants(known, item, versions, zone=zones[item.tenant_id], until=now)
        position = sum(instant.at <= now for instant in instants)
        period = period_between(instants[position - 1], instants[position], item, versions).period
        phase = item.phase_at(now)
        stretches = terms_in_force(period, versions[phase.plan], phase.pinned_version, phase.overrides)
        stretch, _, present = next(each for each in stretches if each[0].start <= now < each[0].end)
        running[item.tenant_id].append(Running(item, phase.plan, period, stretch, present))
    return running


@dataclass(frozen=True, slots=True)
class _Asked:
    """Of whose use in a meter something is to be said; `running` is None where no subscription prices it."""

    tenant: Tenant
    meter: Meter
    running: Running | None
    period: Period
    stretch: Period


class Balances:
    """The balances of many tenants in many meters: first all are asked for, then the use is read, then each is told."""

    def __init__(self, connection: Connection, *, now: datetime) -> None:
        self._connection = connection
        self._now = now
        self._asked: dict[tuple[UUID, UUID, str], _Asked] = {}
        self._used: dict[tuple[UUID, Period], dict[UUID, Decimal]] = {}
        self._pools: dict[UUID, list[PoolUse]] = {}

    def ask(self, tenant: Tenant, meter: Meter, running: Running | None) -> None:
        """`running` prices the meter; without one it is the use of the tenant's calendar month that is asked for."""
        if running is None:
            period = stretch = window_at(self._now, "month", ZoneInfo(tenant.time_zone))
        else:
            period, stretch = running.period, running.stretch
        key = (tenant.tenant_id, meter.meter_id, "" if running is None else running.subscription.key)
        self._asked[key] = _Asked(tenant, meter, running, period, stretch)

    def read(self) -> None:
        wanted: dict[tuple[UUID, Period], tuple[Meter, list[UUID]]] = {}
        for item in self._asked.values():
            for period in {item.period, item.stretch}:
                _, tenant_ids = wanted.setdefault((item.meter.meter_id, period), (item.meter, []))
                tenant_ids.append(item.tenant.tenant_id)
        for key, (meter, tenant_ids) in wanted.items():
            found = quantities(self._connection, meter, key[1], tenant_ids=tenant_ids, until=self._now)
            self._used[key] = {tenant_id: _as_billed(meter, used) for tenant_id, used in found.items()}

    def of(self, tenant: Tenant, meter: Meter, running: Running | None) -> Balance:
        item = self._asked[tenant.tenant_id, meter.meter_id, "" if running is None else running.subscription.key]
        used = self._quantity(item, item.period)
        if running is None:
            return Balance(item.period, used, ())
        in_stretch = self._quantity(item, item.stretch)
        pools = self._pools_of(running)
        charges = tuple(
            ChargeBalance(
                running.subscription.key, charge.key, item.stretch, used, in_stretch,
                # One that rolls over is a pool of its own.
                ZERO if charge.allowance is None or charge.rollover is not None else charge.allowance,
                charge.limit, tuple(pool for pool in pools if charge.key in pool.given),
            )
            for charge in running.on(meter)
        )  # fmt: skip
        return Balance(item.period, used, charges)

    def _pools_of(self, running: Running) -> list[PoolUse]:
        """What the subscription's charges share or carry over, in the stretch that is running. Such an allowance is
        known once all that was used of it before is settled, as it is when the period is billed."""
        if not running.terms.pools:
            return []
        subscription = running.subscription
        found = self._pools.get(subscription.subscription_id)
        if found is None:
            books = replace(books_of(self._connection, subscription), until=self._now)
            _, due = next_document(self._connection, books, self._now)
            found = [pool for pool in due.pools if pool.stretch.start <= self._now < pool.stretch.end]
            self._pools[subscription.subscription_id] = found
        return found

    def _quantity(self, item: _Asked, period: Period) -> Decimal:
        return self._used[item.meter.meter_id, period].get(item.tenant.tenant_id, ZERO)


def _as_billed(meter: Meter, used: Decimal) -> Decimal:
    """The quantity in the unit that is billed, rounded as the meter says."""
    converted = used if meter.conversion is None else convert(meter.conversion, used)
    return converted if meter.rounding is None else apply_rounding(meter.rounding, converted)


def pricing(running: Sequence[Running], meter: Meter) -> Running | None:
    """The one of a tenant's subscriptions that prices the meter: no two do at the same time."""
    return next((item for item in running if item.on(meter)), None)
