"""Issued documents as files for other programs: tables of documents and of lines, FOCUS.

A file is made while it is read: pages of documents, each read in a transaction of its own, become rows and chunks. As
issued documents never change and come in order of issue, the pages fit together; `paid` and `credited` are as of when a
row was written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from sqlalchemy.engine import Connection

from app.documents import document_tables, focus
from app.documents.focus import FocusNames
from app.documents.tables import Row, Sheet, csv_chunks, gzip_chunks
from app.domain.exports import ExportFilter, period_fits
from app.domain.tenants import Resource
from app.operations.export_filters import xlsx_chunks
from app.storage import catalog_store, export_store, tenant_store
from app.storage.database import Database
from app.storage.export_store import Place
from app.storage.invoice_store import StoredInvoice

Table = Literal["documents", "lines", "focus"]
Format = Literal["csv", "csv.gz", "xlsx"]
FORMATS: dict[Table, tuple[Format, ...]] = {
    "documents": ("csv", "xlsx"), "lines": ("csv", "xlsx"), "focus": ("csv", "csv.gz"),
}  # fmt: skip

_PAGE = 200

Progress = Callable[[int], None]
"""Told how many documents were read since the last time."""


@dataclass(frozen=True, slots=True)
class _Made:
    columns: tuple[str, ...]
    rows: Iterator[Row]


def export_documents(
    database: Database, table: Table, format: Format, wanted: ExportFilter, *,
    service_category: str = "Other", progress: Progress = lambda _documents: None,
) -> Iterator[bytes]:  # fmt: skip
    """The chunks of the file. The first is ready once the first page is read, in a workbook once all of it is made."""
    pages = _pages(database, wanted, progress)
    made = _made(database, table, pages, service_category)
    if format == "xlsx":
        return xlsx_chunks([Sheet(table.capitalize(), made.columns, made.rows)])
    chunks = csv_chunks(made.columns, made.rows)
    return gzip_chunks(chunks) if format == "csv.gz" else chunks


def count_documents(database: Database, wanted: ExportFilter) -> int:
    """How many documents an export will read, about."""
    return database.read(lambda connection: export_store.count_issued(connection, wanted))


def _made(database: Database, table: Table, pages: Iterator[list[StoredInvoice]], service_category: str) -> _Made:
    if table == "documents":
        rows = (document_tables.document_row(stored.invoice) for page in pages for stored in page)
        return _Made(document_tables.DOCUMENT_COLUMNS, rows)
    if table == "lines":
        rows = (row for page in pages for stored in page for row in document_tables.line_rows(stored.invoice))
        return _Made(document_tables.LINE_COLUMNS, rows)
    return _Made(focus.COLUMNS, _focus_rows(database, pages, service_category))


def _pages(database: Database, wanted: ExportFilter, progress: Progress) -> Iterator[list[StoredInvoice]]:
    after: Place | None = None
    while True:
        place = after

        def read(connection: Connection, place: Place | None = place) -> list[StoredInvoice]:
            return export_store.issued_page(connection, wanted, after=place, limit=_PAGE)

        page = database.read(read)
        yield [item for item in page if period_fits(item.invoice.period, item.invoice.time_zone, wanted)]
        progress(len(page))
        if len(page) < _PAGE:
            return
        after = export_store.place_of(page[-1])


def _focus_rows(database: Database, pages: Iterator[list[StoredInvoice]], service_category: str) -> Iterator[Row]:
    plans: dict[str, str] = {}
    resources: dict[str, Resource] = {}
    names = FocusNames(plans, resources, service_category)
    for page in pages:
        documents = [stored.invoice for stored in page]
        new_plans = {key for invoice in documents for key in focus.plans_of(invoice)} - plans.keys()
        wanted = {key for invoice in documents for key in focus.resources_of(invoice)}

        def read(
            connection: Connection, new_plans: set[str] = new_plans, wanted: set[str] = wanted
        ) -> tuple[dict[str, str], dict[str, Resource]]:
            found = {key: plan.name for key in sorted(new_plans) if (plan := catalog_store.find_plan(connection, key))}
            named = (tenant_store.find_resource(connection, key) for key in sorted(wanted))
            return found, {resource.key: resource for resource in named if resource is not None}

        if new_plans or wanted:
            found, known = database.read(read)
            plans |= dict.fromkeys(new_plans, "") | found
            resources.clear()
            resources |= known
        for invoice in documents:
            yield from focus.focus_rows(invoice, names)
