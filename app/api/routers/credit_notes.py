"""Credit notes by hand, and those that were written on an invoice."""

from __future__ import annotations

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
    limits,
    now,
    page,
    place_after,
    require,
)
from app.api.document import JSON, Answer, described, limit_and_cursor, link, path_parameter
from app.api.idempotency import IDEMPOTENCY_KEY, idempotency_key
from app.api.parameters import known_parameters
from app.api.routers.invoices import document_to_wire
from app.api.routing import Router
from app.api.schemas import INVOICE_ID, ref
from app.domain.callers import Caller
from app.observability import metrics
from app.operations.credit_invoice import credit_invoice
from app.operations.read_invoices import find_invoice, list_invoices
from app.storage.invoice_store import InvoiceFilter
from app.wire.credit_notes import credit_from_wire

router = Router(prefix="/v1", tags=["billing"])

_INVOICE = path_parameter("id", INVOICE_ID)
_LOCATION = {"Location": {"required": True, "schema": {"type": "string"}}}
_OF_NOTE = {
    "document": link("get_invoice", "The credit note.", path__id="$response.body#/id"),
    "all": link("get_credit_notes", "All credit notes on the invoice.", path__id="$request.path.id"),
}


@router.post(
    "/invoices/{id}/credit-notes",
    **described(
        "finance",
        {200: Answer("It was made before, by a request with this Idempotency-Key", ref("CreditNoteMade"),
                     headers=_LOCATION, links=_OF_NOTE),
         201: Answer("The issued credit note", ref("CreditNoteMade"), headers=_LOCATION, links=_OF_NOTE)},
        404, 409, 422, 503, body={JSON: ref("CreditNoteSent")}, parameters=[_INVOICE, IDEMPOTENCY_KEY],
    ),
)  # fmt: skip
async def post_credit_note(id: str, request: Request, caller: Caller = Depends(require("finance"))) -> Response:
    """Credits an issued invoice: whole, by line, by quantity or by an amount before tax; with `reissue` the whole, and
    bills its period again from what is measured now."""
    check_unbound(caller, refusal="does not credit invoices")
    wish, key = credit_from_wire(await json_body(request)), idempotency_key(request)

    def work() -> Response:
        stored = find_invoice(database(request), id, caller)
        made = credit_invoice(
            database(request), stored, wish, idempotency_key=key, now=now(request),
            terms_days=limits(request).payment_terms_days,
        )  # fmt: skip
        if made.is_new:
            for document in (made.note, made.reissued):
                if document is not None:
                    metrics.DOCUMENTS.labels(document.invoice.type).inc()
        shown = document_to_wire(request, made.note)
        if made.reissued is not None:
            shown["reissued"] = document_to_wire(request, made.reissued)
        return json_answer(shown, 201 if made.is_new else 200, {"Location": f"/v1/invoices/{shown['id']}"})

    return await run_in_threadpool(work)


@router.get(
    "/invoices/{id}/credit-notes",
    **described(
        "read",
        {200: Answer("A page of credit notes", ref("Invoices"), links={
            "document": link("get_invoice", "The first of them.", path__id="$response.body#/data/0/id"),
            "next": link("get_credit_notes", "The next page.", path__id="$request.path.id",
                         query__cursor="$response.body#/next_cursor")})},
        400, 404, 422, parameters=[_INVOICE, *limit_and_cursor(MAX_LIMIT)],
    ),
)  # fmt: skip
async def get_credit_notes(
    id: str, request: Request, caller: Caller = Depends(require("read")), page: Page = Depends(page)
) -> Response:
    """The credit notes on an invoice in order of their making: by hand and by corrections, drafts of these too."""
    known_parameters(request, "cursor", "limit")
    after = place_after("inv", page)

    def work() -> Response:
        place = find_invoice(database(request), id, caller).place
        wanted = InvoiceFilter(buyer_id=place.tenant_id, credits_id=place.invoice_id)
        found = list_invoices(database(request), wanted, after=after, limit=page.limit + 1)
        shown = found[: page.limit]
        cursor = encode_cursor(shown[-1].invoice.id) if len(found) > page.limit else None
        return json_answer({"data": [document_to_wire(request, one) for one in shown], "next_cursor": cursor})

    return await run_in_threadpool(work)
