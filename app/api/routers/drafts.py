"""What a person does with drafts: write, edit and approve them."""

from __future__ import annotations

from functools import partial
from zoneinfo import ZoneInfo

from fastapi import Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from app.api.dependencies import check_unbound, database, json_body, limits, media_type, now, require
from app.api.document import ETAG, IF_MATCH, JSON, MERGE_PATCH, Answer, described, path_parameter
from app.api.idempotency import IDEMPOTENCY_KEY, idempotency_key
from app.api.routers.invoices import document_answer, document_check, links_of_invoice
from app.api.routing import Router
from app.api.schemas import INVOICE_ID, ref
from app.domain.callers import Caller
from app.observability import metrics
from app.operations.read_invoices import find_invoice
from app.operations.settle_draft import approve_draft, edit_draft
from app.operations.write_invoice import write_invoice
from app.wire.drafts import approval_from_wire, invoice_from_wire, patch_from_wire

router = Router(prefix="/v1", tags=["billing"])

_INVOICE = path_parameter("id", INVOICE_ID)
_LOCATION = {"Location": {"required": True, "schema": {"type": "string"}}}
_MADE = links_of_invoice("$response.body#/id")


_check_unbound = partial(check_unbound, refusal="does not write, edit or approve invoices")


@router.post(
    "/invoices",
    **described(
        "finance",
        {200: Answer("It was made before, by a request with this Idempotency-Key", ref("Invoice"),
                     headers=_LOCATION | ETAG, links=_MADE),
         201: Answer("The draft, or the issued document", ref("Invoice"), headers=_LOCATION | ETAG, links=_MADE)},
        409, 422, 503, body={JSON: ref("InvoiceSent")}, parameters=[IDEMPOTENCY_KEY],
    ),
)  # fmt: skip
async def post_invoice(request: Request, caller: Caller = Depends(require("finance"))) -> Response:
    """Writes an invoice of no subscription: a draft, or with `issue` an issued document."""
    _check_unbound(caller)
    wish, key = invoice_from_wire(await json_body(request)), idempotency_key(request)

    def work() -> Response:
        made = write_invoice(
            database(request), wish, idempotency_key=key, now=now(request),
            terms_days=limits(request).payment_terms_days,
        )  # fmt: skip
        if made.is_new and made.document.invoice.status == "issued":
            metrics.DOCUMENTS.labels(made.document.invoice.type).inc()
        location = {"Location": f"/v1/invoices/{made.document.invoice.id}"}
        return document_answer(request, made.document, 201 if made.is_new else 200, location)

    return await run_in_threadpool(work)


@router.patch(
    "/invoices/{id:id}",
    **described(
        "finance", {200: Answer("The draft, computed once more", ref("Invoice"), headers=ETAG)}, 404, 409, 412, 422,
        503, body={MERGE_PATCH: ref("DraftPatch"), JSON: ref("DraftPatch")}, parameters=[_INVOICE, IF_MATCH],
    ),
)  # fmt: skip
async def patch_invoice(id: str, request: Request, caller: Caller = Depends(require("finance"))) -> Response:
    """Edits a draft: lines that are written, lines that are waived, a note, an order number, a hold. What is edited
    stays when the draft is computed again."""
    _check_unbound(caller)
    body = await json_body(request)

    def work() -> Response:
        stored = find_invoice(database(request), id, caller)
        patch = patch_from_wire(body, ZoneInfo(stored.invoice.time_zone))
        edited = edit_draft(
            database(request), stored, patch, check=document_check(request), now=now(request),
            terms_days=limits(request).payment_terms_days,
        )  # fmt: skip
        return document_answer(request, edited)

    return await run_in_threadpool(work)


@router.post(
    "/invoices/{id}/approve",
    **described(
        "finance", {200: Answer("The approved draft", ref("Invoice"), headers=ETAG)}, 400, 404, 408, 409, 412, 413, 415,
        422, parameters=[_INVOICE, IF_MATCH],
    ),
)  # fmt: skip
async def post_approve(id: str, request: Request, caller: Caller = Depends(require("finance"))) -> Response:
    """Approves what a draft says now; `{"digest": ".."}` names what that is. A draft that is computed again to say
    something else is not approved any more."""
    _check_unbound(caller)
    sent = request.headers.get("content-length", "0") != "0" or media_type(request) != ""
    content = approval_from_wire(await json_body(request)) if sent else None

    def work() -> Response:
        stored = find_invoice(database(request), id, caller)
        approved = approve_draft(
            database(request), stored, content=content, check=document_check(request), now=now(request)
        )  # fmt: skip
        return document_answer(request, approved)

    return await run_in_threadpool(work)
