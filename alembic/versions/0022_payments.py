"""Payments and the ledger of what they pay"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.storage.types import ByteText, Digest, ExactDecimal, Id, Instant

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("credit_accounts", sa.Column("payment_entries", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_table(
        "payments",
        sa.Column("tenant_id", Id(), nullable=False), sa.Column("payment_id", Id(), nullable=False),
        sa.Column("seller_id", Id(), nullable=False), sa.Column("amount", ExactDecimal(), nullable=False),
        sa.Column("left", ExactDecimal(), nullable=False), sa.Column("open", sa.Boolean(), nullable=False),
        sa.Column("currency", ByteText(), nullable=False), sa.Column("paid_on", sa.Date(), nullable=False),
        sa.Column("method", ByteText(), nullable=False), sa.Column("reference", ByteText(), nullable=False),
        sa.Column("external_reference", ByteText(), nullable=False), sa.Column("note", ByteText(), nullable=False),
        sa.Column("source", ByteText(), nullable=False), sa.Column("digest", Digest(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "payment_id", name=op.f("pk_payments")),
        info={"kind": "distributed"},
    )  # fmt: skip
    for columns in (["tenant_id", "open"], ["tenant_id", "external_reference"], ["created_at", "payment_id"]):
        op.create_index(op.f(f"ix_payments_{'_'.join(columns)}"), "payments", columns)
    op.create_table(
        "payment_entries",
        sa.Column("tenant_id", Id(), nullable=False), sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("payment_id", Id(), nullable=False), sa.Column("kind", ByteText(), nullable=False),
        sa.Column("amount", ExactDecimal(), nullable=False), sa.Column("booked_on", sa.Date(), nullable=False),
        sa.Column("invoice_id", Id(), nullable=True), sa.Column("document_id", Id(), nullable=True),
        sa.Column("cause_id", Id(), nullable=True), sa.Column("tax", ByteText(), nullable=False),
        sa.Column("reason", ByteText(), nullable=False), sa.Column("note", ByteText(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "sequence", name=op.f("pk_payment_entries")),
        info={"kind": "distributed"},
    )  # fmt: skip
    for columns in (
        ["tenant_id", "payment_id", "sequence"], ["tenant_id", "invoice_id"], ["tenant_id", "document_id"],
    ):  # fmt: skip
        op.create_index(op.f(f"ix_payment_entries_{'_'.join(columns)}"), "payment_entries", columns)


def downgrade() -> None:
    op.drop_table("payment_entries")
    op.drop_table("payments")
    with op.batch_alter_table("credit_accounts") as batch:
        batch.drop_column("payment_entries")
