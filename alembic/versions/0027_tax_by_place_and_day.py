"""Rates that change, where resources stand, checks of VAT numbers, and exchange rates"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.storage.types import ByteText, ExactDecimal

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

_COLUMNS = {"tax_rates": "details", "resources": "place", "tenants": "vat_check"}


def upgrade() -> None:
    for table, name in _COLUMNS.items():
        op.add_column(table, sa.Column(name, ByteText(), nullable=False, server_default=""))
    op.create_table(
        "exchange_rates",
        sa.Column("key", ByteText(), nullable=False),
        sa.Column("from_currency", ByteText(), nullable=False),
        sa.Column("to_currency", ByteText(), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("rate", ExactDecimal(), nullable=False),
        sa.Column("source", ByteText(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_exchange_rates")),
        sa.UniqueConstraint(
            "from_currency", "to_currency", "date", name=op.f("uq_exchange_rates_from_currency_to_currency_date")
        ),
        info={"kind": "reference"},
    )


def downgrade() -> None:
    op.drop_table("exchange_rates")
    for table, name in _COLUMNS.items():
        op.drop_column(table, name)
