"""The foreign key of the changes of plan, in a step of its own: a cluster distributes the table before it"""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_NAME = "fk_subscription_changes_tenant_id_subscription_id"


def upgrade() -> None:
    columns = ["tenant_id", "subscription_id"]
    with op.batch_alter_table("subscription_changes") as batch:
        batch.create_foreign_key(_NAME, "subscriptions", columns, columns)


def downgrade() -> None:
    with op.batch_alter_table("subscription_changes") as batch:
        batch.drop_constraint(_NAME, type_="foreignkey")
