"""A document's files: PDF, CSV and the two forms of an e-invoice, kept as they were handed out first."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from sqlalchemy.engine import Connection

from app.documents.factur_x import embed, is_archivable
from app.documents.invoice_cii import write_cii
from app.documents.invoice_csv import render_csv
from app.documents.invoice_pdf import render_pdf
from app.documents.invoice_ubl import write_ubl
from app.documents.make_e_invoice import e_invoice_of
from app.documents.wording import language_of
from app.domain.errors import AmountsDisagree, NoEInvoice
from app.storage import invoice_store, tenant_store
from app.storage.database import Database
from app.storage.invoice_store import StoredInvoice

CONTENT_TYPES = {
    "pdf": "application/pdf", "csv": "text/csv; charset=utf-8", "xml": "application/xml",
    "ubl.xml": "application/xml",
}  # fmt: skip
"""What files there are of a document, by the end of their name."""


def render_document(database: Database, stored: StoredInvoice, format: str) -> bytes:
    """The document in one of CONTENT_TYPES. An issued one is rendered once, after its issue, and the same bytes ever
    after. Raises NoEInvoice for .xml and .ubl.xml where the document lacks something for one,
    and AmountsDisagree."""
    if format == "pdf":
        return _kept(database, stored, format, lambda: _pdf(database, stored))
    render = {
        "csv": lambda: render_csv(stored.invoice),
        "xml": lambda: write_cii(e_invoice_of(stored.invoice)),
        "ubl.xml": lambda: write_ubl(e_invoice_of(stored.invoice)),
    }[format]
    return _kept(database, stored, format, render)


def _pdf(database: Database, stored: StoredInvoice) -> bytes:
    """The PDF; with the e-invoice inside, byte for byte the one that .xml answers, where there can be one."""
    name = stored.invoice.seller.logo
    logo = None if name is None else database.read(partial(tenant_store.find_logo, name=name))
    plain = render_pdf(stored.invoice, logo=logo)
    if not is_archivable(plain):  # a text that PDF/A refuses
        return plain
    try:
        document = e_invoice_of(stored.invoice)
    except (NoEInvoice, AmountsDisagree):
        return plain
    return embed(plain, render_document(database, stored, "xml"), document, language_of(stored.invoice.language))


def _kept(database: Database, stored: StoredInvoice, format: str, render: Callable[[], bytes]) -> bytes:
    if stored.invoice.status != "issued":
        return render()
    kept = database.read(lambda connection: invoice_store.find_file(connection, stored.place, format))
    if kept is not None:
        return kept
    content = render()

    def work(connection: Connection) -> bytes:
        invoice_store.keep_file(connection, stored.place, format, content)
        return invoice_store.find_file(connection, stored.place, format) or content

    return database.write(work)
