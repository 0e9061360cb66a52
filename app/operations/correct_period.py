"""What late, cancelled and re-timed usage changed in periods that were billed: to be billed, or to be credited.

Each charge of each billed stretch is looked at by its quantity, never by time marks: the count and identity sum that
its last line froze are compared with the buckets; where they differ it is rated anew by the recorded terms. New less
billed is a line on the next invoice if positive, a credit note on the documents that billed it if negative.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.engine import Connection

from app.domain.events import instant_text, parse_instant
from app.domain.invoices import InvoiceLine
from app.domain.meters import Meter
from app.domain.periods import hour_floor, local_date
from app.domain.rating.results import Result, difference, split_credit
from app.domain.subscriptions import Subscription
from app.operations.billed_charges import BilledCharge, billed_charges
from app.operations.billing_books import Books
from app.operations.rate_period import RatedCharge, rate_again, result_of, totals_before
from app.storage import invoice_store, usage_store
from app.storage.invoice_store import StoredInvoice


@dataclass(frozen=True, slots=True)
class Correction:
    """New less billed of one charge and stretch, with the rating that says so."""

    billed: BilledCharge
    rated: RatedCharge

    @property
    def change(self) -> Result:
        return difference(_result(self.rated), result_of(self.billed.last.trace))

    @property
    def is_for_next(self) -> bool:
        """True where the change is a line of the next document: it is more to pay, or no invoice has billed the charge
        that a credit note could lower."""
        return self.change.amount > 0 or all(one.invoice.type != "invoice" for one in self.billed.documents)

    @property
    def is_of_use(self) -> bool:
        """True where late, cancelled or other use made the change, and not a stretch that was cut."""
        billed = self.billed.last.trace
        return billed["meter"] is not None and billed["stretch"] == self.rated.trace["stretch"]

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


def corrections_at(connection: Connection, books: Books, at: datetime) -> list[Correction]:
    """The changes that a document of this billing instant is to bill or to credit. The subscription's row is locked."""
    subscription = books.subscription
    return [
        item
        for item in corrections(connection, subscription, books.meters)
        if standing(subscription, item, zone=books.zone, at=at) == "pending"
    ]


def difference_line(item: Correction) -> InvoiceLine:
    """The change as a line of the next document."""
    return _line(item, item.change, "difference")


def credit_line(item: Correction, part: Result) -> InvoiceLine:
    """A part of the change, as a line of the credit note on the document that gives it back."""
    return replace(_line(item, part, "credit"), reopens_usage=True)


def _line(item: Correction, result: Result, kind: Literal["difference", "credit"]) -> InvoiceLine:
    first = item.billed.first
    return InvoiceLine(
        id="", charge=first.charge, description=first.description, period=first.period, quantity=result.quantity,
        unit=first.unit, amount=result.amount, tax=first.tax, components=result.components,
        allowances=result.allowances, kind=kind, subscription=first.subscription, trace=item.rated.trace,
    )  # fmt: skip


def corrections(connection: Connection, subscription: Subscription, meters: Mapping[str, Meter]) -> list[Correction]:
    """Every charge whose amount is no longer what was billed, oldest stretch first, whatever is to become of it."""
    issued = invoice_store.issued_of_subscription(connection, subscription.tenant_id, subscription.subscription_id)
    found: list[Correction] = []
    for billed in billed_charges(issued):
        start, end = billed.first.period.start, _end_now(billed.first, subscription)
        if _unchanged(connection, subscription.tenant_id, billed.last, start, end, meters):
            continue
        rated = rate_again(
            connection, billed.last.trace, tenant_id=subscription.tenant_id, start=start, end=end, meters=meters
        )
        correction = Correction(billed, rated)
        if correction.change.amount:
            found.append(correction)
    return found


def _end_now(line: InvoiceLine, subscription: Subscription) -> datetime:
    """The end of the line's stretch; an earlier one where the subscription has been ended since or is on another plan,
    and the stretch's own start where that was before it began."""
    since = parse_instant(line.trace.get("since", instant_text(subscription.start)))
    phase = next((phase for phase in subscription.phases if phase.start == since), None)
    if phase is None:
        return line.period.start
    if phase.end is None:
        return line.period.end
    return max(line.period.start, min(line.period.end, phase.end))


def _unchanged(
    connection: Connection, tenant_id: UUID, line: InvoiceLine, start: datetime, end: datetime,
    meters: Mapping[str, Meter],
) -> bool:  # fmt: skip
    """True when it is sure, without rating, that nothing happened since the line was issued: not in its stretch, and
    not before it where that has a part in it."""
    trace: dict[str, Any] = line.trace
    if parse_instant(trace["stretch"][1]) != end:
        return False
    if trace["meter"] is None:
        return True
    active = meters.get(trace["meter"]["key"])
    aligned = hour_floor(start) == start and hour_floor(end) == end
    if active is None or active.meter_id.hex != trace["meter"]["meter_id"] or not aligned:
        return False
    if active.looks_back:
        before = trace["usage"].get("before")
        if before is None or tuple(before) != totals_before(connection, active, tenant_id, start):
            return False
    now = usage_store.totals(connection, tenant_id=tenant_id, meter_id=active.meter_id, start=start, end=end)
    return now == (trace["usage"]["count"], trace["usage"]["identity_sum"])
