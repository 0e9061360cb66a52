"""How much of a meter may a tenant still use, and what of it is free?

100 kWh are included and 500 are the limit; 120 are used: nothing is left of the allowance, 380 of the limit, and the
tenant has access. At 500 it has none until its next billing period begins. Use itself is never refused: a producer asks
before it serves, and what it reports afterwards is counted and billed whatever was answered.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from app.domain.allowances import PoolUse
from app.domain.credit import Grant
from app.domain.money import ZERO
from app.domain.periods import Period

Refusal = Literal["not_subscribed", "limit_reached"]
REFUSALS: tuple[Refusal, ...] = ("not_subscribed", "limit_reached")


@dataclass(frozen=True, slots=True)
class ChargeBalance:
    """Where the tenant stands in one charge on the meter.

    The limit is held against what was `used` in the whole billing period. The allowance belongs to the `stretch` of it
    in which the present terms are in force, as it does when the stretch is billed. It is the charge's `own`, which does
    not roll over, and what there is of `pools`, those that it shares or carries over.
    """

    subscription: str
    charge: str
    stretch: Period
    used: Decimal
    used_in_stretch: Decimal
    own: Decimal = ZERO
    limit: Decimal | None = None
    pools: tuple[PoolUse, ...] = ()

    @property
    def allowance(self) -> Decimal:
        return self.own + sum((pool.total for pool in self.pools), ZERO)

    @property
    def allowance_left(self) -> Decimal:
        own = max(self.own - max(self.used_in_stretch, ZERO), ZERO)
        return own + sum((pool.left for pool in self.pools), ZERO)

    @property
    def beyond_allowance(self) -> Decimal:
        """What the stretch has used so far that no allowance covers."""
        given = sum((pool.given.get(self.charge, ZERO) for pool in self.pools), ZERO)
        return max(self.used_in_stretch - self.own - given, ZERO)

    @property
    def limit_left(self) -> Decimal | None:
        return None if self.limit is None else max(self.limit - self.used, ZERO)


@dataclass(frozen=True, slots=True)
class Balance:
    """Where a tenant stands in one meter. Without a charge on it, `period` is the tenant's calendar month."""

    period: Period
    used: Decimal
    charges: tuple[ChargeBalance, ...]

    @property
    def allowance(self) -> Decimal:
        """A unit is free where no charge on the meter prices it: of several allowances the smallest."""
        return min((item.allowance for item in self.charges), default=ZERO)

    @property
    def allowance_left(self) -> Decimal:
        return min((item.allowance_left for item in self.charges), default=ZERO)

    @property
    def limit(self) -> Decimal | None:
        return _smallest([item.limit for item in self.charges])

    @property
    def limit_left(self) -> Decimal | None:
        return _smallest([item.limit_left for item in self.charges])

    @property
    def refusal(self) -> Refusal | None:
        """Why the tenant has no access; None where it has."""
        if not self.charges:
            return "not_subscribed"
        return "limit_reached" if self.limit is not None and self.used >= self.limit else None


@dataclass(frozen=True, slots=True)
class Prepaid:
    """What a tenant has paid for and not used yet: units of the meter, and money.

    From units comes off what the open period has used beyond its allowance already; money is what no issued invoice has
    taken. A tenant that was never granted any of the kind has None.
    """

    units: Decimal | None = None
    amount: Decimal | None = None


def prepaid_left(grants: Iterable[Grant], balance: Balance | None, *, meter: str, now: datetime) -> Prepaid:
    """`grants` are all of the tenant's that are not voided. 60 units granted, 25 used beyond the allowance: 35 left."""
    units: Decimal | None = None
    amount: Decimal | None = None
    for grant in grants:
        left = grant.left if _in_force(grant, now) else ZERO
        if grant.kind == "units" and grant.meter == meter:
            units = (units or ZERO) + left
        elif grant.kind == "prepaid":
            amount = (amount or ZERO) + left
    if units and balance is not None and balance.charges:
        units = max(units - balance.charges[0].beyond_allowance, ZERO)
    return Prepaid(units, amount)


def _in_force(grant: Grant, now: datetime) -> bool:
    return (grant.effective_at is None or grant.effective_at <= now) and not grant.expired_by(now)


def _smallest(found: Sequence[Decimal | None]) -> Decimal | None:
    return min((item for item in found if item is not None), default=None)
