"""Simulations of plans, kept for a while"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.storage.types import ByteText, ExactDecimal, Id, Instant

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "simulations",
        sa.Column("simulation_id", Id(), nullable=False),
        sa.Column("request", ByteText(), nullable=False),
        sa.Column("tenant_key", ByteText(), server_default="", nullable=False),
        sa.Column("status", ByteText(), nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=False),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("totals", ByteText(), nullable=False),
        sa.Column("last", ByteText(), server_default="", nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("simulation_id", name=op.f("pk_simulations")),
        info={"kind": "local"},
    )
    op.create_index(op.f("ix_simulations_created_at"), "simulations", ["created_at"])
    op.create_table(
        "simulated_tenants",
        sa.Column("simulation_id", Id(), nullable=False),
        sa.Column("tenant", ByteText(), nullable=False),
        sa.Column("old", ExactDecimal(), nullable=False),
        sa.Column("new", ExactDecimal(), nullable=False),
        sa.Column("charges", ByteText(), nullable=False),
        sa.PrimaryKeyConstraint("simulation_id", "tenant", name=op.f("pk_simulated_tenants")),
        info={"kind": "local"},
    )


def downgrade() -> None:
    op.drop_table("simulated_tenants")
    op.drop_table("simulations")
