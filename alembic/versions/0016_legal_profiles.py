"""What the law and buyers want on documents: legal profiles, references, purchase orders, logos"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.storage.types import ByteText, Digest

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_COLUMNS: dict[str, list[str]] = {
    "tenants": ["bill_to", "parent", "buying"],
    "subscriptions": ["references"],
    "invoices": ["purchase_order", "details"],
    "invoice_lines": ["details"],
}
_INDEXES = {"tenants": ["bill_to"], "invoices": ["tenant_id", "purchase_order"]}


def upgrade() -> None:
    op.create_table(
        "logos",
        sa.Column("digest", Digest(), nullable=False),
        sa.Column("media_type", ByteText(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_logos")),
        info={"kind": "reference"},
    )
    for table, names in _COLUMNS.items():
        for name in names:
            op.add_column(table, sa.Column(name, ByteText(), nullable=False, server_default=""))
    for table, names in _INDEXES.items():
        op.create_index(op.f(f"ix_{table}_{'_'.join(names)}"), table, names)


def downgrade() -> None:
    for table, names in _INDEXES.items():
        op.drop_index(op.f(f"ix_{table}_{'_'.join(names)}"), table)
    for table, names in _COLUMNS.items():
        for name in names:
            op.drop_column(table, name)
    op.drop_table("logos")
