"""Documents: lists, files, what a person does with a draft, and why a line has its amount."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from app.api.answers import json_answer, prefers
from app.api.dependencies import MAX_LIMIT, Page, database, encode_cursor, limits, now, page, require
from app.api.document import ETAG, IF_MATCH, Answer, described, limit_and_cursor, link, path_parameter, query_parameter
from app.api.parameters import choice_parameter, date_parameter, instant_parameter, known_parameters, text_parameter
from app.api.routing import Router
from app.api.schemas import DAY_OR_INSTANT, DOCUMENT_TYPES, FILTER_TEXT, INVOICE_ID, one_of, ref
from app.documents.annex_pdf import render_annex
from app.documents.explanation import explanation_lines
from app.documents.wording import language_of
from app.domain.callers import Caller
from app.domain.errors import InvalidCursor, NotFound
from app.domain.events import instant_text, parse_instant
from app.domain.explanations import Explanation, UseWindow
from app.domain.invoices import InvoiceLine
from app.domain.periods import local_date
from app.domain.tenants import LANGUAGES
from app.observability import metrics
from app.operations.catalog_change import check_precondition
from app.operations.explain_line import explain_line, explain_lines
from app.operations.export_series import sealed
from app.operations.frozen_use import EventPlace
from app.operations.list_line_events import LineEvent, list_line_events
from app.operations.read_invoices import find_invoice, list_invoices, midnights
from app.operations.render_document import CONTENT_TYPES, render_document
from app.operations.resolve_tenant import resolve_tenant
from app.operations.settle_draft import discard_draft, issue_one
from app.storage.invoice_store import InvoiceFilter, StoredInvoice
from app.wire.events import event_to_wire
from app.wire.explanations import explanation_to_wire
from app.wire.invoices import invoice_to_wire
from app.wire.shown import etag_of

router = Router(prefix="/v1", tags=["billing"])

_INVOICE = path_parameter("id", INVOICE_ID)
_LINE = path_parameter("line", {"type": "string"}, "ln_1")
_STATES = ("draft", "issued")


def document_to_wire(request: Request, stored: StoredInvoice) -> dict[str, Any]:
    """The document as it is shown now."""
    return invoice_to_wire(stored.invoice, today=_today(stored, now(request)))


def document_answer(
    request: Request, stored: StoredInvoice, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """The document with its entity tag."""
    shown = document_to_wire(request, stored)
    return json_answer(shown, status, {"ETag": etag_of(shown)} | (headers or {}))


def document_check(request: Request) -> Callable[[StoredInvoice], None]:
    """Raises PreconditionFailed for a document that is not the one that the request's If-Match names."""
    if_match = request.headers.get("if-match")
    return lambda stored: check_precondition(if_match, document_to_wire(request, stored))


def _today(stored: StoredInvoice, moment: datetime) -> date:
    return local_date(moment, ZoneInfo(stored.invoice.time_zone))


def links_of_invoice(source: str) -> dict[str, Any]:
    """What can be asked of the document whose id stands at `source`."""
    return {
        "document": link("get_invoice", "The document.", path__id=source),
        "pdf": link("get_invoice_file", "The document as PDF.", path__id=source, path__format="pdf"),
        "csv": link("get_invoice_file", "The document as CSV.", path__id=source, path__format="csv"),
        "xml": link("get_invoice_file", "The document as an e-invoice.", path__id=source, path__format="xml"),
        "ubl": link("get_invoice_ubl", "The document as an e-invoice in UBL.", path__id=source),
        "issue": link("post_issue", "Issue it, where it is a draft.", path__id=source),
        "discard": link("post_discard", "Discard it, where it is a draft.", path__id=source),
        "edit": link("patch_invoice", "Edit it, where it is a draft.", path__id=source),
        "approve": link("post_approve", "Approve what it says, where it is a draft.", path__id=source),
        "credit": link("post_credit_note", "Credit it, where it is an issued invoice.", path__id=source),
        "credit_notes": link("get_credit_notes", "The credit notes on it.", path__id=source),
        "status": link("post_invoice_status", "Keep what a platform says of it, where it is issued.", path__id=source),
    }


_LINE_LINKS = {
    "explanation": link("get_explanation", "Why its first line has its amount.", path__id="$request.path.id",
                        path__line="$response.body#/lines/0/id"),
    "events": link("get_line_events", "The events behind its first line.", path__id="$request.path.id",
                   path__line="$response.body#/lines/0/id"),
}  # fmt: skip


@router.get(
    "/invoices",
    **described(
        "read",
        {200: Answer("A page of documents", ref("Invoices"), links=links_of_invoice("$response.body#/data/0/id") | {
            "next": link("get_invoices", "The next page.", query__cursor="$response.body#/next_cursor")})},
        400, 422,
        parameters=[
            {"name": "status", "in": "query", "schema": one_of(_STATES), "description": "Drafts, or what is issued."},
            {"name": "type", "in": "query", "schema": one_of(DOCUMENT_TYPES), "description": "The type of document."},
            query_parameter("buyer", FILTER_TEXT, "A tenant's key."),
            query_parameter("seller", FILTER_TEXT, "A tenant's key."),
            query_parameter("number", FILTER_TEXT, "The number of an issued document."),
            query_parameter("period_start", DAY_OR_INSTANT, "A date is its midnight in any tenant's time zone."),
            *limit_and_cursor(MAX_LIMIT),
        ],
    ),
)  # fmt: skip
async def get_invoices(
    request: Request, caller: Caller = Depends(require("read")), page: Page = Depends(page)
) -> Response:
    """Drafts and issued documents of every type, in order of their making."""
    known_parameters(request, "status", "type", "buyer", "seller", "number", "period_start", "cursor", "limit")

    def work() -> tuple[list[StoredInvoice], bool]:
        wanted = _filter(request, caller)
        if wanted is None:
            return [], False
        after = None if page.after is None else _position(page.after)
        found = list_invoices(database(request), wanted, after=after, limit=page.limit + 1)
        return found[: page.limit], len(found) > page.limit

    shown, more = await run_in_threadpool(work)
    cursor = encode_cursor(f"{shown[-1].place.invoice_id.hex} {shown[-1].place.tenant_id.hex}") if more else None
    return json_answer({"data": [document_to_wire(request, stored) for stored in shown], "next_cursor": cursor})


def _filter(request: Request, caller: Caller) -> InvoiceFilter | None:
    """The filter asked for; None where it names a tenant that there is not: then nothing matches."""
    wanted = InvoiceFilter(
        choice_parameter(request, "status", _STATES), choice_parameter(request, "type", DOCUMENT_TYPES),
        number=text_parameter(request, "number"), period_starts=_period_starts(request),
        visible_to=caller.sees_only,
    )  # fmt: skip
    ids: dict[str, UUID | None] = {"buyer": None, "seller": None}
    for name in ids:
        key = text_parameter(request, name)
        if key is not None:
            try:
                ids[name] = resolve_tenant(database(request), key, Caller(caller.scopes)).tenant_id
            except NotFound:
                return None
    return replace(wanted, buyer_id=ids["buyer"], seller_id=ids["seller"])


def _period_starts(request: Request) -> frozenset[datetime] | None:
    """The instants that `period_start` may mean: one, or for a date its midnight in any tenant's time zone."""
    day = date_parameter(request, "period_start")
    if day is not None:
        return midnights(database(request), day)
    instant = instant_parameter(request, "period_start")
    return None if instant is None else frozenset({instant})


def _position(text: str) -> tuple[UUID, UUID]:
    try:
        invoice_id, tenant_id = text.split(" ")
        return UUID(invoice_id), UUID(tenant_id)
    except ValueError as error:
        raise InvalidCursor("This cursor was not given out by this list.") from error


_NAMED = {"Content-Disposition": {"required": True, "schema": {"type": "string"}}}


@router.get(
    "/invoices/{id}.ubl.xml",
    **described(
        "read",
        {200: Answer("The e-invoice", {"type": "string"}, ("application/xml",), headers=_NAMED)}, 404, 409,
        parameters=[_INVOICE],
    ),
)  # fmt: skip
async def get_invoice_ubl(id: str, request: Request, caller: Caller = Depends(require("read"))) -> Response:
    """The issued document as an e-invoice in the other syntax of EN 16931, UBL 2.1; 409 says what it lacks for that."""
    return await _file(request, id, "ubl.xml", caller)


@router.get(
    "/invoices/{id}.canonical.json",
    **described(
        "read",
        {200: Answer("The document with all that proves it", ref("SealedDocument"), headers=_NAMED)}, 404, 409,
        parameters=[_INVOICE],
    ),
)  # fmt: skip
async def get_invoice_sealed(id: str, request: Request, caller: Caller = Depends(require("read"))) -> Response:
    """The issued document in its one canonical form, with its hash and what every amount is computed from:
    `quotepart verify` checks it anywhere, without the service."""

    def work() -> tuple[bytes, str]:
        stored = find_invoice(database(request), id, caller)
        return sealed(stored), stored.invoice.number

    content, name = await run_in_threadpool(work)
    disposition = f'inline; filename="{name.replace("/", "-")}.canonical.json"'
    return Response(content, media_type="application/json", headers={"Content-Disposition": disposition})


@router.get(
    "/invoices/{id}.{format}",
    **described(
        "read",
        {200: Answer(
            "The document", {"type": "string", "format": "binary"}, ("application/pdf", "text/csv", "application/xml"),
            headers=_NAMED,
        )},
        404, 409, parameters=[_INVOICE, path_parameter("format", one_of(("pdf", "csv", "xml")))],
    ),
)  # fmt: skip
async def get_invoice_file(
    id: str, format: str, request: Request, caller: Caller = Depends(require("read"))
) -> Response:
    """The document as PDF (Factur-X where it can be an e-invoice), CSV, or e-invoice (EN 16931, CII); for an issued one
    the same bytes at every request. 409 says what an e-invoice lacks: the PDF goes out all the same."""
    if format not in CONTENT_TYPES:
        raise NotFound(f"Documents come as JSON, .pdf, .csv, .xml and .ubl.xml, not .{format[:20]}.")
    return await _file(request, id, format, caller)


async def _file(request: Request, id: str, format: str, caller: Caller) -> Response:
    def work() -> tuple[bytes, str]:
        stored = find_invoice(database(request), id, caller)
        return render_document(database(request), stored, format), stored.invoice.number or "draft"

    content, name = await run_in_threadpool(work)
    # A number may have slashes, which the name of a file may not.
    disposition = f'inline; filename="{name.replace("/", "-")}.{format}"'
    return Response(content, media_type=CONTENT_TYPES[format], headers={"Content-Disposition": disposition})


@router.get(
    "/invoices/{id}",
    **described(
        "read",
        {200: Answer("The document", ref("Invoice"), headers=ETAG, links=_LINE_LINKS)},
        404,
        parameters=[_INVOICE],
    ),
)
async def get_invoice(id: str, request: Request, caller: Caller = Depends(require("read"))) -> Response:
    """One document."""
    return document_answer(request, await run_in_threadpool(find_invoice, database(request), id, caller))


@router.post(
    "/invoices/{id}/issue",
    **described(
        "finance",
        {200: Answer("The issued document", ref("Invoice"), headers=ETAG,
                     links=links_of_invoice("$response.body#/id"))},
        404, 409, 412, 503, parameters=[_INVOICE, IF_MATCH],
    ),
)  # fmt: skip
async def post_issue(id: str, request: Request, caller: Caller = Depends(require("finance"))) -> Response:
    """Computes a draft once more and issues it: number, hash, and from then on unchangeable."""

    def work() -> StoredInvoice:
        stored = find_invoice(database(request), id, caller)
        terms_days = limits(request).payment_terms_days
        issued = issue_one(
            database(request), stored, check=document_check(request), now=now(request), terms_days=terms_days
        )  # fmt: skip
        metrics.DOCUMENTS.labels(issued.invoice.type).inc()
        return issued

    return document_answer(request, await run_in_threadpool(work))


@router.post(
    "/invoices/{id}/discard",
    **described("finance", {204: Answer("It is gone.")}, 404, 409, 412, parameters=[_INVOICE, IF_MATCH]),
)
async def post_discard(id: str, request: Request, caller: Caller = Depends(require("finance"))) -> Response:
    """Deletes a draft and what was edited of it; its billing instant stays open."""

    def work() -> None:
        stored = find_invoice(database(request), id, caller)
        discard_draft(database(request), stored, check=document_check(request))

    await run_in_threadpool(work)
    return Response(status_code=204)


# --- explanations -----------------------------------------------------------------------------------------------------


def _line(stored: StoredInvoice, line: str) -> InvoiceLine:
    for candidate in stored.invoice.lines:
        if candidate.id == line:
            return candidate
    raise NotFound("This invoice has no such line.", line=line)


_WINDOWS: tuple[UseWindow, ...] = ("day", "hour")
_TEXT = "text/plain"
_HOW_EXPLAINED: tuple[dict[str, Any], ...] = (
    {"name": "window", "in": "query", "schema": one_of(_WINDOWS) | {"default": "day"},
     "description": "The use that was counted, by local day or by hour."},
    {"name": "language", "in": "query", "schema": one_of(LANGUAGES),
     "description": "The language of the words; without it, that of the document."},
)  # fmt: skip


def _how_explained(request: Request) -> tuple[UseWindow, str | None]:
    """The window and the language that are asked for (None: the document's own)."""
    known_parameters(request, "window", "language")
    window: UseWindow = "hour" if choice_parameter(request, "window", _WINDOWS) == "hour" else "day"
    return window, choice_parameter(request, "language", LANGUAGES)


@router.get(
    "/invoices/{id}/lines/{line}/explanation",
    **described(
        "read",
        {200: Answer("The explanation", ref("Explanation"), other={_TEXT: {"type": "string"}})}, 404, 409, 422,
        parameters=[_INVOICE, _LINE, *_HOW_EXPLAINED],
    ),
)  # fmt: skip
async def get_explanation(id: str, line: str, request: Request, caller: Caller = Depends(require("read"))) -> Response:
    """Why a line has its amount: price, quantity and every step in words and numbers, the use by day, the tax; of a
    difference or a credit, what it was, what it is now, and what changed it. As text where `Accept` says
    `text/plain`."""
    window, asked = _how_explained(request)

    def work() -> Explanation:
        stored = find_invoice(database(request), id, caller)
        return explain_line(database(request), stored, _line(stored, line), window=window)

    found = await run_in_threadpool(work)
    language = language_of(asked or found.invoice.language)
    if prefers(request, _TEXT):
        text = "".join(f"{row}\n" for row in explanation_lines(found, language))
        return Response(text, media_type=_TEXT, headers={"Content-Language": language, "Vary": "Accept"})
    return json_answer(explanation_to_wire(found, language), headers={"Vary": "Accept"})


@router.get(
    "/invoices/{id}/lines/{line}/events",
    **described(
        "read", {200: Answer("A page of events", ref("LineEvents"))}, 400, 404, 422,
        parameters=[_INVOICE, _LINE, *limit_and_cursor(MAX_LIMIT)],
    ),
)  # fmt: skip
async def get_line_events(
    id: str, line: str, request: Request, caller: Caller = Depends(require("read")), page: Page = Depends(page)
) -> Response:
    """The events behind a line, by time, each page checked against what the line froze; of a difference or a credit,
    the events that came to count since, and those that count no more."""
    known_parameters(request, "cursor", "limit")
    after = None if page.after is None else _event_place(page.after)

    def work() -> dict[str, Any]:
        stored = find_invoice(database(request), id, caller)
        wanted = _line(stored, line)
        found = list_line_events(database(request), stored, wanted, after=after, limit=page.limit)
        usage = wanted.trace.get("usage", {"count": 0, "identity_sum": 0})
        cursor = None
        if found.next is not None:
            cursor = encode_cursor(f"{instant_text(found.next[0])} {found.next[1].hex()}")
        return {
            "data": [_line_event(row, stored.invoice.buyer.key) for row in found.rows], "next_cursor": cursor,
            "verified": found.verified,
            "frozen": {"events": usage["count"], "identity_sum": str(usage["identity_sum"])},
        }  # fmt: skip

    return json_answer(await run_in_threadpool(work))


def _line_event(row: LineEvent, tenant: str) -> dict[str, Any]:
    stored = row.stored
    shown = event_to_wire(stored.event) | {"tenant": tenant, "received_at": instant_text(stored.received_at)}
    if stored.cancelled_at is not None:
        shown["cancelled_at"] = instant_text(stored.cancelled_at)
    return shown if row.change is None else shown | {"change": row.change}


@router.get(
    "/invoices/{id}/annex.pdf",
    **described(
        "read",
        {200: Answer("The annex", {"type": "string", "format": "binary"}, ("application/pdf",), headers=_NAMED)},
        404, 422, parameters=[_INVOICE, *_HOW_EXPLAINED],
    ),
)  # fmt: skip
async def get_annex(id: str, request: Request, caller: Caller = Depends(require("read"))) -> Response:
    """Why every line has its amount, as a PDF to go with the document: what `explanation` says of each, in order."""
    window, asked = _how_explained(request)

    def work() -> tuple[bytes, str]:
        stored = find_invoice(database(request), id, caller)
        language = language_of(asked or stored.invoice.language)
        explained = explain_lines(database(request), stored, window=window)
        return render_annex(stored.invoice, explained, language=language), stored.invoice.number or "draft"

    content, name = await run_in_threadpool(work)
    disposition = f'inline; filename="{name}-annex.pdf"'
    return Response(content, media_type="application/pdf", headers={"Content-Disposition": disposition})


def _event_place(text: str) -> EventPlace:
    try:
        at, identity = text.split(" ")
        return parse_instant(at), bytes.fromhex(identity)
    except ValueError as error:
        raise InvalidCursor("This cursor was not given out by this list.") from error
