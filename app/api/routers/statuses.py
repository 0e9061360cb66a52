"""What platforms say of the e-invoices that were handed to them."""

from __future__ import annotations

from dataclasses import replace
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
    require,
)
from app.api.document import JSON, Answer, described, limit_and_cursor, link, path_parameter
from app.api.idempotency import IDEMPOTENCY_KEY, idempotency_key
from app.api.parameters import known_parameters
from app.api.routing import Router
from app.api.schemas import INVOICE_ID, ref
from app.domain.callers import Caller
from app.operations.read_invoices import find_invoice
from app.operations.record_status import list_statuses, record_status
from app.wire.platform_statuses import status_from_wire, status_to_wire

router = Router(prefix="/v1", tags=["billing"])

_INVOICE = path_parameter("id", INVOICE_ID)
_LIST = {"statuses": link("get_invoice_statuses", "All that was said of it.", path__id="$request.path.id")}


@router.post(
    "/invoices/{id}/statuses",
    **described(
        "finance",
        {200: Answer("This message was kept before", ref("InvoiceStatus"), links=_LIST),
         201: Answer("It is kept", ref("InvoiceStatus"), links=_LIST)},
        404, 409, 422, body={JSON: ref("InvoiceStatusSent")}, parameters=[_INVOICE, IDEMPOTENCY_KEY],
    ),
)  # fmt: skip
async def post_invoice_status(id: str, request: Request, caller: Caller = Depends(require("finance"))) -> Response:
    """Keeps what a platform says of an issued document, at the end of the document's log; a message with an
    `external_id`, or else with an `Idempotency-Key`, is kept once. The document stays as it is."""
    check_unbound(caller, refusal="does not speak for a platform")
    wanted, key = status_from_wire(await json_body(request), now=now(request)), idempotency_key(request)
    if key is not None and not wanted.external_id:
        wanted = replace(wanted, external_id=key)

    def work() -> Response:
        kept, is_new = record_status(database(request), find_invoice(database(request), id, caller), wanted)
        return json_answer(status_to_wire(kept), 201 if is_new else 200)

    return await run_in_threadpool(work)


@router.get(
    "/invoices/{id}/statuses",
    **described(
        "read",
        {200: Answer("A page of statuses", ref("InvoiceStatuses"), links={
            "next": link("get_invoice_statuses", "The next page.", path__id="$request.path.id",
                         query__cursor="$response.body#/next_cursor")})},
        400, 404, 422, parameters=[_INVOICE, *limit_and_cursor(MAX_LIMIT)],
    ),
)  # fmt: skip
async def get_invoice_statuses(
    id: str, request: Request, caller: Caller = Depends(require("read")), page: Page = Depends(page)
) -> Response:
    """What platforms said of the document, in the order in which it was told."""
    known_parameters(request, "cursor", "limit")

    def work() -> dict[str, Any]:
        stored = find_invoice(database(request), id, caller)
        found = list_statuses(database(request), stored, after=_sequence(page.after), limit=page.limit + 1)
        shown = found[: page.limit]
        cursor = encode_cursor(str(shown[-1].sequence)) if len(found) > page.limit else None
        return {"data": [status_to_wire(item) for item in shown], "next_cursor": cursor}

    return json_answer(await run_in_threadpool(work))


def _sequence(after: str | None) -> int:
    return 0 if after is None else number_in(after, digits=10)
