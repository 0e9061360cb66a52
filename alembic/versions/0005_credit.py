"""Credit grants with their ledger, and what of them lowers the net of a document"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.storage.types import ByteText, ExactDecimal, Id, Instant

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "credit_accounts",
        sa.Column("tenant_id", Id(), nullable=False),
        sa.Column("entries", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_credit_accounts")),
        info={"kind": "distributed"},
    )
    op.create_table(
        "credit_grants",
        sa.Column("tenant_id", Id(), nullable=False),
        sa.Column("grant_id", Id(), nullable=False),
        sa.Column("kind", ByteText(), nullable=False),
        sa.Column("currency", ByteText(), nullable=False),
        sa.Column("meter", ByteText(), nullable=False),
        sa.Column("charge", ByteText(), nullable=False),
        sa.Column("amount", ExactDecimal(), nullable=False),
        sa.Column("left", ExactDecimal(), nullable=False),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("effective_at", Instant(), nullable=True),
        sa.Column("expires_at", Instant(), nullable=True),
        sa.Column("description", ByteText(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("voided_at", Instant(), nullable=True),
        sa.Column("void_reason", ByteText(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "grant_id", name=op.f("pk_credit_grants")),
        info={"kind": "distributed"},
    )
    op.create_index(op.f("ix_credit_grants_tenant_id_open_kind"), "credit_grants", ["tenant_id", "open", "kind"])
    op.create_table(
        "credit_entries",
        sa.Column("tenant_id", Id(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("grant_id", Id(), nullable=False),
        sa.Column("kind", ByteText(), nullable=False),
        sa.Column("amount", ExactDecimal(), nullable=False),
        sa.Column("document_id", Id(), nullable=True),
        sa.Column("invoice_id", Id(), nullable=True),
        sa.Column("line", ByteText(), server_default="", nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "sequence", name=op.f("pk_credit_entries")),
        info={"kind": "distributed"},
    )
    for columns in (["tenant_id", "grant_id", "sequence"], ["tenant_id", "invoice_id"], ["tenant_id", "document_id"]):
        op.create_index(op.f(f"ix_credit_entries_{'_'.join(columns)}"), "credit_entries", columns)
    op.add_column("invoices", sa.Column("allowances", ByteText(), server_default="", nullable=False))


def downgrade() -> None:
    op.drop_column("invoices", "allowances")
    for table in ("credit_entries", "credit_grants", "credit_accounts"):
        op.drop_table(table)
