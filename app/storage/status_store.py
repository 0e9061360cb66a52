"""What platforms said of documents: a log of each that only grows."""

from __future__ import annotations

from dataclasses import replace

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from app.domain.platform_statuses import PlatformStatus
from app.storage.invoice_store import Place
from app.storage.tables import invoice_statuses, invoices


def lock_document(connection: Connection, place: Place) -> None:
    """The document's row, locked until the transaction ends: its log grows by one at a time."""
    query = sa.select(invoices.c.invoice_id).where(
        invoices.c.tenant_id == place.tenant_id, invoices.c.invoice_id == place.invoice_id
    )
    connection.execute(query.with_for_update()).one()


def find_message(connection: Connection, place: Place, *, platform: str, external_id: str) -> PlatformStatus | None:
    """What the platform said in this message."""
    query = _of(place).where(invoice_statuses.c.platform == platform, invoice_statuses.c.message == external_id)
    row = connection.execute(query.order_by(invoice_statuses.c.sequence)).mappings().first()
    return None if row is None else _status(row)


def add(connection: Connection, place: Place, status: PlatformStatus) -> PlatformStatus:
    """The status at the end of the document's log, whose row the caller has locked."""
    last = sa.select(sa.func.max(invoice_statuses.c.sequence)).where(
        invoice_statuses.c.tenant_id == place.tenant_id, invoice_statuses.c.invoice_id == place.invoice_id
    )
    kept = replace(status, sequence=(connection.execute(last).scalar() or 0) + 1)
    connection.execute(
        invoice_statuses.insert().values(
            tenant_id=place.tenant_id, invoice_id=place.invoice_id, sequence=kept.sequence, code=kept.code, at=kept.at,
            received_at=kept.received_at, platform=kept.platform, reason=kept.reason, reason_code=kept.reason_code,
            message=kept.external_id,
        )
    )  # fmt: skip
    return kept


def listing(connection: Connection, place: Place, *, after: int, limit: int) -> list[PlatformStatus]:
    """A page of the document's log, in the order in which it grew."""
    query = _of(place).where(invoice_statuses.c.sequence > after).order_by(invoice_statuses.c.sequence).limit(limit)
    return [_status(row) for row in connection.execute(query).mappings()]


def _of(place: Place) -> sa.Select[tuple[object, ...]]:
    return sa.select(invoice_statuses).where(
        invoice_statuses.c.tenant_id == place.tenant_id, invoice_statuses.c.invoice_id == place.invoice_id
    )


def _status(row: RowMapping) -> PlatformStatus:
    return PlatformStatus(
        row["sequence"], row["code"], row["at"], row["received_at"], row["platform"], row["reason"],
        row["reason_code"], row["message"],
    )  # fmt: skip
