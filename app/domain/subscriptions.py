"""Which tenant is on which plan, when, and by which terms?

A subscription to a plan whose version 1 is in force from 1 January and version 2 from 8 May has, in May, two stretches:
seven days by version 1 and the rest by version 2. A pinned version holds throughout. A change moves the subscription to
another plan: from 1 January on Basic, on Pro from 15 May and back on Basic from 20 May, it has three phases.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from app.domain.errors import FieldProblem
from app.domain.parties import NO_REFERENCES, BuyerReferences
from app.domain.periods import Period, local_date, start_of_day
from app.domain.plans import OVERRIDABLE, PlanCharge, PlanTerms, PlanVersion, charge_problems


@dataclass(frozen=True, slots=True)
class ChargeOverride:
    """What one subscription has otherwise than its plan in one charge: fields of `PlanCharge` by name."""

    charge: str
    fields: tuple[tuple[str, Any], ...]

    def applied(self, charge: PlanCharge) -> PlanCharge:
        assert all(name in OVERRIDABLE for name, _ in self.fields)
        return replace(charge, **dict(self.fields))


Overrides = tuple[ChargeOverride, ...]


LatePolicy = Literal["bill", "report_only"]


@dataclass(frozen=True, slots=True)
class LateUsage:
    """What becomes of use that a billed period was given or lost since: `bill` corrects it, `report_only` lists it.

    With a horizon, so does `bill` where the use lies further back than that many days; None is without limit.
    """

    policy: LatePolicy = "bill"
    horizon_days: int | None = None


BILL_LATE_USAGE = LateUsage()
"""What holds where a subscription says nothing else."""


@dataclass(frozen=True, slots=True)
class PlanChange:
    """From `at` on, until the next one, a subscription is on this plan by these terms.

    `local_date` is that of `at`; `anchor_date` is what anniversaries are counted from: the date of the first phase
    with the same schedule, so that a change between monthly plans leaves the day of the month where it was.
    """

    at: datetime
    local_date: date
    plan: str
    anchor_date: date
    pinned_version: int | None = None
    overrides: Overrides = ()


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of a subscription on one plan by one set of terms, in its trial or past it; an `end` of None is never.

    Phases begin and end with billing instants. `start_date` is the local date of the start.
    """

    start: datetime
    start_date: date
    end: datetime | None
    plan: str
    anchor_date: date
    pinned_version: int | None
    overrides: Overrides
    in_trial: bool


@dataclass(frozen=True, slots=True)
class Subscription:
    """A tenant on a plan over [start, end), without end where `end` is None; on other plans from its `changes` on.

    `start_date` is the local date of the start: what anniversaries are counted from. `tenant` and `plan` are keys.
    Until `trial_end` nothing is charged; `trial_days` is its own number of days, None where the plan's holds. Changes
    are in order of time. `references` are what its documents say to the buyer in place of what the tenant wants on all.
    """

    tenant_id: UUID
    subscription_id: UUID
    key: str
    tenant: str
    plan: str
    start: datetime
    end: datetime | None
    start_date: date
    pinned_version: int | None = None
    overrides: Overrides = ()
    changes: tuple[PlanChange, ...] = ()
    trial_days: int | None = None
    trial_end: datetime | None = None
    trial_end_date: date | None = None
    late_usage: LateUsage = BILL_LATE_USAGE
    references: BuyerReferences = NO_REFERENCES

    @property
    def plans(self) -> set[str]:
        """The plan and those that it changes to."""
        return {self.plan} | {change.plan for change in self.changes}

    @property
    def phases(self) -> tuple[Phase, ...]:
        """What the subscription consists of, oldest first: cut where the plan changes and where the trial ends."""
        first = PlanChange(
            self.start, self.start_date, self.plan, self.start_date, self.pinned_version, self.overrides
        )  # fmt: skip
        changes = [first, *self.changes]
        dates = {change.at: change.local_date for change in changes}
        if self.trial_end is not None and self.trial_end_date is not None:
            dates.setdefault(self.trial_end, self.trial_end_date)
        starts = sorted(at for at in dates if self.end is None or at < self.end)
        return tuple(
            self._phase(start, dates[start], end, [change for change in changes if change.at <= start][-1])
            for start, end in zip(starts, [*starts[1:], self.end], strict=True)
        )

    def _phase(self, start: datetime, start_date: date, end: datetime | None, change: PlanChange) -> Phase:
        in_trial = self.trial_end is not None and start < self.trial_end
        anchor_date = change.anchor_date
        if self.trial_end is not None and self.trial_end_date is not None and change.at < self.trial_end <= start:
            anchor_date = self.trial_end_date  # what is paid for begins there
        return Phase(
            start, start_date, end, change.plan, anchor_date, change.pinned_version, change.overrides, in_trial
        )  # fmt: skip

    def phase_at(self, instant: datetime) -> Phase:
        """The phase that holds the instant; the last one where that is its end or later."""
        return [phase for phase in self.phases if phase.start <= instant][-1]


def overridden(terms: PlanTerms, overrides: Overrides) -> PlanTerms:
    """The terms with the subscription's own in place of the plan's; an override of another charge changes nothing."""
    by_charge = {item.charge: item for item in overrides}
    charges = tuple(
        by_charge[charge.key].applied(charge) if charge.key in by_charge else charge for charge in terms.charges
    )
    return replace(terms, charges=charges) if by_charge else terms


def terms_in_force(
    period: Period, versions: Sequence[PlanVersion], pinned: int | None, overrides: Overrides
) -> list[tuple[Period, PlanVersion, PlanTerms]]:
    """The stretches of the period with the version in force in each, and its terms with the overrides applied."""
    return [
        (Period(start, end or period.end), version, overridden(version.terms, overrides))
        for start, end, version in _stretches(period.start, period.end, versions, pinned)
    ]


def terms_at(versions: Sequence[PlanVersion], instant: datetime, pinned: int | None) -> PlanTerms:
    """The pinned version's terms, else those in force at the instant, else the first version's."""
    chosen = [item for item in versions if item.version == pinned]
    in_force = [item for item in versions if item.effective_at <= instant]
    return (chosen or in_force[-1:] or list(versions))[0].terms


def _stretches(
    start: datetime, end: datetime | None, versions: Sequence[PlanVersion], pinned: int | None
) -> Iterator[tuple[datetime, datetime | None, PlanVersion]]:
    """The parts of [start, end) by version; an end of None is never."""
    if pinned is not None:
        yield from ((start, end, version) for version in versions if version.version == pinned)
        return
    ordered = sorted(versions, key=lambda version: version.effective_at)
    for version, following in zip(ordered, [*ordered[1:], None], strict=True):
        first = max(start, version.effective_at)
        last = _earlier(end, following.effective_at if following else None)
        if last is None or first < last:
            yield first, last, version


def _earlier(first: datetime | None, second: datetime | None) -> datetime | None:
    if first is None or second is None:
        return second if first is None else first
    return min(first, second)


# --- overlap ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two subscriptions of one tenant that price the same meter, and since when they both do."""

    subscription: str
    other: str
    meter: str
    start: datetime


def find_overlap(
    candidates: Iterable[Subscription], others: Iterable[Subscription], versions: Mapping[str, Sequence[PlanVersion]]
) -> Overlap | None:
    """The first meter that a candidate and another subscription of its tenant price at the same time.

    `versions` holds the published versions of every plan concerned, by plan key.
    """
    by_tenant: dict[UUID, list[Subscription]] = {}
    for other in others:
        by_tenant.setdefault(other.tenant_id, []).append(other)
    for candidate in candidates:
        for other in by_tenant.get(candidate.tenant_id, []):
            if other.subscription_id != candidate.subscription_id:
                found = _overlap(candidate, other, versions)
                if found is not None:
                    return found
    return None


def _overlap(
    first: Subscription, second: Subscription, versions: Mapping[str, Sequence[PlanVersion]]
) -> Overlap | None:
    for start, end, version in _all_stretches(first, versions):
        for other_start, other_end, other in _all_stretches(second, versions):
            both = sorted(priced_meters(version.terms) & priced_meters(other.terms))
            last = _earlier(end, other_end)
            if both and (last is None or max(start, other_start) < last):
                return Overlap(first.key, second.key, both[0], max(start, other_start))
    return None


def _all_stretches(
    subscription: Subscription, versions: Mapping[str, Sequence[PlanVersion]]
) -> Iterator[tuple[datetime, datetime | None, PlanVersion]]:
    for phase in subscription.phases:
        yield from _stretches(phase.start, phase.end, versions[phase.plan], phase.pinned_version)


def priced_meters(terms: PlanTerms) -> set[str]:
    return {charge.meter for charge in terms.charges if charge.meter is not None}


# --- what a change must leave alone ----------------------------------------------------------------------------------


def override_problems(overrides: Overrides, versions: Sequence[PlanVersion]) -> list[FieldProblem]:
    """Overrides of charges that no version has, or that make a charge of one break a rule of plans."""
    problems: list[FieldProblem] = []
    for item in overrides:
        pointer = f"/overrides/charges/{item.charge.replace('~', '~0').replace('/', '~1')}"
        matching = [
            (version.terms, charge)
            for version in versions
            for charge in version.terms.charges
            if charge.key == item.charge
        ]
        if not matching:
            problems.append(FieldProblem(pointer, f"the plan has no charge {item.charge!r}"))
        for terms, charge in matching:
            found = [
                FieldProblem(pointer + problem.pointer, problem.detail)
                for problem in charge_problems(item.applied(charge), terms.currency)
            ]
            problems += [problem for problem in found if problem not in problems]
    return problems


_WESTMOST, _EASTMOST = timedelta(hours=12), timedelta(hours=14)


def may_be_midnight_of(day: date, instant: datetime, zone: ZoneInfo) -> bool:
    """True where the stored instant can be the day's midnight in a time zone that the tenant has left since.

    Sending the same subscription again must change nothing when only the tenant's zone has changed.
    """
    if start_of_day(local_date(instant, zone), zone) == instant:
        return False  # it is a midnight here, of another day
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return midnight - _EASTMOST <= instant <= midnight + _WESTMOST
