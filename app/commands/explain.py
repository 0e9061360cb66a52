"""`quotepart explain`: why a line of an invoice or credit note has its amount."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from app.commands.terminal import AsJson, fail, opened, out, show
from app.documents.explanation import explanation_lines
from app.documents.wording import language_of
from app.domain.callers import Caller
from app.domain.explanations import Explanation
from app.operations.explain_line import explain_line
from app.operations.read_invoices import find_invoice, list_invoices
from app.settings import Settings
from app.storage.database import Database
from app.storage.invoice_store import InvoiceFilter, StoredInvoice
from app.wire.explanations import explanation_to_wire

commands = typer.Typer()


class _Window(StrEnum):
    day = "day"
    hour = "hour"


@commands.command()
def explain(
    document: Annotated[str, typer.Argument(help="the number of an issued document (2026-000042), or an id (inv_..)")],
    line: Annotated[str | None, typer.Argument(help="the id of a line, such as ln_2; without it, all lines")] = None,
    by: Annotated[_Window, typer.Option(help="show the use that was counted by local day or by hour")] = _Window.day,
    language: Annotated[str | None, typer.Option(help="en or fr; without it, the document's language")] = None,
    as_json: AsJson = False,
) -> None:
    """Say why a line has its amount: price, quantity, every step, the use behind it, and what a correction changed."""
    with opened(Settings.from_environment()) as database:
        stored = _find(database, document)
        lines = [item for item in stored.invoice.lines if line in (None, item.id)]
        if not lines:
            fail(f"{document} has no line {line}: it has {', '.join(item.id for item in stored.invoice.lines)}.")
        found = [explain_line(database, stored, item, window=by.value) for item in lines]
    spoken = language_of(language or stored.invoice.language)
    show(
        [explanation_to_wire(item, spoken) for item in found]
        if line is None
        else explanation_to_wire(found[0], spoken),
        as_json=as_json,
        otherwise=lambda: _print(found, spoken),
    )


def _find(database: Database, document: str) -> StoredInvoice:
    """The document of that id or number. Ends the command where there is none, or where several have the number."""
    if document.startswith("inv_"):
        return find_invoice(database, document, Caller(frozenset()))
    found = list_invoices(database, InvoiceFilter(number=document), after=None, limit=2)
    if not found:
        fail(f"There is no document with the number {document}.")
    if len(found) > 1:
        fail(f"Several sellers have a document {document}: name it by its id (inv_..).")
    return found[0]


def _print(found: list[Explanation], language: str) -> None:
    for number, item in enumerate(found):
        if number:
            out.print()
        for text in explanation_lines(item, language_of(language)):
            out.print(text, markup=False, highlight=False, soft_wrap=True)
