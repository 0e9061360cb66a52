"""What is owed of amounts in percent, with fees, free events and bounds for single events?

At 1 % and 0.20 an event, at least 0.50: of 100.00 and 10.00 the first owes 1.20 and the second, in place of 0.30, the
minimum. That is 100.00 x 0.01, 1 x 0.20 and 1 x 0.50. Events that owe what they owe by rate and fee are added up;
those at a bound are counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from app.domain.charge_models.components import Component, component
from app.domain.charge_models.models import Percentage
from app.domain.charge_models.usage import AmountsNeeded, Part, need_of, quantity_of_parts, take_off
from app.domain.money import ZERO


def percentage_components(
    model: Percentage, parts: tuple[Part, ...], *, events: int, currency: str
) -> Iterator[Component]:
    """The amounts at the rate, the fees, and the events at a bound; the first of them always, the others where there
    are any."""
    if isinstance(need_of(model), AmountsNeeded) and events:
        yield from _of_single_events(model, parts, currency)
        return
    total = quantity_of_parts(take_off(parts, model.free_units or ZERO))
    yield component("percentage", total, model.rate / 100, currency)
    if model.fixed and events:
        yield component("per_event", Decimal(events), model.fixed, currency)


def _of_single_events(model: Percentage, parts: tuple[Part, ...], currency: str) -> Iterator[Component]:
    within, fees, raised, lowered = ZERO, 0, 0, 0
    for part in _not_free(model, parts):
        owed = part.quantity * model.rate / 100 + (model.fixed or ZERO)
        if model.event_minimum is not None and owed < model.event_minimum:
            raised += part.times
        elif model.event_maximum is not None and owed > model.event_maximum:
            lowered += part.times
        else:
            within += part.quantity * part.times
            fees += part.times
    yield component("percentage", within, model.rate / 100, currency)
    if model.fixed and fees:
        yield component("per_event", Decimal(fees), model.fixed, currency)
    if model.event_minimum is not None and raised:
        yield component("event_minimum", Decimal(raised), model.event_minimum, currency)
    if model.event_maximum is not None and lowered:
        yield component("event_maximum", Decimal(lowered), model.event_maximum, currency)


def _not_free(model: Percentage, parts: tuple[Part, ...]) -> Iterator[Part]:
    """The events that owe something; of one that only a part of is free, the rest."""
    if model.free_events is None and model.free_units is None:
        yield from parts
        return
    first, others = _split(parts, model.free_events)
    if model.free_units is None:
        yield from others
        return
    yield from _beyond(first, model.free_units)
    yield from others


def _beyond(parts: tuple[Part, ...], free_units: Decimal) -> Iterator[Part]:
    """What the amounts come to beyond so many free units in all: never less than nothing, but that amounts below zero
    stay as they are."""
    left = min(free_units, max(quantity_of_parts(parts), ZERO))
    outlasts_all = left < free_units
    for part in parts:
        if part.quantity < 0 or (left <= 0 and (part.quantity or not outlasts_all)):
            yield part
            continue
        free = min(part.times, int(left // part.quantity)) if part.quantity else part.times
        left -= free * part.quantity
        if free < part.times and left:
            yield Part(part.quantity - left)
            free, left = free + 1, ZERO
        if free < part.times:
            yield Part(part.quantity, times=part.times - free)


def _split(parts: tuple[Part, ...], events: int | None) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
    """The first so many events (None: all) and the others."""
    if events is None:
        return parts, ()
    first: list[Part] = []
    others: list[Part] = []
    left = events
    for part in parts:
        taken = min(left, part.times)
        left -= taken
        if taken:
            first.append(Part(part.quantity, times=taken))
        if taken < part.times:
            others.append(Part(part.quantity, times=part.times - taken))
    return tuple(first), tuple(others)
