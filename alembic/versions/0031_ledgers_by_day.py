"""Payments, what they paid and what runs beyond a day are read in the order of the books"""

from __future__ import annotations

from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

_INDEXES = (
    ("payments", ("seller_id", "currency", "paid_on", "tenant_id", "payment_id")),
    ("payment_entries", ("booked_on", "tenant_id", "sequence")),
    ("invoice_lines", ("period_end", "tenant_id", "invoice_id", "position")),
)


def upgrade() -> None:
    for table, names in _INDEXES:
        op.create_index(op.f(f"ix_{table}_{'_'.join(names)}"), table, list(names))


def downgrade() -> None:
    for table, names in _INDEXES:
        op.drop_index(op.f(f"ix_{table}_{'_'.join(names)}"), table)
