"""Hand issued documents to a place outside, as files, each once.

A document is noted as handed over when all its files are there. Should the process die in between, they are written
again under the same names and with the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

from app.domain.errors import AmountsDisagree, NoEInvoice
from app.operations.render_document import render_document
from app.storage import handover_store, invoice_store
from app.storage.database import Database
from app.storage.invoice_store import StoredInvoice

_PAGE = 100
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")

Write = Callable[[str, bytes], None]
"""Puts a file of a name, whole or not at all."""


@dataclass(frozen=True, slots=True)
class HandedOver:
    """A document that is there now, and the names of its files."""

    number: str
    files: tuple[str, ...]


def hand_over(
    database: Database, *, target: str, formats: Sequence[str], write: Write, now: Callable[[], datetime]
) -> Iterator[HandedOver]:
    """Each issued document that the target has not got, once its files are there. An e-invoice that a document cannot
    be is left out; its other files go."""
    after: tuple[UUID, UUID] | None = None
    while True:
        page = database.read(partial(handover_store.waiting, target=target, after=after, limit=_PAGE))
        for invoice_id, tenant_id in page:
            stored = database.read(partial(invoice_store.find, tenant_id=tenant_id, invoice_id=invoice_id))
            assert stored is not None, "an issued document is never deleted"
            yield _hand_over(database, stored, target, formats, write, now)
        if len(page) < _PAGE:
            return
        after = page[-1]


def _hand_over(
    database: Database, stored: StoredInvoice, target: str, formats: Sequence[str], write: Write,
    now: Callable[[], datetime],
) -> HandedOver:  # fmt: skip
    names = []
    for format in formats:
        try:
            content = render_document(database, stored, format)
        except (NoEInvoice, AmountsDisagree):
            continue
        names.append(file_name(stored, format))
        write(names[-1], content)
    database.write(lambda connection: handover_store.mark(connection, stored.place, target, now()))
    return HandedOver(stored.invoice.number, tuple(names))


def file_name(stored: StoredInvoice, format: str) -> str:
    """The seller's key and the number, which together are no other document's: `garage_2026-000042.pdf`."""
    parts = (_NOT_IN_NAMES.sub("-", text) for text in (stored.invoice.seller.key, stored.invoice.number))
    return f"{'_'.join(parts)}.{format}"
