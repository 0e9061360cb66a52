"""Bank statements: sent, listed; their entries listed, assigned by hand, ignored."""

from __future__ import annotations

from datetime import date, datetime
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
    limits,
    media_type,
    now,
    page,
    read_body,
    require,
)
from app.api.document import JSON, Answer, described, limit_and_cursor, link, path_parameter, query_parameter
from app.api.parameters import choice_parameter, known_parameters, text_parameter
from app.api.routing import Router
from app.api.schemas import FILTER_TEXT, one_of, ref
from app.api.schemas_bank import BANK_ENTRY_ID
from app.domain.bank import BANK_ENTRY_STATES
from app.domain.callers import Caller
from app.domain.errors import InvalidCursor, InvalidInput, Malformed, UnsupportedMediaType
from app.domain.events import instant_text, parse_instant, parse_json
from app.domain.ids import parse_public_id
from app.observability import metrics
from app.operations import read_bank
from app.operations.import_statement import find_seller, import_statement, owner_of
from app.operations.resolve_tenant import resolve_tenant
from app.operations.settle_entry import assign_entry, ignore_entry
from app.storage.bank_store import BankFilter
from app.wire.bank import (
    StatementSent,
    assign_from_wire,
    format_of,
    ignore_from_wire,
    imported_to_wire,
    mapping_from_text,
    statement_from_wire,
    statements_of,
)
from app.wire.bank_csv import CsvMapping

router = Router(prefix="/v1", tags=["payments"])

_ENTRY = path_parameter("id", BANK_ENTRY_ID)
_XML = ("application/xml", "text/xml")
_CSV = "text/csv"
_UNNAMED = ("", "application/octet-stream", "text/plain")
_DIRECTIONS = ("credit", "debit")


_check_unbound = partial(check_unbound, refusal="does not see what a bank says")


# --- statements -------------------------------------------------------------------------------------------------------

_LINKS = {
    "entries": link("get_bank_entries", "Its entries.", query__statement="$response.body#/id"),
}


@router.post(
    "/bank-statements",
    **described(
        "finance",
        {200: Answer("This file was sent before: what was not settled is looked at again", ref("BankStatementImported"),
                     links=_LINKS),
         201: Answer("What became of its entries", ref("BankStatementImported"), links=_LINKS)},
        409, 422,
        body={JSON: ref("BankStatementSent"), **{kind: {"type": "string"} for kind in (*_XML, _CSV)}},
        parameters=[
            query_parameter("seller", FILTER_TEXT, "Whose bank it is; absent: the account's, or the operator's."),
            query_parameter("mapping", {"type": "string"}, "For CSV: which column has what, as JSON (BankCsvMapping)."),
        ],
    ),
)  # fmt: skip
async def post_bank_statement(request: Request, caller: Caller = Depends(require("finance"))) -> Response:
    """Takes a bank statement (CAMT.053, or CSV) and records the payments that it tells of: by the creditor reference,
    by the invoice's number, by amount and name where that is one invoice. The rest waits as unmatched. Nothing is paid
    twice, however often it is sent."""
    _check_unbound(caller)
    known_parameters(request, "seller", "mapping")
    told = await _sent(request)

    def work() -> Response:
        key = text_parameter(request, "seller")
        seller = find_seller(database(request), key)
        statements = statements_of(told, currency=seller.currency)
        if key is None:
            seller = owner_of(database(request), statements, otherwise=seller)
        made = import_statement(
            database(request), seller, statements, told.content, format=told.format, now=now(request)
        )  # fmt: skip
        metrics.PAYMENTS.labels("bank").inc(made.outcomes["matched"])
        shown = imported_to_wire(made.statement, seller.key, new=made.new, outcomes=made.outcomes)
        return json_answer(shown, 201 if made.is_new else 200)

    return await run_in_threadpool(work)


async def _sent(request: Request) -> StatementSent:
    """The file of the body; one that comes without a type is known by how it begins. Raises UnsupportedMediaType,
    Malformed or InvalidInput."""
    kind, mapping = media_type(request), text_parameter(request, "mapping")
    is_json = kind == JSON or kind.endswith("+json")
    if not is_json and kind not in (*_XML, _CSV, *_UNNAMED) and not kind.endswith("+xml"):
        raise UnsupportedMediaType("Send a bank statement as application/xml, text/csv or application/json.")
    content = await read_body(request, limit=limits(request).max_body_bytes)
    if is_json or (kind in _UNNAMED and content.lstrip()[:1] == b"{"):
        if mapping is not None:
            raise InvalidInput.at("mapping", "the mapping stands in the body")
        try:
            body = parse_json(content)
        except (ValueError, RecursionError) as error:
            raise Malformed("The body is not JSON that can be read.", reason=str(error)[:200]) from error
        return statement_from_wire(body)
    format = format_of(content) if kind in _UNNAMED else "csv" if kind == _CSV else "camt.053"
    if mapping is not None and format != "csv":
        raise InvalidInput.at("mapping", "a mapping is for CSV only")
    return StatementSent(format, content, CsvMapping() if mapping is None else mapping_from_text(mapping))


@router.get(
    "/bank-statements",
    **described(
        ("read", "finance"),
        {200: Answer("A page of files", ref("BankStatements"), links={
            "entries": link("get_bank_entries", "The entries that the first told of first.",
                            query__statement="$response.body#/data/0/id"),
            "next": link("get_bank_statements", "The next page.", query__cursor="$response.body#/next_cursor")})},
        400, 422, parameters=[*limit_and_cursor(MAX_LIMIT)],
    ),
)  # fmt: skip
async def get_bank_statements(
    request: Request, caller: Caller = Depends(require("read", "finance")), page: Page = Depends(page)
) -> Response:
    """The files that were sent, in their order."""
    _check_unbound(caller)
    known_parameters(request, "cursor", "limit")

    def work() -> Response:
        found, shown = read_bank.list_statements(
            database(request), after=_upload(page.after), limit=page.limit + 1
        )  # fmt: skip
        cursor = None
        if len(found) > page.limit:
            last = found[page.limit - 1]
            cursor = encode_cursor(f"{instant_text(last.created_at)} {last.statement_id.hex}")
        return json_answer({"data": shown[: page.limit], "next_cursor": cursor})

    return await run_in_threadpool(work)


def _upload(after: str | None) -> tuple[datetime, UUID] | None:
    if after is None:
        return None
    try:
        at, statement_id = after.split(" ")
        return parse_instant(at), UUID(statement_id)
    except ValueError as error:
        raise InvalidCursor("This cursor was not given out by this list.") from error


# --- entries ----------------------------------------------------------------------------------------------------------


@router.get(
    "/bank-entries",
    **described(
        ("read", "finance"),
        {200: Answer("A page of entries", ref("BankEntries"), links={
            "entry": link("get_bank_entry", "The first of them.", path__id="$response.body#/data/0/id"),
            "assign": link("post_bank_entry_assignment", "Say what it is.", path__id="$response.body#/data/0/id"),
            "ignore": link("post_bank_entry_ignored", "Set the first aside.", path__id="$response.body#/data/0/id"),
            "next": link("get_bank_entries", "The next page.", query__cursor="$response.body#/next_cursor")})},
        400, 404, 422,
        parameters=[
            {"name": "status", "in": "query", "schema": one_of(BANK_ENTRY_STATES), "description": "What became of it."},
            {"name": "direction", "in": "query", "schema": one_of(_DIRECTIONS), "description": "In or out."},
            query_parameter("account", FILTER_TEXT, "The seller's account, an IBAN without spaces."),
            query_parameter("seller", FILTER_TEXT, "The key of the tenant whose bank it is."),
            query_parameter("statement", FILTER_TEXT, "The id of the file that told of it first."),
            *limit_and_cursor(MAX_LIMIT),
        ],
    ),
)  # fmt: skip
async def get_bank_entries(
    request: Request, caller: Caller = Depends(require("read", "finance")), page: Page = Depends(page)
) -> Response:
    """Movements on the sellers' accounts, by the day of booking: `status=unmatched` are those that wait for
    somebody."""
    _check_unbound(caller)
    known_parameters(request, "status", "direction", "account", "seller", "statement", "cursor", "limit")

    def work() -> Response:
        key, statement = text_parameter(request, "seller"), text_parameter(request, "statement")
        wanted = BankFilter(
            choice_parameter(request, "status", BANK_ENTRY_STATES), choice_parameter(request, "direction", _DIRECTIONS),
            text_parameter(request, "account"),
            None if key is None else resolve_tenant(database(request), key, caller).tenant_id,
            None if statement is None else parse_public_id("bst", statement),
        )  # fmt: skip
        if statement is not None and wanted.statement is None:
            return json_answer({"data": [], "next_cursor": None})
        found, shown = read_bank.list_entries(
            database(request), wanted, after=_booking(page.after), limit=page.limit + 1
        )  # fmt: skip
        cursor = None
        if len(found) > page.limit:
            last = found[page.limit - 1]
            cursor = encode_cursor(f"{last.entry.booked_on} {last.entry_id.hex} {last.seller_id.hex}")
        return json_answer({"data": shown[: page.limit], "next_cursor": cursor})

    return await run_in_threadpool(work)


def _booking(after: str | None) -> tuple[date, UUID, UUID] | None:
    if after is None:
        return None
    try:
        day, entry_id, seller_id = after.split(" ")
        return date.fromisoformat(day), UUID(entry_id), UUID(seller_id)
    except ValueError as error:
        raise InvalidCursor("This cursor was not given out by this list.") from error


@router.get(
    "/bank-entries/{id}",
    **described(("read", "finance"), {200: Answer("The entry", ref("BankEntry"))}, 404, parameters=[_ENTRY]),
)
async def get_bank_entry(
    id: str, request: Request, caller: Caller = Depends(require("read", "finance"))
) -> Response:  # fmt: skip
    """One movement, and the payment that it is or takes back."""
    _check_unbound(caller)
    return json_answer(await run_in_threadpool(read_bank.show_entry, database(request), id))


@router.post(
    "/bank-entries/{id}/assign",
    **described(
        "finance", {200: Answer("The entry, matched", ref("BankEntry"))}, 404, 409, 422,
        body={JSON: ref("BankEntryAssignment")}, parameters=[_ENTRY],
    ),
)  # fmt: skip
async def post_bank_entry_assignment(
    id: str, request: Request, caller: Caller = Depends(require("finance"))
) -> Response:
    """Says what an entry is: a payment of invoices or of a tenant, a payment that is recorded already, or its
    return."""
    _check_unbound(caller)
    wish = assign_from_wire(await json_body(request))

    def work() -> dict[str, Any]:
        kept = assign_entry(database(request), id, wish, now=now(request))
        if kept.cause_id is None and wish.payment is None:
            metrics.PAYMENTS.labels("bank").inc()
        return read_bank.show_entry(database(request), id)

    return json_answer(await run_in_threadpool(work))


@router.post(
    "/bank-entries/{id}/ignore",
    **described(
        "finance", {200: Answer("The entry, set aside", ref("BankEntry"))}, 404, 409, 422,
        body={JSON: ref("BankEntryIgnored")}, parameters=[_ENTRY],
    ),
)  # fmt: skip
async def post_bank_entry_ignored(id: str, request: Request, caller: Caller = Depends(require("finance"))) -> Response:
    """Sets an entry aside that concerns no tenant; it may still be assigned."""
    _check_unbound(caller)
    reason = ignore_from_wire(await json_body(request))

    def work() -> dict[str, Any]:
        ignore_entry(database(request), id, reason=reason, now=now(request))
        return read_bank.show_entry(database(request), id)

    return json_answer(await run_in_threadpool(work))
