"""What the document at the end of the running period would have today: for the preview, the balance and alerts."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.engine import Connection

from app.domain.periods import Period
from app.operations.billing_books import Books
from app.operations.correct_period import DueAt, due_at
from app.operations.due_lines import instants_through, lines_due


def next_document(connection: Connection, books: Books, now: datetime) -> tuple[Period, DueAt]:
    """The period that is running, and what is due at its end as the database stands; nothing is saved."""
    known, new = instants_through(connection, books, now)
    end = next(row for row in (*known, *new) if row.at > now)
    known, new = instants_through(connection, books, end.at)
    rows = [*known, *new]
    lines, period = lines_due(connection, books, rows, end)
    assert period is not None, "something has begun before it ends"
    return period, due_at(connection, books, lines, rows=rows, at=end.at)
