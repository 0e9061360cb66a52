"""A subscription may change its plan, begin with a trial, and say what becomes of late use"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.storage.types import ByteText, Id, Instant

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_OWN = ("trial_days", "trial_end", "trial_end_date", "late_policy", "late_horizon_days")


def upgrade() -> None:
    for column in (
        sa.Column("trial_days", sa.Integer(), nullable=True), sa.Column("trial_end", Instant(), nullable=True),
        sa.Column("trial_end_date", sa.Date(), nullable=True),
        sa.Column("late_policy", ByteText, nullable=False, server_default="bill"),
        sa.Column("late_horizon_days", sa.Integer(), nullable=True),
    ):  # fmt: skip
        op.add_column("subscriptions", column)
    op.create_table(
        "subscription_changes",
        sa.Column("tenant_id", Id(), nullable=False), sa.Column("subscription_id", Id(), nullable=False),
        sa.Column("at", Instant(), nullable=False), sa.Column("local_date", sa.Date(), nullable=False),
        sa.Column("plan", ByteText, nullable=False), sa.Column("anchor_date", sa.Date(), nullable=False),
        sa.Column("pinned_version", sa.Integer(), nullable=True), sa.Column("overrides", ByteText, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "subscription_id", "at", name=op.f("pk_subscription_changes")),
        info={"kind": "distributed"},
    )  # fmt: skip
    op.create_index(op.f("ix_subscription_changes_plan"), "subscription_changes", ["plan"])


def downgrade() -> None:
    op.drop_table("subscription_changes")
    with op.batch_alter_table("subscriptions") as batch:
        for name in reversed(_OWN):
            batch.drop_column(name)
