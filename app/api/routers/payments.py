"""Payments: recorded, allocated, taken back; lists of them, and those of an invoice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

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
    page,
    require,
)
from app.api.document import (
    JSON,
    Answer,
    described,
    limit_and_cursor,
    link,
    path_parameter,
    query_parameter,
)
from app.api.idempotency import IDEMPOTENCY_KEY, idempotency_key
from app.api.parameters import choice_parameter, known_parameters, text_parameter
from app.api.routing import Router
from app.api.schemas import FILTER_TEXT, INVOICE_ID, one_of, ref
from app.api.schemas_payments import PAYMENT_ID
from app.domain.callers import Caller
from app.domain.errors import InvalidCursor
from app.domain.events import instant_text, parse_instant
from app.domain.ids import parse_public_id
from app.domain.payments import Payment
from app.observability import metrics
from app.operations import read_payments, record_payment
from app.operations.read_invoices import find_invoice
from app.operations.record_payment import Recorded
from app.operations.resolve_tenant import resolve_tenant
from app.storage.payment_store import PaymentFilter
from app.wire.payments import (
    account_payment_from_wire,
    allocation_from_wire,
    invoice_payment_from_wire,
    refund_from_wire,
    release_from_wire,
    reversal_from_wire,
)

router = Router(prefix="/v1", tags=["payments"])

_PAYMENT = path_parameter("id", PAYMENT_ID)
_INVOICE = path_parameter("id", INVOICE_ID)
_TRUTH = ("true", "false")


def _of_payment(source: str) -> dict[str, Any]:
    """What can be asked of the payment whose id stands at `source`."""
    return {
        "payment": link("get_payment", "The payment with its ledger.", path__id=source),
        "allocate": link("post_payment_allocation", "Let it pay what is open.", path__id=source),
        "reverse": link("post_payment_reversal", "Take it back.", path__id=source),
        "refund": link("post_payment_refund", "Send back what is over.", path__id=source),
    }


_MADE = _of_payment("$response.body#/id")
_AFTER = ref("Payment")


_check_unbound = partial(check_unbound, refusal="does not record or move payments")


def _answer(request: Request, recorded: Recorded) -> Response:
    if recorded.is_new:
        metrics.PAYMENTS.labels(recorded.payment.source).inc()
    return _moved(request, recorded, 201 if recorded.is_new else 200)


def _moved(request: Request, recorded: Recorded, status: int) -> Response:
    (shown,) = read_payments.show_payments(database(request), [recorded.payment])
    return json_answer(shown, status)


# --- recording --------------------------------------------------------------------------------------------------------

_RECORDED = {
    200: Answer("It was recorded before, by this Idempotency-Key or external_id", _AFTER, links=_MADE),
    201: Answer("The payment", _AFTER, links=_MADE),
}


@router.post(
    "/invoices/{id}/payments",
    **described(
        "finance", {status: replace(answer, links={}) for status, answer in _RECORDED.items()}, 404, 409, 422,
        body={JSON: ref("InvoicePaymentSent")}, parameters=[_INVOICE, IDEMPOTENCY_KEY],
    ),
)  # fmt: skip
async def post_invoice_payment(id: str, request: Request, caller: Caller = Depends(require("finance"))) -> Response:
    """Records a payment of an issued invoice: of all that is due, or of a part; what is over stays on account."""
    _check_unbound(caller)
    wish, key = invoice_payment_from_wire(await json_body(request)), idempotency_key(request)

    def work() -> Response:
        invoice = find_invoice(database(request), id, caller)
        made = record_payment.record_invoice_payment(
            database(request), invoice, wish, idempotency_key=key, now=now(request)
        )
        return _answer(request, made)

    return await run_in_threadpool(work)


@router.post(
    "/payments",
    **described(
        "finance", _RECORDED, 409, 422, body={JSON: ref("PaymentSent")}, parameters=[IDEMPOTENCY_KEY],
    ),
)  # fmt: skip
async def post_payment(request: Request, caller: Caller = Depends(require("finance"))) -> Response:
    """Records a payment of a tenant: it pays the invoices that are named, or what is open, or nothing yet; what is over
    stays on account, and the next invoices take it."""
    _check_unbound(caller)
    wish, key = account_payment_from_wire(await json_body(request)), idempotency_key(request)

    def work() -> Response:
        made = record_payment.record_account_payment(database(request), wish, idempotency_key=key, now=now(request))
        return _answer(request, made)

    return await run_in_threadpool(work)


# --- reading ----------------------------------------------------------------------------------------------------------


@router.get(
    "/payments",
    **described(
        "read",
        {200: Answer("A page of payments", ref("Payments"), links=_of_payment("$response.body#/data/0/id") | {
            "next": link("get_payments", "The next page.", query__cursor="$response.body#/next_cursor")})},
        400, 404, 422,
        parameters=[
            query_parameter("tenant", FILTER_TEXT, "The key of the tenant that paid."),
            query_parameter("invoice", FILTER_TEXT, "The id of an invoice that it pays or paid."),
            {"name": "unallocated", "in": "query", "schema": one_of(_TRUTH),
             "description": "Those of which something is on account, or those of which nothing is."},
            *limit_and_cursor(MAX_LIMIT),
        ],
    ),
)  # fmt: skip
async def get_payments(
    request: Request, caller: Caller = Depends(require("read")), page: Page = Depends(page)
) -> Response:
    """Payments in order of their recording."""
    known_parameters(request, "tenant", "invoice", "unallocated", "cursor", "limit")

    def work() -> Response:
        key, public = text_parameter(request, "tenant"), text_parameter(request, "invoice")
        tenant_id = None if key is None else resolve_tenant(database(request), key, caller).tenant_id
        invoice = None if public is None else parse_public_id("inv", public)
        if public is not None and invoice is None:
            return json_answer({"data": [], "next_cursor": None})
        truth = choice_parameter(request, "unallocated", _TRUTH)
        wanted = PaymentFilter(tenant_id, invoice, None if truth is None else truth == "true", caller.sees_only)
        shown, cursor = _page(request, wanted, page)
        return json_answer({"data": shown, "next_cursor": cursor})

    return await run_in_threadpool(work)


def _page(request: Request, wanted: PaymentFilter, page: Page) -> tuple[list[dict[str, Any]], str | None]:
    found, shown = read_payments.list_payments(
        database(request), wanted, after=_place(page.after), limit=page.limit + 1
    )
    cursor = _cursor(found[page.limit - 1]) if len(found) > page.limit else None
    return shown[: page.limit], cursor


def _cursor(payment: Payment) -> str:
    return encode_cursor(f"{instant_text(payment.created_at)} {payment.payment_id.hex} {payment.tenant_id.hex}")


def _place(after: str | None) -> tuple[datetime, UUID, UUID] | None:
    if after is None:
        return None
    try:
        at, payment_id, tenant_id = after.split(" ")
        return parse_instant(at), UUID(payment_id), UUID(tenant_id)
    except ValueError as error:
        raise InvalidCursor("This cursor was not given out by this list.") from error


@router.get(
    "/payments/{id}",
    **described(
        "read", {200: Answer("The payment with its ledger", ref("PaymentWithEntries"))}, 404, parameters=[_PAYMENT]
    ),
)
async def get_payment(id: str, request: Request, caller: Caller = Depends(require("read"))) -> Response:
    """One payment: what it pays, what is on account, and every entry of its ledger."""

    def work() -> dict[str, Any]:
        payment = read_payments.find_payment(database(request), id, caller)
        return read_payments.show_with_entries(database(request), payment)

    return json_answer(await run_in_threadpool(work))


@router.get(
    "/invoices/{id}/payments",
    **described(
        "read", {200: Answer("A page of payments, and what is paid in all", ref("InvoicePayments"))}, 400, 404, 422,
        parameters=[_INVOICE, *limit_and_cursor(MAX_LIMIT)],
    ),
)  # fmt: skip
async def get_invoice_payments(
    id: str, request: Request, caller: Caller = Depends(require("read")), page: Page = Depends(page)
) -> Response:
    """The payments that pay an invoice or paid it, and of what its `paid` is made."""
    known_parameters(request, "cursor", "limit")

    def work() -> Response:
        place = find_invoice(database(request), id, caller).place
        wanted = PaymentFilter(invoice=(place.tenant_id, place.invoice_id), visible_to=caller.sees_only)
        shown, cursor = _page(request, wanted, page)
        paid = read_payments.show_paid(database(request), place)
        return json_answer({"data": shown, "next_cursor": cursor, **paid})

    return await run_in_threadpool(work)


# --- what is done with a payment --------------------------------------------------------------------------------------


@router.post(
    "/payments/{id}/allocations",
    **described(
        "finance", {200: Answer("The payment, after what it pays now", _AFTER)}, 404, 409, 422,
        body={JSON: ref("PaymentAllocationSent")}, parameters=[_PAYMENT],
    ),
)  # fmt: skip
async def post_payment_allocation(id: str, request: Request, caller: Caller = Depends(require("finance"))) -> Response:
    """Lets what is on account of a payment pay the invoices that are named, or all that is open, the one due first
    first."""
    _check_unbound(caller)
    wanted = allocation_from_wire(await json_body(request))
    return await _change(
        request, lambda: record_payment.allocate_payment(database(request), id, wanted, now=now(request))
    )


@router.post(
    "/payments/{id}/releases",
    **described(
        "finance", {200: Answer("The payment, after what it pays now", _AFTER)}, 404, 409, 422,
        body={JSON: ref("PaymentReleaseSent")}, parameters=[_PAYMENT],
    ),
)  # fmt: skip
async def post_payment_release(id: str, request: Request, caller: Caller = Depends(require("finance"))) -> Response:
    """Takes a payment off an invoice that it was not meant for: it is on account again."""
    _check_unbound(caller)
    wanted = release_from_wire(await json_body(request))
    return await _change(
        request, lambda: record_payment.release_payment(database(request), id, wanted, now=now(request))
    )


@router.post(
    "/payments/{id}/reversals",
    **described(
        "finance", {200: Answer("It was reversed before, by a request with this Idempotency-Key", _AFTER),
                    201: Answer("The payment, after its reversal", _AFTER)}, 404, 409, 422,
        body={JSON: ref("PaymentReversalSent")}, parameters=[_PAYMENT, IDEMPOTENCY_KEY],
    ),
)  # fmt: skip
async def post_payment_reversal(id: str, request: Request, caller: Caller = Depends(require("finance"))) -> Response:
    """Takes a payment back that was not made after all: a chargeback, a returned debit, a mistake. What it paid is due
    again."""
    _check_unbound(caller)
    wish, key = reversal_from_wire(await json_body(request)), idempotency_key(request)
    return await _change(
        request,
        lambda: record_payment.reverse_payment(database(request), id, wish, idempotency_key=key, now=now(request)),
        made=201,
    )


@router.post(
    "/payments/{id}/refunds",
    **described(
        "finance", {200: Answer("It was refunded before, by a request with this Idempotency-Key", _AFTER),
                    201: Answer("The payment, after the refund", _AFTER)}, 404, 409, 422,
        body={JSON: ref("PaymentRefundSent")}, parameters=[_PAYMENT, IDEMPOTENCY_KEY],
    ),
)  # fmt: skip
async def post_payment_refund(id: str, request: Request, caller: Caller = Depends(require("finance"))) -> Response:
    """Records that what is on account of a payment was sent back to the payer."""
    _check_unbound(caller)
    wish, key = refund_from_wire(await json_body(request)), idempotency_key(request)
    return await _change(
        request,
        lambda: record_payment.refund_payment(database(request), id, wish, idempotency_key=key, now=now(request)),
        made=201,
    )


async def _change(request: Request, change: Callable[[], Recorded], *, made: int = 200) -> Response:
    def work() -> Response:
        recorded = change()
        return _moved(request, recorded, made if recorded.is_new else 200)

    return await run_in_threadpool(work)
