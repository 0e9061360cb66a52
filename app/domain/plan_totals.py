"""What is due beyond the charges themselves: a plan's minimum and maximum, and what a tenant has committed to spend?

All three look at what the plan's charges come to together, in a stretch of a billing period or over a term. 80.00 under
a minimum of 100.00 owes 20.00 more. 130.00 with 100.00 committed and an overage factor of 1.5 owes, for the 30.00 that
exceed, half as much again: 15.00.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from app.domain.charge_models import Component
from app.domain.errors import FieldProblem
from app.domain.money import ZERO, round_amount

TRUE_UP = "true-up"
"""The key of the line that a plan's minimum or a commitment makes; no charge of such a plan may have it."""
MAX_TERM_PERIODS = 120
MAX_OVERAGE_FACTOR = Decimal(100)


@dataclass(frozen=True, slots=True)
class Commitment:
    """`amount` is to be spent in every period, or over each term of `periods` periods where that is given, counted from
    the subscription's start. What exceeds it costs `overage_factor` times its price."""

    amount: Decimal
    periods: int | None = None
    overage_factor: Decimal = Decimal(1)


@dataclass(frozen=True, slots=True)
class PlanTotals:
    """What the line of a plan's minimum and commitment is computed from.

    `rated` is what the charges of the stretch come to, `taken_off` what the plan's maximum takes of that, `before` what
    those of the term's earlier periods came to; minimum and commitment are the stretch's share if they are by period.
    `settles` is True where the commitment is to be met: at the end of the period, or of the term.
    """

    rated: Decimal
    taken_off: Decimal = ZERO
    before: Decimal = ZERO
    minimum: Decimal | None = None
    committed: Decimal | None = None
    overage_factor: Decimal = Decimal(1)
    settles: bool = True


def plan_components(totals: PlanTotals, currency: str) -> tuple[Component, ...]:
    """What is due beyond the charges, none where that is nothing: overage first, then what is missing of the
    commitment, and last what is still missing of the minimum, so that neither is asked for twice."""
    found = list(_overage(totals, currency))
    amount = totals.rated - totals.taken_off + sum((item.amount for item in found), ZERO)
    missing = ZERO
    if totals.committed is not None and totals.settles:
        missing = totals.committed - totals.before - totals.rated
        if missing > 0:
            found.append(Component("commitment", Decimal(1), missing, missing))
            amount += missing
    if totals.minimum is not None and totals.minimum > amount:
        shortfall = totals.minimum - amount
        found.append(Component("plan_minimum", Decimal(1), shortfall, shortfall))
    return tuple(found)


def overage(totals: PlanTotals, currency: str) -> Decimal:
    """What the stretch owes for exceeding the commitment: the maximum sees it."""
    return sum((item.amount for item in _overage(totals, currency)), ZERO)


def _overage(totals: PlanTotals, currency: str) -> Iterator[Component]:
    if totals.committed is None or totals.overage_factor == 1:
        return
    exceeding = max(totals.before + totals.rated - totals.committed, ZERO) - max(totals.before - totals.committed, ZERO)
    if exceeding:
        factor = totals.overage_factor - 1
        # Of a term the parts sum to the whole: each stretch owes the difference of two rounded sums.
        so_far = round_amount(max(totals.before - totals.committed, ZERO) * factor, currency)
        now = round_amount(max(totals.before + totals.rated - totals.committed, ZERO) * factor, currency)
        yield Component("commitment_overage", exceeding, factor, now - so_far)


def plan_problems(
    minimum: Decimal | None, maximum: Decimal | None, commitment: Commitment | None, keys: set[str]
) -> Iterator[FieldProblem]:
    """Every rule that these break among themselves; pointers start at the plan. That amounts fit the currency is
    another's to say."""
    if minimum is not None and maximum is not None and minimum > maximum:
        yield FieldProblem("/minimum", "the minimum is above the maximum")
    if commitment is not None:
        if commitment.periods is not None and not 2 <= commitment.periods <= MAX_TERM_PERIODS:
            yield FieldProblem("/commitment/periods", f"a term has 2 to {MAX_TERM_PERIODS} periods")
        exponent = commitment.overage_factor.normalize().as_tuple().exponent
        assert isinstance(exponent, int)
        if not 1 <= commitment.overage_factor <= MAX_OVERAGE_FACTOR or -exponent > 6:
            yield FieldProblem("/commitment/overage_factor", "a factor lies between 1 and 100, with 6 decimals at most")
        if commitment.periods is None and maximum is not None and commitment.amount > maximum:
            yield FieldProblem("/commitment/amount", "more is committed than the maximum lets be billed")
    if (minimum is not None or commitment is not None) and TRUE_UP in keys:
        yield FieldProblem("/charges", f"the key {TRUE_UP!r} is kept for what a minimum or a commitment adds")
