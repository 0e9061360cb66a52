"""What platforms say of documents, and which documents were handed over as files"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.storage.types import ByteText, Id, Instant

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "invoice_statuses",
        sa.Column("tenant_id", Id(), nullable=False),
        sa.Column("invoice_id", Id(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("code", ByteText(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("received_at", Instant(), nullable=False),
        sa.Column("platform", ByteText(), nullable=False),
        sa.Column("reason", ByteText(), nullable=False),
        sa.Column("reason_code", ByteText(), nullable=False),
        sa.Column("message", ByteText(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "invoice_id", "sequence", name=op.f("pk_invoice_statuses")),
        info={"kind": "distributed"},
    )
    op.create_table(
        "invoice_handovers",
        sa.Column("tenant_id", Id(), nullable=False),
        sa.Column("invoice_id", Id(), nullable=False),
        sa.Column("target", ByteText(), nullable=False),
        sa.Column("handed_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "invoice_id", "target", name=op.f("pk_invoice_handovers")),
        info={"kind": "distributed"},
    )


def downgrade() -> None:
    for table in ("invoice_handovers", "invoice_statuses"):
        op.drop_table(table)
