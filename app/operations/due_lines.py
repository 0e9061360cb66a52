"""Which lines are due at a billing instant, as the database stands: what closing bills and preview shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy.engine import Connection

from app.domain.billing import BillingPeriod, extend_instants, period_between
from app.domain.events import instant_text
from app.domain.invoices import InvoiceLine
from app.domain.periods import Period, gaps
from app.operations.billing_books import Books, billables, charge_lines
from app.operations.find_due import charges_at_start
from app.operations.rate_period import Billable
from app.storage import billing_store, invoice_store
from app.storage.billing_store import InstantRow
from app.storage.invoice_store import BilledStretch


def instants_through(connection: Connection, books: Books, at: datetime) -> tuple[list[InstantRow], list[InstantRow]]:
    """The subscription's instants that are kept, and those that follow, up to the first after `at`."""
    own = books.subscription
    known = (
        billing_store.instants(connection, own.tenant_id, own.subscription_id)
        if books.ahead is None
        else list(books.ahead.instants)
    )
    instants = extend_instants(
        [item.instant for item in known], books.subscription, books.versions, zone=books.zone, until=at
    )
    return known, [InstantRow(item.at, item.local_date, "open") for item in instants[len(known) :]]


def due_before(books: Books, rows: Sequence[InstantRow], at: datetime) -> list[InstantRow]:
    """The instants before this one that are due and still open: the documents of those come first."""
    found = [item for item in rows if item.at < at and item.status == "open"]
    if found[:1] == list(rows[:1]) and not charges_at_start(books.subscription, books.versions):
        return found[1:]
    return found


def lines_due(
    connection: Connection, books: Books, rows: Sequence[InstantRow], row: InstantRow
) -> tuple[list[InvoiceLine], Period | None]:
    """The lines of arrears and advance charges at this instant, and the period that the document is about."""
    position = [item.at for item in rows].index(row.at)
    lines: list[InvoiceLine] = []
    period: Period | None = None
    if position > 0:
        before = _period(books, rows[position - 1], row)
        period = before.period
        lines += charge_lines(connection, books, _not_billed_yet(connection, books, rows, position, before))
    is_end = books.subscription.end is not None and row.at >= books.subscription.end
    if not is_end and position + 1 < len(rows):
        following = _period(books, row, rows[position + 1])
        period = period or following.period
        lines += charge_lines(connection, books, billables(books, following, "advance"))
    return lines, period


def _not_billed_yet(
    connection: Connection, books: Books, rows: Sequence[InstantRow], position: int, before: BillingPeriod
) -> list[Billable]:
    """What the period that ends here owes and no issued line covers.

    That is its use, and of its fixed charges mostly what is due in arrears. But one due in advance may have begun after
    the invoice of the period's start: with a version of the plan, or when an end that was known then was taken back.
    """
    previous = rows[position - 1]
    is_start_without_invoice = position == 1 and not charges_at_start(books.subscription, books.versions)
    # The invoice of an instant that is still open will carry what is due in advance from there on.
    timing = None if previous.status != "open" or is_start_without_invoice else "arrears"
    own, due = books.subscription, billables(books, before, timing)
    is_fixed_due = any(item.charge.meter is None for item in due)
    billed = (
        invoice_store.billed_stretches(connection, own.tenant_id, own.subscription_id, after=previous.at)
        if is_fixed_due
        else []
    )
    found: list[Billable] = []
    for item in due:
        covered = [] if item.charge.meter is not None else [one.stretch for one in billed if _covers(one, item)]
        found += [replace(item, stretch=gap) for gap in gaps(item.stretch, covered)]
    return found


def _covers(billed: BilledStretch, item: Billable) -> bool:
    """True where the line billed the fixed charge, in the same phase of the subscription."""
    same_phase = billed.trace.get("since", instant_text(item.phase.start)) == instant_text(item.phase.start)
    return billed.charge == item.charge.key and billed.trace["meter"] is None and same_phase


def _period(books: Books, first: InstantRow, second: InstantRow) -> BillingPeriod:
    return period_between(first.instant, second.instant, books.subscription, books.versions)
