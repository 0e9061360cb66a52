"""When is an invoice due, and how late may that be by the law of the seller's country?

Issued on 10 November at 45 days, an invoice is due on 25 December; at 45 days end of month, on 31 December. French law
(Code de commerce, L. 441-10) allows 60 days from issue, or 45 days end of month where that was agreed; for a periodic
invoice, one for all that was supplied over a time, 45 days from issue. Terms that go further are refused where they are
set; a due date that would still lie later, as that of a foreign seller's buyer, is brought forward.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta

from app.domain.parties import PaymentTerms


@dataclass(frozen=True, slots=True)
class LongestTerms:
    """The most days that a country's law allows: from issue, to the end of a month, and from issue of what is
    periodic."""

    days: int
    days_end_of_month: int
    days_periodic: int


LONGEST: dict[str, LongestTerms] = {"FR": LongestTerms(60, 45, 45)}
"""By the seller's country; another country is not known to have a limit."""


def due_on(issued: date, terms: PaymentTerms, *, country: str, is_periodic: bool) -> date:
    """The day on which an invoice is due by the terms, and by the law of the seller's country at the latest."""
    due = issued + timedelta(days=terms.days)
    if terms.end_of_month:
        due = due.replace(day=monthrange(due.year, due.month)[1])
    latest = latest_due(issued, country=country, is_periodic=is_periodic)
    return due if latest is None else min(due, latest)


def latest_due(issued: date, *, country: str, is_periodic: bool) -> date | None:
    """The last day on which an invoice may be due; None where the seller's country sets none."""
    longest = LONGEST.get(country)
    if longest is None:
        return None
    if is_periodic:
        return issued + timedelta(days=longest.days_periodic)
    end_of_month = issued + timedelta(days=longest.days_end_of_month)
    end_of_month = end_of_month.replace(day=monthrange(end_of_month.year, end_of_month.month)[1])
    return max(issued + timedelta(days=longest.days), end_of_month)


def terms_problem(terms: PaymentTerms, *, country: str) -> str | None:
    """What the law of the seller's country has against the terms; None where nothing."""
    longest = LONGEST.get(country)
    if longest is None:
        return None
    most = longest.days_end_of_month if terms.end_of_month else longest.days
    if terms.days <= most:
        return None
    how = "days end of month" if terms.end_of_month else "days from issue"
    return f"the law of {country} allows at most {most} {how}"
