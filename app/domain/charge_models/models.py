"""The charge models, each with its numbers. What each amounts to is in `pricing.py`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun", "holiday"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_NAMES: tuple[Weekday, ...] = (*WEEKDAYS, "holiday")
MINUTES_A_DAY = 24 * 60


@dataclass(frozen=True, slots=True)
class Tier:
    """Units up to and including `up_to` (None: all further ones) at `unit_price`; `flat` is due once on entering it."""

    up_to: Decimal | None
    unit_price: Decimal
    flat: Decimal | None = None


@dataclass(frozen=True, slots=True)
class PercentageTier:
    """As `Tier`, at `rate` percent."""

    up_to: Decimal | None
    rate: Decimal
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


@dataclass(frozen=True, slots=True)
class Percentage:
    """`rate` percent of the measured amounts and `fixed` for each event, between the bounds for each event.

    The first `free_events` events pay neither, nor do events as long as they come to no more than `free_units` in all;
    where both are given, what is free ends where the first of the two does.
    """

    rate: Decimal
    fixed: Decimal | None = None
    free_events: int | None = None
    free_units: Decimal | None = None
    event_minimum: Decimal | None = None
    event_maximum: Decimal | None = None


@dataclass(frozen=True, slots=True)
class GraduatedPercentage:
    """As `Graduated`, in percent of the measured amounts."""

    tiers: tuple[PercentageTier, ...]


@dataclass(frozen=True, slots=True)
class MatrixCell:
    """The price of use whose dimensions have all these values: pairs of a name and a value, in order of the names."""

    when: tuple[tuple[str, str], ...]
    unit_price: Decimal


@dataclass(frozen=True, slots=True)
class Matrix:
    """The fitting cell that names most dimensions prices the use, of several such the first one stated.

    What no cell fits is priced by `default_unit_price`; without one it is reported, at no price.
    """

    cells: tuple[MatrixCell, ...]
    default_unit_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class TimeRate:
    """The price of use on these days, in these months (all of them where none is named), from `start` until `end`.

    Both are minutes of the local day; an `end` that is not above `start` lies on the other side of midnight, so that
    one and the same is a whole day.
    """

    start: int
    end: int
    unit_price: Decimal
    weekdays: tuple[Weekday, ...] = ()
    months: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class TimeOfUse:
    """The first rate that holds at the local time of use prices it, else `default_unit_price`."""

    rates: tuple[TimeRate, ...]
    default_unit_price: Decimal
    holidays: tuple[date, ...] = ()


@dataclass(frozen=True, slots=True)
class Capacity:
    """The price of the tier that the quantity, a peak or a percentile, reaches; nothing where nothing was used.

    The price is the tier's `flat`, or its `unit_price` where it states none; it is not multiplied by the quantity.
    """

    tiers: tuple[Tier, ...]


@dataclass(frozen=True, slots=True)
class Dynamic:
    """The measured quantity is an amount of money, passed on times `multiplier`."""

    multiplier: Decimal = Decimal(1)


@dataclass(frozen=True, slots=True)
class Reservation:
    """`reserved` units at `unit_price`, used or not; each unit beyond them at `overage_unit_price`.

    A part of the period owes its share of the reserved units' price; how many there are stays the same, as with an
    allowance.
    """

    reserved: Decimal
    unit_price: Decimal
    overage_unit_price: Decimal


ChargeModel = (
    Flat
    | PerUnit
    | Graduated
    | Volume
    | Package
    | Percentage
    | GraduatedPercentage
    | Matrix
    | TimeOfUse
    | Capacity
    | Dynamic
    | Reservation
)
