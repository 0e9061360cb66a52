"""Usage of known tenants that no charge prices: metered, billed to nobody, and therefore listed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.engine import Connection

from app.domain.events import instant_text
from app.domain.meters import Meter
from app.domain.money import plain
from app.domain.periods import Period, gaps
from app.domain.subscriptions import Subscription, terms_in_force
from app.operations.read_usage import HOUR, gather, pieces
from app.storage import catalog_store, meter_store, subscription_store, tenant_store, usage_store

_FAR = datetime(9999, 1, 1, tzinfo=UTC)


def list_unpriced(connection: Connection, *, through: datetime, tenants: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """One entry per tenant, meter and unbroken stretch before `through` with use that nothing prices."""
    meters = {meter.meter_id: meter for meter in meter_store.load(connection, states=("active",))}
    keys = {item.tenant_id: item.key for item in tenant_store.all_tenants(connection)}
    coverage = _coverage(connection)
    entries: list[dict[str, Any]] = []
    for tenant_id, meter_id, first, last in sorted(usage_store.spans(connection, list(meters))):
        meter, end = meters[meter_id], min(last + HOUR, through)
        if tenants and keys[tenant_id] not in tenants:
            continue
        if first < end:
            for gap in gaps(Period(first, end), coverage.get((tenant_id, meter.key), [])):
                entries += _entry(connection, meter, tenant_id, keys[tenant_id], gap)
    return entries


def _coverage(connection: Connection) -> dict[tuple[UUID, str], list[Period]]:
    """When which meter of which tenant is priced, in order of time."""
    found: dict[tuple[UUID, str], list[Period]] = {}
    versions: dict[str, Any] = {}
    for item in subscription_store.all_subscriptions(connection):
        for plan in item.plans - versions.keys():
            versions[plan] = catalog_store.plan_versions(connection, plan)
        for stretch, meter in _priced(item, versions):
            found.setdefault((item.tenant_id, meter), []).append(stretch)
    return {key: sorted(stretches, key=lambda period: period.start) for key, stretches in found.items()}


def _priced(item: Subscription, versions: Any) -> list[tuple[Period, str]]:
    return [
        (stretch, charge.meter)
        for phase in item.phases
        for stretch, _, terms in terms_in_force(
            Period(phase.start, phase.end or _FAR), versions[phase.plan], phase.pinned_version, phase.overrides
        )
        for charge in terms.charges
        if charge.meter is not None
    ]


def _entry(connection: Connection, meter: Meter, tenant_id: UUID, tenant: str, gap: Period) -> list[dict[str, Any]]:
    uses = gather(pieces(connection, meter, gap, tenant_ids=[tenant_id]), lambda _: None)
    if not uses:
        return []
    use = uses[None]
    return [
        {
            "tenant": tenant, "meter": meter.key, "quantity": plain(use.quantity(meter)), "unit": meter.unit,
            "events": use.fold.count, "start": instant_text(gap.start), "end": instant_text(gap.end),
        }
    ]  # fmt: skip
