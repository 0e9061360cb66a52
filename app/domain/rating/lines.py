"""What goes into rating one charge over one stretch, what is in progress, and what comes out. All immutable."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from app.domain.charge_models import Component, Part
from app.domain.charge_models.usage import quantity_of_parts
from app.domain.meters import Conversion, Rounding
from app.domain.money import ZERO
from app.domain.plan_totals import PlanTotals
from app.domain.plans import PlanCharge


@dataclass(frozen=True, slots=True)
class Given:
    """Units that are taken off the quantity beyond the charge's own allowance: of a shared allowance or one that rolled
    over, of a coupon, or of a grant of prepaid units; `name` says which."""

    kind: Literal["allowance", "coupon", "prepaid"]
    name: str
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Allowance:
    """A discount on a line: the amount that is taken off (EN 16931, BG-27), negative only where the line itself is."""

    description: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class RatingTerms:
    """All that fixes the price of a quantity: rating is a function of these terms and a `MeasuredUsage` alone.

    `used` of `full` (days or seconds, both whole numbers) is the share of the billing period that the stretch covers:
    flat amounts and the minimum are due in that share. `rounding` and `conversion` are the meter's, None where it
    states none. In a trial nothing is due: what was priced is taken off again. What the charge has in common with
    others of its plan was decided before, and is a number here: the units it is `given`, what the plan's maximum and
    coupons have `taken_off` its amount, and for the line of a plan's minimum or commitment its `plan_totals`.
    """

    charge: PlanCharge
    currency: str
    used: int
    full: int
    rounding: Rounding | None = None
    conversion: Conversion | None = None
    in_trial: bool = False
    given: tuple[Given, ...] = ()
    taken_off: tuple[Allowance, ...] = ()
    plan_totals: PlanTotals | None = None


StageName = Literal[
    "convert_units", "round_quantity", "deduct_allowance", "deduct_given", "price_quantity", "apply_discounts",
    "cap_amount", "raise_to_minimum", "waive_in_trial", "settle_plan", "lower_together",
]  # fmt: skip
"""What the stages are called, in traces and where they are explained. Old traces hold these names: none goes away."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one stage left behind: the quantity still to be priced and the amount so far (None before pricing)."""

    stage: StageName
    quantity: Decimal
    amount: Decimal | None


@dataclass(frozen=True, slots=True)
class Rating:
    """A line in progress: what every stage takes and returns.

    `quantity` is the measured one, converted and rounded by the first stages and then left alone; `parts` are what is
    left of it to be priced, as the model prices it, and `events` how many events it came from. There are no components
    before pricing, and always some after it.
    """

    terms: RatingTerms
    quantity: Decimal
    parts: tuple[Part, ...]
    events: int = 0
    components: tuple[Component, ...] = ()
    allowances: tuple[Allowance, ...] = ()

    @property
    def quantity_to_price(self) -> Decimal:
        return quantity_of_parts(self.parts)

    @property
    def amount(self) -> Decimal:
        """Components - allowances; 0 before pricing."""
        priced = sum((item.amount for item in self.components), ZERO)
        return priced - sum((item.amount for item in self.allowances), ZERO)


@dataclass(frozen=True, slots=True)
class RatedLine:
    """A plan charge's result: amount = components - allowances.

    `quantity` is the measured one in the billed unit, rounded, before the free units came off; `steps` has one step a
    stage, in order.
    """

    terms: RatingTerms
    quantity: Decimal
    components: tuple[Component, ...]
    allowances: tuple[Allowance, ...]
    amount: Decimal
    steps: tuple[Step, ...]
