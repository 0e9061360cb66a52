"""What is owed as CSV: a row for each payer and currency, amounts as they are, no row of totals (a sheet adds up)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from datetime import date

from app.documents.csv_cells import safe_text
from app.domain.money import amount_text
from app.domain.receivables import BUCKETS, Aged

HEADER = (
    "as_of", "tenant", "name", "currency", "due", "overdue", *BUCKETS, "unallocated", "balance", "invoices",
)  # fmt: skip


def render_receivables_csv(rows: Iterable[tuple[str, str, Aged]], as_of: date) -> bytes:
    """`rows` are (tenant's key, its name, what it owes)."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(HEADER)
    for key, name, row in rows:
        amounts = (row.due, row.overdue, *row.buckets.values(), row.unallocated, row.balance)
        writer.writerow(
            [as_of.isoformat(), safe_text(key), safe_text(name), row.currency,
             *(amount_text(amount, row.currency) for amount in amounts), row.invoices]
        )  # fmt: skip
    return out.getvalue().encode("utf-8-sig")
