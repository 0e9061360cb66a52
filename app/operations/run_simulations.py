"""A simulation that was asked for, kept with its result, and done as a job: it survives the process that works on it.

The tenants' rows and how far it is are written together, batch by batch, so whoever takes it over goes on where it
stands. What few tenants need is done before the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.engine import Connection

from app.domain.ids import new_id
from app.domain.simulations import Simulation, SimulationRequest, TenantChange, Totals, with_changes
from app.operations.simulate_plan import check_simulation, simulate_plan, tenants_due
from app.storage import job_store, simulation_store
from app.storage.database import Database

JOB_KIND = "simulation"
KEPT = timedelta(days=30)
"""How long a simulation is kept."""
AT_ONCE = 50
"""How many tenants are simulated before the request is answered."""


def start_simulation(
    database: Database, request: SimulationRequest, *, now: datetime, tenant_key: str = ""
) -> tuple[UUID, UUID, Simulation]:
    """Ids of the simulation and of its job, written down together, and the simulation. Raises InvalidInput."""
    check_simulation(database, request)
    due = len(tenants_due(database, request))
    simulation_id = new_id()
    simulation = Simulation(request, "running", now, due, 0, Totals())

    def work(connection: Connection) -> UUID:
        simulation_store.delete_before(connection, now - KEPT)
        simulation_store.add(connection, simulation_id, simulation, tenant_key=tenant_key)
        return job_store.enqueue(connection, JOB_KIND, {"simulation_id": simulation_id.hex}, now)

    return simulation_id, database.write(work), simulation


def run_simulation(database: Database, simulation_id: UUID, *, keep_going: Callable[[], bool]) -> bool:
    """True when every tenant is done; False when `keep_going` said to stop, to be gone on with later."""
    found = database.read(lambda connection: simulation_store.find(connection, simulation_id))
    if found is None or found[0].status != "running":
        return True
    simulation, last, _ = found
    tenants = tenants_due(database, simulation.request)
    left = [key for key in tenants if key > last]
    # Tenants may have come or gone since somebody else began.
    simulation = replace(simulation, due=simulation.done + len(left))
    for batch in simulate_plan(database, simulation.request, left):
        handled = sum(key <= batch.last for key in left)
        simulation = replace(
            simulation, done=simulation.due - len(left) + handled,
            totals=with_changes(simulation.totals, batch.changes, batch.skipped),
        )  # fmt: skip
        _save(database, simulation_id, simulation, batch.last, batch.changes)
        last = batch.last
        if handled < len(left) and not keep_going():
            return False
    _save(database, simulation_id, replace(simulation, status="done"), last, ())
    return True


def _save(
    database: Database, simulation_id: UUID, simulation: Simulation, last: str, changes: tuple[TenantChange, ...]
) -> None:
    database.write(
        lambda connection: simulation_store.save(connection, simulation_id, simulation, last=last, changes=changes)
    )


def do_at_once(
    database: Database, simulation_id: UUID, job_id: UUID, *, holder: str, clock: Callable[[], datetime],
    lease_seconds: int,
) -> None:  # fmt: skip
    """Does the simulation in the caller's own thread, unless a worker was quicker to take it."""
    leased = database.write(
        lambda connection: job_store.lease(connection, holder=holder, now=clock(), seconds=lease_seconds, job_id=job_id)
    )
    if leased is not None and run_simulation(database, simulation_id, keep_going=lambda: True):
        database.write(lambda connection: job_store.finish(connection, job_id, holder=holder))


def find_simulation(database: Database, simulation_id: UUID) -> tuple[Simulation, str] | None:
    """The simulation, and the tenant that whoever asked for it was bound to ('' for none)."""
    found = database.read(lambda connection: simulation_store.find(connection, simulation_id))
    return None if found is None else (found[0], found[2])


def simulated_tenants(database: Database, simulation_id: UUID, *, after: str | None, limit: int) -> list[TenantChange]:
    """The next tenants that are done, by key."""
    return database.read(lambda connection: simulation_store.page(connection, simulation_id, after=after, limit=limit))


def all_simulated_tenants(database: Database, simulation_id: UUID) -> list[TenantChange]:
    return database.read(lambda connection: list(simulation_store.every(connection, simulation_id)))
