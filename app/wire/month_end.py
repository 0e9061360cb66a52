"""The month-end as the HTTP contract shows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from app.domain.money import ZERO, amount_text, plain
from app.domain.month_end import MonthEndRow, Section
from app.domain.receivables import BUCKETS
from app.wire.invoices import period_to_wire


def month_end_to_wire(as_of: date, seller: str, sections: Mapping[Section, Iterable[MonthEndRow]]) -> dict[str, Any]:
    """Every section, and what each comes to by currency."""
    rows = {section: list(found) for section, found in sections.items()}
    return {
        "as_of": as_of.isoformat(), "seller": seller,
        "accrued": [_line(row) for row in rows["accrued"]],
        "deferred": [_line(row) | {"document": row.document} for row in rows["deferred"]],
        "vat": _vat(rows["vat"]), "aged": _aged(rows["aged"]), "totals": _totals(rows),
    }  # fmt: skip


def _line(row: MonthEndRow) -> dict[str, Any]:
    return {
        "tenant": row.tenant, "subscription": row.subscription or None, "charge": row.charge,
        "description": row.description, "period": None if row.period is None else period_to_wire(row.period),
        "tax": {"category": row.tax_category, "rate": plain(row.tax_rate or ZERO)}, "currency": row.currency,
        "amount": amount_text(row.amount, row.currency), "account": row.account,
    }  # fmt: skip


def _vat(rows: Iterable[MonthEndRow]) -> list[dict[str, Any]]:
    found: dict[tuple[str, str, Decimal], dict[str, Any]] = {}
    for row in rows:
        key = (row.currency, row.tax_category, row.tax_rate or ZERO)
        nothing = dict.fromkeys(("base", "invoiced", "due", "awaiting_payment"), amount_text(ZERO, row.currency))
        own = found.setdefault(
            key, {"currency": row.currency, "category": row.tax_category, "rate": plain(key[2])} | nothing
        )
        own[row.item] = amount_text(row.amount, row.currency)
    return [found[key] for key in sorted(found)]


def _aged(rows: Iterable[MonthEndRow]) -> list[dict[str, Any]]:
    found: dict[tuple[str, str], dict[str, Decimal]] = {}
    for row in rows:
        found.setdefault((row.tenant, row.currency), dict.fromkeys(BUCKETS, ZERO))[row.item] = row.amount
    return [
        {"tenant": tenant, "currency": currency}
        | {bucket: amount_text(amount, currency) for bucket, amount in buckets.items()}
        | {"total": amount_text(sum(buckets.values(), ZERO), currency)}
        for (tenant, currency), buckets in found.items()
    ]


def _totals(rows: Mapping[Section, list[MonthEndRow]]) -> list[dict[str, Any]]:
    sums: dict[str, dict[str, Decimal]] = {}
    names = {"accrued": "accrued", "deferred": "deferred", "aged": "receivable"}
    for section, found in rows.items():
        for row in found:
            name = names.get(section) or {"due": "vat_due", "awaiting_payment": "vat_awaiting_payment"}.get(row.item)
            own = sums.setdefault(
                row.currency,
                dict.fromkeys(("accrued", "deferred", "vat_due", "vat_awaiting_payment", "receivable"), ZERO),
            )
            if name:
                own[name] += row.amount
    return [
        {"currency": currency} | {name: amount_text(amount, currency) for name, amount in sums[currency].items()}
        for currency in sorted(sums)
    ]
