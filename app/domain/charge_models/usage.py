"""What must be measured for a model, and in which parts is it priced?

Most models need one total. A matrix needs the quantity of each cell of dimensions that it tells apart, prices by time
the quantity of each rate, and bounds on single events the amount of each event. Of 5 kWh by day and 3 by night, with a
price for the day (rate 1), the parts are 3 at place 0, which stands for all other use, and 5 at place 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from app.domain.charge_models.matrix import cell_finder, dimensions_of
from app.domain.charge_models.models import ChargeModel, Matrix, Percentage, TimeOfUse
from app.domain.errors import FieldProblem
from app.domain.meters import Aggregation, Meter
from app.domain.money import ZERO


@dataclass(frozen=True, slots=True)
class MeasuredUsage:
    """What was measured for one charge over one stretch, in the meter's unit, before any rounding.

    `total` is the meter's quantity and `count` the number of events. The others are empty unless the model needs them:
    `cells` are quantities by dimensions (canonical JSON), `slots` quantities by the number of the rate (0: by none),
    `amounts` those of single events in order, each with how many have it one after the other.
    """

    total: Decimal
    count: int = 0
    cells: tuple[tuple[str, Decimal], ...] = ()
    slots: tuple[tuple[int, Decimal], ...] = ()
    amounts: tuple[tuple[Decimal, int], ...] = ()


@dataclass(frozen=True, slots=True)
class TotalNeeded:
    """The meter's quantity over the stretch, and how many events there were."""


@dataclass(frozen=True, slots=True)
class CellsNeeded:
    """The quantity of each combination of values that these dimensions have."""

    dimensions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SlotsNeeded:
    """The quantity used while each rate of the model held."""

    model: TimeOfUse


@dataclass(frozen=True, slots=True)
class AmountsNeeded:
    """The amount of each event; by (time, source, id) where the order says which events are free."""

    in_order: bool


Need = TotalNeeded | CellsNeeded | SlotsNeeded | AmountsNeeded
_TOTAL = TotalNeeded()


def need_of(model: ChargeModel) -> Need:
    """What is to be measured for the model, and nothing that it does not look at."""
    match model:
        case Matrix():
            return CellsNeeded(dimensions_of(model))
        case TimeOfUse():
            return SlotsNeeded(model)
        case Percentage():
            frees_events = model.free_events is not None or (model.free_units is not None and model.fixed is not None)
            is_bounded = model.event_minimum is not None or model.event_maximum is not None
            if frees_events or is_bounded:
                return AmountsNeeded(in_order=frees_events or model.free_units is not None)
            return _TOTAL
        case _:
            return _TOTAL


SINGLE_AMOUNTS: tuple[Aggregation, ...] = ("sum", "count")
"""The aggregations of which each event has an amount of its own."""


def meter_problems(model: ChargeModel, meter: Meter) -> Iterator[FieldProblem]:
    """What the model needs and the meter does not measure, with pointers that start at the model."""
    match need_of(model):
        case CellsNeeded(names):
            known = {name for name, _ in meter.dimensions}
            for name in names:
                if name not in known:
                    yield FieldProblem("/cells", f"meter {meter.key} has no dimension {name!r}")
        case AmountsNeeded() if meter.aggregation not in SINGLE_AMOUNTS or meter.intervals is not None:
            yield FieldProblem(
                "", f"fees and bounds for single events need a meter that sums or counts, and {meter.key} does not"
            )


@dataclass(frozen=True, slots=True)
class Part:
    """So much of the use, `times` over, that has one price. `place` is the number of a matrix's cell or of a rate; 0
    stands for what none of them prices, and for all use where the model has no such thing."""

    quantity: Decimal
    place: int = 0
    times: int = 1


def parts_of(model: ChargeModel, usage: MeasuredUsage) -> tuple[Part, ...]:
    """The use in the parts that the model prices, in the order of its cells and rates; at least one."""
    match model:
        case Matrix():
            find = cell_finder(model)
            return _by_place([(find(cell), quantity) for cell, quantity in usage.cells])
        case TimeOfUse():
            return _by_place(usage.slots)
        case Percentage() if usage.amounts:
            return tuple(Part(amount, times=times) for amount, times in usage.amounts)
        case _:
            return (Part(usage.total),)


def _by_place(found: Sequence[tuple[int, Decimal]]) -> tuple[Part, ...]:
    quantities: dict[int, Decimal] = {}
    for place, quantity in found:
        quantities[place] = quantities.get(place, ZERO) + quantity
    # All other use comes last, as it does in the terms.
    ordered = sorted(quantities.items(), key=lambda item: (item[0] == 0, item[0]))
    return tuple(Part(quantity, place) for place, quantity in ordered) or (Part(ZERO),)


def quantity_of_parts(parts: Sequence[Part]) -> Decimal:
    if len(parts) == 1 and parts[0].times == 1:
        return parts[0].quantity
    return sum((part.quantity * part.times for part in parts), ZERO)


def take_off(parts: tuple[Part, ...], free: Decimal) -> tuple[Part, ...]:
    """The parts without the first `free` units: 10 and 20 without 15 are 0 and 15.

    Never more than all of it together comes to is taken off, and nothing of a part below zero.
    """
    left = min(free, max(quantity_of_parts(parts), ZERO))
    if not left:
        return parts
    found: list[Part] = []
    for part in parts:
        if left <= 0 or part.quantity <= 0:
            found.append(part)
            continue
        used_up = min(part.times, int(left // part.quantity))
        left -= used_up * part.quantity
        begun = min(part.times - used_up, 1 if left else 0)
        found += [
            replace(part, quantity=quantity, times=times)
            for quantity, times in (
                (ZERO, used_up), (part.quantity - left, begun), (part.quantity, part.times - used_up - begun),
            )
            if times
        ]  # fmt: skip
        if begun:
            left = ZERO
    return tuple(found)
