"""The issued documents of a series as files that prove themselves, in order of issue."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from uuid import UUID

from sqlalchemy.engine import Connection

from app.domain.errors import Conflict
from app.domain.numbering import MAIN_SERIES
from app.domain.sealed_documents import seal
from app.storage import invoice_store
from app.storage.database import Database
from app.storage.invoice_store import StoredInvoice

_PAGE = 200


def sealed(stored: StoredInvoice) -> bytes:
    """The file of one document. Raises Conflict for a draft."""
    if stored.sequence is None:
        raise Conflict("A draft may still change: there is nothing yet that could be proved.")
    return seal(stored.invoice, stored.sequence)


def export_series(
    database: Database, seller_id: UUID, *, series: str = MAIN_SERIES, after: int = 0
) -> Iterator[bytes]:  # fmt: skip
    """One line a document, those past the position `after`. Read page by page: what is issued meanwhile may come."""
    while True:
        page = database.read(partial(_page, seller_id=seller_id, series=series, after=after))
        yield from map(sealed, page)
        if len(page) < _PAGE:
            return
        after = page[-1].sequence or 0


def _page(connection: Connection, *, seller_id: UUID, series: str, after: int) -> list[StoredInvoice]:
    return invoice_store.in_series(connection, seller_id, after=after, limit=_PAGE, series=series)
