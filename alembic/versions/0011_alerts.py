"""Alerts, who is to be looked at, and each crossing of a threshold once"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.storage.types import ByteText, ExactDecimal, Id, Instant

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "alerts",
        sa.Column("key", ByteText(), nullable=False),
        sa.Column("alert_id", Id(), nullable=False),
        sa.Column("tenant_id", Id(), nullable=True),
        sa.Column("plan", ByteText(), server_default="", nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("definition", ByteText(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_alerts")),
        info={"kind": "reference"},
    )
    op.create_table(
        "alert_marks",
        sa.Column("tenant_id", Id(), nullable=False),
        sa.Column("mark_id", Id(), nullable=False),
        sa.Column("marked_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_alert_marks")),
        info={"kind": "distributed"},
    )
    texts = ("alert", "measure", "meter", "charge", "percent_of")
    op.create_table(
        "alert_events",
        sa.Column("tenant_id", Id(), nullable=False),
        sa.Column("alert_id", Id(), nullable=False),
        sa.Column("subscription", ByteText(), nullable=False),
        sa.Column("threshold", ByteText(), nullable=False),
        sa.Column("round", Instant(), nullable=False),
        sa.Column("event_id", Id(), nullable=False),
        *(sa.Column(name, ByteText(), nullable=False) for name in texts),
        sa.Column("figure", ExactDecimal(), nullable=False),
        sa.Column("base", ExactDecimal(), nullable=True),
        sa.Column("unit", ByteText(), nullable=False),
        *(sa.Column(name, Instant(), nullable=False) for name in ("period_start", "period_end", "noticed_at")),
        sa.Column("receded_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint(
            "tenant_id", "alert_id", "subscription", "threshold", "round", name=op.f("pk_alert_events")
        ),
        info={"kind": "distributed"},
    )
    op.create_index(op.f("ix_alert_events_event_id"), "alert_events", ["event_id"])
    op.create_table(
        "alert_watch",
        sa.Column("name", ByteText(), nullable=False),
        sa.Column("leased_by", ByteText(), nullable=False),
        sa.Column("leased_until", Instant(), nullable=False),
        sa.Column("swept_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_alert_watch")),
        info={"kind": "local"},
    )


def downgrade() -> None:
    for table in ("alert_watch", "alert_events", "alert_marks", "alerts"):
        op.drop_table(table)
