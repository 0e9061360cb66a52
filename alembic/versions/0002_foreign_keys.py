"""Foreign keys, in a step of their own: a cluster distributes the tables before it"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

FOREIGN_KEYS: tuple[tuple[str, str, str, list[str], list[str]], ...] = (
    ("fk_invoices_tenant_id", "invoices", "tenants", ["tenant_id"], ["tenant_id"]),
    ("fk_meter_revisions_key", "meter_revisions", "meters", ["key"], ["key"]),
    ("fk_plan_versions_plan", "plan_versions", "plans", ["plan"], ["key"]),
    ("fk_resources_owner_id", "resources", "tenants", ["owner_id"], ["tenant_id"]),
    ("fk_subscriptions_tenant_id", "subscriptions", "tenants", ["tenant_id"], ["tenant_id"]),
    (
        "fk_billing_instants_tenant_id_subscription_id",
        "billing_instants",
        "subscriptions",
        ["tenant_id", "subscription_id"],
        ["tenant_id", "subscription_id"],
    ),
    (
        "fk_invoice_files_tenant_id_invoice_id",
        "invoice_files",
        "invoices",
        ["tenant_id", "invoice_id"],
        ["tenant_id", "invoice_id"],
    ),
    (
        "fk_invoice_lines_tenant_id_invoice_id",
        "invoice_lines",
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
