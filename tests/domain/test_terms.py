"""Due dates by terms, and by the law of the seller's country."""

from __future__ import annotations

from datetime import date

import pytest

from app.domain.parties import PaymentTerms
from app.domain.terms import due_on, latest_due, terms_problem

ISSUED = date(2026, 11, 10)


@pytest.mark.parametrize(
    ("days", "end_of_month", "country", "is_periodic", "due"),
    [
        (30, False, "FR", True, "2026-12-10"),
        (45, False, "FR", True, "2026-12-25"),
        (45, True, "FR", False, "2026-12-31"),
        (60, False, "FR", False, "2027-01-09"),
        # A periodic invoice is due 45 days from issue at the latest.
        (45, True, "FR", True, "2026-12-25"),
        (60, False, "FR", True, "2026-12-25"),
        (90, False, "DE", True, "2027-02-08"),
        (0, True, "", False, "2026-11-30"),
    ],
)  # fmt: skip
def test_an_invoice_is_due_by_its_terms_and_no_later_than_the_law_allows(
    days: int, end_of_month: bool, country: str, is_periodic: bool, due: str
) -> None:
    terms = PaymentTerms(days, end_of_month)
    assert due_on(ISSUED, terms, country=country, is_periodic=is_periodic).isoformat() == due


def test_terms_that_the_law_does_not_allow_are_named() -> None:
    assert terms_problem(PaymentTerms(60), country="FR") is None
    assert terms_problem(PaymentTerms(45, end_of_month=True), country="FR") is None
    assert terms_problem(PaymentTerms(61), country="FR") == "the law of FR allows at most 60 days from issue"
    assert terms_problem(PaymentTerms(46, True), country="FR") == "the law of FR allows at most 45 days end of month"
    assert terms_problem(PaymentTerms(120), country="US") is None


def test_the_latest_day_is_that_of_the_longer_of_both_forms() -> None:
    """60 days from 10 November are 9 January; 45 days, then the end of the month, are 31 December."""
    assert latest_due(ISSUED, country="FR", is_periodic=False) == date(2027, 1, 9)
    assert latest_due(date(2026, 12, 17), country="FR", is_periodic=False) == date(2027, 2, 15)
    assert latest_due(date(2026, 12, 16), country="FR", is_periodic=True) == date(2027, 1, 30)
    assert latest_due(ISSUED, country="", is_periodic=False) is None
