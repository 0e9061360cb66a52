"""Simulations: the shape of the HTTP contract <-> domain values.

    {"plan": {"currency": "EUR", "interval": "month", "charges": [..]}, "start": "2026-10-01", "end": "2026-11-01"}

A plan is written out, or named by its key in the catalog: then it is the one that would be published next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from app.domain.events import instant_text
from app.domain.kept_terms import keep_terms
from app.domain.money import amount_text, plain
from app.domain.simulations import (
    ChargeAmount,
    ChargeChange,
    SimulatedPlan,
    Simulation,
    SimulationRequest,
    TenantChange,
    Totals,
)
from app.wire.parsing import Fields, key_problem
from app.wire.plans import draft_from_wire

MAX_KEYS = 10_000

PlanOfKey = Callable[[str], SimulatedPlan | None]


def simulation_from_wire(body: Any, plan_of_key: PlanOfKey) -> SimulationRequest:
    """Raises InvalidInput with every fault."""
    fields = Fields(body)
    plan = _plan(fields, "plan", plan_of_key, required=True)
    against = _plan(fields, "against", plan_of_key)
    start, end = fields.day_or_instant("start"), fields.day_or_instant("end")
    tenants = _keys(fields, "tenants") if fields.has("tenants") else None
    replaces = _keys(fields, "replaces")
    fields.ignore("tenants", "replaces")
    fields.finish()
    assert plan is not None
    return SimulationRequest(plan, start, end, tenants, against, replaces)


def _plan(fields: Fields, name: str, plan_of_key: PlanOfKey, *, required: bool = False) -> SimulatedPlan | None:
    value = fields.raw(name)
    if isinstance(value, str):
        found = plan_of_key(value)
        if found is None:
            fields.problem(name, f"there is no plan {value!r}")
        return found
    inner = fields.required_object(name) if required else fields.object(name)
    return None if inner is None else draft_from_wire(inner)


def _keys(fields: Fields, name: str) -> tuple[str, ...]:
    items = fields.items(name)
    for index, item in enumerate(items):
        detail = key_problem(item)
        if detail is not None:
            fields.problem(f"{name}/{index}", detail)
    return tuple(item for item in items if isinstance(item, str))


def simulation_to_wire(
    simulation_id: UUID, found: Simulation, changes: Sequence[TenantChange], next_cursor: str | None
) -> dict[str, Any]:
    """How far the simulation is, what all tenants that are done come to, and a page of them."""
    return {
        "id": str(simulation_id), "status": found.status, "created_at": instant_text(found.created_at),
        **request_to_wire(found.request), "currency": found.request.plan.terms.currency, "tenants_due": found.due,
        "tenants_done": found.done, **totals_to_wire(found.totals, found.request.plan.terms.currency),
        "data": [change_to_wire(item, found.request.plan.terms.currency) for item in changes],
        "next_cursor": next_cursor,
    }  # fmt: skip


def request_to_wire(request: SimulationRequest) -> dict[str, Any]:
    return {
        "plan": _plan_to_wire(request.plan), "against": request.against and _plan_to_wire(request.against),
        "start": _moment(request.start), "end": _moment(request.end),
        "tenants": None if request.tenants is None else list(request.tenants), "replaces": list(request.replaces),
    }  # fmt: skip


def _plan_to_wire(plan: SimulatedPlan) -> dict[str, Any]:
    return {"key": plan.key or None, "name": plan.name or None, **keep_terms(plan.terms)}


def _moment(moment: date | datetime) -> str:
    return instant_text(moment) if isinstance(moment, datetime) else moment.isoformat()


def totals_to_wire(totals: Totals, currency: str) -> dict[str, Any]:
    return {
        "totals": {
            "tenants": totals.tenants, "old": amount_text(totals.old, currency),
            "new": amount_text(totals.new, currency), "difference": amount_text(totals.difference, currency),
            "charges": [_charge(item, currency) for item in totals.charges],
        },
        "largest_changes": [_sides(item, currency) for item in totals.largest],
        "skipped": [{"tenant": item.tenant, "detail": item.detail} for item in totals.skipped],
    }  # fmt: skip


def change_to_wire(item: TenantChange, currency: str) -> dict[str, Any]:
    return _sides(item, currency) | {"charges": [_charge(charge, currency) for charge in item.charges]}


def _sides(item: TenantChange, currency: str) -> dict[str, Any]:
    return {
        "tenant": item.tenant, "old": amount_text(item.old, currency), "new": amount_text(item.new, currency),
        "difference": amount_text(item.difference, currency),
    }  # fmt: skip


def _charge(item: ChargeChange, currency: str) -> dict[str, Any]:
    shown = item.new or item.old
    assert shown is not None
    return {
        "charge": item.charge, "description": shown.description, "unit": shown.unit,
        "old": _amount(item.old, currency), "old_quantity": _quantity(item.old),
        "new": _amount(item.new, currency), "new_quantity": _quantity(item.new),
        "difference": amount_text(item.difference, currency),
    }  # fmt: skip


def _amount(item: ChargeAmount | None, currency: str) -> str | None:
    return None if item is None else amount_text(item.amount, currency)


def _quantity(item: ChargeAmount | None) -> str | None:
    return None if item is None else plain(item.quantity)
