"""Foreign keys of coupons, in a step of their own: a cluster distributes the tables before it"""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

FOREIGN_KEYS: tuple[tuple[str, str, str, list[str], list[str]], ...] = (
    ("fk_applied_coupons_tenant_id", "applied_coupons", "tenants", ["tenant_id"], ["tenant_id"]),
    (
        "fk_coupon_uses_tenant_id_application_id",
        "coupon_uses",
        "applied_coupons",
        ["tenant_id", "application_id"],
        ["tenant_id", "application_id"],
    ),
    (
        "fk_coupon_uses_tenant_id_invoice_id",
        "coupon_uses",
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
