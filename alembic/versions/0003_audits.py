"""What each audit found, in figures: monitoring asks for the last one"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.storage.types import Id, Instant

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audits",
        sa.Column("audit_id", Id(), nullable=False),
        sa.Column("started_at", Instant(), nullable=False),
        sa.Column("finished_at", Instant(), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.Column("buckets", sa.BigInteger(), nullable=False),
        sa.Column("lines", sa.BigInteger(), nullable=False),
        sa.Column("documents", sa.BigInteger(), nullable=False),
        sa.Column("differences", sa.BigInteger(), nullable=False),
        sa.Column("unpriced", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("audit_id", name=op.f("pk_audits")),
        info={"kind": "local"},
    )
    op.create_index(op.f("ix_audits_finished_at"), "audits", ["finished_at"])


def downgrade() -> None:
    op.drop_table("audits")
