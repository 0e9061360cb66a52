"""Credit grants: made, listed, shown with their uses, applied to issued invoices, voided."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastapi import Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from app.api.answers import json_answer
from app.api.dependencies import (
    MAX_LIMIT,
    Page,
    check_unbound,
    database,
    encode_cursor,
    json_body,
    now,
    number_in,
    page,
    place_after,
    require,
)
from app.api.document import JSON, Answer, described, limit_and_cursor, link, path_parameter, query_parameter
from app.api.idempotency import IDEMPOTENCY_KEY, idempotency_key
from app.api.parameters import choice_parameter, known_parameters, text_parameter
from app.api.routing import Router
from app.api.schemas import CREDIT_GRANT_ID, FILTER_TEXT, one_of, ref
from app.domain.callers import Caller
from app.domain.credit import CREDIT_KINDS
from app.operations import grant_credit
from app.operations.read_invoices import find_invoice
from app.operations.resolve_tenant import resolve_tenant
from app.wire.credit import application_from_wire, grant_from_wire, void_from_wire

router = Router(prefix="/v1", tags=["credit"])

_GRANT = path_parameter("id", CREDIT_GRANT_ID)
_USES_SHOWN = 100
_OF_GRANT = {
    "grant": link("get_credit_grant", "The grant with its uses.", path__id="$response.body#/id"),
    "uses": link("get_credit_grant_uses", "All its uses.", path__id="$response.body#/id"),
    "void": link("post_credit_grant_void", "Void what is left of it.", path__id="$response.body#/id"),
}


_check_unbound = partial(check_unbound, refusal="does not grant or void credit")


@router.post(
    "/credit-grants",
    **described(
        "finance",
        {200: Answer("It was made before, by a request with this Idempotency-Key", ref("CreditGrant"),
                     links=_OF_GRANT),
         201: Answer("The grant", ref("CreditGrant"), links=_OF_GRANT)},
        409, 422, body={JSON: ref("CreditGrantSent")}, parameters=[IDEMPOTENCY_KEY],
    ),
)  # fmt: skip
async def post_credit_grant(request: Request, caller: Caller = Depends(require("finance"))) -> Response:
    """Grants credit to a tenant: promotional, prepaid in money, or prepaid in units of a meter."""
    _check_unbound(caller)
    wish, key = grant_from_wire(await json_body(request)), idempotency_key(request)

    def work() -> Response:
        made = grant_credit.grant_credit(database(request), wish, idempotency_key=key, now=now(request))
        return json_answer(made.grant, 201 if made.is_new else 200)

    return await run_in_threadpool(work)


@router.get(
    "/credit-grants",
    **described(
        "read",
        {200: Answer("A page of grants", ref("CreditGrants"), links={
            "grant": link("get_credit_grant", "The first of them.", path__id="$response.body#/data/0/id"),
            "uses": link("get_credit_grant_uses", "All uses of the first.", path__id="$response.body#/data/0/id"),
            "apply": link("post_credit_grant_application", "Pay issued invoices from the first.",
                          path__id="$response.body#/data/0/id"),
            "next": link("get_credit_grants", "The next page.", query__cursor="$response.body#/next_cursor")})},
        400, 404, 422,
        parameters=[
            query_parameter("tenant", FILTER_TEXT, "A tenant's key."),
            {"name": "kind", "in": "query", "schema": one_of(CREDIT_KINDS), "description": "The kind of credit."},
            *limit_and_cursor(MAX_LIMIT),
        ],
    ),
)  # fmt: skip
async def get_credit_grants(
    request: Request, caller: Caller = Depends(require("read")), page: Page = Depends(page)
) -> Response:
    """Credit grants by their ids."""
    known_parameters(request, "tenant", "kind", "cursor", "limit")

    def work() -> Response:
        kind, key = choice_parameter(request, "kind", CREDIT_KINDS), text_parameter(request, "tenant")
        tenant_id = caller.sees_only
        if key is not None:
            tenant_id = resolve_tenant(database(request), key, caller).tenant_id
        found = grant_credit.list_grants(
            database(request), tenant_id=tenant_id, kind=kind, after=place_after("cg", page), limit=page.limit + 1,
            now=now(request),
        )  # fmt: skip
        shown = found[: page.limit]
        cursor = encode_cursor(shown[-1]["id"]) if len(found) > page.limit else None
        return json_answer({"data": shown, "next_cursor": cursor})

    return await run_in_threadpool(work)


@router.get(
    "/credit-grants/{id}",
    **described(
        "read", {200: Answer("The grant with its last uses", ref("CreditGrantWithUses"))}, 404, parameters=[_GRANT]
    ),
)
async def get_credit_grant(id: str, request: Request, caller: Caller = Depends(require("read"))) -> Response:
    """One grant with its last 100 uses, the newest first."""

    def work() -> dict[str, Any]:
        return grant_credit.show_grant(database(request), id, caller, now=now(request), uses=_USES_SHOWN)

    return json_answer(await run_in_threadpool(work))


@router.get(
    "/credit-grants/{id}/uses",
    **described(
        "read", {200: Answer("A page of uses", ref("CreditUses"))}, 400, 404, 422,
        parameters=[_GRANT, *limit_and_cursor(MAX_LIMIT)],
    ),
)  # fmt: skip
async def get_credit_grant_uses(
    id: str, request: Request, caller: Caller = Depends(require("read")), page: Page = Depends(page)
) -> Response:
    """What was used of a grant, given back to it and voided, oldest first: each with its document."""
    known_parameters(request, "cursor", "limit")

    def work() -> dict[str, Any]:
        after = _sequence(page.after)
        found = grant_credit.list_uses(database(request), id, caller, after=after, limit=page.limit + 1)
        shown = found[: page.limit]
        cursor = encode_cursor(str(shown[-1]["sequence"])) if len(found) > page.limit else None
        return {"data": shown, "next_cursor": cursor}

    return json_answer(await run_in_threadpool(work))


def _sequence(after: str | None) -> int:
    return 0 if after is None else number_in(after, digits=19)


@router.post(
    "/credit-grants/{id}/void",
    **described(
        "finance", {200: Answer("The grant, with nothing left", ref("CreditGrant"))}, 404, 422,
        body={JSON: ref("CreditVoid")}, parameters=[_GRANT],
    ),
)  # fmt: skip
async def post_credit_grant_void(id: str, request: Request, caller: Caller = Depends(require("finance"))) -> Response:
    """Voids what is left of a grant; what was used stays used."""
    _check_unbound(caller)
    reason = void_from_wire(await json_body(request))

    def work() -> dict[str, Any]:
        return grant_credit.void_credit(database(request), id, reason=reason, now=now(request))

    return json_answer(await run_in_threadpool(work))


@router.post(
    "/credit-grants/{id}/apply",
    **described(
        "finance", {200: Answer("The grant, after what it has paid", ref("CreditGrant"))}, 404, 409, 422,
        body={JSON: ref("CreditApplication")}, parameters=[_GRANT],
    ),
)  # fmt: skip
async def post_credit_grant_application(
    id: str, request: Request, caller: Caller = Depends(require("finance"))
) -> Response:
    """Pays what is due of an issued invoice, or of all the tenant's, the one due first paid first, from prepaid
    balance."""
    _check_unbound(caller)
    wanted = application_from_wire(await json_body(request))

    def work() -> dict[str, Any]:
        invoice = None if wanted is None else find_invoice(database(request), wanted, caller)
        return grant_credit.apply_balance(database(request), id, invoice=invoice, now=now(request))

    return json_answer(await run_in_threadpool(work))
