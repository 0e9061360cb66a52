"""A billing run lists the late use that it did not bill, by the word of the subscription"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.storage.types import ByteText

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("billing_runs", sa.Column("unbilled", ByteText, nullable=False, server_default="[]"))


def downgrade() -> None:
    with op.batch_alter_table("billing_runs") as batch:
        batch.drop_column("unbilled")
