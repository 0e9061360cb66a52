"""Which components does a price make of a quantity?

Graduated tiers of 1,000 units at 0.01 and the rest at 0.005 make, of 1,500 units, 1,000 x 0.01 = 10.00 and
500 x 0.005 = 2.50. Every component is quantity x unit price, rounded half up to the currency there and then.

The models are a closed union. A new one is a dataclass, a member of `ChargeModel`, and a case in `charge` and in
`model_problems`; the type checker names the place that is still missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, assert_never

from app.domain.errors import FieldProblem
from app.domain.money import MAX_PRICE_DECIMALS, ZERO, plain, round_amount

# With quantities of at most 20 digits and 18 decimals (what `meters.read_number` lets in), summed over a period,
# products with prices of this size keep within the 80 digits of the decimal context.
_PRICE_LIMIT = Decimal(10) ** 15
_QUANTITY_LIMIT = Decimal(10) ** 20
_MAX_QUANTITY_DECIMALS = 18


@dataclass(frozen=True, slots=True)
class Tier:
    """Units up to and including `up_to` (None: all further ones) at `unit_price`; `flat` is due once on entering it."""

    up_to: Decimal | None
    unit_price: Decimal
    flat: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Flat:
    """An amount a billing period, whatever was used; a part of the period owes its share."""

    amount: Decimal


@dataclass(frozen=True, slots=True)
class PerUnit:
    unit_price: Decimal


@dataclass(frozen=True, slots=True)
class Graduated:
    """Each tier prices its own slice of the quantity. The first tier is entered even at no use."""

    tiers: tuple[Tier, ...]


@dataclass(frozen=True, slots=True)
class Volume:
    """The tier that the quantity reaches prices all of it; only that tier's `flat` is due."""

    tiers: tuple[Tier, ...]


@dataclass(frozen=True, slots=True)
class Package:
    """Packages of `size` units at `price` each; `round` says whether a package that is begun counts."""

    size: Decimal
    price: Decimal
    round: Literal["up", "down"] = "up"


ChargeModel = Flat | PerUnit | Graduated | Volume | Package


@dataclass(frozen=True, slots=True)
class MeasuredUsage:
    """What was measured for one charge over one stretch: the meter's quantity in its unit, before any rounding."""

    total: Decimal


@dataclass(frozen=True, slots=True)
class Component:
    """One explained piece of a line: amount = quantity x unit price, rounded to the currency.

    `tier` counts from 1 and is None where `kind` is not a tier's. `unit_price` is 0 or more: what lowers an amount has
    a negative quantity (EN 16931, BR-27).
    """

    kind: Literal["unit", "tier", "tier_flat", "package", "flat", "maximum", "minimum"]
    quantity: Decimal
    unit_price: Decimal
    amount: Decimal
    tier: int | None = None

    @property
    def description(self) -> str:
        """The kind in plain English: "tier 1", "unit price", "minimum"."""
        texts = {
            "unit": "unit price", "tier": f"tier {self.tier}", "tier_flat": f"tier {self.tier}, entry",
            "package": "package", "flat": "flat amount", "maximum": "maximum", "minimum": "minimum",
        }  # fmt: skip
        return texts[self.kind]


def charge(model: ChargeModel, quantity: Decimal, *, currency: str, used: int, full: int) -> tuple[Component, ...]:
    """The components of the quantity, at least one: a zero quantity makes a component of zero.

    `used` / `full` is the share of the billing period in which a flat amount is due; no other model looks at it. The
    model has no `model_problems`. A negative quantity is priced as the first units are, and makes a negative amount.
    """
    match model:
        case Flat():
            return (_flat(model, currency=currency, used=used, full=full),)
        case PerUnit():
            return (_component("unit", quantity, model.unit_price, currency),)
        case Graduated():
            return _graduated(model, quantity, currency)
        case Volume():
            return _volume(model, quantity, currency)
        case Package():
            return (_component("package", _packages(model, quantity), model.price, currency),)
        case _:
            assert_never(model)


def prorate(amount: Decimal, *, currency: str, used: int, full: int) -> Decimal:
    """The share `used` / `full` of the amount, rounded to the currency: 31.00 for 10 of 31 days is 10.00."""
    assert 0 <= used <= full and full > 0, "a stretch covers a part of its billing period"
    return round_amount(amount * used / full, currency)


def _component(
    kind: Literal["unit", "tier", "tier_flat", "package", "flat"],
    quantity: Decimal,
    unit_price: Decimal,
    currency: str,
    tier: int | None = None,
) -> Component:
    return Component(kind, quantity, unit_price, round_amount(quantity * unit_price, currency), tier)


def _flat(model: Flat, *, currency: str, used: int, full: int) -> Component:
    # The unit price is the rounded share, not the whole amount: only so is quantity x unit price what is charged.
    return _component("flat", Decimal(1), prorate(model.amount, currency=currency, used=used, full=full), currency)


def _graduated(model: Graduated, quantity: Decimal, currency: str) -> tuple[Component, ...]:
    components: list[Component] = []
    below = ZERO
    for number, tier in enumerate(model.tiers, start=1):
        if number > 1 and quantity <= below:
            break
        top = quantity if tier.up_to is None else min(quantity, tier.up_to)
        components += _tier(tier, number, top - below, currency)
        if tier.up_to is not None:
            below = tier.up_to
    return tuple(components)


def _volume(model: Volume, quantity: Decimal, currency: str) -> tuple[Component, ...]:
    for number, tier in enumerate(model.tiers, start=1):
        if tier.up_to is None or quantity <= tier.up_to:
            return tuple(_tier(tier, number, quantity, currency))
    raise AssertionError("the last tier has no upper bound")


def _tier(tier: Tier, number: int, quantity: Decimal, currency: str) -> Iterator[Component]:
    yield _component("tier", quantity, tier.unit_price, currency, number)
    if tier.flat:
        yield _component("tier_flat", Decimal(1), tier.flat, currency, number)


def _packages(model: Package, quantity: Decimal) -> Decimal:
    """How many packages the quantity is: with size 10, 11 units are two (one rounded down), -11 are minus two."""
    whole, rest = divmod(abs(quantity), model.size)
    if rest and model.round == "up":
        whole += 1
    return whole if quantity > 0 else -whole


def model_problems(model: ChargeModel) -> Iterator[FieldProblem]:
    """Every rule that the model's numbers break, with pointers that start at the model."""
    match model:
        case Flat():
            yield from _price_problems("/amount", model.amount)
        case PerUnit():
            yield from _price_problems("/unit_price", model.unit_price)
        case Graduated() | Volume():
            yield from _tier_problems(model.tiers)
        case Package():
            yield from _quantity_problems("/size", model.size)
            yield from _price_problems("/price", model.price)
        case _:
            assert_never(model)


def _tier_problems(tiers: tuple[Tier, ...]) -> Iterator[FieldProblem]:
    if not tiers:
        yield FieldProblem("/tiers", "there is at least one tier")
    below = ZERO
    for index, tier in enumerate(tiers):
        pointer, is_last = f"/tiers/{index}", index == len(tiers) - 1
        yield from _price_problems(f"{pointer}/unit_price", tier.unit_price)
        if tier.flat is not None:
            yield from _price_problems(f"{pointer}/flat", tier.flat)
        yield from _bound_problems(f"{pointer}/up_to", tier.up_to, below=below, is_last=is_last)
        below = max(below, tier.up_to or ZERO)


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


def _price_problems(pointer: str, price: Decimal) -> Iterator[FieldProblem]:
    if not 0 <= price < _PRICE_LIMIT:
        yield FieldProblem(pointer, "a price is 0 or more, and under 10^15")
    elif _decimals(price) > MAX_PRICE_DECIMALS:
        yield FieldProblem(pointer, f"a price has at most {MAX_PRICE_DECIMALS} decimals")


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
