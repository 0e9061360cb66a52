"""Lists of events and of quarantined copies are read from an index, whatever they are filtered by"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_OPEN = sa.text("status = 'open'")
_LISTED_BY = (("reason",), ("tenant_id", "reason"), ("reason", "type"), ("reason", "subject"), ("reason", "resource"))


def upgrade() -> None:
    _create("events", ("tenant_id", "type", "time", "identity"))
    op.drop_index(op.f("ix_events_tenant_id_type_time"), "events")
    for names in _LISTED_BY:
        _create("quarantine", (*names, "received_at", "quarantine_id"), _OPEN)
    op.drop_index(op.f("ix_quarantine_status_reason_type_subject"), "quarantine")


def downgrade() -> None:
    _create("quarantine", ("status", "reason", "type", "subject"))
    for names in _LISTED_BY:
        _drop("quarantine", (*names, "received_at", "quarantine_id"))
    _create("events", ("tenant_id", "type", "time"))
    _drop("events", ("tenant_id", "type", "time", "identity"))


def _create(table: str, names: tuple[str, ...], where: sa.TextClause | None = None) -> None:
    op.create_index(_name(table, names), table, list(names), sqlite_where=where, postgresql_where=where)


def _drop(table: str, names: tuple[str, ...]) -> None:
    op.drop_index(_name(table, names), table)


def _name(table: str, names: tuple[str, ...]) -> str:
    return op.f(f"ix_{table}_{'_'.join(names)}")
