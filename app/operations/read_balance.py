"""Where a tenant stands in one meter: what it used in its billing period, what is free, what its limit leaves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.engine import Connection

from app.domain.callers import Caller
from app.domain.entitlement import Balance, Prepaid, prepaid_left
from app.domain.meters import Meter
from app.domain.tenants import Tenant
from app.operations.meter_standing import Balances, pricing, running_subscriptions
from app.operations.read_usage import find_revisions
from app.operations.resolve_tenant import tenant_seen_by
from app.storage import credit_store
from app.storage.database import Database


@dataclass(frozen=True, slots=True)
class Standing:
    """A tenant's balance in a meter; `is_behind` where a newer revision of the meter is being built."""

    tenant: Tenant
    meter: Meter
    is_behind: bool
    balance: Balance
    prepaid: Prepaid


def read_balance(database: Database, caller: Caller, *, tenant: str, meter: str, now: datetime) -> Standing:
    """Every event acknowledged before is in it. Raises NotFound, or CatchingUp while the meter is being built."""

    def work(connection: Connection) -> Standing:
        found = tenant_seen_by(connection, caller, tenant)
        measured, is_behind = find_revisions(connection, meter)
        own = pricing(running_subscriptions(connection, [found], now=now)[found.tenant_id], measured)
        balances = Balances(connection, now=now)
        balances.ask(found, measured, own)
        balances.read()
        balance = balances.of(found, measured, own)
        grants = credit_store.prepaid_grants(connection, [found.tenant_id]).get(found.tenant_id, [])
        return Standing(found, measured, is_behind, balance, prepaid_left(grants, balance, meter=meter, now=now))

    return database.read(work)
