"""What late, cancelled and re-timed usage changed in periods that were billed: to be billed, or to be credited.

Each charge of each billed stretch is looked at by its quantity, never by time marks: the count and identity sum that
its last line froze are compared with the buckets; where they differ it is rated anew by the recorded terms. New less
billed is a line on the next invoice if positive, a credit note on the documents that billed it if negative.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.engine import Connection

from app.domain.allowances import PoolUse
from app.domain.invoices import InvoiceLine
from app.domain.marks import mark_of, shares
from app.domain.meters import Meter
from app.domain.money import ZERO
from app.domain.periods import local_date
from app.domain.rating.results import Result, difference, split_credit
from app.domain.subscriptions import Subscription
from app.operations.billed_charges import BilledCharge, billed_charges
from app.operations.billed_facts import all_stand, end_now, facts_of, sums_as_billed
from app.operations.billing_books import Books
from app.operations.due_lines import due_before, lines_due
from app.operations.rate_period import RatedCharge, rate_again, result_of
from app.operations.settle_shared import settle_shared
from app.storage import invoice_store
from app.storage.billing_store import InstantRow
from app.storage.invoice_store import StoredInvoice


@dataclass(frozen=True, slots=True)
class Correction:
    """New less billed of one charge and stretch, with the rating that says so."""

    billed: BilledCharge
    rated: RatedCharge
    is_netted: bool = False

    @property
    def change(self) -> Result:
        return difference(_result(self.rated), result_of(self.billed.last.trace))

    @property
    def is_for_next(self) -> bool:
        """True where the change is a line of the next document: it is not less to pay (prepaid units may have been
        drawn for nothing), less of one charge where its period owes no less in all, or no invoice has billed the charge
        that a credit note could lower."""
        return (
            self.change.amount >= 0
            or self.is_netted
            or all(one.invoice.type != "invoice" for one in self.billed.documents)
        )

    @property
    def is_nothing(self) -> bool:
        is_shown_again = self.is_opened_again and bool(self.change.quantity)
        return not self.change.amount and "drawn" not in self.rated.trace and not is_shown_again

    @property
    def is_opened_again(self) -> bool:
        """True where a credit by hand has lowered what counts as billed, so that it is billed again."""
        return "standing" in self.billed.last.trace

    @property
    def is_of_use(self) -> bool:
        """True where late, cancelled or other use made the change, and not a stretch that was cut or a person who
        credited it to be billed again."""
        billed = self.billed.last.trace
        is_same_stretch = billed["meter"] is not None and billed["stretch"] == self.rated.trace["stretch"]
        return is_same_stretch and not self.is_opened_again

    def credits(self) -> list[tuple[StoredInvoice, Result]]:
        """For a negative change: what each document gives back, latest first."""
        parts = split_credit(result_of(self.billed.last.trace), _result(self.rated), left=self.billed.left)
        return [(self.billed.documents[index], part) for index, part in parts]


def _result(rated: RatedCharge) -> Result:
    line = rated.rated
    return Result(line.quantity, line.components, line.allowances, line.amount)


Standing = Literal["pending", "report_only", "beyond_horizon"]
"""What becomes of a change: billed or credited next, or only listed, by policy or because it lies too far back."""


def standing(subscription: Subscription, item: Correction, *, zone: ZoneInfo, at: datetime) -> Standing:
    """By the subscription's word on late use, at the billing instant of the document that would have the change.

    An end or a change of plan that cut what was paid in advance is no late use: it is always settled.
    """
    late = subscription.late_usage
    if not item.is_of_use:
        return "pending"
    if late.policy == "report_only":
        return "report_only"
    age = local_date(at, zone) - local_date(item.billed.first.period.end, zone)
    return "pending" if late.horizon_days is None or age.days <= late.horizon_days else "beyond_horizon"


@dataclass(frozen=True, slots=True)
class DueAt:
    """What a document of a billing instant has: the `lines` that are due there first, what is due of earlier periods
    (`late`), and the changes of billed charges, to be billed or to be credited. `pools` are the allowances that charges
    share or carry over, as they were used for that."""

    lines: list[InvoiceLine]
    late: list[InvoiceLine]
    changes: list[Correction]
    pools: list[PoolUse]

    @property
    def all_lines(self) -> list[InvoiceLine]:
        return self.lines + self.late + [difference_line(item) for item in self.changes if item.is_for_next]


def due_at(
    connection: Connection, books: Books, lines: Sequence[InvoiceLine], *, rows: Sequence[InstantRow],
    at: datetime,
) -> DueAt:  # fmt: skip
    """What is due at the instant, with what charges have in common settled. Of several drafts the first has the
    changes: what it bills and credits the others need not. The subscription's row is locked."""
    own = books.subscription
    facts = facts_of(connection, [own], books.meters)[own.subscription_id] if books.ahead is None else books.ahead.facts
    if facts.is_untouched and not facts.is_given and not any(shares(line.trace) for line in lines):
        return DueAt(list(lines), [], [], [])
    earlier = due_before(books, rows, at)
    settled_until = max((row.at for row in rows if row.status != "open"), default=None)
    settled = settle_shared(
        connection, books, _pending_again(connection, books, at), lines,
        earlier=lambda: (line for row in earlier for line in lines_due(connection, books, rows, row)[0]),
        settled_until=settled_until, at=at if lines else settled_until or books.subscription.start,
    )  # fmt: skip
    if earlier:
        return DueAt(settled.lines, [], [], settled.pools)
    return DueAt(settled.lines, settled.late, _changes(settled.again), settled.pools)


def _pending_again(connection: Connection, books: Books, at: datetime) -> list[tuple[BilledCharge, RatedCharge | None]]:
    """Every billed charge, with its rating where that is to be billed or credited: what is only reported counts for
    nothing else either."""
    again: list[tuple[BilledCharge, RatedCharge | None]] = []
    for billed, rated in rated_again(connection, books.subscription, books.meters):
        if rated is not None:
            item = Correction(billed, rated)
            if standing(books.subscription, item, zone=books.zone, at=at) != "pending":
                rated = None
        again.append((billed, rated))
    return again


def _changes(again: Sequence[tuple[BilledCharge, RatedCharge | None]]) -> list[Correction]:
    """Of those, what is no longer as it was billed.

    Where a period owes more for one charge and less for another, as use does under a plan's minimum, and not less in
    all for any tax rate, both go on the invoice: the buyer need not be given a credit note and asked for more at once.
    """
    found = [Correction(billed, rated) for billed, rated in again if rated is not None]
    found = [item for item in found if not item.is_nothing]
    sums: dict[tuple[Any, ...], Decimal] = {}
    for item in found:
        sums[_netted_by(item)] = sums.get(_netted_by(item), ZERO) + item.change.amount
    return [
        replace(item, is_netted=_is_netted(item) and item.change.amount < 0 and sums[_netted_by(item)] >= 0)
        for item in found
    ]


def _netted_by(item: Correction) -> tuple[Any, ...]:
    trace, tax = item.rated.trace, item.billed.first.tax
    return trace["full_dates"][0], trace["plan"], trace["version"], tax


def _is_netted(item: Correction) -> bool:
    """Where charges share a minimum, a maximum, a commitment, an allowance or a coupon, one rises as another falls."""
    terms = item.rated.trace["terms"]
    shares = any(name in terms for name in ("minimum", "maximum", "commitment", "allowances"))
    return shares or any("coupons" in trace for trace in (item.rated.trace, item.billed.last.trace))


def difference_line(item: Correction) -> InvoiceLine:
    """The change as a line of the next document."""
    return _line(item, item.change, "difference")


def credit_line(item: Correction, part: Result, *, is_first: bool) -> InvoiceLine:
    """A part of the change, as a line of the credit note on the document that gives it back. Prepaid units go back with
    the first part, however many documents the amount comes from."""
    line = replace(_line(item, part, "credit"), reopens_usage=True)
    if is_first:
        return line
    return replace(line, trace={name: value for name, value in line.trace.items() if name != "drawn"})


def _line(item: Correction, result: Result, kind: Literal["difference", "credit"]) -> InvoiceLine:
    first = item.billed.first
    return InvoiceLine(
        id="", charge=first.charge, description=first.description, period=first.period, quantity=result.quantity,
        unit=first.unit, amount=result.amount, tax=first.tax, components=result.components,
        allowances=result.allowances, kind=kind, subscription=first.subscription, trace=item.rated.trace,
        supply=first.supply, references=first.references,
    )  # fmt: skip


def corrections(connection: Connection, subscription: Subscription, meters: Mapping[str, Meter]) -> list[Correction]:
    """Every charge whose own amount is no longer what was billed, oldest stretch first, whatever is to become of it."""
    found = [
        Correction(billed, rated)
        for billed, rated in rated_again(connection, subscription, meters)
        if rated is not None
    ]  # fmt: skip
    return [item for item in found if item.change.amount]


def rated_again(
    connection: Connection, subscription: Subscription, meters: Mapping[str, Meter]
) -> list[tuple[BilledCharge, RatedCharge | None]]:
    """Every billed charge, oldest stretch first, with its rating over what stands measured now; None where it is sure
    that nothing has changed."""
    issued = invoice_store.issued_of_subscription(connection, subscription.tenant_id, subscription.subscription_id)
    found: list[tuple[BilledCharge, RatedCharge | None]] = []
    for billed in billed_charges(issued, subscription.key):
        start = billed.first.period.start
        end = end_now(subscription, billed.first.period, billed.first.trace.get("since", ""))
        if _unchanged(connection, subscription.tenant_id, billed.last, start, end, meters):
            found.append((billed, None))
            continue
        rated = rate_again(
            connection, billed.last.trace, tenant_id=subscription.tenant_id, start=start, end=end, meters=meters
        )
        found.append((billed, rated))
    return found


def _unchanged(
    connection: Connection, tenant_id: UUID, line: InvoiceLine, start: datetime, end: datetime,
    meters: Mapping[str, Meter],
) -> bool:  # fmt: skip
    """True when it is sure, without rating, that nothing happened since the line was issued: not in its stretch, and
    not before it where that has a part in it."""
    mark = mark_of(line.trace)
    assert mark is not None, "what is billed was rated"
    if "standing" in line.trace:
        return False
    expected = sums_as_billed(tenant_id, mark, start, end, meters.get(mark.meter))
    return expected is not None and all_stand(connection, expected)
