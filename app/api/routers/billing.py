"""Billing runs, jobs, previews."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from fastapi import Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from app.api.answers import json_answer
from app.api.dependencies import database, json_body, now, require
from app.api.document import JSON, Answer, described, link, path_parameter
from app.api.parameters import choice_parameter, known_parameters
from app.api.routing import Router
from app.api.schemas import KEY, one_of, ref
from app.domain.callers import Caller
from app.domain.errors import NotFound
from app.domain.events import instant_text
from app.operations.list_jobs import find_job, job_to_wire
from app.operations.preview_charges import preview_charges, project_charges
from app.operations.resolve_tenant import resolve_tenant
from app.operations.run_billing import find_run, start_billing_run
from app.storage.billing_store import BillingRun
from app.wire.invoices import invoice_to_wire, projection_to_wire
from app.wire.requests import run_from_wire

router = Router(prefix="/v1", tags=["billing"])

_UUID = path_parameter("id", {"type": "string", "format": "uuid"})
_PROJECTIONS = ("linear",)


def run_to_wire(run: BillingRun) -> dict[str, Any]:
    return {
        "id": str(run.run_id), "status": run.status, "through": instant_text(run.through), "issue": run.issue,
        "dry_run": run.dry_run, "periods_due": run.periods_due, "closed": run.closed, "failed": run.failed,
        "failures": list(run.failures), "unpriced": list(run.unpriced),
        "unbilled": list(run.unbilled), "withheld": list(run.withheld),
    }  # fmt: skip


@router.post(
    "/billing-runs",
    **described(
        "finance",
        {202: Answer(
            "The run, which goes on by itself", ref("BillingRun"),
            headers={"Location": {"required": True, "schema": {"type": "string"}}},
            links={"run": link("get_billing_run", "How far it is.", path__id="$response.body#/id")},
        )},
        404, 422, body={JSON: ref("BillingRunSent")},
    ),
)  # fmt: skip
async def post_billing_run(request: Request, caller: Caller = Depends(require("finance"))) -> Response:
    """Starts a run over every billing instant at or before `through` that is not issued yet."""
    wanted = run_from_wire(await json_body(request))
    tenants = wanted.tenants
    if caller.tenant_key is not None:
        if any(key != caller.tenant_key for key in (*tenants, *wanted.sellers)):
            raise NotFound("There is no such tenant.")
        tenants = (caller.tenant_key,)

    def work() -> BillingRun:
        run, _ = start_billing_run(
            database(request), through=wanted.through, issue=wanted.issue, dry_run=wanted.dry_run, now=now(request),
            tenants=tenants, sellers=wanted.sellers, plans=wanted.plans,
        )  # fmt: skip
        wake: Callable[[], None] = request.app.state.wake_workers
        wake()
        return run

    run = await run_in_threadpool(work)
    return json_answer(run_to_wire(run), 202, {"Location": f"/v1/billing-runs/{run.run_id}"})


@router.get(
    "/billing-runs/{id}",
    **described(("read", "finance"), {200: Answer("The run", ref("BillingRun"))}, 404, parameters=[_UUID]),
)
async def get_billing_run(id: str, request: Request, caller: Caller = Depends(require("read", "finance"))) -> Response:
    """How far a run is."""
    run = await run_in_threadpool(find_run, database(request), _uuid(id))
    if run is None or (caller.tenant_key is not None and run.tenants != (caller.tenant_key,)):
        raise NotFound("There is no such billing run.", billing_run_id=id)
    return json_answer(run_to_wire(run))


@router.get("/jobs/{id}", **described("read", {200: Answer("The job", ref("Job"))}, 404, parameters=[_UUID]))
async def get_job(id: str, request: Request, caller: Caller = Depends(require("read"))) -> Response:
    """How far a job is."""
    job = await run_in_threadpool(find_job, database(request), _uuid(id))
    if job is None or caller.tenant_key is not None:
        raise NotFound("There is no such job.", job_id=id)
    return json_answer(job_to_wire(job))


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise NotFound("There is nothing of this id.", id=text) from error


@router.get(
    "/tenants/{key}/preview",
    **described(
        "read", {200: Answer("What an invoice of today would say", ref("Preview"))}, 404, 409, 422, 503,
        parameters=[
            path_parameter("key", KEY, "acme"),
            {"name": "projection", "in": "query", "schema": one_of(_PROJECTIONS),
             "description": "`linear`: at the end of the period, if use goes on as it has so far."},
        ],
    ),
)  # fmt: skip
async def get_preview(key: str, request: Request, caller: Caller = Depends(require("read"))) -> Response:
    """The open period so far, or projected to its end, in the shape of an invoice; nothing is saved."""
    known_parameters(request, "projection")
    wanted = choice_parameter(request, "projection", _PROJECTIONS)

    def work() -> dict[str, Any]:
        tenant, moment = resolve_tenant(database(request), key, caller), now(request)
        of_preview = {"id": None, "status": "preview"}
        if wanted is None:
            invoice = preview_charges(database(request), tenant.tenant_id, now=moment)
            return invoice_to_wire(invoice, today=moment.date()) | of_preview
        invoice, lines = project_charges(database(request), tenant.tenant_id, now=moment)
        return (
            invoice_to_wire(invoice, today=moment.date())
            | of_preview
            | {"projection": projection_to_wire(lines, moment)}
        )

    return json_answer(await run_in_threadpool(work))
