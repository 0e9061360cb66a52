"""What of a period's revenue is not invoiced yet, and what of the invoices is not earned yet?

As of the end of a day. What was used by then and no document billed by then is **accrued**; what a document billed by
then for days after it is **deferred**. 30.00 for 16 November to 15 December, billed in advance: of 30 days 15 are past
at the end of November, so 15.00 are earned and 15.00 deferred; 19 and 11 days of 29.99 are 19.00 and 10.99.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo

from app.domain.money import ZERO, round_amount
from app.domain.periods import Period, local_date

Section = Literal["accrued", "deferred", "vat", "aged"]
SECTIONS: tuple[Section, ...] = ("accrued", "deferred", "vat", "aged")


def part_until(amount: Decimal, period: Period, at: datetime, zone: ZoneInfo, currency: str) -> Decimal:
    """The part of the amount that falls on the period before the instant, by local days: the day on which the period
    starts counts, the one on which it ends does not. The rest is the amount less this part, so both add up to it."""
    if at >= period.end:
        return amount
    if at <= period.start:
        return ZERO
    first, cut, last = (local_date(one, zone) for one in (period.start, at, period.end))
    if last <= first:
        return ZERO
    return round_amount(amount * (cut - first).days / (last - first).days, currency)


@dataclass(frozen=True, slots=True)
class MonthEndRow:
    """One amount of the month-end, net of VAT where it is accrued or deferred. `item` says which amount of the section
    it is. Absent texts are ''."""

    section: Section
    item: str
    currency: str
    amount: Decimal
    tenant: str = ""
    subscription: str = ""
    document: str = ""
    charge: str = ""
    description: str = ""
    period: Period | None = None
    tax_category: str = ""
    tax_rate: Decimal | None = None
    account: str = ""
