"""Exports read issued documents in order of issue from an index"""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_ORDER = ("issued_at", "sequence", "invoice_id")
_INDEXES = (_ORDER, ("seller_id", *_ORDER), ("tenant_id", *_ORDER))


def upgrade() -> None:
    for names in _INDEXES:
        op.create_index(op.f(f"ix_invoices_{'_'.join(names)}"), "invoices", list(names))


def downgrade() -> None:
    for names in _INDEXES:
        op.drop_index(op.f(f"ix_invoices_{'_'.join(names)}"), "invoices")
