"""Which issued documents were handed to which place."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.storage.invoice_store import Place
from app.storage.tables import invoice_handovers, invoices
from app.storage.upserts import insert_missing


def waiting(
    connection: Connection, *, target: str, after: tuple[UUID, UUID] | None, limit: int
) -> list[tuple[UUID, UUID]]:
    """A page of (invoice, tenant) of the issued documents that the target has not got, in order of their making."""
    handed = sa.exists().where(
        invoice_handovers.c.tenant_id == invoices.c.tenant_id,
        invoice_handovers.c.invoice_id == invoices.c.invoice_id, invoice_handovers.c.target == target,
    )  # fmt: skip
    query = sa.select(invoices.c.invoice_id, invoices.c.tenant_id).where(invoices.c.status == "issued", ~handed)
    if after is not None:
        invoice_id, tenant_id = after
        query = query.where(
            sa.or_(
                invoices.c.invoice_id > invoice_id,
                sa.and_(invoices.c.invoice_id == invoice_id, invoices.c.tenant_id > tenant_id),
            )
        )
    query = query.order_by(invoices.c.invoice_id, invoices.c.tenant_id).limit(limit)
    return [(row.invoice_id, row.tenant_id) for row in connection.execute(query)]


def mark(connection: Connection, place: Place, target: str, now: datetime) -> None:
    """Notes that the target has got the document; a second note changes nothing."""
    row = {"tenant_id": place.tenant_id, "invoice_id": place.invoice_id, "target": target, "handed_at": now}
    insert_missing(connection, invoice_handovers, [row])
