"""When is a subscription billed, and for what?

An invoice at billing instant b carries the arrears of the period that ends at b and the charges in advance of the
period that starts there. A monthly subscription from 15 January on calendar months has the instants 15 January, 1
February, 1 March; nothing is due at the first unless something is charged in advance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from app.domain.periods import BillingInstant, Period, first_instant, full_dates, next_instant
from app.domain.plans import PlanTerms, PlanVersion
from app.domain.subscriptions import Subscription


@dataclass(frozen=True, slots=True)
class BillingPeriod:
    """The stretch between two billing instants, and the local dates of the whole interval that it is (part of).

    `known` are the dates that its start and end stand for; an end that cuts it short stands for none.
    """

    period: Period
    full: tuple[date, date]
    known: dict[datetime, date]


def schedule_terms(versions: Sequence[PlanVersion], subscription: Subscription) -> PlanTerms:
    """The terms that fix interval and anchor: no version of a plan changes them."""
    pinned = [item for item in versions if item.version == subscription.pinned_version]
    return (pinned or list(versions))[0].terms


def extend_instants(
    known: Sequence[BillingInstant], subscription: Subscription, terms: PlanTerms, *, zone: ZoneInfo, until: datetime
) -> list[BillingInstant]:
    """The known instants and all further ones, up to the first that lies after `until` or the subscription's end.

    The end is itself an instant: the last, cut-short period is billed there.
    """
    instants = list(known) or [first_instant(subscription.start, zone)]
    while instants[-1].at <= until and (subscription.end is None or instants[-1].at < subscription.end):
        following = next_instant(
            instants[-1], interval=terms.interval, count=terms.interval_count, anchor=terms.anchor,
            anchor_date=subscription.start_date, zone=zone,
        )  # fmt: skip
        if subscription.end is not None and following.at >= subscription.end:
            # The row keeps the date at which the whole period would have ended: proration needs it.
            following = BillingInstant(following.local_date, subscription.end)
        instants.append(following)
    return instants


def period_between(
    first: BillingInstant, second: BillingInstant, subscription: Subscription, terms: PlanTerms
) -> BillingPeriod:
    full = full_dates(
        first.local_date, interval=terms.interval, count=terms.interval_count, anchor=terms.anchor,
        anchor_date=subscription.start_date,
    )  # fmt: skip
    known = {first.at: first.local_date, second.at: second.local_date}
    if second.at == subscription.end:
        # The row of a cut-short period keeps the date at which the whole one would have ended.
        del known[second.at]
    return BillingPeriod(Period(first.at, second.at), full, known)
