"""How many free units does a charge get of an allowance that is shared, or that carries over?

A shared allowance is units that several charges of a plan use up together, in the order in which it names them. With a
rollover, what a period leaves is for the next periods: 100 a month, carried for one month with a cap of 30, of which
40 are used, brings 30 of the 60 left into the next month, which then has 130, the carried ones used first.

What is left after a stretch goes into the next one as a value, so any period can be computed anew, and those after it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from app.domain.errors import FieldProblem
from app.domain.money import ZERO
from app.domain.periods import Period

MAX_ROLLOVER_PERIODS = 120
_QUANTITY_LIMIT = Decimal(10) ** 20
_MAX_DECIMALS = 18


@dataclass(frozen=True, slots=True)
class Rollover:
    """The unused part is for the next `periods` billing periods; at most `cap` of it is carried into any one."""

    periods: int
    cap: Decimal | None = None


@dataclass(frozen=True, slots=True)
class SharedAllowance:
    """`quantity` free units a billing period for the charges together, the first named first."""

    key: str
    quantity: Decimal
    charges: tuple[str, ...]
    rollover: Rollover | None = None


@dataclass(frozen=True, slots=True)
class Lot:
    """What the period that began on `origin` left, and in how many further periods it may still be used."""

    origin: date
    quantity: Decimal
    periods_left: int


@dataclass(frozen=True, slots=True)
class PoolState:
    """A shared allowance at some moment of the stretch that is billed: what was carried into it, oldest first, and what
    is left of its own units. `idle` lots are of the same period: they wait for the next."""

    period: date
    own: Decimal
    carried: tuple[Lot, ...] = ()
    idle: tuple[Lot, ...] = ()

    @property
    def left(self) -> Decimal:
        return self.own + sum((lot.quantity for lot in self.carried), ZERO)


@dataclass(frozen=True, slots=True)
class PoolUse:
    """What became of a shared allowance in one stretch: `total` units it began with, carried ones among them, `given`
    to each charge, and what is left."""

    stretch: Period
    total: Decimal
    given: Mapping[str, Decimal]

    @property
    def left(self) -> Decimal:
        return self.total - sum(self.given.values(), ZERO)


def opening(allowance: SharedAllowance, before: PoolState | None, period: date) -> PoolState:
    """The allowance at the start of a stretch; `before` is how the stretch before it was left, None at the first.

    An allowance is not prorated: each stretch that a plan's version has within a period begins with all of it.
    """
    if before is None or allowance.rollover is None:
        return PoolState(period, allowance.quantity)
    unused = (Lot(before.period, before.own, allowance.rollover.periods),) if before.own else ()
    if before.period == period:
        return PoolState(period, allowance.quantity, before.carried, (*before.idle, *unused))
    aged = [
        replace(lot, periods_left=lot.periods_left - 1)
        for lot in (*before.carried, *before.idle, *unused)
        if lot.periods_left > 0
    ]
    return PoolState(period, allowance.quantity, _capped(aged, allowance.rollover.cap))


def _capped(lots: list[Lot], cap: Decimal | None) -> tuple[Lot, ...]:
    """The lots with the oldest cut where all together are above the cap."""
    if cap is None:
        return tuple(lots)
    excess = sum((lot.quantity for lot in lots), ZERO) - cap
    kept: list[Lot] = []
    for lot in lots:
        cut = min(max(excess, ZERO), lot.quantity)
        excess -= cut
        if lot.quantity > cut:
            kept.append(replace(lot, quantity=lot.quantity - cut))
    return tuple(kept)


def take(state: PoolState, wanted: Decimal) -> tuple[PoolState, Decimal]:
    """The state after up to `wanted` units were used, and how many: carried ones first, for they lapse first."""
    rest, carried = max(wanted, ZERO), []
    for lot in state.carried:
        used = min(lot.quantity, rest)
        rest -= used
        if lot.quantity > used:
            carried.append(replace(lot, quantity=lot.quantity - used))
    of_own = min(state.own, rest)
    after = replace(state, own=state.own - of_own, carried=tuple(carried))
    return after, state.left - after.left


# --- rules ------------------------------------------------------------------------------------------------------------


def rollover_problems(rollover: Rollover) -> Iterator[FieldProblem]:
    """Every rule that a rollover breaks; pointers start at it."""
    if not 1 <= rollover.periods <= MAX_ROLLOVER_PERIODS:
        yield FieldProblem("/periods", f"unused units are carried for 1 to {MAX_ROLLOVER_PERIODS} periods")
    if rollover.cap is not None:
        yield from quantity_problems("/cap", rollover.cap)


def shared_allowance_problems(allowance: SharedAllowance, metered: set[str]) -> Iterator[FieldProblem]:
    """Every rule that a shared allowance breaks; pointers start at it. `metered` are the charges that price use."""
    yield from quantity_problems("/quantity", allowance.quantity)
    if not allowance.charges:
        yield FieldProblem("/charges", "an allowance is for one charge or more")
    for index, key in enumerate(allowance.charges):
        if key not in metered:
            yield FieldProblem(f"/charges/{index}", f"there is no charge {key!r} that prices use")
        if key in allowance.charges[:index]:
            yield FieldProblem(f"/charges/{index}", f"{key!r} is named twice")
    if allowance.rollover is not None:
        for problem in rollover_problems(allowance.rollover):
            yield FieldProblem("/rollover" + problem.pointer, problem.detail)


def quantity_problems(pointer: str, quantity: Decimal) -> Iterator[FieldProblem]:
    exponent = quantity.normalize().as_tuple().exponent
    assert isinstance(exponent, int)
    if not 0 <= quantity < _QUANTITY_LIMIT:
        yield FieldProblem(pointer, "a quantity is 0 or more, and under 10^20")
    elif -exponent > _MAX_DECIMALS:
        yield FieldProblem(pointer, f"a quantity has at most {_MAX_DECIMALS} decimals")
