"""Which numbers may a model have?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import TypeVar, assert_never

from app.domain.charge_models.models import (
    Capacity,
    ChargeModel,
    Dynamic,
    Flat,
    Graduated,
    GraduatedPercentage,
    Matrix,
    Package,
    Percentage,
    PercentageTier,
    PerUnit,
    Reservation,
    Tier,
    TimeOfUse,
    Volume,
)
from app.domain.errors import FieldProblem
from app.domain.money import MAX_PRICE_DECIMALS, ZERO, plain

# With quantities of at most 20 digits and 18 decimals (what `meters.read_number` lets in), summed over a period,
# products with prices of this size keep within the 80 digits of the decimal context.
_PRICE_LIMIT = Decimal(10) ** 15
_QUANTITY_LIMIT = Decimal(10) ** 20
_MAX_QUANTITY_DECIMALS = 18
# The unit price of a percentage is a hundredth of its rate, and has the decimals of a price.
_MAX_RATE_DECIMALS = MAX_PRICE_DECIMALS - 2
_MAX_FREE_EVENTS = 10**12

AnyTier = TypeVar("AnyTier", Tier, PercentageTier)


def model_problems(model: ChargeModel) -> Iterator[FieldProblem]:
    """Every rule that the model's numbers break, with pointers that start at the model."""
    match model:
        case Flat():
            yield from _price_problems("/amount", model.amount)
        case PerUnit():
            yield from _price_problems("/unit_price", model.unit_price)
        case Graduated() | Volume():
            yield from _tier_problems(model.tiers, _unit_price_problems)
        case Package():
            yield from _quantity_problems("/size", model.size)
            yield from _price_problems("/price", model.price)
        case Percentage():
            yield from _percentage_problems(model)
        case GraduatedPercentage():
            yield from _tier_problems(model.tiers, _tier_rate_problems)
        case Matrix():
            yield from _matrix_problems(model)
        case TimeOfUse():
            yield from _time_of_use_problems(model)
        case Capacity():
            yield from _tier_problems(model.tiers, _capacity_price_problems)
        case Dynamic():
            yield from _price_problems("/multiplier", model.multiplier)
        case Reservation():
            yield from _quantity_problems("/reserved", model.reserved)
            yield from _price_problems("/unit_price", model.unit_price)
            yield from _price_problems("/overage_unit_price", model.overage_unit_price)
        case _:
            assert_never(model)


# --- tiers ------------------------------------------------------------------------------------------------------------


def _tier_problems(
    tiers: tuple[AnyTier, ...], price_problems: Callable[[str, AnyTier], Iterator[FieldProblem]]
) -> Iterator[FieldProblem]:
    if not tiers:
        yield FieldProblem("/tiers", "there is at least one tier")
    below = ZERO
    for index, tier in enumerate(tiers):
        pointer, is_last = f"/tiers/{index}", index == len(tiers) - 1
        yield from price_problems(pointer, tier)
        if tier.flat is not None:
            yield from _price_problems(f"{pointer}/flat", tier.flat)
        yield from _bound_problems(f"{pointer}/up_to", tier.up_to, below=below, is_last=is_last)
        below = max(below, tier.up_to or ZERO)


def _unit_price_problems(pointer: str, tier: Tier) -> Iterator[FieldProblem]:
    yield from _price_problems(f"{pointer}/unit_price", tier.unit_price)


def _tier_rate_problems(pointer: str, tier: PercentageTier) -> Iterator[FieldProblem]:
    yield from _rate_problems(f"{pointer}/rate", tier.rate)


def _capacity_price_problems(pointer: str, tier: Tier) -> Iterator[FieldProblem]:
    yield from _price_problems(f"{pointer}/unit_price", tier.unit_price)
    if tier.flat is not None and tier.unit_price:
        yield FieldProblem(f"{pointer}/flat", "a tier of a capacity has one price: state it here or as unit_price")


def _bound_problems(pointer: str, bound: Decimal | None, *, below: Decimal, is_last: bool) -> Iterator[FieldProblem]:
    if bound is None:
        if not is_last:
            yield FieldProblem(pointer, "only the last tier has no bound")
        return
    if is_last:
        yield FieldProblem(pointer, "the last tier has no bound: its up_to is null")
    if bound <= below:
        yield FieldProblem(pointer, f"tiers go upwards: this bound is above {plain(below)}")
    else:
        yield from _quantity_problems(pointer, bound)


# --- percentage, matrix, time of use ----------------------------------------------------------------------------------


def _percentage_problems(model: Percentage) -> Iterator[FieldProblem]:
    yield from _rate_problems("/rate", model.rate)
    for name in ("fixed", "event_minimum", "event_maximum"):
        price: Decimal | None = getattr(model, name)
        if price is not None:
            yield from _price_problems(f"/{name}", price)
    least, most = model.event_minimum, model.event_maximum
    if least is not None and most is not None and least > most:
        yield FieldProblem("/event_minimum", "the minimum is above the maximum")
    if model.free_events is not None and not 0 <= model.free_events <= _MAX_FREE_EVENTS:
        yield FieldProblem("/free_events", f"a whole number from 0 to {_MAX_FREE_EVENTS}")
    if model.free_units:
        yield from _quantity_problems("/free_units", model.free_units)


def _matrix_problems(model: Matrix) -> Iterator[FieldProblem]:
    if not model.cells:
        yield FieldProblem("/cells", "there is at least one cell")
    if model.default_unit_price is not None:
        yield from _price_problems("/default_unit_price", model.default_unit_price)
    seen: set[tuple[tuple[str, str], ...]] = set()
    for index, cell in enumerate(model.cells):
        pointer = f"/cells/{index}"
        yield from _price_problems(f"{pointer}/unit_price", cell.unit_price)
        if not cell.when:
            yield FieldProblem(f"{pointer}/when", "names at least one dimension; what is left is default_unit_price")
        elif cell.when in seen:
            yield FieldProblem(f"{pointer}/when", "another cell has the same dimensions")
        seen.add(cell.when)


def _time_of_use_problems(model: TimeOfUse) -> Iterator[FieldProblem]:
    if not model.rates:
        yield FieldProblem("/rates", "there is at least one rate")
    yield from _price_problems("/default_unit_price", model.default_unit_price)
    for index, rate in enumerate(model.rates):
        yield from _price_problems(f"/rates/{index}/unit_price", rate.unit_price)


# --- numbers ----------------------------------------------------------------------------------------------------------


def _price_problems(pointer: str, price: Decimal) -> Iterator[FieldProblem]:
    if not 0 <= price < _PRICE_LIMIT:
        yield FieldProblem(pointer, "a price is 0 or more, and under 10^15")
    elif _decimals(price) > MAX_PRICE_DECIMALS:
        yield FieldProblem(pointer, f"a price has at most {MAX_PRICE_DECIMALS} decimals")


def _rate_problems(pointer: str, rate: Decimal) -> Iterator[FieldProblem]:
    if not 0 <= rate < _PRICE_LIMIT:
        yield FieldProblem(pointer, "a rate in percent is 0 or more, and under 10^15")
    elif _decimals(rate) > _MAX_RATE_DECIMALS:
        yield FieldProblem(pointer, f"a rate has at most {_MAX_RATE_DECIMALS} decimals")


def _quantity_problems(pointer: str, quantity: Decimal) -> Iterator[FieldProblem]:
    if not 0 < quantity < _QUANTITY_LIMIT:
        yield FieldProblem(pointer, "a quantity is above 0, and under 10^20")
    elif _decimals(quantity) > _MAX_QUANTITY_DECIMALS:
        yield FieldProblem(pointer, f"a quantity has at most {_MAX_QUANTITY_DECIMALS} decimals")


def _decimals(number: Decimal) -> int:
    """Decimals that are not trailing zeros: 0.50 has one."""
    exponent = number.normalize().as_tuple().exponent
    assert isinstance(exponent, int), "a price is a finite number"
    return max(0, -exponent)
