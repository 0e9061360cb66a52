"""What people did to drafts, how drafts become documents, and what runs withheld"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.storage.types import ByteText, Id, Instant

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "draft_edits",
        sa.Column("tenant_id", Id(), nullable=False),
        sa.Column("invoice_id", Id(), nullable=False),
        sa.Column("edits", ByteText(), nullable=False),
        sa.Column("approved", ByteText(), server_default="", nullable=False),
        sa.Column("approved_at", Instant(), nullable=True),
        sa.Column("made_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "invoice_id", name=op.f("pk_draft_edits")),
        info={"kind": "distributed"},
    )
    op.add_column("tenants", sa.Column("drafts", ByteText(), server_default="", nullable=False))
    op.add_column("billing_runs", sa.Column("withheld", ByteText(), server_default="[]", nullable=False))


def downgrade() -> None:
    # No copy of the table: others refer to it.
    op.drop_column("billing_runs", "withheld")
    op.drop_column("tenants", "drafts")
    op.drop_table("draft_edits")
