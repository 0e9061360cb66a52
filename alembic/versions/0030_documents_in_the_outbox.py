"""Which document a message of the outbox sends"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.storage.types import Id

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("outbox") as batch:
        batch.add_column(sa.Column("document_id", Id(), nullable=True))
    op.create_index(op.f("ix_outbox_tenant_id_document_id"), "outbox", ["tenant_id", "document_id"])


def downgrade() -> None:
    op.drop_index(op.f("ix_outbox_tenant_id_document_id"), "outbox")
    with op.batch_alter_table("outbox") as batch:
        batch.drop_column("document_id")
