"""What an invoice line froze, in short, beside its trace: for the lines that there are, read from that"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

from app.domain.marks import keep_mark, mark_of
from app.storage.types import ByteText, Id

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_AT_A_TIME = 500


def upgrade() -> None:
    op.add_column("invoice_lines", sa.Column("mark", ByteText, nullable=False, server_default=""))
    lines = sa.table(
        "invoice_lines", sa.column("tenant_id", Id), sa.column("invoice_id", Id), sa.column("position", sa.Integer),
        sa.column("trace", ByteText), sa.column("mark", ByteText),
    )  # fmt: skip
    connection = op.get_bind()
    key = (lines.c.tenant_id, lines.c.invoice_id, lines.c.position)
    page = sa.select(*key, lines.c.trace).order_by(*key).limit(_AT_A_TIME)
    change = lines.update().where(
        lines.c.tenant_id == sa.bindparam("of_tenant", type_=Id),
        lines.c.invoice_id == sa.bindparam("of_invoice", type_=Id),
        lines.c.position == sa.bindparam("at"),
    ).values(mark=sa.bindparam("made", type_=ByteText))  # fmt: skip
    rows = connection.execute(page).all()
    while rows:
        connection.execute(
            change,
            [
                {
                    "of_tenant": row.tenant_id, "of_invoice": row.invoice_id, "at": row.position,
                    "made": keep_mark(mark_of(json.loads(row.trace))),
                }
                for row in rows
            ],
        )  # fmt: skip
        last = rows[-1]
        rows = connection.execute(
            page.where(
                sa.or_(
                    lines.c.tenant_id > last.tenant_id,
                    sa.and_(lines.c.tenant_id == last.tenant_id, lines.c.invoice_id > last.invoice_id),
                    sa.and_(
                        lines.c.tenant_id == last.tenant_id, lines.c.invoice_id == last.invoice_id,
                        lines.c.position > last.position,
                    ),
                )
            )
        ).all()  # fmt: skip


def downgrade() -> None:
    with op.batch_alter_table("invoice_lines") as batch:
        batch.drop_column("mark")
