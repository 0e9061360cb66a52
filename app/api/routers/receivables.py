"""What is owed: a tenant's account, and all payers' by age, as JSON and CSV."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from app.api.answers import json_answer, prefers
from app.api.dependencies import MAX_LIMIT, Page, database, encode_cursor, now, page, require
from app.api.document import Answer, described, limit_and_cursor, link, path_parameter, query_parameter
from app.api.parameters import choice_parameter, date_parameter, known_parameters, text_parameter
from app.api.routing import Router
from app.api.schemas import CURRENCY, DAY, FILTER_TEXT, KEY, Schema, one_of, ref
from app.documents.receivables_csv import render_receivables_csv
from app.domain.callers import Caller
from app.domain.errors import InvalidInput, NotFound
from app.domain.ids import NOBODY
from app.domain.money import CURRENCY_DECIMALS
from app.domain.receivables import BUCKETS, Aged, Bucket, total_of
from app.domain.tenants import Tenant
from app.operations.read_receivables import Receivables, read_account, read_receivables
from app.operations.resolve_tenant import resolve_tenant
from app.wire.receivables import account_to_wire, receivables_to_wire

router = Router(prefix="/v1", tags=["payments"])

_TENANT = path_parameter("key", KEY)
_AS_OF = query_parameter("as_of", DAY, "As of the end of this day; today where it is absent.")
_CSV = "text/csv"
_PARAMETERS: list[Schema] = [
    _AS_OF,
    {"name": "bucket", "in": "query", "schema": one_of(BUCKETS),
     "description": "Only those with something due in it."},
    query_parameter("tenant", FILTER_TEXT, "The key of the tenant that owes."),
    query_parameter("seller", FILTER_TEXT, "The key of the tenant that is owed."),
    {"name": "currency", "in": "query", "schema": CURRENCY, "description": "Only in this currency."},
]  # fmt: skip
_TABLE = Answer("The table", {"type": "string"}, (_CSV,))


@router.get(
    "/tenants/{key}/account",
    **described("read", {200: Answer("The account", ref("Account"))}, 404, 422, parameters=[_TENANT, _AS_OF]),
)
async def get_account(key: str, request: Request, caller: Caller = Depends(require("read"))) -> Response:
    """What a tenant owes and has on account: open invoices, payments of which something is left, balances by
    currency."""
    known_parameters(request, "as_of")

    def work() -> dict[str, Any]:
        tenant = resolve_tenant(database(request), key, caller)
        found = read_account(database(request), tenant, as_of=_day(request), now=now(request))
        return account_to_wire(
            tenant, found.as_of, found.balances, claims=found.claims, payments=found.payments,
            credit_notes=found.credit_notes, prepaid=found.prepaid, keys=found.keys,
        )  # fmt: skip

    return json_answer(await run_in_threadpool(work))


@router.get(
    "/receivables",
    **described(
        "read",
        {200: Answer("A page of what is owed", ref("Receivables"), other={_CSV: {"type": "string"}}, links={
            "next": link("get_receivables", "The next page.", query__cursor="$response.body#/next_cursor")})},
        400, 404, 422, parameters=[*_PARAMETERS, *limit_and_cursor(MAX_LIMIT)],
    ),
)  # fmt: skip
async def get_receivables(
    request: Request, caller: Caller = Depends(require("read")), page: Page = Depends(page)
) -> Response:
    """Who owes how much since when, in buckets of days since the due date, less what is on account: as of any day. The
    totals are those of all pages. All of it as a table where `Accept` says `text/csv`."""
    found = await run_in_threadpool(_found, request, caller, "limit", "cursor")
    if prefers(request, _CSV):
        return _table(found)
    left = [row for row in found.rows if page.after is None or _place(row) > page.after]
    shown = left[: page.limit]
    cursor = encode_cursor(_place(shown[-1])) if len(left) > len(shown) else None
    answer = receivables_to_wire(shown, found.as_of, total_of(row for _, row in found.rows), cursor)
    return json_answer(answer, headers={"Vary": "Accept"})


def _place(row: tuple[Tenant, Aged]) -> str:
    """Where the row stands: a key has no control characters, so texts are in the order of key and currency."""
    tenant, aged = row
    return f"{tenant.key}\n{aged.currency}"


@router.get("/receivables.csv", **described("read", {200: _TABLE}, 404, 422, parameters=_PARAMETERS))
async def get_receivables_table(request: Request, caller: Caller = Depends(require("read"))) -> Response:
    """The same as a table."""
    return _table(await run_in_threadpool(_found, request, caller))


def _table(found: Receivables) -> Response:
    rows = [(tenant.key, tenant.name, row) for tenant, row in found.rows]
    headers = {"Content-Disposition": f'inline; filename="receivables-{found.as_of}.csv"', "Vary": "Accept"}
    return Response(
        render_receivables_csv(rows, found.as_of), media_type=f"{_CSV}; charset=utf-8", headers=headers
    )  # fmt: skip


def _found(request: Request, caller: Caller, *more: str) -> Receivables:
    known_parameters(request, "as_of", "bucket", "tenant", "seller", "currency", *more)
    key, seller = text_parameter(request, "tenant"), text_parameter(request, "seller")
    tenant_id = caller.sees_only
    if key is not None:
        tenant_id = resolve_tenant(database(request), key, caller).tenant_id
    return read_receivables(
        database(request), as_of=_day(request), bucket=_bucket(request), tenant_id=tenant_id,
        seller_id=None if seller is None else _seller(request, seller, caller),
        currency=choice_parameter(request, "currency", tuple(sorted(CURRENCY_DECIMALS))), now=now(request),
    )  # fmt: skip


def _seller(request: Request, key: str, caller: Caller) -> UUID:
    """Nobody's id where there is no such tenant: then nothing is owed."""
    try:
        return resolve_tenant(database(request), key, Caller(caller.scopes)).tenant_id
    except NotFound:
        return NOBODY


def _day(request: Request) -> Any:
    text = request.query_params.get("as_of")
    found = date_parameter(request, "as_of")
    if text and found is None:
        raise InvalidInput.at("as_of", "as_of must be a date, such as 2026-12-31")
    return found


def _bucket(request: Request) -> Bucket | None:
    """A `+` that was not escaped arrives as a space."""
    text = request.query_params.get("bucket")
    for name in BUCKETS:
        if text is not None and text.replace(" ", "+") == name:
            return name
    if text is not None:
        raise InvalidInput.at("bucket", f"bucket must be one of {', '.join(BUCKETS)}")
    return None
