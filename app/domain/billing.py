"""When is a subscription billed, and for what?

An invoice at billing instant b carries the arrears of the period that ends at b and the charges in advance of the
period that starts there. A monthly subscription from 15 January on calendar months has the instants 15 January, 1
February, 1 March; nothing is due at the first unless something is charged in advance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from app.domain.periods import BillingInstant, Period, first_instant, full_dates, local_date, next_instant
from app.domain.plans import PlanTerms, PlanVersion
from app.domain.subscriptions import Phase, Subscription

Versions = Mapping[str, Sequence[PlanVersion]]
"""The published versions of every plan that a subscription is on, by the plan's key."""


@dataclass(frozen=True, slots=True)
class BillingPeriod:
    """The stretch between two billing instants, and the local dates of the whole interval that it is (part of).

    `known` are the dates that its start and end stand for; an end that cuts it short stands for none.
    """

    period: Period
    full: tuple[date, date]
    known: dict[datetime, date]
    phase: Phase


def schedule_terms(versions: Versions, phase: Phase) -> PlanTerms:
    """The terms that fix interval and anchor: no version of a plan changes them."""
    published = versions[phase.plan]
    pinned = [item for item in published if item.version == phase.pinned_version]
    return (pinned or list(published))[0].terms


def extend_instants(
    known: Sequence[BillingInstant], subscription: Subscription, versions: Versions, *, zone: ZoneInfo, until: datetime
) -> list[BillingInstant]:
    """The known instants and all further ones, up to the first that lies after `until` or the subscription's end.

    The end is itself an instant, and so are a change of plan and the end of a trial: what is cut short is billed there.
    """
    instants = list(known) or [first_instant(subscription.start, zone)]
    phases = subscription.phases
    while instants[-1].at <= until and (subscription.end is None or instants[-1].at < subscription.end):
        instants.append(_following(instants[-1], phases, versions, zone))
    return instants


def _following(previous: BillingInstant, phases: Sequence[Phase], versions: Versions, zone: ZoneInfo) -> BillingInstant:
    position = [index for index, phase in enumerate(phases) if phase.start <= previous.at][-1]
    phase = phases[position]
    terms = schedule_terms(versions, phase)
    following = next_instant(
        previous, interval=terms.interval, count=terms.interval_count, anchor=terms.anchor,
        anchor_date=phase.anchor_date, zone=zone,
    )  # fmt: skip
    if phase.end is None or following.at < phase.end:
        return following
    if position + 1 < len(phases):
        return BillingInstant(phases[position + 1].start_date, phase.end)
    return following if following.at == phase.end else BillingInstant(local_date(phase.end, zone), phase.end)


def period_between(
    first: BillingInstant, second: BillingInstant, subscription: Subscription, versions: Versions
) -> BillingPeriod:
    phase = subscription.phase_at(first.at)
    terms = schedule_terms(versions, phase)
    full = full_dates(
        first.local_date, interval=terms.interval, count=terms.interval_count, anchor=terms.anchor,
        anchor_date=phase.anchor_date,
    )  # fmt: skip
    known = {first.at: first.local_date, second.at: second.local_date}
    if second.at == subscription.end:
        # Rows of older versions keep the date at which the period would have ended if it were not cut short.
        del known[second.at]
    return BillingPeriod(Period(first.at, second.at), full, known, phase)
