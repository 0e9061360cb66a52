"""Foreign keys of bank statements, in a step of their own: a cluster distributes the tables before it"""

from __future__ import annotations

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

_STATEMENT = ["tenant_id", "statement_id"]
FOREIGN_KEYS = (
    ("fk_bank_statements_tenant_id", "bank_statements", "tenants", ["tenant_id"]),
    ("fk_bank_entries_tenant_id_statement_id", "bank_entries", "bank_statements", _STATEMENT),
)


def upgrade() -> None:
    for name, table, target, columns in FOREIGN_KEYS:
        with op.batch_alter_table(table) as batch:
            batch.create_foreign_key(name, target, columns, columns)


def downgrade() -> None:
    for name, table, _target, _columns in reversed(FOREIGN_KEYS):
        with op.batch_alter_table(table) as batch:
            batch.drop_constraint(name, type_="foreignkey")
