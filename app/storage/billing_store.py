"""Billing instants of subscriptions, and the runs that work through them."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from app.domain.ids import SEVERAL
from app.domain.periods import BillingInstant
from app.storage.tables import billing_instants, billing_runs, subscriptions
from app.storage.upserts import put


@dataclass(frozen=True, slots=True)
class InstantRow:
    """A billing instant as stored: `open`, `billed` (its invoice is issued) or `passed` (nothing was due there)."""

    at: datetime
    local_date: date
    status: Literal["open", "billed", "passed"]

    @property
    def instant(self) -> BillingInstant:
        return BillingInstant(self.local_date, self.at)


def lock_subscription(connection: Connection, tenant_id: UUID, subscription_id: UUID) -> None:
    """Locks the subscription's row until the transaction ends: close, correct, issue and credit all begin with this.
    For a document of SEVERAL they are all rows of the tenant, in order."""
    query = sa.select(subscriptions.c.subscription_id).where(subscriptions.c.tenant_id == tenant_id)
    if subscription_id != SEVERAL:
        query = query.where(subscriptions.c.subscription_id == subscription_id)
    connection.execute(query.order_by(subscriptions.c.subscription_id).with_for_update()).all()


def lock_subscriptions(connection: Connection, keys: Collection[tuple[UUID, UUID]]) -> None:
    """The same for several, (tenant, subscription) each: their rows are locked in one order, whoever asks."""
    query = sa.select(subscriptions.c.subscription_id).where(
        subscriptions.c.tenant_id.in_(sorted({key[0] for key in keys})),
        subscriptions.c.subscription_id.in_(sorted({key[1] for key in keys})),
    )
    query = query.order_by(subscriptions.c.tenant_id, subscriptions.c.subscription_id)
    connection.execute(query.with_for_update()).all()


def subscriptions_of(connection: Connection, tenant_ids: Collection[UUID]) -> list[tuple[UUID, UUID]]:
    """The (tenant, subscription) of all subscriptions of these tenants."""
    query = sa.select(subscriptions.c.tenant_id, subscriptions.c.subscription_id)
    query = query.where(subscriptions.c.tenant_id.in_(sorted(tenant_ids)))
    return [(row.tenant_id, row.subscription_id) for row in connection.execute(query)]


def instants(connection: Connection, tenant_id: UUID, subscription_id: UUID) -> list[InstantRow]:
    """The stored instants, oldest first."""
    query = (
        sa.select(billing_instants.c.at, billing_instants.c.local_date, billing_instants.c.status)
        .where(billing_instants.c.tenant_id == tenant_id, billing_instants.c.subscription_id == subscription_id)
        .order_by(billing_instants.c.at)
    )
    return [InstantRow(row.at, row.local_date, row.status) for row in connection.execute(query)]


def instants_by_subscription(
    connection: Connection, keys: Sequence[tuple[UUID, UUID]]
) -> dict[tuple[UUID, UUID], list[InstantRow]]:
    """The stored instants of many subscriptions, oldest first, by (tenant, subscription)."""
    found: dict[tuple[UUID, UUID], list[InstantRow]] = {}
    for start in range(0, len(keys), 500):
        wanted = set(keys[start : start + 500])
        query = (
            sa.select(billing_instants)
            .where(
                billing_instants.c.tenant_id.in_(sorted({key[0] for key in wanted})),
                billing_instants.c.subscription_id.in_(sorted({key[1] for key in wanted})),
            )
            .order_by(billing_instants.c.at)
        )
        for row in connection.execute(query):
            key = (row.tenant_id, row.subscription_id)
            if key in wanted:
                found.setdefault(key, []).append(InstantRow(row.at, row.local_date, row.status))
    return found


def save_instants(connection: Connection, tenant_id: UUID, subscription_id: UUID, rows: Sequence[InstantRow]) -> None:
    """Writes them, with their status where they are there already. The subscription's row is locked."""
    values = [
        {
            "tenant_id": tenant_id, "subscription_id": subscription_id, "at": row.at, "local_date": row.local_date,
            "status": row.status,
        }
        for row in rows
    ]  # fmt: skip
    put(connection, billing_instants, values, changing="status")


# --- runs -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BillingRun:
    """What was asked for, and how far it is. Empty filters mean all."""

    run_id: UUID
    through: datetime
    issue: bool
    dry_run: bool
    tenants: tuple[str, ...] = ()
    sellers: tuple[str, ...] = ()
    plans: tuple[str, ...] = ()
    status: Literal["running", "done", "failed"] = "running"
    periods_due: int = 0
    closed: int = 0
    failed: int = 0
    failures: tuple[dict[str, Any], ...] = ()
    unpriced: tuple[dict[str, Any], ...] = ()
    unbilled: tuple[dict[str, Any], ...] = ()
    withheld: tuple[dict[str, Any], ...] = ()


def add_run(connection: Connection, run: BillingRun, now: datetime) -> None:
    connection.execute(
        billing_runs.insert().values(
            run_id=run.run_id, through=run.through, issue=run.issue, dry_run=run.dry_run, created_at=now,
            filters=json.dumps({"tenants": run.tenants, "sellers": run.sellers, "plans": run.plans}),
            **_progress(run),
        )
    )  # fmt: skip


def save_run(connection: Connection, run: BillingRun) -> None:
    connection.execute(billing_runs.update().where(billing_runs.c.run_id == run.run_id).values(**_progress(run)))


def end_run(connection: Connection, run: BillingRun) -> bool:
    """Saves a run that is done; True where it was not done before."""
    of_run = billing_runs.c.run_id == run.run_id
    changed = connection.execute(
        billing_runs.update().where(of_run, billing_runs.c.status != run.status).values(**_progress(run))
    )
    if not changed.rowcount:
        save_run(connection, run)
    return bool(changed.rowcount)


def _progress(run: BillingRun) -> dict[str, Any]:
    return {
        "status": run.status, "periods_due": run.periods_due, "closed": run.closed, "failed": run.failed,
        "failures": json.dumps(run.failures), "unpriced": json.dumps(run.unpriced),
        "unbilled": json.dumps(run.unbilled), "withheld": json.dumps(run.withheld),
    }  # fmt: skip


def find_run(connection: Connection, run_id: UUID) -> BillingRun | None:
    row = connection.execute(sa.select(billing_runs).where(billing_runs.c.run_id == run_id)).mappings().first()
    return None if row is None else _run(row)


def _run(row: RowMapping) -> BillingRun:
    filters = json.loads(row["filters"])
    run = BillingRun(
        row["run_id"], row["through"], row["issue"], row["dry_run"],
        tuple(filters["tenants"]), tuple(filters["sellers"]), tuple(filters["plans"]),
    )  # fmt: skip
    return replace(
        run, status=row["status"], periods_due=row["periods_due"], closed=row["closed"], failed=row["failed"],
        failures=tuple(json.loads(row["failures"])), unpriced=tuple(json.loads(row["unpriced"])),
        unbilled=tuple(json.loads(row["unbilled"])), withheld=tuple(json.loads(row["withheld"])),
    )  # fmt: skip
