"""Which issued documents does an export hold, and in which order?

Documents are in order of their issue. `from` and `to` bound the instant of issue, half-open as every period here; a
date in place of an instant of a document's own period is a date in that document's time zone: a period that begins on 1
November in Paris and one that begins there and then in Lisbon both lie in [1 November, 1 December).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

from app.domain.invoices import Invoice, InvoiceType
from app.domain.periods import Period, local_date, parse_zone

Bound = date | datetime
"""An instant, or a date in the time zone of the document that is looked at."""


@dataclass(frozen=True, slots=True)
class ExportWish:
    """What somebody asks for, tenants by key. Dates of issue are those of the seller."""

    issued_from: Bound | None = None
    issued_to: Bound | None = None
    period_start: Bound | None = None
    period_end: Bound | None = None
    type: InvoiceType | None = None
    currency: str | None = None
    seller: str | None = None
    buyer: str | None = None
    tenant: str | None = None


@dataclass(frozen=True, slots=True)
class ExportFilter:
    """What is wanted of the issued documents; None stands for all. `party_id` is a tenant that buys or sells,
    `visible_to` the tenant that the caller is bound to."""

    issued_from: datetime | None = None
    issued_to: datetime | None = None
    period_start: Bound | None = None
    period_end: Bound | None = None
    type: InvoiceType | None = None
    currency: str | None = None
    seller_id: UUID | None = None
    buyer_id: UUID | None = None
    party_id: UUID | None = None
    visible_to: UUID | None = None


def period_fits(period: Period, zone: str, wanted: ExportFilter) -> bool:
    """True where the document's period starts at or after `period_start` and ends at or before `period_end`."""
    return _at_least(period.start, wanted.period_start, zone) and _at_most(period.end, wanted.period_end, zone)


def _at_least(instant: datetime, bound: Bound | None, zone: str) -> bool:
    if bound is None or isinstance(bound, datetime):
        return bound is None or instant >= bound
    return local_date(instant, parse_zone(zone)) >= bound


def _at_most(instant: datetime, bound: Bound | None, zone: str) -> bool:
    if bound is None or isinstance(bound, datetime):
        return bound is None or instant <= bound
    # The end is the first instant outside: that of November is 1 December, 00:00.
    return local_date(instant - timedelta(microseconds=1), parse_zone(zone)) < bound


def earliest(bound: Bound) -> datetime:
    """An instant that no reading of the bound lies before: dates begin up to 14 hours before they do in UTC."""
    return bound if isinstance(bound, datetime) else datetime.combine(bound, time(), UTC) - timedelta(days=1)


def latest(bound: Bound) -> datetime:
    """An instant that no reading of the bound lies after."""
    return bound if isinstance(bound, datetime) else datetime.combine(bound, time(), UTC) + timedelta(days=1)


def signed(amount: Decimal, invoice: Invoice) -> Decimal:
    """The amount as it changes what the buyer owes: a credit note's is negative."""
    return -amount if invoice.type == "credit_note" else amount


def payable(invoice: Invoice) -> Decimal:
    """What the document asks for: its total, which a credit note takes off. Payments do not change it."""
    return signed(invoice.total, invoice)
