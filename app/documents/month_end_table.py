"""What does a month-end look like as a table? One row for each amount, of every section in the same columns."""

from __future__ import annotations

from app.documents.tables import Number, Row
from app.domain.events import instant_text
from app.domain.money import amount_text, plain
from app.domain.month_end import MonthEndRow

COLUMNS = (
    "section", "item", "tenant", "subscription", "document", "charge", "description", "period_start", "period_end",
    "tax_category", "tax_rate", "currency", "amount", "account",
)  # fmt: skip


def month_end_row(row: MonthEndRow) -> Row:
    period = row.period
    return (
        row.section, row.item, row.tenant, row.subscription, row.document, row.charge, row.description,
        "" if period is None else instant_text(period.start), "" if period is None else instant_text(period.end),
        row.tax_category, None if row.tax_rate is None else Number(plain(row.tax_rate)), row.currency,
        Number(amount_text(row.amount, row.currency)), row.account,
    )  # fmt: skip
