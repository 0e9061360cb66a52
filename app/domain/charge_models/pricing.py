"""What does each model make of the measured parts?"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TypeVar, assert_never

from app.domain.charge_models import matrix, time_of_use
from app.domain.charge_models.components import Component, Kind, component, prorate
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
from app.domain.charge_models.percentage import percentage_components
from app.domain.charge_models.usage import Part, quantity_of_parts
from app.domain.money import ZERO


def charge(
    model: ChargeModel, parts: tuple[Part, ...], *, events: int, currency: str, used: int, full: int
) -> tuple[Component, ...]:
    """The components of the use, at least one: a zero quantity makes a component of zero.

    `parts` are those that `parts_of` makes for this model, `events` is how many events were measured. `used` / `full`
    is the share of the billing period in which a flat amount and a reservation are due; no other model looks at it. The
    model has no `model_problems`. A negative quantity is priced as the first units are, and makes a negative amount.
    """
    match model:
        case Flat():
            return (_share("flat", model.amount, currency=currency, used=used, full=full),)
        case PerUnit():
            return (component("unit", quantity_of_parts(parts), model.unit_price, currency),)
        case Graduated():
            return _graduated(model, quantity_of_parts(parts), currency)
        case Volume():
            return _volume(model, quantity_of_parts(parts), currency)
        case Package():
            packages = _packages(model, quantity_of_parts(parts))
            return (component("package", packages, model.price, currency),)
        case Percentage():
            return tuple(percentage_components(model, parts, events=events, currency=currency))
        case GraduatedPercentage():
            return _graduated_percentage(model, quantity_of_parts(parts), currency)
        case Matrix():
            return _cells(model, parts, currency)
        case TimeOfUse():
            return _rates(model, parts, currency)
        case Capacity():
            return (_capacity(model, quantity_of_parts(parts), currency),)
        case Dynamic():
            return (component("dynamic", quantity_of_parts(parts), model.multiplier, currency),)
        case Reservation():
            return tuple(_reservation(model, quantity_of_parts(parts), currency=currency, used=used, full=full))
        case _:
            assert_never(model)


def _share(kind: Kind, amount: Decimal, *, currency: str, used: int, full: int) -> Component:
    # The unit price is the rounded share, not the whole amount: only so is quantity x unit price what is charged.
    return component(kind, Decimal(1), prorate(amount, currency=currency, used=used, full=full), currency)


# --- tiers ------------------------------------------------------------------------------------------------------------


def _graduated(model: Graduated, quantity: Decimal, currency: str) -> tuple[Component, ...]:
    components: list[Component] = []
    for number, tier, filled in _slices(model.tiers, quantity):
        components.append(component("tier", filled, tier.unit_price, currency, number))
        if tier.flat:
            components.append(_entry(tier.flat, number, currency))
    return tuple(components)


def _graduated_percentage(model: GraduatedPercentage, quantity: Decimal, currency: str) -> tuple[Component, ...]:
    components: list[Component] = []
    for number, tier, filled in _slices(model.tiers, quantity):
        components.append(component("percentage_tier", filled, tier.rate / 100, currency, number))
        if tier.flat:
            components.append(_entry(tier.flat, number, currency))
    return tuple(components)


AnyTier = TypeVar("AnyTier", Tier, PercentageTier)


def _slices(tiers: tuple[AnyTier, ...], quantity: Decimal) -> Iterator[tuple[int, AnyTier, Decimal]]:
    """(number, tier, how much of the quantity lies in it) of each tier that is entered; the first one always is."""
    below = ZERO
    for number, tier in enumerate(tiers, start=1):
        if number > 1 and quantity <= below:
            return
        top = quantity if tier.up_to is None else min(quantity, tier.up_to)
        yield number, tier, top - below
        if tier.up_to is not None:
            below = tier.up_to


def _volume(model: Volume, quantity: Decimal, currency: str) -> tuple[Component, ...]:
    number, tier = _reached(model.tiers, quantity)
    priced = component("tier", quantity, tier.unit_price, currency, number)
    return (priced, _entry(tier.flat, number, currency)) if tier.flat else (priced,)


def _reached(tiers: tuple[Tier, ...], quantity: Decimal) -> tuple[int, Tier]:
    for number, tier in enumerate(tiers, start=1):
        if tier.up_to is None or quantity <= tier.up_to:
            return number, tier
    raise AssertionError("the last tier has no upper bound")


def _entry(flat: Decimal, number: int, currency: str) -> Component:
    return component("tier_flat", Decimal(1), flat, currency, number)


def _capacity(model: Capacity, quantity: Decimal, currency: str) -> Component:
    """Once the price of the reached tier; not at all where nothing was used."""
    number, tier = _reached(model.tiers, quantity)
    price = tier.unit_price if tier.flat is None else tier.flat
    return component("capacity", Decimal(1) if quantity > 0 else ZERO, price, currency, number)


# --- others -----------------------------------------------------------------------------------------------------------


def _packages(model: Package, quantity: Decimal) -> Decimal:
    """How many packages the quantity is: with size 10, 11 units are two (one rounded down), -11 are minus two."""
    whole, rest = divmod(abs(quantity), model.size)
    if rest and model.round == "up":
        whole += 1
    return whole if quantity > 0 else -whole


def _reservation(model: Reservation, quantity: Decimal, *, currency: str, used: int, full: int) -> Iterator[Component]:
    if used == full:
        yield component("reserved", model.reserved, model.unit_price, currency)
    else:
        yield _share("reserved_share", model.reserved * model.unit_price, currency=currency, used=used, full=full)
    if quantity > model.reserved:
        yield component("overage", quantity - model.reserved, model.overage_unit_price, currency)


def _cells(model: Matrix, parts: tuple[Part, ...], currency: str) -> tuple[Component, ...]:
    return tuple(_cell(model, part, currency) for part in _with_use(parts))


def _cell(model: Matrix, part: Part, currency: str) -> Component:
    if part.place:
        cell = model.cells[part.place - 1]
        return component("cell", part.quantity, cell.unit_price, currency, part.place, matrix.label_of(cell))
    if model.default_unit_price is None:
        return component("unpriced", part.quantity, ZERO, currency)
    return component("other", part.quantity, model.default_unit_price, currency)


def _rates(model: TimeOfUse, parts: tuple[Part, ...], currency: str) -> tuple[Component, ...]:
    return tuple(_rate(model, part, currency) for part in _with_use(parts))


def _rate(model: TimeOfUse, part: Part, currency: str) -> Component:
    if not part.place:
        return component("other", part.quantity, model.default_unit_price, currency)
    rate = model.rates[part.place - 1]
    return component("time_rate", part.quantity, rate.unit_price, currency, part.place, time_of_use.label_of(rate))


def _with_use(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """The parts that are not zero; the first one where all are."""
    return tuple(part for part in parts if part.quantity) or parts[:1]
