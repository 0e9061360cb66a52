"""Which thresholds has a tenant crossed, and which of them has nobody noticed yet?

An alert at 80 and 100 kWh of a billing period: at 85 the first is crossed, at 130 the second; at 140 there is nothing
new. Use and amounts cross a threshold upwards, on reaching it. What is left crosses it downwards: an alert at 10 of
what is left of an allowance of 100 is crossed at 90 used.

What was noticed stays noticed. Where a cancelled event brings the value back, the crossing is marked as receded, and is
not noticed again when the value comes back in the same period.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

from app.domain.errors import FieldProblem
from app.domain.periods import Period

Measure = Literal["quantity", "amount", "balance"]
Base = Literal["allowance", "limit", "commitment"]
MEASURES: tuple[Measure, ...] = ("quantity", "amount", "balance")
BASES: tuple[Base, ...] = ("allowance", "limit", "commitment")
MAX_THRESHOLDS = 20

ONCE = datetime(1970, 1, 1, tzinfo=UTC)
"""Stands for the period of what is noticed once and never again."""


@dataclass(frozen=True, slots=True)
class Alert:
    """What is watched: `measure` of the meter or charge, of one tenant or of every tenant of a plan, by their keys.

    `thresholds` go upwards; with `percent_of` they are percentages of the tenant's allowance or limit on the meter, or,
    of an amount, of what the tenant has committed to spend in a period. A recurring one is noticed once in each billing
    period, another once for ever.
    """

    key: str
    measure: Measure
    thresholds: tuple[Decimal, ...]
    tenant: str | None = None
    plan: str | None = None
    meter: str | None = None
    charge: str | None = None
    percent_of: Base | None = None
    recurring: bool = True
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Value:
    """What an alert watches, as it stands: the figure, and the period of the subscription that it is about. `base` is
    what percentages are taken of, None where there is no such thing."""

    subscription: str
    period: Period
    figure: Decimal
    base: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What a look at a value brings: thresholds that are crossed and were not noticed; noticed ones that the value is
    no longer beyond; and receded ones that it is beyond again."""

    crossed: tuple[Decimal, ...] = ()
    receded: tuple[Decimal, ...] = ()
    returned: tuple[Decimal, ...] = ()


def round_of(alert: Alert, value: Value) -> datetime:
    """What names the period in which each threshold is noticed once."""
    return value.period.start if alert.recurring else ONCE


def absolute(alert: Alert, threshold: Decimal, value: Value) -> Decimal | None:
    """The figure at which the threshold is crossed; None where it is a percentage of nothing."""
    if alert.percent_of is None:
        return threshold
    return None if value.base is None else value.base * threshold / 100


def is_beyond(alert: Alert, threshold: Decimal, value: Value) -> bool:
    """True where the figure has reached the threshold: from above for what is left, else from below."""
    at = absolute(alert, threshold, value)
    if at is None:
        return False
    return value.figure <= at if alert.measure == "balance" else value.figure >= at


def look(alert: Alert, value: Value, noticed: Mapping[Decimal, bool]) -> Change:
    """What is new. `noticed` has the thresholds noticed in this round, True where they have receded since."""
    beyond = {threshold for threshold in alert.thresholds if is_beyond(alert, threshold, value)}
    return Change(
        crossed=tuple(sorted(beyond - noticed.keys())),
        receded=_those(noticed, without=beyond, receded=False, among=alert.thresholds),
        returned=tuple(sorted(threshold for threshold in beyond if noticed.get(threshold))),
    )


def _those(
    noticed: Mapping[Decimal, bool], *, without: Collection[Decimal], receded: bool, among: Collection[Decimal]
) -> tuple[Decimal, ...]:
    return tuple(
        sorted(at for at, is_back in noticed.items() if is_back is receded and at not in without and at in among)
    )


@dataclass(frozen=True, slots=True)
class Crossing:
    """A threshold that was crossed, as it was noticed. `receded_at` is since when the value is no longer beyond it."""

    tenant_id: UUID
    event_id: UUID
    alert: str
    measure: Measure
    meter: str | None
    charge: str | None
    subscription: str
    threshold: Decimal
    percent_of: Base | None
    figure: Decimal
    base: Decimal | None
    unit: str
    period: Period
    round: datetime
    noticed_at: datetime
    receded_at: datetime | None = None


_MOST_DECIMALS = 18
_MOST = Decimal(10) ** 20


def alert_problems(alert: Alert) -> list[FieldProblem]:
    """Every rule that the alert breaks."""
    found: list[FieldProblem] = []
    if (alert.tenant is None) is (alert.plan is None):
        found.append(FieldProblem("/tenant", "an alert watches either one tenant or the tenants of one plan"))
    if alert.measure != "amount":
        if alert.meter is None and (alert.measure == "quantity" or alert.percent_of is not None):
            found.append(FieldProblem("/meter", f"name the meter whose {alert.measure} is watched"))
        if alert.charge is not None:
            found.append(FieldProblem("/charge", "only an amount is a charge's: leave it out"))
    elif alert.meter is not None and alert.charge is not None:
        found.append(FieldProblem("/charge", "an amount is a meter's or a charge's: leave one out"))
    if alert.measure == "amount" and alert.percent_of in ("allowance", "limit"):
        found.append(FieldProblem("/percent_of", "an amount has no allowance and no limit to be a percentage of"))
    if alert.percent_of == "commitment":
        if alert.measure != "amount":
            found.append(FieldProblem("/percent_of", "an amount is a percentage of a commitment, and nothing else is"))
        elif alert.meter is not None or alert.charge is not None:
            found.append(FieldProblem("/percent_of", "a commitment is about all charges: leave meter and charge out"))
    if alert.percent_of == "limit" and alert.measure == "balance":
        found.append(FieldProblem("/percent_of", "what is left is a percentage of the allowance"))
    return [*found, *_threshold_problems(alert.thresholds)]


def _threshold_problems(thresholds: tuple[Decimal, ...]) -> list[FieldProblem]:
    found: list[FieldProblem] = []
    if not 1 <= len(thresholds) <= MAX_THRESHOLDS:
        found.append(FieldProblem("/thresholds", f"there are 1 to {MAX_THRESHOLDS} thresholds"))
    for index, threshold in enumerate(thresholds):
        exponent = threshold.normalize().as_tuple().exponent
        assert isinstance(exponent, int), "a threshold is a finite number"
        if not 0 <= threshold < _MOST or -exponent > _MOST_DECIMALS:
            detail = f"a threshold is 0 or more, under 10^20, and has at most {_MOST_DECIMALS} decimals"
            found.append(FieldProblem(f"/thresholds/{index}", detail))
        elif threshold in thresholds[:index]:
            found.append(FieldProblem(f"/thresholds/{index}", "stands here twice"))
    return found
