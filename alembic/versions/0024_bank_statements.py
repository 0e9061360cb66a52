"""Bank statements and their entries"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.storage.types import ByteText, ExactDecimal, Id, Instant

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "bank_statements",
        sa.Column("tenant_id", Id(), nullable=False), sa.Column("statement_id", Id(), nullable=False),
        *(sa.Column(name, ByteText(), nullable=False) for name in ("format", "account", "names")),
        sa.Column("entries", sa.Integer(), nullable=False), sa.Column("pending", sa.Integer(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "statement_id", name=op.f("pk_bank_statements")),
        info={"kind": "distributed"},
    )  # fmt: skip
    op.create_table(
        "bank_entries",
        sa.Column("tenant_id", Id(), nullable=False), sa.Column("entry_id", Id(), nullable=False),
        sa.Column("statement_id", Id(), nullable=False), sa.Column("account", ByteText(), nullable=False),
        sa.Column("booked_on", sa.Date(), nullable=False), sa.Column("value_on", sa.Date(), nullable=True),
        sa.Column("amount", ExactDecimal(), nullable=False),
        *(
            sa.Column(name, ByteText(), nullable=False)
            for name in (
                "currency", "direction", "entry_reference", "transaction_reference", "end_to_end", "name",
                "counterparty_account", "references", "text",
            )
        ),
        sa.Column("is_returned", sa.Boolean(), nullable=False),
        sa.Column("return_reason", ByteText(), nullable=False), sa.Column("status", ByteText(), nullable=False),
        sa.Column("matched_by", ByteText(), nullable=False, server_default=""),
        sa.Column("payer_id", Id(), nullable=True), sa.Column("payment_id", Id(), nullable=True),
        sa.Column("cause_id", Id(), nullable=True),
        sa.Column("reason", ByteText(), nullable=False, server_default=""),
        sa.Column("created_at", Instant(), nullable=False), sa.Column("settled_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "entry_id", name=op.f("pk_bank_entries")),
        info={"kind": "distributed"},
    )  # fmt: skip
    for columns in (
        ["tenant_id", "status", "booked_on", "entry_id"], ["tenant_id", "end_to_end"], ["tenant_id", "payment_id"],
    ):  # fmt: skip
        op.create_index(op.f(f"ix_bank_entries_{'_'.join(columns)}"), "bank_entries", columns)


def downgrade() -> None:
    op.drop_table("bank_entries")
    op.drop_table("bank_statements")
