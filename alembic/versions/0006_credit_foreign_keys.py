"""Foreign keys of credit, in a step of their own: a cluster distributes the tables before it"""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

FOREIGN_KEYS: tuple[tuple[str, str, str, list[str], list[str]], ...] = (
    ("fk_credit_accounts_tenant_id", "credit_accounts", "tenants", ["tenant_id"], ["tenant_id"]),
    ("fk_credit_grants_tenant_id", "credit_grants", "tenants", ["tenant_id"], ["tenant_id"]),
    (
        "fk_credit_entries_tenant_id_grant_id",
        "credit_entries",
        "credit_grants",
        ["tenant_id", "grant_id"],
        ["tenant_id", "grant_id"],
    ),
    (
        "fk_credit_entries_tenant_id_document_id",
        "credit_entries",
        "invoices",
        ["tenant_id", "document_id"],
        ["tenant_id", "invoice_id"],
    ),
    (
        "fk_credit_entries_tenant_id_invoice_id",
        "credit_entries",
        "invoices",
        ["tenant_id", "invoice_id"],
        ["tenant_id", "invoice_id"],
    ),
)


def upgrade() -> None:
    for name, table, target, columns, target_columns in FOREIGN_KEYS:
        with op.batch_alter_table(table) as batch:
            batch.create_foreign_key(name, target, columns, target_columns)


def downgrade() -> None:
    for name, table, _target, _columns, _target_columns in reversed(FOREIGN_KEYS):
        with op.batch_alter_table(table) as batch:
            batch.drop_constraint(name, type_="foreignkey")
