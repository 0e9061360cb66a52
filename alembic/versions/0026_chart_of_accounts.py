"""A chart of accounts, and ledgers read in the order of the books"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.storage.types import ByteText

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

_INDEX = "ix_credit_entries_created_at_tenant_id_sequence"


def upgrade() -> None:
    op.create_table(
        "charts_of_accounts",
        sa.Column("name", ByteText, nullable=False),
        sa.Column("definition", ByteText, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_charts_of_accounts")),
    )
    op.create_index(op.f(_INDEX), "credit_entries", ["created_at", "tenant_id", "sequence"])


def downgrade() -> None:
    op.drop_index(op.f(_INDEX), "credit_entries")
    op.drop_table("charts_of_accounts")
