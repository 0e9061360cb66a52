"""In which order does a quantity become the amount of a line?

120 kWh, 10 of them free, at 0.30 with 10 % off and a maximum of 25.00: 110 x 0.30 = 33.00, less the discount of 3.30 is
29.70, less 4.70 down to the maximum is 25.00.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, get_args

from app.domain.charge_models import MeasuredUsage, parts_of
from app.domain.charge_models.usage import quantity_of_parts
from app.domain.rating.lines import RatedLine, Rating, RatingTerms, StageName, Step
from app.domain.rating.stages import (
    Stage,
    apply_discounts,
    cap_amount,
    convert_units,
    deduct_allowance,
    deduct_given,
    lower_together,
    price_quantity,
    raise_to_minimum,
    round_quantity,
    settle_plan,
    waive_in_trial,
)

STAGES: tuple[Stage, ...] = (
    convert_units,  # bytes become GiB before anything is counted off
    round_quantity,  # to the meter's scale: what is printed is what is priced
    deduct_allowance,  # free units come off the rounded quantity
    deduct_given,  # free units before prepaid ones: who has paid for units keeps them as long as others are free
    price_quantity,  # the charge model turns units into components, each quantity x price, rounded there
    apply_discounts,  # a percentage acts on priced components, as an allowance on the line
    cap_amount,  # the ceiling sees what discounts left
    raise_to_minimum,  # the floor comes last of the amounts: no discount may undercut it
    waive_in_trial,  # what all of that came to is not due in a trial, its minimum included
    settle_plan,  # a plan's minimum sees what all its charges come to
    lower_together,  # what lowers all charges together comes last: coupons are a gift, and may undercut a floor
)

STAGE_NAMES: tuple[StageName, ...] = get_args(StageName)
assert tuple(stage.__name__ for stage in STAGES) == STAGE_NAMES, "StageName lists the stages, in their order"
_NAMED_STAGES = tuple(zip(STAGE_NAMES, STAGES, strict=True))


def rate(terms: RatingTerms, usage: MeasuredUsage) -> RatedLine:
    """The line of one charge over one stretch: the same terms and usage make the same line, always."""
    rating = _unrated(terms, usage)
    quantity, amount = rating.quantity_to_price, None
    steps: list[Step] = []
    for name, stage in _NAMED_STAGES:
        before, rating = rating, stage(rating)
        if rating is not before:  # most stages leave most lines alone
            quantity, amount = rating.quantity_to_price, rating.amount if rating.components else None
        steps.append(Step(name, quantity, amount))
    assert amount is not None, "the stages leave a line with components"
    return RatedLine(terms, rating.quantity, rating.components, rating.allowances, amount, tuple(steps))


def _unrated(terms: RatingTerms, usage: MeasuredUsage) -> Rating:
    parts = parts_of(terms.charge.model, usage)
    return Rating(terms, quantity=quantity_of_parts(parts), parts=parts, events=usage.count)


class Passed(NamedTuple):
    """One stage, and the line before and after it: what it did is the difference."""

    stage: StageName
    before: Rating
    after: Rating


def passage(terms: RatingTerms, usage: MeasuredUsage) -> Iterator[Passed]:
    """The way of one charge through all stages, in order."""
    rating = _unrated(terms, usage)
    for name, stage in _NAMED_STAGES:
        before, rating = rating, stage(rating)
        yield Passed(name, before, rating)
