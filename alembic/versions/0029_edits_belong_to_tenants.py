"""The foreign key of edits of drafts, in a step of its own: a cluster distributes the table before it"""

from __future__ import annotations

from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("draft_edits") as batch:
        batch.create_foreign_key("fk_draft_edits_tenant_id", "tenants", ["tenant_id"], ["tenant_id"])


def downgrade() -> None:
    with op.batch_alter_table("draft_edits") as batch:
        batch.drop_constraint("fk_draft_edits_tenant_id", type_="foreignkey")
