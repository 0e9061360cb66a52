"""Exports: issued documents and what follows from them, as files for other programs, sent while they are made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from typing import Any, Literal

from fastapi import Depends, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from app.api.answers import json_answer
from app.api.dependencies import check_unbound, database, json_body, now, require
from app.api.document import ETAG, IF_MATCH, JSON, Answer, described, path_parameter, query_parameter
from app.api.parameters import (
    choice_parameter,
    date_parameter,
    instant_parameter,
    known_parameters,
    text_parameter,
    whole_parameter,
)
from app.api.routing import Router
from app.api.schemas import CURRENCY, DAY, DAY_OR_INSTANT, DOCUMENT_TYPES, FILTER_TEXT, Schema, one_of, ref
from app.documents.focus import SERVICE_CATEGORIES
from app.domain.callers import Caller
from app.domain.errors import InvalidInput, NotFound
from app.domain.exports import Bound, ExportWish
from app.domain.money import CURRENCY_DECIMALS
from app.domain.month_end import SECTIONS, MonthEndRow, Section
from app.domain.periods import local_date
from app.operations.export_documents import FORMATS, Format, Table, export_documents
from app.operations.export_filters import export_filter
from app.operations.export_journal import journal_chunks, journal_name
from app.operations.journal_sources import JournalWish, open_journal
from app.operations.month_end import MonthEnd, month_end_chunks, month_end_rows, open_month_end
from app.operations.put_chart import find_chart, put_chart
from app.wire.accounting import chart_from_wire, chart_to_wire
from app.wire.month_end import month_end_to_wire
from app.wire.shown import Shown, etag_of, shown_json

router = Router(prefix="/v1", tags=["exports"])

_SCOPES = ("finance", "read")
_MEDIA_TYPES: dict[str, str] = {
    "csv": "text/csv; charset=utf-8", "txt": "text/plain; charset=utf-8", "csv.gz": "application/gzip",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}  # fmt: skip
_WISHED = (
    "from", "to", "issued_from", "issued_to", "period_start", "period_end", "type", "currency", "seller", "buyer",
    "tenant",
)  # fmt: skip
_DATES = "A date is its midnight in the seller's time zone."
WISH: list[Schema] = [
    query_parameter("from", DAY_OR_INSTANT, f"Issued at or after. {_DATES} `issued_from` is the same.",
                    example="2026-11-01"),
    query_parameter("to", DAY_OR_INSTANT, f"Issued before. {_DATES} `issued_to` is the same.", example="2026-12-01"),
    query_parameter("issued_from", DAY_OR_INSTANT, "The same as `from`."),
    query_parameter("issued_to", DAY_OR_INSTANT, "The same as `to`."),
    query_parameter("period_start", DAY_OR_INSTANT,
                    "Only documents whose period starts there or later. A date is one in the document's time zone."),
    query_parameter("period_end", DAY_OR_INSTANT,
                    "Only documents whose period ends there or earlier; periods end where the next one starts."),
    {"name": "type", "in": "query", "schema": one_of(DOCUMENT_TYPES), "description": "The type of document."},
    {"name": "currency", "in": "query", "schema": CURRENCY, "description": "The currency of the documents."},
    query_parameter("seller", FILTER_TEXT, "The key of the tenant that sells."),
    query_parameter("buyer", FILTER_TEXT, "The key of the tenant that buys."),
    query_parameter("tenant", FILTER_TEXT, "The key of a tenant that sells or buys."),
]  # fmt: skip
_FILE_HEADERS = {"Content-Disposition": {"required": True, "schema": {"type": "string"}}}


def file_answer(description: str, *formats: str) -> Answer:
    media_types = tuple(_MEDIA_TYPES[format].partition(";")[0] for format in formats)
    return Answer(description, {"type": "string", "format": "binary"}, media_types, headers=_FILE_HEADERS)


def wished(request: Request, *others: str) -> ExportWish:
    """What the query asks for; `others` are the parameters of the route's own."""
    known_parameters(request, *_WISHED, *others)
    type_: Any = choice_parameter(request, "type", DOCUMENT_TYPES)
    return ExportWish(
        _issued(request, "from"), _issued(request, "to"),
        _bound(request, "period_start"), _bound(request, "period_end"), type_,
        choice_parameter(request, "currency", tuple(CURRENCY_DECIMALS)), text_parameter(request, "seller"),
        text_parameter(request, "buyer"), text_parameter(request, "tenant"),
    )  # fmt: skip


def _bound(request: Request, name: str) -> Bound | None:
    return date_parameter(request, name) or instant_parameter(request, name)


def _issued(request: Request, name: Literal["from", "to"]) -> Bound | None:
    """What is sent under one of the two names. Raises InvalidInput where it is sent under both."""
    found, other = _bound(request, name), _bound(request, f"issued_{name}")
    if found is not None and other is not None:
        raise InvalidInput.at(f"issued_{name}", f"issued_{name} is another name of {name}: send one of them")
    return found or other


async def streamed(make: Callable[[], Iterator[bytes]], media_type: str, name: str) -> Response:
    """The chunks, sent as they are made. What goes wrong before the first one is answered as a problem."""

    def begin() -> tuple[bytes, Iterator[bytes]]:
        chunks = make()
        return next(chunks, b""), chunks

    first, rest = await run_in_threadpool(begin)
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(chain([first], rest), media_type=media_type, headers=headers)


async def _export(
    request: Request, caller: Caller, table: Table, format: str, wish: ExportWish, service_category: str = "Other"
) -> Response:
    chosen = next((known for known in FORMATS[table] if known == format), None)
    if chosen is None:
        raise NotFound(f"This export comes as {', '.join(FORMATS[table])}, not {format[:20]}.")

    def make(chosen: Format = chosen) -> Iterator[bytes]:
        wanted = export_filter(database(request), wish, caller)
        return export_documents(database(request), table, chosen, wanted, service_category=service_category)

    return await streamed(make, _MEDIA_TYPES[chosen], f"{table}.{chosen}")


def _format(table: Table) -> Schema:
    return path_parameter("format", one_of(FORMATS[table]))


@router.get(
    "/exports/documents.{format}",
    **described(
        _SCOPES, {200: file_answer("One row for each document", "csv", "xlsx")}, 404, 422, 503,
        parameters=[_format("documents"), *WISH],
    ),
)  # fmt: skip
async def get_exported_documents(
    format: str, request: Request, caller: Caller = Depends(require(*_SCOPES))
) -> Response:
    """Issued documents in order of issue, one row each: parties, period, net, tax, total, what is paid and due."""
    return await _export(request, caller, "documents", format, wished(request))


@router.get(
    "/exports/lines.{format}",
    **described(
        _SCOPES, {200: file_answer("One row for each line", "csv", "xlsx")}, 404, 422, 503,
        parameters=[_format("lines"), *WISH],
    ),
)  # fmt: skip
async def get_exported_lines(format: str, request: Request, caller: Caller = Depends(require(*_SCOPES))) -> Response:
    """The lines of issued documents, and the credit that lowers a net: a document's rows add up to its net."""
    return await _export(request, caller, "lines", format, wished(request))


@router.get(
    "/exports/focus.{format}",
    **described(
        _SCOPES, {200: file_answer("A row for each charge, in the form of FOCUS 1.2", "csv", "csv.gz")}, 404, 422, 503,
        parameters=[
            _format("focus"), *WISH,
            {"name": "service_category", "in": "query", "schema": one_of(SERVICE_CATEGORIES) | {"default": "Other"},
             "description": "The ServiceCategory of every row."},
        ],
    ),
)  # fmt: skip
async def get_focus(format: str, request: Request, caller: Caller = Depends(require(*_SCOPES))) -> Response:
    """Issued documents as cost and usage data in the form of FOCUS 1.2. The billed costs of an invoice's rows add up to
    what it asks for."""
    wish = wished(request, "service_category")
    category = choice_parameter(request, "service_category", SERVICE_CATEGORIES) or "Other"
    return await _export(request, caller, "focus", format, wish, category)


# --- the books --------------------------------------------------------------------------------------------------------

_JOURNAL_FORMATS = ("txt", "csv")
_SEPARATORS = {"tab": "\t", "pipe": "|"}
MAX_FIRST_NUMBER = 999_999


@router.get(
    "/exports/sales-journal.{format}",
    **described(
        _SCOPES, {200: file_answer("A row for each posting, in the columns of the FEC", "txt", "csv")}, 404, 422, 503,
        parameters=[
            path_parameter("format", one_of(_JOURNAL_FORMATS)), *WISH[:4],
            query_parameter("seller", FILTER_TEXT, "Whose books: the key of a tenant; without it the operator's."),
            {"name": "currency", "in": "query", "schema": CURRENCY,
             "description": "Only documents in this currency, and the entries in it. Without it the entries are in the "
                            "seller's currency, and hold documents in others by the rate that they say."},
            {"name": "separator", "in": "query", "schema": one_of(tuple(_SEPARATORS)) | {"default": "tab"},
             "description": "What separates the columns of the text form."},
            {"name": "first_number", "in": "query",
             "schema": {"type": "integer", "minimum": 1, "maximum": MAX_FIRST_NUMBER, "default": 1},
             "description": "The number of the first entry."},
        ],
    ),
)  # fmt: skip
async def get_sales_journal(format: str, request: Request, caller: Caller = Depends(require(*_SCOPES))) -> Response:
    """The sales journal of a seller as an accounting file (FEC): one balanced entry for each document and for each
    payment, by day, numbered without gap. Accounts are those of the chart of accounts."""
    known_parameters(
        request, "from", "to", "issued_from", "issued_to", "seller", "currency", "separator", "first_number"
    )
    separator = _SEPARATORS[choice_parameter(request, "separator", tuple(_SEPARATORS)) or "tab"]
    wish = JournalWish(
        _issued(request, "from"), _issued(request, "to"), text_parameter(request, "seller") or "",
        choice_parameter(request, "currency", tuple(CURRENCY_DECIMALS)) or "",
        whole_parameter(request, "first_number", most=MAX_FIRST_NUMBER, default=1),
    )  # fmt: skip
    if format not in _JOURNAL_FORMATS:
        raise NotFound(f"This export comes as {', '.join(_JOURNAL_FORMATS)}, not {format[:20]}.")

    def gather() -> tuple[Iterator[bytes], str]:
        books = open_journal(database(request), wish, caller, find_chart(database(request)))
        name = journal_name(books, today=local_date(now(request), books.zone))
        return journal_chunks(database(request), books, format, separator=separator), name

    chunks, name = await run_in_threadpool(gather)
    return await streamed(lambda: chunks, _MEDIA_TYPES[format], f"{name}.{format}")


# --- month-end --------------------------------------------------------------------------------------------------------

_MONTH_END_FORMATS = ("json", "csv", "xlsx")
_MONTH_END = [
    query_parameter("as_of", DAY, "The day, by the seller's clocks; today where it is absent.",
                    example="2026-11-30"),
    query_parameter("seller", FILTER_TEXT, "Whose books: the key of a tenant; without it the operator's."),
    query_parameter("tenant", FILTER_TEXT, "Only what concerns this buyer: the key of a tenant."),
]  # fmt: skip


@router.get(
    "/exports/month-end",
    **described(_SCOPES, {200: Answer("The month-end", ref("MonthEnd"))}, 404, 409, 422, 503, parameters=_MONTH_END),
)
async def get_month_end(request: Request, caller: Caller = Depends(require(*_SCOPES))) -> Response:
    """What the books need at the end of a day: use not invoiced yet, what is invoiced in advance, VAT by when it is
    owed, what buyers owe by age."""
    return await _month_end(request, caller, "json")


@router.get(
    "/exports/month-end.{format}",
    **described(
        _SCOPES,
        {200: Answer(
            "The month-end", ref("MonthEnd"),
            other={_MEDIA_TYPES[name].partition(";")[0]: {"type": "string", "format": "binary"}
                   for name in ("csv", "xlsx")},
        )},
        404, 409, 422, 503, parameters=[path_parameter("format", one_of(_MONTH_END_FORMATS)), *_MONTH_END],
    ),
)  # fmt: skip
async def get_month_end_file(format: str, request: Request, caller: Caller = Depends(require(*_SCOPES))) -> Response:
    """The same, or as a table with one row for each amount; in a workbook with a sheet for each section."""
    if format not in _MONTH_END_FORMATS:
        raise NotFound(f"This export comes as {', '.join(_MONTH_END_FORMATS)}, not {format[:20]}.")
    return await _month_end(request, caller, format)


async def _month_end(request: Request, caller: Caller, format: str) -> Response:
    known_parameters(request, "as_of", "seller", "tenant")
    as_of = date_parameter(request, "as_of")
    if as_of is None and text_parameter(request, "as_of") is not None:
        raise InvalidInput.at("as_of", "as_of must be a date, such as 2026-11-30")
    seller, buyer = text_parameter(request, "seller") or "", text_parameter(request, "tenant") or ""

    def gather() -> MonthEnd:
        return open_month_end(
            database(request), as_of=as_of, seller=seller, buyer=buyer, caller=caller,
            chart=find_chart(database(request)), now=now(request),
        )  # fmt: skip

    wanted = await run_in_threadpool(gather)
    if format == "json":

        def work() -> dict[str, Any]:
            sections = {section: list(month_end_rows(database(request), wanted, section)) for section in SECTIONS}
            return month_end_to_wire(wanted.as_of, wanted.seller.key, sections)

        return json_answer(await run_in_threadpool(work))
    name = f"month-end-{wanted.as_of.isoformat()}.{format}"

    def rows_of(section: Section) -> Iterator[MonthEndRow]:
        return month_end_rows(database(request), wanted, section)

    return await streamed(lambda: month_end_chunks(rows_of, format), _MEDIA_TYPES[format], name)


# --- accounts ---------------------------------------------------------------------------------------------------------


@router.get(
    "/chart-of-accounts",
    **described(_SCOPES, {200: Answer("The chart", ref("ChartOfAccounts"), headers=ETAG)}),
)
async def get_chart_of_accounts(request: Request, caller: Caller = Depends(require(*_SCOPES))) -> Response:
    """The accounts on which the sales journal and the month-end put amounts, defaults included."""
    known_parameters(request)
    _check_unbound(caller)
    return _chart(chart_to_wire(await run_in_threadpool(find_chart, database(request))))


@router.put(
    "/chart-of-accounts",
    **described(
        "finance", {200: Answer("The chart, defaults included", ref("ChartOfAccounts"), headers=ETAG)}, 412, 422,
        body={JSON: ref("ChartOfAccountsSent")}, parameters=[IF_MATCH],
    ),
)  # fmt: skip
async def put_chart_of_accounts(request: Request, caller: Caller = Depends(require("finance"))) -> Response:
    """Replaces the chart of accounts; what is left out has its default. Exports from now on follow it, also those of
    what was issued before."""
    _check_unbound(caller)
    wish = chart_from_wire(await json_body(request))
    if_match = request.headers.get("if-match")
    saved = await run_in_threadpool(lambda: put_chart(database(request), wish, if_match=if_match))
    return _chart(saved.after)


_check_unbound = partial(check_unbound, refusal="has no part in the chart of accounts")


def _chart(shown: Shown) -> Response:
    return Response(shown_json(shown), headers={"ETag": etag_of(shown)}, media_type="application/json")
