"""Issued documents by e-mail: sent once more, and what became of each."""

from __future__ import annotations

from typing import Any

from fastapi import Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from app.api.answers import json_answer
from app.api.dependencies import (
    MAX_LIMIT,
    Page,
    database,
    encode_cursor,
    json_body,
    now,
    page,
    place_after,
    require,
)  # fmt: skip
from app.api.document import JSON, Answer, described, limit_and_cursor, link, path_parameter, query_parameter
from app.api.parameters import choice_parameter, known_parameters, text_parameter
from app.api.routing import Router
from app.api.schemas import FILTER_TEXT, INVOICE_ID, one_of, ref
from app.domain.callers import Caller
from app.domain.deliveries import STATUSES
from app.operations.mail_document import list_mail, mail_again
from app.operations.read_invoices import find_invoice
from app.wire.mail import recipients_from_wire

router = Router(prefix="/v1", tags=["billing"])


@router.post(
    "/invoices/{id}/email",
    **described(
        "finance",
        {202: Answer("Its deliveries, which go on by themselves", ref("EmailsQueued"), links={
            "deliveries": link("get_email_deliveries", "What became of them.",
                               query__invoice="$response.body#/data/0/invoice")})},
        404, 409, 422, body={JSON: ref("EmailSent")}, parameters=[path_parameter("id", INVOICE_ID)],
    ),
)  # fmt: skip
async def post_email(id: str, request: Request, caller: Caller = Depends(require("finance"))) -> Response:
    """Sends an issued document as PDF to the addresses of `to`, or where there are none to its buyer's
    `invoice_email`."""
    recipients = recipients_from_wire(await json_body(request))

    def work() -> list[dict[str, Any]]:
        stored = find_invoice(database(request), id, caller)
        return mail_again(database(request), stored, recipients, now=now(request))

    return json_answer({"data": await run_in_threadpool(work)}, 202)


@router.get(
    "/email-deliveries",
    **described(
        ("read", "finance"),
        {200: Answer("A page of deliveries", ref("EmailDeliveries"), links={
            "document": link("get_invoice", "What the first sends.", path__id="$response.body#/data/0/invoice"),
            "again": link("post_email", "Send it once more.", path__id="$response.body#/data/0/invoice"),
            "next": link("get_email_deliveries", "The next page.", query__cursor="$response.body#/next_cursor")})},
        400, 404, 422,
        parameters=[
            query_parameter("invoice", FILTER_TEXT, "The id of a document."),
            {"name": "status", "in": "query", "schema": one_of(STATUSES), "description": "How it stands."},
            *limit_and_cursor(MAX_LIMIT),
        ],
    ),
)  # fmt: skip
async def get_email_deliveries(
    request: Request, caller: Caller = Depends(require("read", "finance")), page: Page = Depends(page)
) -> Response:
    """Documents that were sent by e-mail, are to be, and could not be: the newest first, each with its tries."""
    known_parameters(request, "invoice", "status", "cursor", "limit")

    def work() -> dict[str, Any]:
        found = list_mail(
            database(request), caller, invoice=text_parameter(request, "invoice"),
            status=choice_parameter(request, "status", STATUSES),  # type: ignore[arg-type]
            before=place_after("dlv", page), limit=page.limit + 1,
        )  # fmt: skip
        shown = found[: page.limit]
        cursor = encode_cursor(shown[-1]["id"]) if len(found) > page.limit else None
        return {"data": shown, "next_cursor": cursor}

    return json_answer(await run_in_threadpool(work))
