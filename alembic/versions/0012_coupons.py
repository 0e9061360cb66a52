"""Coupons, to whom they were applied, and which invoices used them"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.storage.types import ByteText, Id, Instant

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "coupons",
        sa.Column("key", ByteText(), nullable=False),
        sa.Column("terms", ByteText(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_coupons")),
        info={"kind": "reference"},
    )
    op.create_table(
        "applied_coupons",
        sa.Column("tenant_id", Id(), nullable=False),
        sa.Column("application_id", Id(), nullable=False),
        sa.Column("subscription_id", Id(), nullable=False),
        sa.Column("coupon", ByteText(), nullable=False),
        sa.Column("terms", ByteText(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "application_id", name=op.f("pk_applied_coupons")),
        info={"kind": "distributed"},
    )
    op.create_index(
        op.f("ix_applied_coupons_tenant_id_subscription_id"), "applied_coupons", ["tenant_id", "subscription_id"]
    )
    op.create_table(
        "coupon_uses",
        sa.Column("tenant_id", Id(), nullable=False),
        sa.Column("application_id", Id(), nullable=False),
        sa.Column("invoice_id", Id(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "application_id", "invoice_id", name=op.f("pk_coupon_uses")),
        info={"kind": "distributed"},
    )


def downgrade() -> None:
    for table in ("coupon_uses", "applied_coupons", "coupons"):
        op.drop_table(table)
