"""What each audit found, in figures. Monitoring asks for the last one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.domain.ids import new_id
from app.storage.tables import audits


@dataclass(frozen=True, slots=True)
class AuditFigures:
    """How much an audit looked at, and how many differences and unpriced stretches it found."""

    started_at: datetime
    finished_at: datetime
    events: int
    buckets: int
    lines: int
    documents: int
    differences: int
    unpriced: int


def add(connection: Connection, figures: AuditFigures) -> None:
    values = {name: getattr(figures, name) for name in AuditFigures.__dataclass_fields__}
    connection.execute(audits.insert().values(audit_id=new_id(), **values))


def last(connection: Connection) -> AuditFigures | None:
    """The audit that ended last; None where there was none."""
    columns = [audits.c[name] for name in AuditFigures.__dataclass_fields__]
    row = connection.execute(
        sa.select(*columns).order_by(audits.c.finished_at.desc(), audits.c.audit_id.desc()).limit(1)
    ).first()
    return None if row is None else AuditFigures(*row)
