"""Exports: issued documents and what follows from them, as files for other programs, sent while they are made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from fastapi import Depends, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from app.api.dependencies import database, require
from app.api.document import Answer, described, path_parameter, query_parameter
from app.api.parameters import choice_parameter, date_parameter, instant_parameter, known_parameters, text_parameter
from app.api.routing import Router
from app.api.schemas import CURRENCY, DAY_OR_INSTANT, DOCUMENT_TYPES, FILTER_TEXT, Schema, one_of
from app.documents.focus import SERVICE_CATEGORIES
from app.domain.callers import Caller
from app.domain.errors import NotFound
from app.domain.exports import Bound, ExportWish
from app.domain.money import CURRENCY_DECIMALS
from app.operations.export_documents import FORMATS, Format, Table, export_documents
from app.operations.export_filters import export_filter

router = Router(prefix="/v1/exports", tags=["exports"])

_SCOPES = ("finance", "read")
_MEDIA_TYPES: dict[str, str] = {
    "csv": "text/csv; charset=utf-8", "csv.gz": "application/gzip",
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
        _bound(request, "from") or _bound(request, "issued_from"),
        _bound(request, "to") or _bound(request, "issued_to"),
        _bound(request, "period_start"), _bound(request, "period_end"), type_,
        choice_parameter(request, "currency", tuple(CURRENCY_DECIMALS)), text_parameter(request, "seller"),
        text_parameter(request, "buyer"), text_parameter(request, "tenant"),
    )  # fmt: skip


def _bound(request: Request, name: str) -> Bound | None:
    return date_parameter(request, name) or instant_parameter(request, name)


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
    "/documents.{format}",
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
    "/lines.{format}",
    **described(
        _SCOPES, {200: file_answer("One row for each line", "csv", "xlsx")}, 404, 422, 503,
        parameters=[_format("lines"), *WISH],
    ),
)  # fmt: skip
async def get_exported_lines(format: str, request: Request, caller: Caller = Depends(require(*_SCOPES))) -> Response:
    """The lines of issued documents, and the credit that lowers a net: a document's rows add up to its net."""
    return await _export(request, caller, "lines", format, wished(request))


@router.get(
    "/focus.{format}",
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
