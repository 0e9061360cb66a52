"""The foreign key of deliveries, in a step of its own: a cluster distributes the tables before it"""

from __future__ import annotations

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

NAME = "fk_outbox_deliveries_tenant_id_message_id"


def upgrade() -> None:
    with op.batch_alter_table("outbox_deliveries") as batch:
        batch.create_foreign_key(NAME, "outbox", ["tenant_id", "message_id"], ["tenant_id", "message_id"])


def downgrade() -> None:
    with op.batch_alter_table("outbox_deliveries") as batch:
        batch.drop_constraint(NAME, type_="foreignkey")
