"""What does a plan charge for, and from when?

A plan has versions; a published one never changes. Version 1 in force from 1 May and version 2 from 8 May rate the
first seven days of May by the one and the rest by the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from app.domain.allowances import Rollover, SharedAllowance, rollover_problems, shared_allowance_problems
from app.domain.charge_models import ChargeModel, Flat, model_problems
from app.domain.errors import FieldProblem
from app.domain.money import CURRENCY_DECIMALS, MAX_PRICE_DECIMALS
from app.domain.periods import Anchor, Interval, Unit
from app.domain.plan_totals import Commitment, plan_problems
from app.domain.tax import Supply


@dataclass(frozen=True, slots=True)
class Discount:
    """Either `percent` of what was priced, or a fixed `amount` (never more than what was priced)."""

    percent: Decimal | None = None
    amount: Decimal | None = None


@dataclass(frozen=True, slots=True)
class PlanCharge:
    """A meter (None only for a flat charge) and a price inside a plan. `allowance` is in the meter's unit, and so is
    `limit`: how much a tenant may use in a billing period before producers are told to serve it no more. `supply` is
    what VAT sees in it (None: a service), `place` the country where it stands, where its resources do not say."""

    key: str
    model: ChargeModel
    meter: str | None = None
    allowance: Decimal | None = None
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    discount: Discount | None = None
    tax: str | None = None
    timing: Literal["arrears", "advance"] = "arrears"
    description: str = ""
    limit: Decimal | None = None
    rollover: Rollover | None = None
    supply: Supply | None = None
    place: str = ""


@dataclass(frozen=True, slots=True)
class PlanTerms:
    """What a plan version fixes: everything but its name and its start.

    A period is `interval_count` intervals long. A subscription begins with `trial_days` for which nothing is charged.
    `minimum`, `maximum` and `commitment` are about what all charges come to together.
    """

    currency: str
    interval: Interval
    anchor: Anchor
    charges: tuple[PlanCharge, ...]
    proration: Unit = "day"
    interval_count: int = 1
    trial_days: int = 0
    allowances: tuple[SharedAllowance, ...] = ()
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    commitment: Commitment | None = None

    @property
    def pools(self) -> tuple[tuple[str, SharedAllowance], ...]:
        """Every allowance that is more than a charge's own number, by a name: those of single charges that roll over,
        then the shared ones. A key has no slash, so no two have one name."""
        own = [
            (f"charge/{charge.key}", SharedAllowance(charge.key, charge.allowance, (charge.key,), charge.rollover))
            for charge in self.charges
            if charge.allowance is not None and charge.rollover is not None
        ]
        return (*own, *((allowance.key, allowance) for allowance in self.allowances))

    @property
    def has_totals(self) -> bool:
        """True where something is due, or not due, for all charges together."""
        return self.minimum is not None or self.maximum is not None or self.commitment is not None


@dataclass(frozen=True, slots=True)
class PlanVersion:
    """A published version; in force from `effective_at` until the next version's."""

    plan: str
    version: int
    effective_at: datetime
    terms: PlanTerms


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan with its published versions, oldest first, and the draft of the next one, if there is any."""

    key: str
    name: str
    draft: PlanTerms | None = None
    versions: tuple[PlanVersion, ...] = ()

    @property
    def latest(self) -> PlanVersion | None:
        return self.versions[-1] if self.versions else None

    def in_force_since(self, at: datetime) -> tuple[PlanVersion, ...]:
        """The versions that are in force at the instant or later."""
        ends = [*(version.effective_at for version in self.versions[1:]), None]
        return tuple(version for version, end in zip(self.versions, ends, strict=False) if end is None or end > at)

    @property
    def shown_terms(self) -> PlanTerms:
        """The draft's terms, else the latest version's."""
        terms = self.draft or (self.latest and self.latest.terms)
        assert terms, "a plan begins with a draft, and loses it to a version only"
        return terms


OVERRIDABLE = ("model", "allowance", "minimum", "maximum", "limit", "discount", "tax", "description", "rollover",
               "supply", "place")  # fmt: skip
"""The fields of a charge that one subscription may have otherwise. Its meter and timing stay the plan's."""


# --- rules of terms --------------------------------------------------------------------------------------------------

MAX_TRIAL_DAYS = 3660
MAX_INTERVAL_COUNT = {"day": 366, "week": 53, "month": 60, "quarter": 20, "year": 5}
_MAX_PRICE = Decimal(10) ** 15
_MAX_QUANTITY = Decimal(10) ** 20
_MAX_QUANTITY_DECIMALS = 18


def terms_problems(terms: PlanTerms) -> list[FieldProblem]:
    """Every rule that the terms break; pointers start at the terms, as "/charges/0/model/tiers/1/up_to"."""
    problems = [
        FieldProblem(f"/charges/{index}{problem.pointer}", problem.detail)
        for index, charge in enumerate(terms.charges)
        for problem in charge_problems(charge, terms.currency)
    ]
    if terms.interval_count > MAX_INTERVAL_COUNT[terms.interval]:
        detail = f"must be a whole number from 1 to {MAX_INTERVAL_COUNT[terms.interval]} for {terms.interval}"
        problems.append(FieldProblem("/interval_count", detail))
    seen: set[str] = set()
    for index, charge in enumerate(terms.charges):
        if charge.key in seen:
            problems.append(FieldProblem(f"/charges/{index}/key", f"another charge has the key {charge.key!r}"))
        seen.add(charge.key)
    return [*problems, *_shared_problems(terms, seen)]


def _shared_problems(terms: PlanTerms, keys: set[str]) -> Iterator[FieldProblem]:
    """What the terms break beyond their single charges."""
    metered = {charge.key for charge in terms.charges if charge.meter is not None}
    names: set[str] = set()
    for index, allowance in enumerate(terms.allowances):
        for problem in shared_allowance_problems(allowance, metered):
            yield FieldProblem(f"/allowances/{index}{problem.pointer}", problem.detail)
        if allowance.key in names:
            yield FieldProblem(f"/allowances/{index}/key", f"another allowance has the key {allowance.key!r}")
        names.add(allowance.key)
    for name, amount in (("minimum", terms.minimum), ("maximum", terms.maximum)):
        if amount is not None:
            yield from _money(f"/{name}", amount, terms.currency)
    if terms.commitment is not None:
        yield from _money("/commitment/amount", terms.commitment.amount, terms.currency)
    yield from plan_problems(terms.minimum, terms.maximum, terms.commitment, keys)


def charge_problems(charge: PlanCharge, currency: str) -> list[FieldProblem]:
    """Every rule that the charge breaks; pointers start at the charge."""
    of_model = [FieldProblem("/model" + item.pointer, item.detail) for item in model_problems(charge.model)]
    return [*_kind_problems(charge), *_amount_problems(charge, currency), *of_model]


def _kind_problems(charge: PlanCharge) -> Iterator[FieldProblem]:
    if isinstance(charge.model, Flat):
        if charge.meter is not None:
            yield FieldProblem("/meter", "a flat charge measures nothing: leave the meter out")
        if charge.allowance is not None:
            yield FieldProblem("/allowance", "a flat charge has no quantity to deduct an allowance from")
        if charge.limit is not None:
            yield FieldProblem("/limit", "a flat charge has no quantity to hold a limit against")
        return
    if charge.meter is None:
        yield FieldProblem("/meter", "this model prices use: name the meter that measures it")
    if charge.timing == "advance":
        yield FieldProblem("/timing", "only a flat charge is due in advance: use is known afterwards")


def _amount_problems(charge: PlanCharge, currency: str) -> Iterator[FieldProblem]:
    for name in ("minimum", "maximum"):
        amount: Decimal | None = getattr(charge, name)
        if amount is not None:
            yield from _money(f"/{name}", amount, currency)
    if charge.minimum is not None and charge.maximum is not None and charge.minimum > charge.maximum:
        yield FieldProblem("/minimum", "the minimum is above the maximum")
    if charge.allowance is not None:
        yield from _quantity("/allowance", charge.allowance, may_be_zero=True)
    if charge.limit is not None:
        yield from _quantity("/limit", charge.limit, may_be_zero=True)
    if charge.rollover is not None:
        if charge.allowance is None:
            yield FieldProblem("/rollover", "there is no allowance of which a rest could be carried")
        for problem in rollover_problems(charge.rollover):
            yield FieldProblem("/rollover" + problem.pointer, problem.detail)
    if charge.discount is not None:
        yield from _discount_problems(charge.discount, currency)


def _discount_problems(discount: Discount, currency: str) -> Iterator[FieldProblem]:
    if (discount.percent is None) is (discount.amount is None):
        yield FieldProblem("/discount", "a discount is either a percent or an amount")
    if discount.percent is not None and not 0 <= discount.percent <= 100:
        yield FieldProblem("/discount/percent", "a percentage lies between 0 and 100")
    if discount.percent is not None and _decimals(discount.percent) > MAX_PRICE_DECIMALS:
        yield FieldProblem("/discount/percent", f"at most {MAX_PRICE_DECIMALS} decimals")
    if discount.amount is not None:
        yield from _money("/discount/amount", discount.amount, currency)


def _money(pointer: str, amount: Decimal, currency: str) -> Iterator[FieldProblem]:
    decimals = CURRENCY_DECIMALS[currency]
    if not 0 <= amount < _MAX_PRICE:
        yield FieldProblem(pointer, "an amount is 0 or more, and under 10^15")
    elif _decimals(amount) > decimals:
        yield FieldProblem(pointer, f"an amount in {currency} has at most {decimals} decimals")


def _quantity(pointer: str, quantity: Decimal, *, may_be_zero: bool = False) -> Iterator[FieldProblem]:
    if quantity < 0 or (not quantity and not may_be_zero) or quantity >= _MAX_QUANTITY:
        yield FieldProblem(pointer, f"a quantity is {'0 or more' if may_be_zero else 'above 0'}, and under 10^20")
    elif _decimals(quantity) > _MAX_QUANTITY_DECIMALS:
        yield FieldProblem(pointer, f"a quantity has at most {_MAX_QUANTITY_DECIMALS} decimals")


def _decimals(number: Decimal) -> int:
    """Decimals that are not trailing zeros: 0.50 has one."""
    exponent = number.normalize().as_tuple().exponent
    assert isinstance(exponent, int)
    return max(0, -exponent)


def schedule_of(terms: PlanTerms) -> tuple[str, str, int, str]:
    """What no version of a plan may change: currency, interval and anchor. Billing instants are counted by them."""
    return terms.currency, terms.interval, terms.interval_count, terms.anchor
