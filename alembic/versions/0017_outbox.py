"""Endpoints of webhooks, what is announced, and its deliveries"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.storage.types import ByteText, Id, Instant

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_IS_PENDING = sa.text("status = 'pending'")


def upgrade() -> None:
    op.create_table(
        "webhook_endpoints",
        sa.Column("key", ByteText(), nullable=False),
        sa.Column("endpoint_id", Id(), nullable=False),
        *(sa.Column(name, ByteText(), nullable=False) for name in ("url", "events")),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("description", ByteText(), server_default="", nullable=False),
        sa.Column("tenant_id", Id(), nullable=True),
        sa.Column("secret", ByteText(), nullable=False),
        sa.Column("previous_secret", ByteText(), server_default="", nullable=False),
        sa.Column("previous_until", Instant(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("disabled_at", Instant(), nullable=True),
        sa.Column("disabled_reason", ByteText(), server_default="", nullable=False),
        sa.Column("failing_since", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_webhook_endpoints")),
        info={"kind": "reference"},
    )
    op.create_table(
        "outbox",
        sa.Column("tenant_id", Id(), nullable=False),
        sa.Column("message_id", Id(), nullable=False),
        sa.Column("seller_id", Id(), nullable=True),
        sa.Column("type", ByteText(), nullable=False),
        sa.Column("payload", ByteText(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "message_id", name=op.f("pk_outbox")),
        info={"kind": "distributed"},
    )
    op.create_index(op.f("ix_outbox_created_at"), "outbox", ["created_at"])
    op.create_table(
        "outbox_deliveries",
        *(sa.Column(name, Id(), nullable=False) for name in ("tenant_id", "delivery_id", "message_id")),
        sa.Column("channel", ByteText(), nullable=False),
        sa.Column("endpoint_id", Id(), nullable=False),
        sa.Column("recipient", ByteText(), server_default="", nullable=False),
        sa.Column("status", ByteText(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        *(sa.Column(name, Instant(), nullable=False) for name in ("due_at", "since_at")),
        sa.Column("leased_by", ByteText(), server_default="", nullable=False),
        sa.Column("log", ByteText(), server_default="[]", nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("tenant_id", "delivery_id", name=op.f("pk_outbox_deliveries")),
        sa.UniqueConstraint(
            "tenant_id", "message_id", "endpoint_id", "recipient",
            name=op.f("uq_outbox_deliveries_tenant_id_message_id_endpoint_id_recipient"),
        ),
        info={"kind": "distributed"},
    )  # fmt: skip
    op.create_index(
        op.f("ix_outbox_deliveries_due_at"), "outbox_deliveries", ["due_at"], sqlite_where=_IS_PENDING,
        postgresql_where=_IS_PENDING,
    )  # fmt: skip
    op.create_index(
        op.f("ix_outbox_deliveries_endpoint_id_delivery_id"), "outbox_deliveries", ["endpoint_id", "delivery_id"]
    )


def downgrade() -> None:
    for table in ("outbox_deliveries", "outbox", "webhook_endpoints"):
        op.drop_table(table)
