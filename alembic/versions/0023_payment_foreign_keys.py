"""Foreign keys of payments, in a step of their own: a cluster distributes the tables before it"""

from __future__ import annotations

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

_TENANT = ("payments", "tenants", ["tenant_id"], ["tenant_id"])
FOREIGN_KEYS = (
    ("fk_payments_tenant_id", *_TENANT),
    *(
        (f"fk_payment_entries_tenant_id_{column}", "payment_entries", target, ["tenant_id", column],
         ["tenant_id", own])
        for column, target, own in (
            ("payment_id", "payments", "payment_id"), ("invoice_id", "invoices", "invoice_id"),
            ("document_id", "invoices", "invoice_id"),
        )
    ),
)  # fmt: skip


def upgrade() -> None:
    for name, table, target, columns, target_columns in FOREIGN_KEYS:
        with op.batch_alter_table(table) as batch:
            batch.create_foreign_key(name, target, columns, target_columns)


def downgrade() -> None:
    for name, table, _target, _columns, _target_columns in reversed(FOREIGN_KEYS):
        with op.batch_alter_table(table) as batch:
            batch.drop_constraint(name, type_="foreignkey")
