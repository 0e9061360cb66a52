"""Which tenant is on which plan, when, and by which terms?

A subscription to a plan whose version 1 is in force from 1 January and version 2 from 8 May has, in May, two stretches:
seven days by version 1 and the rest by version 2. A pinned version holds throughout.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from app.domain.errors import FieldProblem
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


@dataclass(frozen=True, slots=True)
class Subscription:
    """A tenant on a plan over [start, end), without end where `end` is None.

    `start_date` is the local date of the start: what anniversaries are counted from. `tenant` and `plan` are keys.
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
    for start, end, version in _stretches(first.start, first.end, versions[first.plan], first.pinned_version):
        for other_start, other_end, other in _stretches(
            second.start, second.end, versions[second.plan], second.pinned_version
        ):
            both = sorted(priced_meters(version.terms) & priced_meters(other.terms))
            last = _earlier(end, other_end)
            if both and (last is None or max(start, other_start) < last):
                return Overlap(first.key, second.key, both[0], max(start, other_start))
    return None


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
