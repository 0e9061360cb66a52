"""Patterns of numbers, and how far each stem of a seller's numbers has counted"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.storage.types import ByteText, Id

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tenants", sa.Column("numbering", ByteText(), nullable=False, server_default=""))
    stems = op.create_table(
        "number_stems",
        sa.Column("tenant_id", Id(), nullable=False),
        sa.Column("stem", ByteText(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "stem", name=op.f("pk_number_stems")),
        info={"kind": "distributed"},
    )
    invoices = sa.table("invoices", sa.column("seller_id", Id()), sa.column("status"), sa.column("number"))
    connection = op.get_bind()
    counted: dict[tuple[object, str], int] = {}
    issued = sa.select(invoices.c.seller_id, invoices.c.number).where(invoices.c.status == "issued")
    for row in connection.execute(issued):
        year, _, sequence = row.number.rpartition("-")
        key = (row.seller_id, f"{year}-")
        counted[key] = max(counted.get(key, 0), int(sequence))
    rows = [{"tenant_id": key[0], "stem": key[1], "sequence": number} for key, number in counted.items()]
    if rows:
        op.bulk_insert(stems, rows)


def downgrade() -> None:
    op.drop_table("number_stems")
    op.drop_column("tenants", "numbering")
