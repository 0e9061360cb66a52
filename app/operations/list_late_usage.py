"""What is used otherwise than it is billed: late, cancelled and amended use of billed periods, and what becomes of it.

Billed + unbilled = rated: for every charge and stretch `amount_billed` + `difference` is `amount`, what the use is
rated to now by the terms that were billed. Nothing is left out because of a policy or a horizon.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.engine import Connection

from app.domain.events import instant_text
from app.domain.money import amount_text, plain
from app.domain.subscriptions import Subscription
from app.operations.correct_period import Correction, corrections, standing
from app.operations.rate_period import meters_by_key, result_of
from app.storage import subscription_store, tenant_store


def list_late_usage(
    connection: Connection, subscriptions: Sequence[Subscription], *, at: datetime
) -> list[dict[str, Any]]:  # fmt: skip
    """One entry per subscription, charge and stretch whose amount is no longer what was billed, oldest stretch first.
    `status` is what becomes of it in a document of the instant `at`."""
    if not subscriptions:
        return []
    meters = meters_by_key(connection)
    tenants = tenant_store.find_many(connection, sorted({item.tenant_id for item in subscriptions}))
    zones = {tenant.tenant_id: ZoneInfo(tenant.time_zone) for tenant in tenants}
    return [
        _entry(subscription, item, standing(subscription, item, zone=zones[subscription.tenant_id], at=at))
        for subscription in subscriptions
        for item in corrections(connection, subscription, meters)
    ]


def late_usage_of(connection: Connection, key: str, *, at: datetime) -> list[dict[str, Any]]:
    """The entries of the subscription of that key; none where there is no such subscription."""
    subscription = subscription_store.find(connection, key)
    return list_late_usage(connection, [] if subscription is None else [subscription], at=at)


def _entry(subscription: Subscription, item: Correction, status: str) -> dict[str, Any]:
    line, billed, rated = item.billed.first, result_of(item.billed.last.trace), item.rated.rated
    currency: str = line.trace["terms"]["currency"]
    return {
        "tenant": subscription.tenant, "subscription": subscription.key, "charge": line.charge,
        "plan": line.trace["plan"], "unit": line.unit, "quantity_billed": plain(billed.quantity),
        "period": {"start": instant_text(line.period.start), "end": instant_text(line.period.end)},
        "quantity": plain(rated.quantity), "currency": currency, "amount_billed": amount_text(billed.amount, currency),
        "amount": amount_text(rated.amount, currency), "difference": amount_text(item.change.amount, currency),
        "status": status,
    }  # fmt: skip
