"""Which document came first of those that a buyer was issued, also where they are in several series"""

from __future__ import annotations

from itertools import groupby
from typing import Any

import sqlalchemy as sa
from alembic import op

from app.storage.types import ByteText, Id, Instant

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def _in_order(rows: list[Any]) -> list[Any]:
    """Each series in its own order, one beside the other by the instant of issue. Of one instant a credit note follows
    its invoice, and the invoice in place of a cancelled one follows the note."""
    series: dict[tuple[Any, str], list[Any]] = {}
    for row in sorted(rows, key=lambda row: row.sequence):
        series.setdefault((row.seller_id, row.series), []).append(row)
    waiting, placed = {row.invoice_id for row in rows}, list[Any]()
    while waiting:
        heads = [each[0] for each in series.values() if each]
        ready = [row for row in heads if row.credits_id not in waiting] or heads
        following = min(ready, key=lambda row: (row.issued_at, row.credits_id is None))
        series[following.seller_id, following.series].pop(0)
        waiting.remove(following.invoice_id)
        placed.append(following)
    return placed


def upgrade() -> None:
    op.add_column("invoices", sa.Column("ordinal", sa.BigInteger(), nullable=True))
    invoices = sa.table(
        "invoices", sa.column("tenant_id", Id()), sa.column("invoice_id", Id()), sa.column("seller_id", Id()),
        sa.column("series", ByteText()), sa.column("sequence"), sa.column("issued_at", Instant()),
        sa.column("credits_id", Id()), sa.column("status", ByteText()), sa.column("ordinal"),
    )  # fmt: skip
    connection = op.get_bind()
    issued = sa.select(invoices).where(invoices.c.status == "issued").order_by(invoices.c.tenant_id)
    one = invoices.update().where(
        invoices.c.tenant_id == sa.bindparam("tenant"), invoices.c.invoice_id == sa.bindparam("invoice")
    )
    for tenant_id, found in groupby(connection.execute(issued).all(), key=lambda row: row.tenant_id):
        rows = _in_order(list(found))
        values = [
            {"tenant": tenant_id, "invoice": row.invoice_id, "number": number} for number, row in enumerate(rows, 1)
        ]
        connection.execute(one.values(ordinal=sa.bindparam("number")), values)
    op.create_index(op.f("ix_invoices_tenant_id_ordinal"), "invoices", ["tenant_id", "ordinal"])


def downgrade() -> None:
    op.drop_index(op.f("ix_invoices_tenant_id_ordinal"), "invoices")
    op.drop_column("invoices", "ordinal")
