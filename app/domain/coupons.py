"""What does a coupon take off, and of which lines?

A coupon is a percentage, an amount or a number of free units; for one invoice, for the next n, or for ever; for all
charges or for those that it names. 10.00 off lines of 100, 50, 30 and 20 is 5.00, 2.50, 1.50 and 1.00.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from app.domain.allowances import quantity_problems
from app.domain.errors import FieldProblem
from app.domain.money import CURRENCY_DECIMALS, MAX_PRICE_DECIMALS, ZERO, round_amount, split_pro_rata

MAX_COUPON_PERIODS = 1200


@dataclass(frozen=True, slots=True)
class Coupon:
    """Exactly one of `percent`, `amount` (in `currency`) and `quantity`. `periods` is for how many invoices (None: for
    ever); without `charges` it is for all of them. It may be applied until before `redeem_by`."""

    key: str
    name: str
    percent: Decimal | None = None
    amount: Decimal | None = None
    currency: str = ""
    quantity: Decimal | None = None
    charges: tuple[str, ...] = ()
    periods: int | None = None
    redeem_by: datetime | None = None

    def concerns(self, charge: str) -> bool:
        return not self.charges or charge in self.charges


@dataclass(frozen=True, slots=True)
class AppliedCoupon:
    """A coupon as it was when it was applied to a tenant, or to one subscription of it where that is named. `used` is
    how many invoices it has lowered."""

    tenant_id: UUID
    application_id: UUID
    coupon: Coupon
    created_at: datetime
    subscription_id: UUID | None = None
    ended_at: datetime | None = None
    used: int = 0

    @property
    def is_open(self) -> bool:
        return self.ended_at is None and (self.coupon.periods is None or self.used < self.coupon.periods)


def reduction(coupon: Coupon, amounts: Sequence[Decimal], currency: str) -> list[Decimal]:
    """What the coupon takes off each of these amounts of one invoice: together the percentage of their sum, rounded
    once, or the amount, as far as there is something to take it off; split in proportion, to the cent.

    Lines of no or negative amount are left alone, and a coupon of units takes off none.
    """
    weights = [max(amount, ZERO) for amount in amounts]
    whole = sum(weights, ZERO)
    total = ZERO
    if coupon.percent is not None:
        total = round_amount(whole * coupon.percent / 100, currency)
    elif coupon.amount is not None and coupon.currency == currency:
        total = min(coupon.amount, whole)
    return split_pro_rata(total, weights, currency)


def coupon_problems(coupon: Coupon) -> Iterator[FieldProblem]:
    """Every rule that the coupon breaks; pointers start at it."""
    kinds = [name for name in ("percent", "amount", "quantity") if getattr(coupon, name) is not None]
    if len(kinds) != 1:
        yield FieldProblem("", "a coupon has one of percent, amount and quantity")
    if coupon.percent is not None and not (0 < coupon.percent <= 100 and _decimals(coupon.percent) <= 12):
        yield FieldProblem("/percent", f"a percentage is above 0 and at most 100, with {MAX_PRICE_DECIMALS} decimals")
    if coupon.amount is not None:
        if not coupon.currency:
            yield FieldProblem("/currency", "an amount has a currency")
        elif not 0 < coupon.amount < Decimal(10) ** 15 or _decimals(coupon.amount) > CURRENCY_DECIMALS[coupon.currency]:
            yield FieldProblem("/amount", f"an amount is above 0 and under 10^15, to the decimals of {coupon.currency}")
    elif coupon.currency:
        yield FieldProblem("/currency", "only an amount has a currency")
    if coupon.quantity is not None:
        if not coupon.quantity:
            yield FieldProblem("/quantity", "a coupon takes something off: a quantity above 0")
        yield from quantity_problems("/quantity", coupon.quantity)


def _decimals(number: Decimal) -> int:
    exponent = number.normalize().as_tuple().exponent
    assert isinstance(exponent, int)
    return max(0, -exponent)
