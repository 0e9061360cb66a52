"""What a person wrote on a document"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.storage.types import ByteText

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("invoices", sa.Column("remarks", ByteText(), server_default="", nullable=False))


def downgrade() -> None:
    op.drop_column("invoices", "remarks")  # not by a table made anew: others refer to this one's rows
