"""Simulations: what was asked for, how far they are, and what came out of them, tenant by tenant."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from app.domain.events import instant_text, parse_instant
from app.domain.kept_terms import keep_terms, read_terms
from app.domain.money import plain
from app.domain.simulations import (
    ChargeAmount,
    ChargeChange,
    SimulatedPlan,
    Simulation,
    SimulationRequest,
    Skipped,
    TenantChange,
    Totals,
)
from app.storage.tables import simulated_tenants, simulations
from app.storage.upserts import insert_missing


def add(connection: Connection, simulation_id: UUID, simulation: Simulation, *, tenant_key: str = "") -> None:
    """`tenant_key` is the tenant that the asking key is bound to; '' for a key that sees every tenant."""
    connection.execute(
        simulations.insert().values(
            simulation_id=simulation_id, request=json.dumps(_keep_request(simulation.request), ensure_ascii=False),
            tenant_key=tenant_key, status=simulation.status, due=simulation.due, done=simulation.done,
            totals=_totals_text(simulation.totals), created_at=simulation.created_at,
        )
    )  # fmt: skip


def save(
    connection: Connection, simulation_id: UUID, simulation: Simulation, *, last: str, changes: Sequence[TenantChange]
) -> None:
    """How far it is now, with the tenants that came since; those up to `last` are done."""
    connection.execute(
        simulations.update()
        .where(simulations.c.simulation_id == simulation_id)
        .values(
            status=simulation.status, due=simulation.due, done=simulation.done, last=last,
            totals=_totals_text(simulation.totals),
        )
    )  # fmt: skip
    rows = [
        {
            "simulation_id": simulation_id, "tenant": item.tenant, "old": item.old, "new": item.new,
            "charges": json.dumps([_keep_charge(charge) for charge in item.charges], ensure_ascii=False),
        }
        for item in changes
    ]  # fmt: skip
    insert_missing(connection, simulated_tenants, rows)


def find(connection: Connection, simulation_id: UUID) -> tuple[Simulation, str, str] | None:
    """The simulation, the last tenant that is done, and the tenant that its asker was bound to."""
    row = (
        connection.execute(sa.select(simulations).where(simulations.c.simulation_id == simulation_id))
        .mappings()
        .first()
    )
    return None if row is None else (_simulation(row), row["last"], row["tenant_key"])


def page(connection: Connection, simulation_id: UUID, *, after: str | None, limit: int) -> list[TenantChange]:
    """The next tenants that are done, by key."""
    query = sa.select(simulated_tenants).where(simulated_tenants.c.simulation_id == simulation_id)
    if after is not None:
        query = query.where(simulated_tenants.c.tenant > after)
    rows = connection.execute(query.order_by(simulated_tenants.c.tenant).limit(limit)).mappings()
    return [
        TenantChange(row["tenant"], row["old"], row["new"], tuple(map(_read_charge, json.loads(row["charges"]))))
        for row in rows
    ]


def every(connection: Connection, simulation_id: UUID) -> Iterator[TenantChange]:
    """All tenants that are done, by key."""
    after: str | None = None
    while found := page(connection, simulation_id, after=after, limit=1000):
        yield from found
        after = found[-1].tenant


def delete_before(connection: Connection, instant: datetime) -> None:
    """Forgets the simulations that were asked for before the instant."""
    old = sa.select(simulations.c.simulation_id).where(simulations.c.created_at < instant)
    connection.execute(simulated_tenants.delete().where(simulated_tenants.c.simulation_id.in_(old)))
    connection.execute(simulations.delete().where(simulations.c.created_at < instant))


# --- the forms in which they are kept --------------------------------------------------------------------------------


def _simulation(row: RowMapping) -> Simulation:
    return Simulation(
        _read_request(json.loads(row["request"])), row["status"], row["created_at"], row["due"], row["done"],
        _read_totals(json.loads(row["totals"])),
    )  # fmt: skip


def _keep_request(request: SimulationRequest) -> dict[str, Any]:
    return {
        "plan": _keep_plan(request.plan), "start": _keep_moment(request.start), "end": _keep_moment(request.end),
        "tenants": request.tenants, "against": None if request.against is None else _keep_plan(request.against),
        "replaces": request.replaces,
    }  # fmt: skip


def _read_request(kept: dict[str, Any]) -> SimulationRequest:
    return SimulationRequest(
        _read_plan(kept["plan"]), _read_moment(kept["start"]), _read_moment(kept["end"]),
        None if kept["tenants"] is None else tuple(kept["tenants"]),
        None if kept["against"] is None else _read_plan(kept["against"]), tuple(kept["replaces"]),
    )  # fmt: skip


def _keep_plan(plan: SimulatedPlan) -> dict[str, Any]:
    return {"key": plan.key, "name": plan.name, "terms": keep_terms(plan.terms)}


def _read_plan(kept: dict[str, Any]) -> SimulatedPlan:
    return SimulatedPlan(kept["key"], kept["name"], read_terms(kept["terms"]))


def _keep_moment(moment: date | datetime) -> str:
    return instant_text(moment) if isinstance(moment, datetime) else moment.isoformat()


def _read_moment(text: str) -> date | datetime:
    return date.fromisoformat(text) if len(text) == len("2026-11-01") else parse_instant(text)


def _totals_text(totals: Totals) -> str:
    kept = {
        "tenants": totals.tenants, "old": plain(totals.old), "new": plain(totals.new),
        "charges": [_keep_charge(item) for item in totals.charges],
        "largest": [[item.tenant, plain(item.old), plain(item.new)] for item in totals.largest],
        "skipped": [[item.tenant, item.detail] for item in totals.skipped],
    }  # fmt: skip
    return json.dumps(kept, ensure_ascii=False)


def _read_totals(kept: dict[str, Any]) -> Totals:
    return Totals(
        kept["tenants"], Decimal(kept["old"]), Decimal(kept["new"]), tuple(map(_read_charge, kept["charges"])),
        tuple(TenantChange(tenant, Decimal(old), Decimal(new)) for tenant, old, new in kept["largest"]),
        tuple(Skipped(tenant, detail) for tenant, detail in kept["skipped"]),
    )  # fmt: skip


def _keep_charge(item: ChargeChange) -> list[Any]:
    return [item.charge, _keep_amount(item.old), _keep_amount(item.new)]


def _read_charge(kept: list[Any]) -> ChargeChange:
    charge, old, new = kept
    return ChargeChange(charge, _read_amount(charge, old), _read_amount(charge, new))


def _keep_amount(item: ChargeAmount | None) -> list[str] | None:
    return None if item is None else [item.description, item.unit, plain(item.quantity), plain(item.amount)]


def _read_amount(charge: str, kept: list[str] | None) -> ChargeAmount | None:
    return None if kept is None else ChargeAmount(charge, kept[0], kept[1], Decimal(kept[2]), Decimal(kept[3]))
