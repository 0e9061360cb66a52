"""What happens to one line, a stage at a time?

Each stage takes a `Rating` and returns the next one. It reads nothing but that, and where the charge does not ask for
it, it returns what it was given. `pipeline.py` puts the stages in order and says why the order is what it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from app.domain.charge_models import Component, Part, charge, prorate, take_off
from app.domain.charge_models.usage import quantity_of_parts
from app.domain.meters import apply_rounding, convert
from app.domain.money import ZERO, plain, round_amount
from app.domain.plan_totals import plan_components
from app.domain.rating.lines import Allowance, Rating

Stage = Callable[[Rating], Rating]


def convert_units(rating: Rating) -> Rating:
    """The quantity in the unit that is billed: 3221225472 bytes divided by 1073741824 are 3 GiB."""
    conversion = rating.terms.conversion
    if conversion is None:
        return rating
    parts = tuple([Part(convert(conversion, part.quantity), part.place, part.times) for part in rating.parts])
    return Rating(rating.terms, quantity_of_parts(parts), parts, rating.events)


def round_quantity(rating: Rating) -> Rating:
    """The quantity at the scale that the meter states: 7.256 kWh half up to two decimals is 7.26.

    Each part that is priced by itself is rounded by itself, and the quantity is their sum: what is printed is priced.
    """
    rounding = rating.terms.rounding
    if rounding is None:
        return rating
    parts = tuple([Part(apply_rounding(rounding, part.quantity), part.place, part.times) for part in rating.parts])
    return Rating(rating.terms, quantity_of_parts(parts), parts, rating.events)


def deduct_allowance(rating: Rating) -> Rating:
    """The quantity without the free units: 120 with 100 free is 20, 80 is 0, and a negative quantity stays as it is.

    They come off the parts in order: off the first cell or rate that was used, off the first events.
    """
    charge = rating.terms.charge
    # What rolls over is no number of the charge alone: it is among the units that are given.
    if charge.allowance is None or charge.rollover is not None:
        return rating
    return replace(rating, parts=take_off(rating.parts, charge.allowance))


def deduct_given(rating: Rating) -> Rating:
    """The quantity without the units of shared allowances, coupons and prepaid units: never more than there are."""
    given = sum((item.quantity for item in rating.terms.given), ZERO)
    return replace(rating, parts=take_off(rating.parts, given)) if given else rating


def price_quantity(rating: Rating) -> Rating:
    """The components that the charge model makes of the quantity, each rounded to the currency."""
    terms = rating.terms
    components = charge(
        terms.charge.model, rating.parts, events=rating.events, currency=terms.currency, used=terms.used,
        full=terms.full,
    )  # fmt: skip
    return Rating(terms, rating.quantity, rating.parts, rating.events, components)


def apply_discounts(rating: Rating) -> Rating:
    """The discount as an allowance: 10 % of 35.00 is 3.50; a fixed 5.00 takes 3.00 off 3.00 and nothing off -3.00.

    A percentage holds for negative amounts too: units returned are worth what they cost, not what they would have cost.
    """
    discount = rating.terms.charge.discount
    if discount is None:
        return rating
    priced, currency = rating.amount, rating.terms.currency
    description, amount = "discount", ZERO
    if discount.percent is not None:
        description = f"discount {plain(discount.percent)} %"
        amount = round_amount(priced * discount.percent / 100, currency)
    elif discount.amount is not None:
        amount = min(round_amount(discount.amount, currency), max(priced, ZERO))
    if not amount:
        return rating
    return replace(rating, allowances=(*rating.allowances, Allowance(description, amount)))


def cap_amount(rating: Rating) -> Rating:
    """The amount brought down to the maximum by a component of quantity -1: 65.00 under 50.00 has -1 x 15.00.

    The maximum is the whole period's, however short the stretch.
    """
    maximum = rating.terms.charge.maximum
    if maximum is None:
        return rating
    excess = rating.amount - round_amount(maximum, rating.terms.currency)
    if excess <= 0:
        return rating
    # A price is never negative (EN 16931, BR-27), so the quantity is.
    return _with_component(rating, Component("maximum", Decimal(-1), excess, -excess))


def raise_to_minimum(rating: Rating) -> Rating:
    """The amount brought up to the stretch's share of the minimum, also at no use: 3.20 and 5.00 have 1 x 1.80."""
    terms = rating.terms
    if terms.charge.minimum is None:
        return rating
    floor = prorate(terms.charge.minimum, currency=terms.currency, used=terms.used, full=terms.full)
    shortfall = floor - rating.amount
    if shortfall <= 0:
        return rating
    return _with_component(rating, Component("minimum", Decimal(1), shortfall, shortfall))


def waive_in_trial(rating: Rating) -> Rating:
    """In a trial all that was priced as an allowance: 12.40 of use is shown, and 12.40 taken off."""
    if not rating.terms.in_trial or not rating.amount:
        return rating
    return replace(rating, allowances=(*rating.allowances, Allowance("trial", rating.amount)))


def settle_plan(rating: Rating) -> Rating:
    """For the line of a plan's minimum or commitment: what is due beyond the charges, in place of its empty amount."""
    totals = rating.terms.plan_totals
    if totals is None:
        return rating
    return replace(rating, components=plan_components(totals, rating.terms.currency) or rating.components)


def lower_together(rating: Rating) -> Rating:
    """The line's part of what is taken off all charges together: by the plan's maximum, then by coupons."""
    return replace(rating, allowances=(*rating.allowances, *rating.terms.taken_off))


def _with_component(rating: Rating, component: Component) -> Rating:
    return replace(rating, components=(*rating.components, component))
