"""Simulations: a plan over past use, beside what is in force or beside another plan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from fastapi import Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from app.api.answers import json_answer, prefers
from app.api.dependencies import MAX_LIMIT, Page, database, encode_cursor, json_body, limits, now, page, require
from app.api.document import JSON, Answer, described, limit_and_cursor, link, path_parameter
from app.api.parameters import choice_parameter, known_parameters
from app.api.routing import Router
from app.api.schemas import one_of, ref
from app.documents.simulation_csv import render_simulation_csv
from app.documents.simulation_svg import render_simulation_svg
from app.documents.wording import language_of
from app.domain.callers import Caller
from app.domain.errors import NotFound
from app.domain.simulations import Simulation, SimulationRequest
from app.domain.tenants import LANGUAGES
from app.operations.run_catalog_jobs import new_holder
from app.operations.run_simulations import (
    AT_ONCE,
    all_simulated_tenants,
    do_at_once,
    find_simulation,
    simulated_tenants,
    start_simulation,
)
from app.operations.simulate_plan import plan_of_catalog
from app.wire.simulations import simulation_from_wire, simulation_to_wire

router = Router(prefix="/v1", tags=["simulations"])

_UUID = path_parameter("id", {"type": "string", "format": "uuid"})
_CSV, _SVG = "text/csv", "image/svg+xml"
_SCOPES = ("finance", "read")
_OF_SIMULATION = {
    "simulation": link("get_simulation", "How far it is, and a page of tenants.", path__id="$response.body#/id"),
    "csv": link("get_simulation_file", "As a table.", path__id="$response.body#/id", path__format="csv"),
    "svg": link("get_simulation_file", "As a picture.", path__id="$response.body#/id", path__format="svg"),
}


@router.post(
    "/simulations",
    **described(
        _SCOPES,
        {
            200: Answer("The simulation with the first page of its tenants: it is done", ref("Simulation"),
                        links=_OF_SIMULATION),
            202: Answer("The simulation, which goes on by itself", ref("Simulation"), links=_OF_SIMULATION,
                        headers={"Location": {"required": True, "schema": {"type": "string"}}}),
        },
        404, 422, body={JSON: ref("SimulationSent")},
    ),
)  # fmt: skip
async def post_simulation(request: Request, caller: Caller = Depends(require(*_SCOPES))) -> Response:
    """What a plan would bring over past use, tenant by tenant, beside the plans in force or beside another plan.
    Nothing that is billed changes. Of few tenants the answer has the result; of many it is worked out by a job, and
    `Location` says where to look."""
    body = await json_body(request)

    def work() -> Response:
        store = database(request)
        published_only = caller.tenant_key is not None
        sent = simulation_from_wire(body, lambda key: plan_of_catalog(store, key, published_only=published_only))
        wanted = _visible(sent, caller)
        simulation_id, job_id, simulation = start_simulation(
            store, wanted, now=now(request), tenant_key=caller.tenant_key or ""
        )
        if simulation.due <= AT_ONCE:
            do_at_once(
                store, simulation_id, job_id, holder=new_holder(), clock=request.app.state.clock,
                lease_seconds=limits(request).lease_seconds,
            )  # fmt: skip
        else:
            wake: Callable[[], None] = request.app.state.wake_workers
            wake()
        found = _found(request, simulation_id, caller)
        shown = _shown(request, simulation_id, found, Page(100, None))
        location = {"Location": f"/v1/simulations/{simulation_id}"}
        return json_answer(shown, 200 if found.status == "done" else 202, location)

    return await run_in_threadpool(work)


def _visible(wanted: SimulationRequest, caller: Caller) -> SimulationRequest:
    """What a key bound to a tenant may ask: for that tenant."""
    if caller.tenant_key is None:
        return wanted
    if any(key != caller.tenant_key for key in wanted.tenants or ()):
        raise NotFound("There is no such tenant.")
    return SimulationRequest(
        wanted.plan, wanted.start, wanted.end, (caller.tenant_key,), wanted.against, wanted.replaces
    )


@router.get(
    "/simulations/{id}.{format}",
    **described(
        _SCOPES,
        {200: Answer(
            "The tenants that are done", {"type": "string"}, (_CSV, _SVG),
            headers={"Content-Disposition": {"required": True, "schema": {"type": "string"}}},
        )},
        404, 422,
        parameters=[
            _UUID, path_parameter("format", one_of(("csv", "svg"))),
            {"name": "language", "in": "query", "schema": one_of(LANGUAGES) | {"default": "en"},
             "description": "The language of the picture."},
        ],
    ),
)  # fmt: skip
async def get_simulation_file(
    id: str, format: str, request: Request, caller: Caller = Depends(require(*_SCOPES))
) -> Response:
    """A simulation as a table with a row for each tenant and charge, or as a picture of the largest changes."""
    known_parameters(request, "language")
    language = language_of(choice_parameter(request, "language", LANGUAGES) or "en")

    def work() -> Response:
        found = _found(request, _uuid(id), caller)
        if format == "csv":
            return _csv(request, _uuid(id), found)
        if format == "svg":
            return _file(render_simulation_svg(found, language), _SVG, "simulation.svg")
        raise NotFound(f"Simulations come as JSON, .csv and .svg, not .{format[:20]}.")

    return await run_in_threadpool(work)


@router.get(
    "/simulations/{id}",
    **described(
        _SCOPES,
        {200: Answer("The simulation", ref("Simulation"), other={_CSV: {"type": "string"}}, links={
            "next": link("get_simulation", "The next page.", path__id="$request.path.id",
                         query__cursor="$response.body#/next_cursor")})},
        400, 404, 422, parameters=[_UUID, *limit_and_cursor(MAX_LIMIT)],
    ),
)  # fmt: skip
async def get_simulation(
    id: str, request: Request, caller: Caller = Depends(require(*_SCOPES)), page: Page = Depends(page)
) -> Response:
    """How far a simulation is, what all tenants that are done come to, the ten largest changes, and a page of tenants
    by key. As a table of all of them where `Accept` says `text/csv`."""
    known_parameters(request, "cursor", "limit")

    def work() -> Response:
        simulation_id = _uuid(id)
        found = _found(request, simulation_id, caller)
        if prefers(request, _CSV):
            return _csv(request, simulation_id, found)
        return json_answer(_shown(request, simulation_id, found, page), headers={"Vary": "Accept"})

    return await run_in_threadpool(work)


def _found(request: Request, simulation_id: UUID, caller: Caller) -> Simulation:
    found = find_simulation(database(request), simulation_id)
    if found is None or (caller.tenant_key is not None and found[1] != caller.tenant_key):
        raise NotFound("There is no such simulation.", simulation_id=str(simulation_id))
    return found[0]


def _shown(request: Request, simulation_id: UUID, found: Simulation, page: Page) -> dict[str, Any]:
    rows = simulated_tenants(database(request), simulation_id, after=page.after, limit=page.limit + 1)
    shown = rows[: page.limit]
    cursor = encode_cursor(shown[-1].tenant) if len(rows) > page.limit else None
    return simulation_to_wire(simulation_id, found, shown, cursor)


def _csv(request: Request, simulation_id: UUID, found: Simulation) -> Response:
    changes = all_simulated_tenants(database(request), simulation_id)
    content = render_simulation_csv(changes, found.request.plan.terms.currency)
    return _file(content, f"{_CSV}; charset=utf-8", "simulation.csv")


def _file(content: bytes, media_type: str, name: str) -> Response:
    headers = {"Content-Disposition": f'inline; filename="{name}"', "Vary": "Accept"}
    return Response(content, media_type=media_type, headers=headers)


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise NotFound("There is nothing of this id.", id=text) from error
