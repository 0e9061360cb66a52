"""In which order does a quantity become the amount of a line?

120 kWh, 10 of them free, at 0.30 with 10 % off and a maximum of 25.00: 110 x 0.30 = 33.00, less the discount of 3.30 is
29.70, less 4.70 down to the maximum is 25.00.

Units are not converted: a meter measures in the unit that is billed. A stage `convert_units` would come first, so that
free units come off the converted quantity; it waits for meters that state a conversion.
"""

from __future__ import annotations

from app.domain.charge_models import MeasuredUsage
from app.domain.rating.lines import RatedLine, Rating, RatingTerms, Step
from app.domain.rating.stages import (
    Stage,
    apply_discounts,
    cap_amount,
    deduct_allowance,
    price_quantity,
    raise_to_minimum,
    round_quantity,
)

STAGES: tuple[Stage, ...] = (
    round_quantity,  # to the meter's scale: what is printed is what is priced
    deduct_allowance,  # free units come off the rounded quantity
    price_quantity,  # the charge model turns units into components, each quantity x price, rounded there
    apply_discounts,  # a percentage acts on priced components, as an allowance on the line
    cap_amount,  # the ceiling sees what discounts left
    raise_to_minimum,  # the floor comes last of the amounts: no discount may undercut it
)


def rate(terms: RatingTerms, usage: MeasuredUsage) -> RatedLine:
    """The line of one charge over one stretch: the same terms and usage make the same line, always."""
    rating = Rating(terms, quantity=usage.total, quantity_to_price=usage.total)
    steps = []
    for stage in STAGES:
        rating = stage(rating)
        steps.append(_step(stage, rating))
    return RatedLine(terms, rating.quantity, rating.components, rating.allowances, rating.amount, tuple(steps))


def _step(stage: Stage, rating: Rating) -> Step:
    return Step(stage.__name__, rating.quantity_to_price, rating.amount if rating.components else None)
